//! What a head's fields say about its message: where the body ends and what becomes of the connection.

use super::Malformed;
use super::target::valid_authority;
use crate::http::BodyLength;
use crate::http::fields::{Fields, Known, Span};
use crate::http::head::Version;

/// More names than this in all Connection fields of a head are refused: each costs a walk over the fields.
const MAX_CONNECTION_NAMES: usize = 32;

/// What the fields said, gathered in one walk.
#[derive(Default)]
pub(super) struct Seen {
    host: bool,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<bool>,
    expect_continue: bool,
    /// How many fields Connection names beyond its own options.
    names: usize,
    proxy: bool,
}

impl Seen {
    /// Takes one field in.
    pub(super) fn field(&mut self, known: Known, value: &[u8]) -> Result<(), Malformed> {
        match known {
            Known::Host if self.host => Err(Malformed::HostRepeated),
            Known::Host if !valid_authority(value) => Err(Malformed::Host),
            Known::Host => {
                self.host = true;
                Ok(())
            }
            Known::ContentLength if self.content_length.is_some() => Err(Malformed::ContentLengthRepeated),
            Known::ContentLength => {
                self.content_length = Some(parse_length(value)?);
                Ok(())
            }
            Known::TransferEncoding if self.chunked => Err(Malformed::TransferEncoding),
            Known::TransferEncoding => {
                self.chunked = true;
                check_coding(value)
            }
            Known::Connection => self.connection(value),
            Known::Upgrade => {
                // One protocol, in one field: a list would let the node choose what we then can not see.
                let plain = self.upgrade.is_none() && !value.is_empty() && !value.contains(&b',');
                self.upgrade = Some(plain && !value.eq_ignore_ascii_case(b"h2c"));
                Ok(())
            }
            Known::Expect if !value.eq_ignore_ascii_case(b"100-continue") => Err(Malformed::Expectation),
            Known::Expect => {
                self.expect_continue = true;
                Ok(())
            }
            Known::Proxy => {
                self.proxy = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Malformed> {
        for option in elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.connection_upgrade = true;
            } else {
                self.names += 1;
            }
        }
        if self.names > MAX_CONNECTION_NAMES {
            return Err(Malformed::Connection);
        }
        Ok(())
    }

    /// The body's length as the fields tell it, if they do; [`BodyLength::Unknown`] means chunked.
    pub(super) fn body(&self, version: Version) -> Result<Option<BodyLength>, Malformed> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(Malformed::LengthAndCoding),
            // An HTTP/1.0 hop may have passed it on without knowing it (RFC 9112, 6.1).
            (true, None) if version == Version::Http10 => Err(Malformed::TransferEncoding),
            (true, None) => Ok(Some(BodyLength::Unknown)),
            (false, Some(0)) => Ok(Some(BodyLength::Empty)),
            (false, Some(length)) => Ok(Some(BodyLength::Known(length))),
            (false, None) => Ok(None),
        }
    }

    /// Whether the connection outlives the message (RFC 9112, 9.3).
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    /// Whether another protocol is asked for; HTTP/1.0 can not (RFC 9110, 7.8).
    pub(super) fn upgrade(&self, version: Version) -> bool {
        version == Version::Http11 && self.connection_upgrade && self.upgrade == Some(true)
    }

    /// Whether `100 Continue` is waited for; HTTP/1.0 can not (RFC 9110, 10.1.1).
    pub(super) fn expect_continue(&self, version: Version) -> bool {
        version == Version::Http11 && self.expect_continue
    }

    /// HTTP/1.1 must name its host, even when the target does.
    pub(super) fn check_host(&self, version: Version) -> Result<(), Malformed> {
        if self.host || version == Version::Http10 { Ok(()) } else { Err(Malformed::HostMissing) }
    }

    /// Whether there are fields that [`leave_out`] has to take out.
    pub(super) fn leaves_out(&self) -> bool {
        self.names > 0 || self.proxy
    }
}

/// The elements of a comma-separated list, empty ones left out (RFC 9110, 5.6.1).
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(|element| element.trim_ascii())
        .filter(|element| !element.is_empty())
}

/// Content-Length: digits, and nothing else (RFC 9110, 8.6).
fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() {
        return Err(Malformed::ContentLength);
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        if !byte.is_ascii_digit() {
            return Err(Malformed::ContentLength);
        }
        sum.checked_mul(10)
            .and_then(|sum| sum.checked_add(u64::from(byte - b'0')))
            .ok_or(Malformed::ContentLength)
    })
}

/// Only `chunked` is understood; lists are refused whatever they hold, since two readers may differ on them.
fn check_coding(value: &[u8]) -> Result<(), Malformed> {
    if value.eq_ignore_ascii_case(b"chunked") {
        Ok(())
    } else if crate::http::fields::valid_name(value) {
        Err(Malformed::UnknownCoding)
    } else {
        Err(Malformed::TransferEncoding)
    }
}

/// Takes the fields out that Connection names (RFC 9110, 7.6.1), before anyone sees them: done later, a
/// client could name a field that a plugin adds and so take it out again. And `Proxy`, which CGI makes the variable of
/// an outgoing proxy.
///
/// Fields that frame or route the message, or that the gateway writes itself, stay whatever Connection says.
pub(super) fn leave_out(fields: &mut Fields) {
    let mut names = Vec::new();
    for field in fields.iter().filter(|field| field.known == Known::Connection) {
        let value = fields.bytes(field.value);
        for name in elements(value) {
            if !is_protected(Known::from_name(name)) {
                names.push(Span {
                    start: field.value.start + Span::of(value, name).start,
                    end: field.value.start + Span::of(value, name).end,
                });
            }
        }
    }
    for name in names {
        let name = fields.bytes(name).to_vec();
        fields.remove(&name);
    }
    fields.remove(b"proxy");
}

fn is_protected(known: Known) -> bool {
    known.is_hop_by_hop()
        || matches!(
            known,
            Known::Host
                | Known::ContentLength
                | Known::Expect
                | Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedProto
                | Known::XForwardedHost
                | Known::XRequestId
        )
}
