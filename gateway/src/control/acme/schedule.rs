//! When a certificate is ordered, and how long to wait after a failure. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::transport::tls::Facts;

/// After a server that could not be reached, at first and at last: it may be back at any moment.
const UNREACHED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10 * 60));
/// After one that said no. Let's Encrypt lets five validations of a name fail in an hour, and counts orders by the week.
const REFUSED: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(6 * 60 * 60));

/// When to order in place of the certificate that is kept: none for now. That is when a third of its life is left, and up to a tenth
/// of that third later, by `draw` from 0 to 1: gateways that were started together do not come together.
pub(super) fn due(kept: Option<&Facts>, names: &[String], draw: f64) -> Option<SystemTime> {
    let kept = kept.filter(|kept| is_for(kept, names))?;
    let third = kept.until.duration_since(kept.from).unwrap_or_default() / 3;
    Some(kept.until - third + third.mul_f64(draw / 10.0))
}

/// Whether a certificate is for these names, and no others.
pub(super) fn is_for(kept: &Facts, names: &[String]) -> bool {
    let lower: BTreeSet<String> = kept.names.iter().map(|name| name.to_ascii_lowercase()).collect();
    lower == names.iter().cloned().collect()
}

/// Pauses that double, each kind by itself.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: [u32; 2],
}

impl Backoff {
    /// The pause after one more failure; `refusal` says that the server was asked and said no. `draw` is from 0 to 1.
    pub(super) fn pause(&mut self, refusal: bool, draw: f64) -> Duration {
        let (first, longest) = if refusal { REFUSED } else { UNREACHED };
        let failures = &mut self.failures[usize::from(refusal)];
        let pause = first.saturating_mul(1 << (*failures).min(20)).min(longest);
        *failures += 1;
        pause.mul_f64(0.75 + 0.25 * draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn facts(names: &[&str]) -> Facts {
        let from = SystemTime::UNIX_EPOCH;
        Facts { names: names.iter().map(|name| (*name).to_owned()).collect(), from, until: from + 90 * DAY }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_is_renewed_when_a_third_of_its_life_is_left_or_a_little_later() {
        let kept = facts(&["a.example", "b.example"]);
        let wanted = names(&["b.example", "a.example"]);
        assert_eq!(due(Some(&kept), &wanted, 0.0), Some(kept.from + 60 * DAY));
        assert_eq!(due(Some(&kept), &wanted, 1.0), Some(kept.from + 63 * DAY));
    }

    #[test]
    fn one_that_is_not_there_or_for_other_names_is_ordered_at_once() {
        assert_eq!(due(None, &names(&["a.example"]), 0.5), None);
        for other in [&["a.example", "b.example"][..], &["c.example"], &[]] {
            assert_eq!(due(Some(&facts(other)), &names(&["a.example"]), 0.5), None, "{other:?}");
        }
        assert!(due(Some(&facts(&["A.Example"])), &names(&["a.example"]), 0.5).is_some());
    }

    #[test]
    fn a_server_that_says_no_is_asked_seldom_and_one_that_is_gone_soon() {
        let mut backoff = Backoff::default();
        let pauses = |backoff: &mut Backoff, refusal| {
            (0..9).map(|_| backoff.pause(refusal, 1.0).as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(&mut backoff, true), [300, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]);
        assert_eq!(pauses(&mut backoff, false), [2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(
            Backoff::default().pause(false, 0.0),
            Duration::from_millis(1500),
            "three quarters at least"
        );
    }
}
