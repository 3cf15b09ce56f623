//! Failures in a row, and the bell that a worker rings when there are too many of them.
//!
//! The worker counts and rings; what is too many is set by control, which also decides what to do about it.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// Tells control that some node needs a look. It does not say which: control looks at all of them, so that a ring
/// that comes while it looks is never lost.
#[derive(Debug, Default)]
pub struct Bell(Notify);

impl Bell {
    /// Rings; it never waits.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring; one that nobody waited for counts.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    /// Of any kind, 5xx included.
    pub failures: u16,
    /// Of these the last ones that were failures to connect.
    pub unreachable: u16,
}

impl Streak {
    /// More than any streak: as a limit, never.
    pub const ENDLESS: Streak = Streak { failures: u16::MAX, unreachable: u16::MAX };

    fn pack(self) -> u32 {
        u32::from(self.unreachable) << 16 | u32::from(self.failures)
    }

    fn unpack(word: u32) -> Streak {
        Streak { failures: word as u16, unreachable: (word >> 16) as u16 }
    }

    /// With one more failure. It stops one short of [`Streak::ENDLESS`].
    fn longer(self, is_unreachable: bool) -> Streak {
        let grow = |count: u16| count.saturating_add(1).min(u16::MAX - 1);
        let unreachable = if is_unreachable { grow(self.unreachable) } else { 0 };
        Streak { failures: grow(self.failures), unreachable }
    }
}

/// One node's streak, and what control wants to hear of.
#[derive(Debug)]
pub(super) struct Lookout {
    /// A [`Streak`], packed.
    streak: AtomicU32,
    /// A [`Streak`], packed.
    limits: AtomicU32,
    /// Attempts that began before this, in the node's milliseconds, do not count.
    from: AtomicU32,
    /// When it was last taken out for its silence, in the node's milliseconds; 0 if it never was.
    forsaken: AtomicU32,
    bell: OnceLock<Arc<Bell>>,
}

impl Default for Lookout {
    fn default() -> Self {
        let limits = AtomicU32::new(Streak::ENDLESS.pack());
        let (streak, from, forsaken) = Default::default();
        Lookout { streak, limits, from, forsaken, bell: OnceLock::new() }
    }
}

impl Lookout {
    pub(super) fn streak(&self) -> Streak {
        Streak::unpack(self.streak.load(Relaxed))
    }

    pub(super) fn ring_at(&self, bell: &Arc<Bell>, limits: Streak) {
        self.bell.get_or_init(|| Arc::clone(bell));
        self.limits.store(limits.pack(), Relaxed);
    }

    pub(super) fn begin_anew(&self, now: u32) {
        self.from.store(now, Relaxed);
        self.streak.store(0, Relaxed);
    }

    pub(super) fn forsake(&self, now: u32) {
        self.forsaken.store(now.max(1), Relaxed);
    }

    /// Whether that came after an attempt began, or in the same millisecond.
    pub(super) fn is_forsaken(&self, began: u32) -> bool {
        let at = self.forsaken.load(Relaxed);
        at != 0 && at.wrapping_sub(began) as i32 >= 0
    }

    /// Ends the streak. Mostly there is none, and nothing is written.
    pub(super) fn succeeded(&self) {
        if self.streak.load(Relaxed) != 0 {
            self.streak.store(0, Relaxed);
        }
    }

    /// One more; rings when a limit is reached, and not again until the streak ended.
    #[cold]
    pub(super) fn failed(&self, is_unreachable: bool, began: u32) {
        if (began.wrapping_sub(self.from.load(Relaxed)) as i32) < 0 {
            return;
        }
        let longer = |word| Some(Streak::unpack(word).longer(is_unreachable).pack());
        let before = self.streak.fetch_update(Relaxed, Relaxed, longer).map_or(0, |word| word);
        let now = Streak::unpack(before).longer(is_unreachable);
        let limits = Streak::unpack(self.limits.load(Relaxed));
        let is_reached = now.failures == limits.failures || now.unreachable == limits.unreachable;
        if is_reached && let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_rung(bell: &Bell) -> bool {
        let mut rung = std::pin::pin!(bell.rung());
        rung.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn it_rings_once_when_a_streak_is_long_enough() {
        let (lookout, bell) = (Lookout::default(), Arc::<Bell>::default());
        lookout.failed(true, 0);
        lookout.succeeded();
        lookout.ring_at(&bell, Streak { failures: 3, unreachable: 2 });
        lookout.failed(false, 0);
        lookout.failed(true, 0);
        assert!(!has_rung(&bell), "two failures, one of them to connect");
        lookout.failed(false, 0);
        assert_eq!(lookout.streak(), Streak { failures: 3, unreachable: 0 });
        assert!(has_rung(&bell));
        lookout.failed(false, 0);
        assert!(!has_rung(&bell), "it rang for this streak");
        lookout.succeeded();
        lookout.failed(true, 0);
        lookout.failed(true, 0);
        assert!(has_rung(&bell), "the other limit");
    }

    #[test]
    fn attempts_from_before_do_not_count() {
        let lookout = Lookout::default();
        lookout.failed(false, 0);
        lookout.begin_anew(100);
        lookout.failed(false, 99);
        assert_eq!(lookout.streak().failures, 0);
        lookout.failed(false, 100);
        assert_eq!(lookout.streak().failures, 1);
    }

    #[test]
    fn who_began_before_the_node_was_taken_out_hears_of_it() {
        let lookout = Lookout::default();
        assert!(!lookout.is_forsaken(0) && !lookout.is_forsaken(u32::MAX), "it never was");
        lookout.forsake(0);
        assert!(lookout.is_forsaken(0));
        lookout.forsake(500);
        assert_eq!([499, 500, 501].map(|began| lookout.is_forsaken(began)), [true, true, false]);
    }

    #[test]
    fn no_streak_is_endless() {
        let lookout = Lookout::default();
        (0..70_000).for_each(|_| lookout.failed(true, 0));
        assert_ne!(lookout.streak(), Streak::ENDLESS);
        assert_eq!(lookout.streak().failures, u16::MAX - 1);
    }
}
