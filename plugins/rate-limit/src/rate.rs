//! Rates as people write them, "1000/s", and the time from one request to the next that follows.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// So many requests in a second, a minute, an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    count: u32,
    seconds: u64,
}

/// The store counts in microseconds, so more than one request for each cannot be told apart.
const MOST_A_SECOND: u64 = 1_000_000;

impl Rate {
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// How long so many take to be allowed one after the other.
    pub(crate) fn refills(self, burst: u32) -> Duration {
        Duration::from_secs(self.seconds * u64::from(burst) / u64::from(self.count))
    }

    /// The field `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, version 10): quota and window.
    pub(crate) fn policy(self) -> String {
        ["\"default\";q=", &self.count.to_string(), ";w=", &self.seconds.to_string()].concat()
    }

    fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse::<u32>().ok().filter(|count| digits && *count > 0)?;
        (u64::from(count) <= seconds * MOST_A_SECOND).then_some(Self { count, seconds })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Written)
    }
}

/// A visitor, since an error from within it carries its place, so that the message can name the key.
struct Written;

impl Visitor<'_> for Written {
    type Value = Rate;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a rate such as \"100/s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).ok_or_else(|| {
            let what =
                ["`", text, "` is no rate; write a number, 1 or more, for s, m, h or d, such as \"100/s\""];
            E::custom(what.concat())
        })
    }
}

/// The time from one request to the next, which the store is told in whole microseconds: what is left of the interval is
/// carried on to the next one, so that 3,000 a second are 3,000 and not 3,003.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    /// What is left, in parts of `rate.count`.
    carried: u64,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, carried: 0 }
    }

    /// The interval that counts for the next request.
    pub(crate) fn interval(&mut self) -> Duration {
        let count = u64::from(self.rate.count);
        let micros = self.rate.seconds * 1_000_000 + self.carried;
        self.carried = micros % count;
        Duration::from_micros(micros / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_number_and_a_unit() {
        assert_eq!(Rate::parse("1000/s"), Some(Rate { count: 1000, seconds: 1 }));
        assert_eq!(Rate::parse("1/d"), Some(Rate { count: 1, seconds: 86_400 }));
        assert_eq!(Rate::parse("1000000/s"), Some(Rate { count: 1_000_000, seconds: 1 }));
        for wrong in
            ["", "5", "5/", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "5/ms", "5/minute", "5 / s", "1000001/s"]
        {
            assert_eq!(Rate::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn intervals_add_up_to_the_rate() {
        for text in ["3000/s", "7/s", "999999/s", "1000/m", "1/s"] {
            let rate = Rate::parse(text).expect("a rate");
            let mut pace = Pace::new(rate);
            let all: Duration = (0..rate.count).map(|_| pace.interval()).sum();
            assert_eq!(all, Duration::from_secs(rate.seconds), "{text}");
        }
    }
}
