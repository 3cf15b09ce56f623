//! Names of things that a configuration names: pools, routes, listeners and uses of plugins.
//!
//! They appear in logs, metrics, headers and URLs, so only characters that need no quoting anywhere are allowed.
//! This module knows nothing of what a name stands for.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name: lowercase letters, digits and dashes, with a letter or digit at both ends, at most [`Name::MAX`] bytes.
/// A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name: a name has lowercase letters, digits and dashes between them, at most 63 in all"
)]
pub struct InvalidName(pub String);

impl Name {
    /// The longest name, in bytes: that of a DNS label, so that a name can become one.
    pub const MAX: usize = 63;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest text to `text` that is a name, if case, blanks and dashes are all that is wrong.
    pub fn nearest(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let dashed: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        dashed.trim_matches('-').parse().ok()
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
        if ends && text.len() <= Self::MAX && bytes.iter().all(|b| plain(*b) || *b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

// Maps with names as keys are searched by text. (Hash and Ord are those of the text.)
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_needs_no_quoting_and_nothing_else() {
        for good in ["a", "api", "edge-headers", "v2", "2", "a--b", &"x".repeat(63)] {
            assert_eq!(good.parse::<Name>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-", "-a", "a-", "A", "a_b", "a b", "a.b", "ä", "a\n", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Name>(), Err(InvalidName(bad.to_owned())));
        }
    }

    #[test]
    fn nearest_is_what_one_probably_meant() {
        assert_eq!(Name::nearest("Edge_Headers").as_ref().map(Name::as_str), Some("edge-headers"));
        assert_eq!(Name::nearest("_ _"), None);
        assert_eq!(Name::nearest("über"), None);
    }
}
