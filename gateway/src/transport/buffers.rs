//! The buffers that a worker's connections share: who waits without data holds none.

use std::cell::RefCell;

/// Room for one read of a head. Most heads are well under 2 KiB; a larger head grows its buffer.
const HEAD: usize = 16 * 1024;
/// Room for one read of a body. A 100 KB body passes in two reads; beyond this the gain was noise.
const BODY: usize = 64 * 1024;
/// As many buffers of each kind are kept for later; more are given back to the allocator.
const KEPT: usize = 128;
/// A buffer that a large head grew beyond this is not kept.
const LARGEST: usize = 128 * 1024;

/// Free buffers of one worker.
#[derive(Debug, Default)]
pub struct Buffers {
    heads: RefCell<Vec<Vec<u8>>>,
    bodies: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer to read or write a head in.
    pub fn head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(HEAD))
    }

    /// Puts an empty buffer to copy a body through in the place of a smaller one, or of none.
    pub fn make_body(&self, buffer: &mut Vec<u8>) {
        if buffer.capacity() < BODY {
            let body = self.bodies.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BODY));
            self.put(std::mem::replace(buffer, body));
        }
    }

    /// Takes a buffer back, of either kind.
    pub fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let kind = if capacity >= BODY { &self.bodies } else { &self.heads };
        let mut kept = kind.borrow_mut();
        if (HEAD..=LARGEST).contains(&capacity) && kept.len() < KEPT {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_to_its_own_kind() {
        let buffers = Buffers::default();
        let mut body = Vec::new();
        buffers.make_body(&mut body);
        body.extend_from_slice(b"left over");
        let address = body.as_ptr();
        buffers.put(body);
        let head = buffers.head();
        let small = head.as_ptr();
        assert_ne!(small, address);
        let mut again = head;
        buffers.make_body(&mut again);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        let back = buffers.head();
        assert_eq!(back.as_ptr(), small, "the smaller one came back");
    }
}
