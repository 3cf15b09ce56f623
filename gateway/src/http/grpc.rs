//! What gRPC adds to HTTP/2 (its "PROTOCOL-HTTP2" and "HTTP to gRPC status mapping"), as far as a gateway needs it: whether
//! a request is one, how long its client waits, and how an error is told. No messages but those of health checks.

use std::borrow::Cow;
use std::time::Duration;

use super::error_body::reason_phrase;
use super::fields::Fields;
use super::head::RequestHead;

mod health;

pub use health::{question, serving};

/// The content type of the gateway's own answers.
pub const CONTENT_TYPE: &str = "application/grpc";
/// Where a response, or its trailers, tell the status.
pub const STATUS: &str = "grpc-status";
/// Where they tell it in words.
pub const MESSAGE: &str = "grpc-message";
/// Where a request tells how long its client waits.
pub const TIMEOUT: &str = "grpc-timeout";

/// Status codes that a gateway answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// UNKNOWN
    Unknown = 2,
    /// DEADLINE_EXCEEDED
    DeadlineExceeded = 4,
    /// PERMISSION_DENIED
    PermissionDenied = 7,
    /// UNIMPLEMENTED
    Unimplemented = 12,
    /// INTERNAL
    Internal = 13,
    /// UNAVAILABLE
    Unavailable = 14,
    /// UNAUTHENTICATED
    Unauthenticated = 16,
}

impl Code {
    /// What a client of gRPC would make of a status of HTTP.
    pub fn of_status(status: u16) -> Code {
        match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            408 => Code::DeadlineExceeded,
            429 | 502..=504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// As it stands in a field.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unknown => "2",
            Code::DeadlineExceeded => "4",
            Code::PermissionDenied => "7",
            Code::Unimplemented => "12",
            Code::Internal => "13",
            Code::Unavailable => "14",
            Code::Unauthenticated => "16",
        }
    }
}

/// Whether a request is one of gRPC. gRPC-Web is another thing: its trailers are a part of the body.
pub fn is_grpc(request: &RequestHead) -> bool {
    request.fields.get("content-type").is_some_and(|value| {
        let (kind, rest) = value.split_at(value.len().min(CONTENT_TYPE.len()));
        kind.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';'))
    })
}

/// Whether a response without messages says that its server cannot serve (UNAVAILABLE), which HTTP takes for 200.
pub fn is_unavailable(response: &Fields) -> bool {
    response.get(STATUS).is_some_and(|code| code == Code::Unavailable.as_str().as_bytes())
}

/// How long a request's client waits, if it says so in a way that makes sense.
pub fn timeout(request: &RequestHead) -> Option<Duration> {
    let value = request.fields.get(TIMEOUT)?;
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The value of `grpc-timeout` for this time: rounded up, in the finest unit whose eight digits suffice.
pub fn timeout_value(left: Duration) -> String {
    let nanos = left.as_nanos().max(1);
    let units = [(1, 'n'), (1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S'), (60 * 1_000_000_000, 'M')];
    let fits = units.into_iter().find(|(unit, _)| nanos.div_ceil(*unit) < 100_000_000);
    let (unit, name) = fits.unwrap_or((3600 * 1_000_000_000, 'H'));
    format!("{}{name}", nanos.div_ceil(unit).min(99_999_999))
}

/// How an error of this status is told, which stands in the fields of a response without a body, or in trailers.
pub fn tell(code: Code, status: u16, fields: &mut Fields) {
    fields.add(STATUS.as_bytes(), code.as_str().as_bytes());
    fields.add(MESSAGE.as_bytes(), message(reason_phrase(status)).as_bytes());
}

/// Text as `grpc-message` has it: what is not printable ASCII is escaped.
fn message(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'%';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let escape =
        |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests;
