//! One place where the node registers, and the loop that keeps it there while it is wished.
//!
//! A registry that does not answer is asked again after a pause that doubles, drawn at random so that a thousand nodes which
//! lost the same registry do not come back together. Each change of state is one log line.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

/// The first pause after a failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a registry may take to answer: it is asked again a few times before a lease of ten seconds ends.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// How long it may take to be gone for good, with what the registry was asked before. Chosen: many times what an answer
/// takes, and little of the ten seconds after which containers are killed; the node needs the rest.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// A registry, as a node meets it.
pub(super) trait Desk: Send {
    /// What it is called in the log.
    fn name(&self) -> &str;
    /// Registers the node, or renews its lease.
    fn put(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Takes the node out.
    fn leave(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From one renewal to the next.
    pub(super) renew: Duration,
    /// At most, to be gone for good.
    pub(super) farewell: Duration,
}

/// Whether the node shall be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    In,
    Out,
    /// For good.
    Gone,
}

/// Follows the wishes until the node shall be gone; whether it may have been there until then. A registry that hangs does not
/// hold it up for long.
pub(super) async fn keep(mut desk: impl Desk, wish: watch::Receiver<Wish>, times: Times) -> bool {
    let registry = desk.name().to_owned();
    let mut last = wish.clone();
    let over = async {
        // If nobody is left who could wish, that is as good.
        drop(last.wait_for(|wish| *wish == Wish::Gone).await);
        sleep(times.farewell).await;
    };
    tokio::select! {
        was_in = follow(&mut desk, wish, times.renew) => was_in,
        () = over => {
            let within = times.farewell;
            warn!(registry, "no answer within {within:?} of the end, so the node's lease has to end by itself");
            true
        }
    }
}

async fn follow(desk: &mut impl Desk, mut wish: watch::Receiver<Wish>, renew: Duration) -> bool {
    let mut standing = Standing::default();
    loop {
        let wished = *wish.borrow_and_update();
        let next = match wished {
            Wish::In => Some(Instant::now() + standing.stay(desk, renew).await),
            Wish::Out => {
                standing.leave(desk).await;
                None
            }
            Wish::Gone => return standing.leave(desk).await,
        };
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wish.changed() => if changed.is_err() { return standing.leave(desk).await },
            () = due => {}
        }
    }
}

/// How it stands with one registry.
#[derive(Debug)]
struct Standing {
    /// Whether the registry may hold the node.
    is_in: bool,
    /// Why the last try failed, so that it is told once.
    wrong: Option<String>,
    pause: Duration,
}

impl Default for Standing {
    fn default() -> Self {
        Self { is_in: false, wrong: None, pause: FIRST_PAUSE }
    }
}

impl Standing {
    /// Registers or renews; how long to wait until the next time.
    async fn stay(&mut self, desk: &mut impl Desk, renew: Duration) -> Duration {
        let answer = timeout(ANSWER, desk.put()).await.unwrap_or_else(|_| {
            // It may have done it all the same.
            self.is_in = true;
            Err(format!("no answer within {} s", ANSWER.as_secs()))
        });
        let registry = desk.name();
        let pause = match answer {
            Ok(()) => {
                if !self.is_in || self.wrong.is_some() {
                    info!(registry, "the node is registered");
                }
                *self = Self { is_in: true, ..Self::default() };
                renew
            }
            Err(why) => {
                if self.wrong.as_ref() == Some(&why) {
                    debug!(registry, "the node still cannot be registered: {why}");
                } else {
                    warn!(registry, "the node cannot be registered, which is tried again: {why}");
                }
                self.wrong = Some(why);
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                pause.min(renew)
            }
        };
        // Never later than it has to be.
        pause.mul_f64(0.75 + 0.25 * fastrand::f64())
    }

    /// Takes the node out if it may be there; whether it was.
    async fn leave(&mut self, desk: &mut impl Desk) -> bool {
        let was_in = std::mem::take(self).is_in;
        if was_in {
            let answer = timeout(ANSWER, desk.leave()).await.unwrap_or_else(|_| Err("no answer".to_owned()));
            match answer {
                Ok(()) => info!(registry = desk.name(), "the node is taken out"),
                Err(why) => warn!(
                    registry = desk.name(),
                    "the node cannot be taken out, so its lease has to end by itself: {why}"
                ),
            }
        }
        was_in
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    /// Tells what it is asked, and fails as often as it is told.
    struct Telling {
        asked: UnboundedSender<&'static str>,
        failures: usize,
    }

    impl Telling {
        fn new(failures: usize) -> (Self, UnboundedReceiver<&'static str>) {
            let (asked, told) = unbounded_channel();
            (Self { asked, failures }, told)
        }

        fn answer(&mut self, what: &'static str) -> Result<(), String> {
            self.asked.send(what).unwrap();
            let fails = self.failures > 0;
            self.failures = self.failures.saturating_sub(1);
            if fails { Err("it is gone".to_owned()) } else { Ok(()) }
        }
    }

    impl Desk for Telling {
        fn name(&self) -> &str {
            "telling"
        }
        async fn put(&mut self) -> Result<(), String> {
            self.answer("put")
        }
        async fn leave(&mut self) -> Result<(), String> {
            self.answer("leave")
        }
    }

    const RENEW: Duration = Duration::from_secs(3);
    const TIMES: Times = Times { renew: RENEW, farewell: FAREWELL };

    #[tokio::test]
    async fn pauses_double_while_it_fails_and_are_never_longer_than_a_renewal() {
        let (mut desk, _told) = Telling::new(7);
        let mut standing = Standing::default();
        for most in [200, 400, 800, 1600, 3000, 3000, 3000, 3000] {
            let (most, pause) = (Duration::from_millis(most), standing.stay(&mut desk, RENEW).await);
            assert!(pause <= most && pause >= most.mul_f64(0.75), "{pause:?} after {most:?}");
        }
        assert!(standing.is_in && standing.pause == FIRST_PAUSE);
    }

    #[tokio::test]
    async fn a_lease_is_renewed_and_left_when_it_is_wished() {
        let (desk, mut told) = Telling::new(0);
        let (tell, wish) = watch::channel(Wish::In);
        let kept = tokio::spawn(keep(desk, wish, Times { renew: Duration::from_millis(1), ..TIMES }));
        for _ in 0..3 {
            assert_eq!(told.recv().await, Some("put"));
        }
        tell.send_replace(Wish::Out);
        while told.recv().await != Some("leave") {}
        tell.send_replace(Wish::In);
        assert_eq!(told.recv().await, Some("put"), "and nothing while it was out");
        tell.send_replace(Wish::Gone);
        while told.recv().await != Some("leave") {}
        assert!(kept.await.unwrap(), "it was there");
    }

    #[tokio::test]
    async fn who_was_never_in_is_not_taken_out() {
        let (desk, mut told) = Telling::new(0);
        let (tell, wish) = watch::channel(Wish::Out);
        let kept = tokio::spawn(keep(desk, wish, TIMES));
        tell.send_replace(Wish::Gone);
        assert!(!kept.await.unwrap());
        assert_eq!(told.recv().await, None);
    }

    /// Never answers.
    struct Hanging;

    impl Desk for Hanging {
        fn name(&self) -> &str {
            "hanging"
        }
        async fn put(&mut self) -> Result<(), String> {
            std::future::pending().await
        }
        async fn leave(&mut self) -> Result<(), String> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_registry_that_hangs_is_waited_for_no_longer_than_the_farewell() {
        let (tell, wish) = watch::channel(Wish::In);
        let kept = tokio::spawn(keep(Hanging, wish, Times { farewell: Duration::from_millis(1), ..TIMES }));
        // It is asked now, and else it would be for so long.
        tokio::task::yield_now().await;
        tell.send_replace(Wish::Gone);
        let kept = timeout(ANSWER, kept).await.expect("before it is given up as any other question is");
        assert!(kept.unwrap(), "it may be there");
    }
}
