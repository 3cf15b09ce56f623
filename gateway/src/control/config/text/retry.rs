//! What is tried again: words for failures, numbers for statuses.

use super::{Refused, Text, refuse};
use crate::control::config::nearest::nearest;
use crate::control::config::resolved::RetryOn;

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
}
