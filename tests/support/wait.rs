//! The only place where a test waits for something that it cannot read from a socket.

use std::thread;
use std::time::{Duration, Instant};

/// How long it waits. Compiling a plugin has a low priority, and the other tests keep all processors busy.
const AT_MOST: Duration = Duration::from_secs(30);

/// Asks until the answer is yes, and fails with this sentence if it does not become so in time.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < AT_MOST, "waited {AT_MOST:?} in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
