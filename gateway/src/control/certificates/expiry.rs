//! Certificates that end: each is told of before, in good time, and when it is over.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tracing::{error, warn};

use crate::transport::tls::Facts;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Far,
    /// So many days are left.
    Days(std::cmp::Reverse<u32>),
    Over,
}

/// What was told, so that each thing is told once: by whose certificate it is and when that ends.
#[derive(Default)]
pub(super) struct Expiry(BTreeMap<(String, SystemTime), Stage>);

impl Expiry {
    /// Looks at all certificates there are; `whose` is "listener public", or "pool api".
    pub(super) fn look<'a>(&mut self, all: impl Iterator<Item = (String, &'a Facts)>, now: SystemTime) {
        let earlier = std::mem::take(&mut self.0);
        for (whose, facts) in all {
            let stage = stage(facts, now);
            let key = (format!("{whose}: the certificate of {}", facts.title()), facts.until);
            let told = earlier.get(&key).or_else(|| self.0.get(&key)).copied().unwrap_or(Stage::Far);
            if stage > told {
                tell(&key.0, stage);
            }
            self.0.insert(key, stage.max(told));
        }
    }
}

fn tell(what: &str, stage: Stage) {
    match stage {
        Stage::Far => {}
        Stage::Days(std::cmp::Reverse(days)) => {
            warn!("{what} ends within {days} {}", if days == 1 { "day" } else { "days" });
        }
        Stage::Over => error!("{what} is over: clients and nodes do not believe it any more"),
    }
}

/// A warning that would come before half of a certificate's life is none: some live for a week.
fn stage(facts: &Facts, now: SystemTime) -> Stage {
    let Ok(left) = facts.until.duration_since(now) else { return Stage::Over };
    let life = facts.until.duration_since(facts.from).unwrap_or_default();
    let near = [1, 7, 30].into_iter().find(|days| left <= *days * DAY && 2 * *days * DAY <= life);
    near.map_or(Stage::Far, |days| Stage::Days(std::cmp::Reverse(days)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;

    fn facts(days: u32) -> Facts {
        let from = SystemTime::UNIX_EPOCH;
        Facts { names: vec!["a.example".to_owned()], from, until: from + days * DAY }
    }

    #[test]
    fn each_stage_comes_in_its_time() {
        let facts = facts(90);
        let days = |left: u32| stage(&facts, facts.until - left * DAY);
        assert_eq!(days(31), Stage::Far);
        assert_eq!((days(30), days(8)), (Stage::Days(Reverse(30)), Stage::Days(Reverse(30))));
        assert_eq!((days(7), days(2)), (Stage::Days(Reverse(7)), Stage::Days(Reverse(7))));
        assert_eq!((days(1), days(0)), (Stage::Days(Reverse(1)), Stage::Days(Reverse(1))));
        assert_eq!(stage(&facts, facts.until + Duration::from_secs(1)), Stage::Over);
        assert!(Stage::Far < Stage::Days(Reverse(30)));
        assert!(Stage::Days(Reverse(30)) < Stage::Days(Reverse(1)) && Stage::Days(Reverse(1)) < Stage::Over);
    }

    #[test]
    fn a_certificate_for_a_week_is_not_near_its_end_at_once() {
        let facts = facts(6);
        assert_eq!(stage(&facts, facts.from), Stage::Far);
        assert_eq!(stage(&facts, facts.until - DAY), Stage::Days(Reverse(1)));
    }

    #[test]
    fn what_was_told_is_remembered_until_the_certificate_is_another() {
        let (facts, renewed) = (facts(90), facts(180));
        let mut expiry = Expiry::default();
        let near = facts.until - DAY;
        let told = |expiry: &Expiry| expiry.0.values().copied().collect::<Vec<_>>();
        expiry.look([("listener a".to_owned(), &facts)].into_iter(), near);
        assert_eq!(told(&expiry), [Stage::Days(Reverse(1))]);
        // A clock that was set back tells nothing anew.
        expiry.look([("listener a".to_owned(), &facts)].into_iter(), facts.from);
        assert_eq!(told(&expiry), [Stage::Days(Reverse(1))]);
        expiry.look([("listener a".to_owned(), &renewed)].into_iter(), near);
        assert_eq!(told(&expiry), [Stage::Far]);
    }
}
