//! The only place where a test waits for something that it cannot read from a socket.

use super::wire::PATIENCE;
use std::thread;
use std::time::{Duration, Instant};

/// Asks until the answer is yes, and fails with this sentence if it does not become so in time.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain until {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
