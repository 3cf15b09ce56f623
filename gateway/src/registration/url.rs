//! The URL of a node's health.

use std::fmt;

use crate::control::config::{Origin, Refused, Text};

/// Scheme, host, port and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) origin: Origin,
    /// With its query; it begins with a slash.
    pub(super) path: String,
}

impl Url {
    /// Reads it; a port may be left out where the scheme has one.
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let write = "write scheme, host, port and path: \"http://127.0.0.1:8080/healthz\"";
        let refuse =
            || Refused { what: format!("{text:?} is no URL of a health check"), write: write.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(refuse());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if has_port {
            ""
        } else if scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        let origin = Origin::parse(&format!("{scheme}://{host}{port}"));
        origin.map(|origin| Self { origin, path }).map_err(|_| refuse())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_of_health_checks_are_read() {
        for (text, read) in [
            ("http://127.0.0.1:8080/healthz", "http://127.0.0.1:8080/healthz"),
            ("http://localhost", "http://localhost:80/"),
            ("https://[::1]/a?b=c", "https://[::1]:443/a?b=c"),
            ("http://a:1?ready", "http://a:1/?ready"),
        ] {
            assert_eq!(Url::read(text).unwrap().to_string(), read);
        }
        for bad in ["healthz", "/healthz", "ftp://a/", "http://", "http://u@a/", "http://a/ b", "http://a/#b"]
        {
            assert!(Url::read(bad).is_err(), "{bad}");
        }
    }
}
