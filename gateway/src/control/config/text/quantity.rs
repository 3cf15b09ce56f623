//! Durations and sizes, with their units.

use std::time::Duration;

use super::{Refused, Text, refuse};

/// A duration with its unit. Longer than a year is a slip, and would overflow clocks in the end.
impl Text for Duration {
    const WHAT: &'static str = "a duration such as \"30s\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write = "write a whole number and a unit: \"250ms\", \"30s\", \"1m\", \"1h\"";
        let Some((number, unit)) = number_and_unit(text) else {
            return refuse(format!("{text:?} is not a duration"), write);
        };
        let micros: u64 = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return refuse(format!("{text:?} is not a duration"), write),
        };
        match number.checked_mul(micros).map(Duration::from_micros) {
            Some(Duration::ZERO) => {
                refuse(format!("{text:?} is no time at all"), "write more than zero: \"1ms\"")
            }
            Some(duration) if duration <= Duration::from_secs(366 * 86_400) => Ok(duration),
            _ => refuse(format!("{text:?} is too long"), "write a year (\"8784h\") at most"),
        }
    }
}

/// A number of bytes, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// For defaults and bounds; zero becomes one.
    pub(in crate::control::config) const fn bytes(bytes: u64) -> Self {
        Self(if bytes == 0 { 1 } else { bytes })
    }

    /// In bytes.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl Text for Size {
    const WHAT: &'static str = "a size such as \"16MiB\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write =
            "write a whole number and a unit: \"512B\", \"1KB\" (1000), \"1KiB\" (1024), \"16MiB\", \"1GiB\"";
        let Some((number, unit)) = number_and_unit(text) else {
            return refuse(format!("{text:?} is not a size"), write);
        };
        let bytes: u64 = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return refuse(format!("{text:?} is not a size"), write),
        };
        match number.checked_mul(bytes) {
            Some(0) => refuse(format!("{text:?} is nothing at all"), "write more than zero"),
            Some(bytes) => Ok(Self(bytes)),
            None => refuse(format!("{text:?} is too large"), write),
        }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let year = 8784 * 3_600_000_000;
        for (text, micros) in
            [("1us", 1), ("250ms", 250_000), ("30s", 30_000_000), ("1m", 60_000_000), ("8784h", year)]
        {
            assert_eq!(Duration::parse(text), Ok(Duration::from_micros(micros)));
        }
        for bad in [
            "",
            "30",
            "s",
            "1.5s",
            "1 s",
            "-1s",
            "+1s",
            "1S",
            "1m30s",
            "0s",
            "8785h",
            "99999999999999999999h",
        ] {
            assert!(Duration::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes) in
            [("1B", 1), ("1KB", 1000), ("64KiB", 65_536), ("16MiB", 16 << 20), ("2GB", 2_000_000_000)]
        {
            assert_eq!(Size::parse(text).map(Size::get), Ok(bytes));
        }
        for bad in ["", "1", "KiB", "1kb", "1.5MiB", "0B", "-1B", "18446744073709551615KiB"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }
}
