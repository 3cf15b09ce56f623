//! Durations in a plugin's configuration, written as in the gateway's own: a number and a unit.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads "250ms", "30s", "15m", "12h" or "7d": `#[serde(deserialize_with = "bascule_plugin::duration::read")]`.
pub fn read<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    source.deserialize_str(Written)
}

/// A visitor, since an error from within it carries its place, so that the message can name the key.
struct Written;

impl Visitor<'_> for Written {
    type Value = Duration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| {
            let what = ["`", text, "` is no duration; write a number with ms, s, m, h or d, such as \"30s\""];
            E::custom(what.concat())
        })
    }
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn numbers_need_units() {
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["", "5", "s", "-1s", "1.5s", "1 s", "5 minutes", "999999999999999999d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
