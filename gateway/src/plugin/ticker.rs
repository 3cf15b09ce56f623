//! The thread that ticks while plugins run, and nearly sleeps while none does.
//!
//! A tick is what a call that does not end hears of; see [`super::deadline`]. Thousands of wake-ups a second cost some
//! hundredths of a core, so a gateway whose plugins are idle, or that has none, is spared them. Calls say that they
//! begin; the ticker forgets it now and then, and all but stops when nobody says so again.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

use super::deadline::TICK;

/// Ticks after which calls have to say again that there are any. Chosen: a worker then writes to the shared flag so
/// seldom that it costs nothing.
const ROUND: u32 = 64;

/// The time between two ticks while nobody says that a call runs: 20 us of a core each.
const REST: Duration = Duration::from_millis(100);
/// Nobody asked for a tick.
const NEVER: u64 = u64::MAX;

/// What calls tell the ticker.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    awake: AtomicBool,
    stop: AtomicBool,
    /// Ticks so far.
    ticks: AtomicU32,
    /// When the next tick is wanted that was asked for, in microseconds since `born`.
    wanted: AtomicU64,
    thread: OnceLock<Thread>,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse {
            born: Instant::now(),
            awake: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            wanted: AtomicU64::new(NEVER),
            thread: OnceLock::new(),
        }
    }

    /// How many ticks there were; only whether it changed means anything.
    pub(super) fn ticks(&self) -> u32 {
        self.ticks.load(Relaxed)
    }

    /// Says that a call begins or goes on. One load, nearly always.
    pub(super) fn beat(&self) {
        if !self.awake.load(Relaxed) {
            self.wake();
        }
    }

    /// Asks for a tick so soon, or sooner: where several calls ask, the first is heard by all, and the others ask again.
    pub(super) fn ring_in(&self, soon: Duration) {
        let at = (self.born.elapsed() + soon).as_micros() as u64;
        if at < self.wanted.fetch_min(at, Relaxed) {
            self.unpark();
        }
    }

    #[cold]
    fn wake(&self) {
        self.awake.store(true, Relaxed);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// The thread that ticks; it ends with this.
pub(super) struct Ticker {
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread; `tick` is what a tick does.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Ticker> {
        let pulse = Arc::new(Pulse::new());
        let told = Arc::clone(&pulse);
        let builder = thread::Builder::new().name("plugin-ticker".to_owned());
        let thread = builder.spawn(move || run(&told, tick))?;
        Ok(Ticker { pulse, thread: Some(thread) })
    }

    /// Where calls say that they begin.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only counts, so it can not have panicked.
            let _ = thread.join();
        }
    }
}

fn run(pulse: &Pulse, tick: impl Fn()) {
    // The first to write it, so this can not fail.
    let _ = pulse.thread.set(thread::current());
    // Else the system may make each tick 50 us late, to spare itself wake-ups.
    let _kept = set_current_timer_slack(NonZeroU64::new(1));
    let tick = || {
        // Who asks just now hears of this tick, and asks again.
        pulse.wanted.store(NEVER, Relaxed);
        pulse.ticks.fetch_add(1, Relaxed);
        tick();
    };
    let tick_after_a_while = || {
        let regular = Instant::now() + TICK;
        loop {
            let next = match pulse.wanted.load(Relaxed) {
                NEVER => regular,
                wanted => regular.min(pulse.born + Duration::from_micros(wanted)),
            };
            let pause = next.saturating_duration_since(Instant::now());
            if pause.is_zero() || pulse.is_stopped() {
                break;
            }
            thread::park_timeout(pause);
        }
        tick();
    };
    while !pulse.is_stopped() {
        while !pulse.awake.load(Relaxed) && !pulse.is_stopped() {
            // A call whose thread stood still between saying that it goes on and waiting for the next tick may have
            // missed the last ones, and would never end.
            thread::park_timeout(REST);
            tick();
        }
        (0..ROUND).take_while(|_| !pulse.is_stopped()).for_each(|_| tick_after_a_while());
        pulse.awake.store(false, Relaxed);
        // A call that began before that hears of these ticks, sooner or later, and then beats: none runs on unmeasured.
        (0..2).for_each(|_| tick_after_a_while());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    use super::*;

    /// Long enough for any machine; a test that passes waits for the event only.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "{what}");
            thread::park_timeout(TICK);
        }
    }

    #[test]
    fn ticks_come_by_themselves_and_when_they_are_asked_for() {
        let (send, receive) = std::sync::mpsc::channel();
        let ticker = Ticker::start(move || send.send(()).unwrap_or_default()).unwrap();
        let pulse = ticker.pulse();
        wait_until("it starts", || pulse.thread.get().is_some());
        for _ in 0..3 {
            pulse.beat();
            receive.recv_timeout(PATIENCE).unwrap();
            pulse.ring_in(TICK / 10);
            receive.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn a_call_that_the_ticker_forgot_hears_of_a_tick_all_the_same() {
        let (send, receive) = std::sync::mpsc::channel();
        let ticker = Ticker::start(move || send.send(()).unwrap_or_default()).unwrap();
        wait_until("it starts", || ticker.pulse.thread.get().is_some());
        // Nobody beats.
        (0..3).for_each(|_| receive.recv_timeout(PATIENCE).unwrap());
    }

    #[test]
    fn it_ticks_while_calls_beat_and_rests_when_none_does() {
        let ticks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ticks);
        let ticker = Ticker::start(move || {
            counted.fetch_add(1, Relaxed);
        })
        .unwrap();
        let pulse = ticker.pulse();
        wait_until("it starts", || pulse.thread.get().is_some());
        pulse.beat();
        wait_until("a beat makes it tick", || ticks.load(Relaxed) > u64::from(ROUND));
        wait_until("it rests", || {
            let before = ticks.load(Relaxed);
            thread::park_timeout(20 * TICK);
            ticks.load(Relaxed) == before
        });
        let before = ticks.load(Relaxed);
        pulse.beat();
        wait_until("it wakes again", || ticks.load(Relaxed) > before + u64::from(ROUND));
        drop(ticker);
    }
}
