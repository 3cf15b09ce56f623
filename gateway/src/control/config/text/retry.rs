//! What is tried again: words for failures, numbers for statuses. And when a second attempt begins beside the first.

use std::time::Duration;

use super::{Refused, Text, refuse};
use crate::control::config::nearest::nearest;
use crate::control::config::resolved::{HedgeAfter, RetryOn};

/// The words; all else is a status.
const WORDS: [(&str, RetryOn); 4] = [
    ("connect", RetryOn::Connect),
    ("reset", RetryOn::Reset),
    ("timeout", RetryOn::Timeout),
    ("malformed", RetryOn::Malformed),
];

impl Text for RetryOn {
    const WHAT: &'static str = "a word such as \"reset\", or a status such as \"503\" or \"5xx\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if let Some((_, on)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*on);
        }
        // Signs would be numbers too.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match (text, text.parse()) {
            ("4xx", _) => Ok(Self::Status(400, 499)),
            ("5xx", _) => Ok(Self::Status(500, 599)),
            (_, Ok(status @ 400..=599)) if is_number => Ok(Self::Status(status, status)),
            (_, Ok(_)) if is_number => {
                let write = "write one from \"400\" to \"599\", or \"4xx\" or \"5xx\" for a whole class";
                refuse(format!("{text} is no status of an error"), write)
            }
            _ => {
                let write = match nearest(text, WORDS.iter().map(|(word, _)| *word)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "write \"connect\", \"reset\", \"timeout\", \"malformed\", or a status such as \"503\" or \"5xx\"".into(),
                };
                refuse(format!("{text:?} is nothing that is tried again"), write)
            }
        }
    }
}

impl Text for HedgeAfter {
    const WHAT: &'static str = "a percentile such as \"p95\", or a duration such as \"50ms\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let Some(percent) = text.strip_prefix('p') else {
            let or_percentile =
                |Refused { what, write }| Refused { what, write: write + "; or a percentile: \"p95\"" };
            return Duration::parse(text).map(Self::Time).map_err(or_percentile);
        };
        match thousandths(percent) {
            Some(thousandths @ 500..=999) => Ok(Self::Percentile(thousandths)),
            _ => refuse(
                format!("{text:?} is no percentile that can be waited for"),
                "write one from \"p50\" to \"p99.9\", with one decimal at most",
            ),
        }
    }
}

/// "95" and "99.9" in thousandths.
fn thousandths(percent: &str) -> Option<u32> {
    let (whole, tenths) = percent.split_once('.').unwrap_or((percent, "0"));
    let is_number =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole, 3) || !is_number(tenths, 1) {
        return None;
    }
    Some(whole.parse::<u32>().ok()? * 10 + tenths.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_statuses_and_classes_are_read() {
        assert_eq!(RetryOn::parse("reset"), Ok(RetryOn::Reset));
        assert_eq!(RetryOn::parse("503").map(RetryOn::statuses), Ok(Some(503..=503)));
        assert_eq!(RetryOn::parse("4xx").map(RetryOn::statuses), Ok(Some(400..=499)));
        for bad in ["", "Reset", "200", "600", "399", "50x", "3xx", "5XX", "+503"] {
            assert!(RetryOn::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentiles_and_durations_are_read() {
        for (text, thousandths) in [("p50", 500), ("p95", 950), ("p99.9", 999), ("p95.0", 950)] {
            assert_eq!(HedgeAfter::parse(text), Ok(HedgeAfter::Percentile(thousandths)), "{text}");
        }
        assert_eq!(HedgeAfter::parse("50ms"), Ok(HedgeAfter::Time(Duration::from_millis(50))));
        for bad in [
            "",
            "p",
            "p49.9",
            "p100",
            "p99.99",
            "p9",
            "p.5",
            "p95.",
            "p+95",
            "95",
            "P95",
            "0ms",
            "p5000000000",
        ] {
            assert!(HedgeAfter::parse(bad).is_err(), "{bad}");
        }
    }
}
