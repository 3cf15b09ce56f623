//! What a plugin prints, until it is lines of the log.
//!
//! What goes to the standard error waits for the end of the call: if the call fails, it is the reason, and stands in
//! one line with the fault; else it is logged like all else. Both are bounded.

/// The longest line that is logged, and the most that waits, in bytes.
pub(super) const LONGEST_LINE: usize = 4096;
/// What Rust's panics say to people at a terminal, and to nobody here.
const HINT: &str = "note: run with `RUST_BACKTRACE=1`";

/// One of the two standard streams.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// Bytes that found no room.
    left_out: usize,
}

impl Output {
    /// Takes what was printed, as far as there is room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.left_out += bytes.len().saturating_sub(room);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What there is, as text, and whether some of it was left out. The memory is kept.
    pub(super) fn take(&mut self) -> (String, bool) {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        self.bytes.clear();
        (text, std::mem::take(&mut self.left_out) > 0)
    }

    /// What there is, on one line and without hints for a terminal; empty if there is nothing.
    pub(super) fn take_as_one(&mut self) -> String {
        let (text, _) = self.take();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(HINT));
        let mut one = String::new();
        for line in lines {
            // "thread 'main' panicked at src/lib.rs:1:2:" goes on in the next line.
            let between = match one.chars().last() {
                None => "",
                Some(':') => " ",
                Some(_) => "; ",
            };
            one.push_str(between);
            one.push_str(line);
        }
        // Any other line break or escape in it would forge a line of the log.
        one.replace(char::is_control, " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_sentence() {
        let mut output = Output::default();
        output.push(b"\nthread 'main' panicked at src/lib.rs:1:2:\nno ");
        output.push(
            b"node\x1b[0m\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        );
        assert_eq!(output.take_as_one(), "thread 'main' panicked at src/lib.rs:1:2: no node [0m");
        assert!(output.is_empty());
    }

    #[test]
    fn it_has_an_end() {
        let mut output = Output::default();
        (0..100).for_each(|_| output.push(&[b'x'; 1000]));
        let (text, cut) = output.take();
        assert_eq!((text.len(), cut), (LONGEST_LINE, true));
    }
}
