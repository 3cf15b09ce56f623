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

    /// An empty buffer to copy a body through.
    pub fn body(&self) -> Vec<u8> {
        self.bodies.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BODY))
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
        let mut body = buffers.body();
        body.extend_from_slice(b"left over");
        let address = body.as_ptr();
        buffers.put(body);
        let head = buffers.head();
        assert_ne!(head.as_ptr(), address);
        let again = buffers.body();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }
}
