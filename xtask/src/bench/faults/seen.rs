//! What clients saw: how many were served, how soon, and why the others were not.

use super::load::{Failure, Request};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who waits longer than this has gone: what counts as served.
const IN_TIME: Duration = Duration::from_secs(1);
/// A load that begins its requests so late says more of the machine than of the proxy.
const TOO_LATE: Duration = Duration::from_millis(100);

/// The ends of all requests of a run.
#[derive(Default)]
pub(in crate::bench) struct Seen {
    /// Of those that were served.
    latencies: Vec<Duration>,
    failures: BTreeMap<Failure, u64>,
    in_time: u64,
    lag: Duration,
}

impl Seen {
    pub(in crate::bench) fn add(&mut self, request: Request) {
        self.lag = self.lag.max(request.lag);
        match request.ending {
            Ok(()) => {
                self.in_time += u64::from(request.latency <= IN_TIME);
                // Sorted where it is needed; most come in no order at all.
                self.latencies.push(request.latency);
            }
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }

    pub(in crate::bench) fn requests(&self) -> u64 {
        self.latencies.len() as u64 + self.failed()
    }

    pub(in crate::bench) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How many were answered with this status.
    pub(in crate::bench) fn answered_with(&self, status: u16) -> u64 {
        self.failures.get(&Failure::Status(status)).copied().unwrap_or_default()
    }

    /// The share of all requests that were served within a second, in percent.
    pub(in crate::bench) fn in_time(&self) -> f64 {
        100.0 * self.in_time as f64 / self.requests().max(1) as f64
    }

    /// The share that was served at all, in percent.
    pub(in crate::bench) fn served(&self) -> f64 {
        100.0 * self.latencies.len() as f64 / self.requests().max(1) as f64
    }

    /// The latency that this share of those that were served did not exceed; zero if none was.
    pub(in crate::bench) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Why requests failed, the most frequent reason first.
    pub(in crate::bench) fn trouble(&self) -> Option<String> {
        let mut reasons: Vec<_> = self.failures.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let texts: Vec<_> = reasons.iter().take(3).map(|(why, count)| format!("{count} x {why}")).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// How late the load itself was at worst, if that spoils what was seen.
    pub(in crate::bench) fn late(&self) -> Option<Duration> {
        (self.lag > TOO_LATE).then_some(self.lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(milliseconds: u64, ending: Result<(), Failure>) -> Request {
        Request { lag: Duration::from_millis(2), latency: Duration::from_millis(milliseconds), ending }
    }

    #[test]
    fn in_time_is_within_a_second_of_all_that_were_sent() {
        let mut seen = Seen::default();
        for latency in [1, 2, 3, 1000, 1001] {
            seen.add(request(latency, Ok(())));
        }
        for _ in 0..2 {
            seen.add(request(5, Err(Failure::Status(503))));
        }
        seen.add(request(10_000, Err(Failure::Late)));
        assert_eq!((seen.requests(), seen.failed(), seen.in_time(), seen.served()), (8, 3, 50.0, 62.5));
        assert_eq!(seen.percentile(0.5), Duration::from_millis(3), "of those that were served");
        assert_eq!(seen.percentile(1.0), Duration::from_millis(1001));
        let trouble = "2 x answered with 503, 1 x no answer within 10 s";
        assert_eq!((seen.trouble().as_deref(), seen.late()), (Some(trouble), None));
    }

    #[test]
    fn nothing_seen_is_nothing_served() {
        let seen = Seen::default();
        assert_eq!((seen.in_time(), seen.percentile(0.99), seen.trouble()), (0.0, Duration::ZERO, None));
    }
}
