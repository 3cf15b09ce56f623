//! Texts with a meaning: what refuses a text, and the texts that are short to tell. Below: quantities, addresses, HTTP.
//!
//! Each is a pure function from text to a type that can hold nothing else, or to what is wrong and what to write.

mod acme;
mod address;
mod discovery;
mod http;
mod quantity;
mod redis;
mod retry;

pub(super) use acme::{AcmeContact, AcmeDirectory, AcmeName};
pub use address::{HostPattern, NodeAddress, NodeHost};
pub use discovery::Origin;
pub(super) use discovery::{DnsName, Patience, port};
pub(super) use http::RoutePath;
pub use http::{HeaderName, HeaderValue, Method, PathPattern};
pub use quantity::Size;
pub(super) use redis::RedisUrl;

use crate::name::Name;

/// Why a text is refused, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// A sentence without its full stop.
    pub what: String,
    /// The same, in the imperative.
    pub write: String,
}

fn refuse<T>(what: impl Into<String>, write: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { what: what.into(), write: write.into() })
}

/// A type that is written as a string.
pub trait Text: Sized {
    /// What it is, as a sentence ends: "write …".
    const WHAT: &'static str;
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write.
    fn parse(text: &str) -> Result<Self, Refused>;
}

impl Text for String {
    const WHAT: &'static str = "a string";
    fn parse(text: &str) -> Result<Self, Refused> {
        Ok(text.to_owned())
    }
}

impl Text for Name {
    const WHAT: &'static str = "a name in quotes";
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().or_else(|_| {
            let rule = "a name has lowercase letters and digits, and dashes between them, at most 63 in all";
            let write =
                Name::nearest(text).map_or(rule.to_owned(), |near| format!("write \"{near}\": {rule}"));
            refuse(format!("{text:?} is not a name"), write)
        })
    }
}

/// A file in the folder of plugins.
#[derive(Clone)]
pub(super) struct PluginFile(pub(super) String);

impl Text for PluginFile {
    const WHAT: &'static str = "a file name such as \"header_rewrite.wasm\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.contains(['/', '\\', '\0']) {
            let write =
                "write the name of a file in the folder of plugins, which [plugins] names as `directory`";
            return refuse(format!("{text:?} is not the name of a file"), write);
        }
        match text.strip_suffix(".wasm") {
            Some(stem) if !stem.is_empty() && !stem.starts_with('.') => Ok(Self(text.to_owned())),
            _ => refuse(
                format!("{text:?} is not the name of a plugin's file"),
                format!("write \"{text}.wasm\""),
            ),
        }
    }
}

/// A SHA-256 hash in hexadecimal digits.
#[derive(Clone)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl Text for Sha256 {
    const WHAT: &'static str = "a SHA-256 hash, as `sha256sum` prints it";
    fn parse(text: &str) -> Result<Self, Refused> {
        let mut hash = [0; 32];
        let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
        match digits {
            Some(digits) if digits.len() == 64 => {
                for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = pair[0] << 4 | pair[1];
                }
                Ok(Self(hash))
            }
            _ => refuse(
                format!("{text:?} is not a SHA-256 hash"),
                "write its 64 hexadecimal digits, as `sha256sum` prints them",
            ),
        }
    }
}

/// A text of one line that can stand in a header field, in a log and in a metric's label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(pub(super) String);

impl Text for Word {
    const WHAT: &'static str = "a short text in quotes";
    fn parse(text: &str) -> Result<Self, Refused> {
        let inside = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if inside && !text.is_empty() && text.len() <= 255 && text.trim() == text {
            Ok(Self(text.to_owned()))
        } else {
            let write = "write 1 to 255 ASCII characters, without line ends, and without blanks around them";
            refuse(format!("{text:?} cannot be used here"), write)
        }
    }
}
