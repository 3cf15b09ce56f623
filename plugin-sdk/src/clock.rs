//! Time that only goes forward, from an unknown start: the host's in wasm, the test's natively.

use std::time::Duration;

/// The time now.
#[cfg(target_family = "wasm")]
pub fn now() -> Duration {
    use std::cell::Cell;
    use std::time::Instant;
    thread_local! { static START: Cell<Option<Instant>> = const { Cell::new(None) } }
    let now = Instant::now();
    let start = START.get().unwrap_or(now);
    START.set(Some(start));
    now - start
}

/// The time now.
#[cfg(not(target_family = "wasm"))]
pub fn now() -> Duration {
    crate::testing::world::with(|world| world.now)
}
