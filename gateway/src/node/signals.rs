//! Numbers about a node that plugins and the node's own load reports share.
//!
//! Behind a lock, which plugins that ask for signals take, and load reports some times a second. Count and names are bounded, so that no
//! plugin can grow a node without end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A node keeps at most so many signals: chosen, and far above what policies share.
pub const MOST_SIGNALS: usize = 32;
/// The longest name of a signal, in bytes.
pub const LONGEST_NAME: usize = 64;

/// The signals of one node.
#[derive(Debug, Default)]
pub struct Signals(Mutex<Vec<Signal>>);

#[derive(Debug)]
struct Signal {
    name: Box<str>,
    value: f64,
    expires: Instant,
}

impl Signals {
    /// The value that was set last under this name, unless it expired.
    pub fn get(&self, name: &str, now: Instant) -> Option<f64> {
        let signals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let signal = signals.iter().find(|signal| *signal.name == *name)?;
        (now < signal.expires).then_some(signal.value)
    }

    /// All that did not expire, by name.
    pub fn all(&self, now: Instant) -> BTreeMap<String, f64> {
        let signals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = signals.iter().filter(|signal| now < signal.expires);
        alive.map(|signal| (signal.name.to_string(), signal.value)).collect()
    }

    /// Sets a value for a time. Answers false, and sets nothing, if the name is too long, the value is not finite,
    /// or too many other signals are alive.
    pub fn set(&self, name: &str, value: f64, ttl: Duration, now: Instant) -> bool {
        // An end that no clock can show: such a signal lives for a day, which no reader can tell from for ever.
        let expires = now.checked_add(ttl).unwrap_or(now + Duration::from_secs(86_400));
        if name.len() > LONGEST_NAME || !value.is_finite() {
            return false;
        }
        let mut signals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signal) = signals.iter_mut().find(|signal| *signal.name == *name) {
            signal.value = value;
            signal.expires = expires;
            return true;
        }
        if signals.len() >= MOST_SIGNALS {
            signals.retain(|signal| now < signal.expires);
        }
        if signals.len() >= MOST_SIGNALS {
            return false;
        }
        let name = name.into();
        signals.push(Signal { name, value, expires });
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TTL: Duration = Duration::from_millis(100);

    #[test]
    fn a_signal_lives_for_its_time_and_can_be_set_again() {
        let (signals, start) = (Signals::default(), Instant::now());
        assert_eq!(signals.get("load", start), None);
        assert!(signals.set("load", 0.5, TTL, start));
        assert!(signals.set("load", 0.7, TTL, start));
        assert_eq!(signals.get("load", start), Some(0.7));
        assert_eq!(signals.get("load", start + TTL), None);
        assert!(signals.set("load", 0.9, TTL, start + TTL));
        assert_eq!(signals.get("load", start + TTL), Some(0.9));
        assert_eq!(signals.all(start + TTL), BTreeMap::from([("load".to_owned(), 0.9)]));
        assert!(signals.all(start + 2 * TTL).is_empty());
        assert!(signals.set("ever", 1.0, Duration::MAX, start));
        assert_eq!(signals.get("ever", start + TTL), Some(1.0));
    }

    #[test]
    fn count_names_and_values_are_bounded() {
        let (signals, start) = (Signals::default(), Instant::now());
        for number in 0..MOST_SIGNALS {
            assert!(signals.set(&number.to_string(), 1.0, TTL, start));
        }
        assert!(!signals.set("one more", 1.0, TTL, start));
        assert!(signals.set("0", 2.0, TTL, start), "a known one can still be set");
        assert!(signals.set("one more", 1.0, TTL, start + TTL), "expired ones give way");
        assert!(!signals.set(&"x".repeat(LONGEST_NAME + 1), 1.0, TTL, start + TTL));
        assert!(!signals.set("x", f64::NAN, TTL, start + TTL));
    }
}
