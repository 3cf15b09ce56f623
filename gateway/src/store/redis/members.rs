//! The members of a Redis Cluster: whose a key is, and which of them are not asked.
//!
//! Each has a breaker of its own, since the others may be well. One that is given up is asked again when a new connection to
//! the cluster, which is tried beside, finds that it answers, or that its keys are another one's now. Of one Redis there are no members:
//! its breaker is that for all that is no member's.

use std::sync::Arc;

use ::redis::Value;

use super::breaker::Answers;
use super::health::{Absence, Health};

/// How many slots keys are spread over.
const SLOTS: u16 = 16_384;

/// The members, and how their last questions went.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// The last slot of each range, in order, and whose it is.
    ranges: Vec<(u16, usize)>,
    members: Vec<Member>,
    /// Of questions that are no member's.
    rest: Answers,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// One of its slots.
    slot: u16,
    answers: Answers,
    /// While it is not asked.
    absence: Option<Absence>,
}

/// What one more answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Fine,
    /// A member is given up, and others are there.
    Fewer,
    /// Nobody is left to ask.
    Nobody,
}

impl Members {
    /// As CLUSTER SLOTS tells them; none if that is not understood.
    pub(super) fn read(told: &Value) -> Option<Members> {
        let Value::Array(told) = told else { return None };
        let mut members = Members::default();
        for range in told {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else { return None };
            let host = match host {
                Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
                Value::SimpleString(host) => host.clone(),
                // It does not know its own address, which is the one that was asked.
                _ => String::new(),
            };
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            let member = members.named(format!("{host}:{port}"), first);
            members.ranges.push((last, member));
        }
        members.ranges.sort_unstable();
        (!members.ranges.is_empty()).then_some(members)
    }

    fn named(&mut self, name: String, slot: u16) -> usize {
        self.members.iter().position(|member| member.name == name).unwrap_or_else(|| {
            self.members.push(Member { name, slot, answers: Answers::default(), absence: None });
            self.members.len() - 1
        })
    }

    /// A slot of each.
    pub(super) fn slots(&self) -> impl Iterator<Item = u16> {
        self.members.iter().map(|member| member.slot)
    }

    /// Whose this key is; none if there are no members.
    pub(super) fn of(&self, key: Option<&[u8]>) -> Option<usize> {
        let slot = slot(key.filter(|_| !self.ranges.is_empty())?);
        let place = self.ranges.partition_point(|(last, _)| *last < slot);
        self.ranges.get(place).map(|(_, member)| *member)
    }

    /// Whether it is asked. One that is not known any more is another connection's.
    pub(super) fn is_asked(&self, member: usize) -> bool {
        self.members.get(member).is_none_or(|member| member.absence.is_none())
    }

    /// How many are not.
    pub(super) fn absent(&self) -> usize {
        self.members.iter().filter(|member| member.absence.is_some()).count()
    }

    /// Notes how a question went.
    pub(super) fn note(
        &mut self,
        member: Option<usize>,
        failed: bool,
        why: &str,
        health: &Arc<Health>,
    ) -> Verdict {
        let Some(member) = member else {
            return if self.rest.note(failed) { Verdict::Nobody } else { Verdict::Fine };
        };
        let known = self.members.get_mut(member).filter(|known| known.absence.is_none());
        match known.is_some_and(|known| known.answers.note(failed)) {
            true => self.give_up(member, why, health),
            false => Verdict::Fine,
        }
    }

    /// Asks a member no more, for this reason.
    pub(super) fn give_up(&mut self, member: usize, why: &str, health: &Arc<Health>) -> Verdict {
        if let Some(member) = self.members.get_mut(member) {
            member.absence = Some(Absence::begin(health, &member.name, why));
        }
        if self.absent() < self.members.len() { Verdict::Fewer } else { Verdict::Nobody }
    }

    /// Gives way to what a new connection found: who answers is asked again.
    pub(super) fn replace(&mut self, found: Members) {
        let before = std::mem::replace(self, found);
        for member in before.members {
            let is_still = self.members.iter().any(|now| now.name == member.name && now.absence.is_some());
            if let Some(absence) = member.absence.filter(|_| !is_still) {
                absence.end();
            }
        }
    }
}

/// The slot of a key, or of what stands in its first braces: the CRC16 (XMODEM) of the cluster specification.
fn slot(key: &[u8]) -> u16 {
    let hashed = memchr::memchr(b'{', key).and_then(|open| {
        let rest = &key[open + 1..];
        memchr::memchr(b'}', rest).filter(|length| *length > 0).map(|length| &rest[..length])
    });
    let crc = hashed.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| crc << 1 ^ if crc >> 15 == 1 { 0x1021 } else { 0 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::redis::cluster_routing::Slot;
    use proptest::prelude::*;

    fn told(ranges: &[(i64, i64, i64)]) -> Value {
        let range = |(first, last, port): &(i64, i64, i64)| {
            let master = [Value::BulkString(b"10.0.0.1".to_vec()), Value::Int(*port)];
            Value::Array(vec![Value::Int(*first), Value::Int(*last), Value::Array(master.to_vec())])
        };
        Value::Array(ranges.iter().map(range).collect())
    }

    /// Three, of which the first has two ranges.
    fn three() -> Members {
        let ranges = [(10_923, 16_383, 3), (0, 999, 1), (2_000, 5_460, 1), (5_461, 10_922, 2)];
        Members::read(&told(&ranges)).unwrap()
    }

    #[test]
    fn a_key_is_its_slots_members() {
        let members = three();
        // "foo" is of slot 12182, "hello" of 866, and "test" of 6918.
        let of = |key: &str| members.of(Some(key.as_bytes())).map(|member| &*members.members[member].name);
        assert_eq!(of("foo"), Some("10.0.0.1:3"));
        assert_eq!(of("a{hello}b"), Some("10.0.0.1:1"));
        assert_eq!(of("test"), Some("10.0.0.1:2"));
        assert_eq!((members.of(None), members.slots().count()), (None, 3));
        assert_eq!(Members::default().of(Some(b"foo")), None);
        assert!(Members::read(&Value::Okay).is_none() && Members::read(&told(&[])).is_none());
    }

    #[test]
    fn who_fails_is_given_up_alone_and_asked_again_when_it_is_found() {
        let health = Arc::<Health>::default();
        let mut members = three();
        for _ in 0..4 {
            assert_eq!(members.note(Some(1), true, "it hangs", &health), Verdict::Fine);
            assert_eq!(members.note(Some(0), false, "", &health), Verdict::Fine);
        }
        assert_eq!(members.note(Some(1), true, "it hangs", &health), Verdict::Fewer);
        assert_eq!([0, 1, 2].map(|member| members.is_asked(member)), [true, false, true]);
        assert_eq!((members.absent(), health.absent()), (1, 1));
        members.replace(three());
        assert!(members.is_asked(1));
        assert_eq!(health.absent(), 0);
    }

    #[test]
    fn when_all_are_given_up_nobody_is_left() {
        let health = Arc::<Health>::default();
        let mut members = three();
        assert_eq!(members.give_up(0, "it hangs", &health), Verdict::Fewer);
        assert_eq!(members.give_up(1, "it hangs", &health), Verdict::Fewer);
        assert_eq!(members.give_up(2, "it hangs", &health), Verdict::Nobody);
        let mut one = Members::default();
        assert!((0..4).all(|_| one.note(None, true, "it hangs", &health) == Verdict::Fine));
        assert_eq!(one.note(None, true, "it hangs", &health), Verdict::Nobody);
        drop(members);
        assert_eq!(health.absent(), 0, "its lane connects anew");
    }

    proptest! {
        #[test]
        fn slots_are_those_of_the_specification(key in "[a-z:{}]{0,20}") {
            prop_assert_eq!(Slot::new(slot(key.as_bytes())), Some(Slot::for_key(key.as_bytes())));
        }
    }
}
