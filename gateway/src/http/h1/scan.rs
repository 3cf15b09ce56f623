//! Finds the end of a head before anything is parsed.
//!
//! A head may arrive byte by byte, and nothing is remembered between two looks. So a look only hops from one
//! LF to the next: the number of lines is bounded by the field limit, the bytes between are memchr's, and the
//! dear parse runs once, when the empty line is there. What is wrong for certain is told before that.
//! Every answer but "not yet" stays the same however much more arrives.

use memchr::memchr_iter;

use super::{HeadLimits, MAX_FIELDS, Malformed};
use crate::http::fields::valid_name;

/// Empty lines that a client may send before its request line (RFC 9112, 2.2); two, as old browsers did.
const LEADING_EMPTY_LINES: usize = 2;

/// Where a request's head starts, behind empty lines. None: that much has not arrived.
pub(super) fn request_start(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut start = 0;
    while start < 2 * LEADING_EMPTY_LINES && buffer[start..].starts_with(b"\r\n") {
        start += 2;
    }
    match &buffer[start..] {
        [] => Ok(None),
        // Told at once: TLS spoken to a plain port should not wait for the deadline.
        [first, ..] if valid_name(&[*first]) => Ok(Some(start)),
        [b'\n', ..] => Err(Malformed::BareLineFeed),
        // Before looking further, so that one byte more does not change the answer.
        [b'\r', ..] if start == 2 * LEADING_EMPTY_LINES => Err(Malformed::RequestLine),
        [b'\r'] => Ok(None),
        [b'\r', next, ..] if *next != b'\n' => Err(Malformed::BareCarriageReturn),
        _ => Err(Malformed::RequestLine),
    }
}

/// Refuses what can not become a status line.
pub(super) fn response_start(buffer: &[u8]) -> Result<(), Malformed> {
    let expected = b"HTTP/";
    let length = buffer.len().min(expected.len());
    if buffer[..length] == expected[..length] { Ok(()) } else { Err(Malformed::StatusLine) }
}

/// Where the head ends, behind its empty line; its first line starts at `start` and is not empty.
pub(super) fn head_end(buffer: &[u8], start: usize, limits: &HeadLimits) -> Result<Option<usize>, Malformed> {
    let window = &buffer[..buffer.len().min(limits.max_bytes)];
    let max_lines = limits.max_fields.min(MAX_FIELDS) + 1;
    let mut line = start;
    let mut lines = 0;
    for offset in memchr_iter(b'\n', window.get(start..).unwrap_or_default()) {
        let end = start + offset;
        if end == line || window[end - 1] != b'\r' {
            return Err(Malformed::BareLineFeed);
        }
        if end == line + 1 {
            return Ok(Some(end + 1));
        }
        lines += 1;
        if lines > max_lines {
            return Err(Malformed::TooManyFields);
        }
        line = end + 1;
    }
    match lines {
        _ if buffer.len() < limits.max_bytes => Ok(None),
        0 => Err(Malformed::TargetTooLong),
        _ => Err(Malformed::HeadTooLarge),
    }
}
