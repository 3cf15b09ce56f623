//! What a route compares with a request: path, method and header fields.

use std::fmt;

use super::{Refused, Text, refuse};

/// Which paths a route serves; it starts with a slash and has no query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// This path and all below it, by whole segments; "/" is every path. No other one ends with a slash.
    Prefix(String),
    /// Just this path.
    Exact(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Prefix(path) | Self::Exact(path)) = self;
        f.write_str(path)
    }
}

/// A path without a query, as a request line carries it (RFC 9112, 3.2.1).
#[derive(Clone)]
pub(in crate::control::config) struct RoutePath(pub(in crate::control::config) String);

impl Text for RoutePath {
    const WHAT: &'static str = "a path such as \"/api\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if !text.starts_with('/') {
            let write = format!("write \"/{text}\"");
            return refuse(format!("the path {text:?} does not start with a slash"), write);
        }
        if let Some(at) = text.find(['?', '#']) {
            let write = format!("write \"{}\": a route matches the path alone", &text[..at]);
            return refuse(format!("the path {text:?} has a query or a fragment"), write);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            let write = "write it as it stands in a request, percent-encoded: \"/caf%C3%A9\"";
            return refuse(format!("the path {text:?} has a character that no request's path has"), write);
        }
        if text.split('/').skip(1).any(|segment| segment == "." || segment == "..") || text.contains("//") {
            let write = "write it without empty, \".\" and \"..\" segments";
            return refuse(format!("the path {text:?} is not in its plain form"), write);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A request method (RFC 9110, 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(String);

impl Method {
    /// The method, as it stands in a request.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl Text for Method {
    const WHAT: &'static str = "a method such as \"GET\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let upper = text.to_ascii_uppercase();
        let usual = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
        if usual.contains(&upper.as_str()) && text != upper {
            let write = format!("write \"{upper}\": methods are case-sensitive");
            return refuse(format!("{text:?} would match no usual request"), write);
        }
        if is_token(text) {
            Ok(Self(text.to_owned()))
        } else {
            refuse(
                format!("{text:?} is not a method"),
                "write a word such as \"GET\"; leave `methods` out for any",
            )
        }
    }
}

/// The name of a header field, in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(String);

impl HeaderName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for HeaderName {
    const WHAT: &'static str = "the name of a header field";
    fn parse(text: &str) -> Result<Self, Refused> {
        if is_token(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            refuse(format!("{text:?} is not the name of a header field"), "write a name such as \"x-beta\"")
        }
    }
}

/// The value of a header field, without blanks around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderValue(String);

impl HeaderValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for HeaderValue {
    const WHAT: &'static str = "the value of a header field";
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.chars().any(|c| c.is_control() && c != '\t') || text.trim_matches([' ', '\t']) != text {
            let write = "write it without line ends, and without blanks around it";
            return refuse(format!("{text:?} is no value that a header field can have"), write);
        }
        Ok(Self(text.to_owned()))
    }
}
