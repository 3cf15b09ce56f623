//! The plain form of a request's path: the one in which routes are written, and in which no server reads another path.
//!
//! A gateway and its nodes must agree on which path is meant, or a client walks around the route that guards one. So the
//! path is brought into one form before a route is chosen, and that form is what a node gets (RFC 3986, 6.2.2): escaped letters,
//! digits and `-._~` stand unescaped, other escapes have capital digits, dot segments are resolved, and slashes in a row are one.
//! What servers read in different ways is refused; docs/hardening.md lists it with the reasons. Queries are not looked at.

use memchr::memchr_iter;

/// The path is one that servers read in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// The plain form of a path without its query; none if it has it already. Escaped slashes and backslashes are refused
/// unless they shall be kept, as they are.
pub fn plain(path: &[u8], keep_escaped_slashes: bool) -> Result<Option<Vec<u8>>, Ambiguous> {
    if path.first() != Some(&b'/') {
        return Ok(None);
    }
    let decoded = decode(path, keep_escaped_slashes)?;
    let resolved = resolve(&decoded)?;
    Ok((resolved != path).then_some(resolved))
}

/// Whether a target's path, up to a query, is what nearly all are: without escapes, and without slashes before another one or
/// before a dot. One walk, since paths are short.
pub fn is_surely_plain(target: &[u8]) -> bool {
    let mut bytes = target.iter();
    loop {
        match bytes.find(|byte| TELLS[usize::from(**byte)]) {
            None | Some(b'?') => return true,
            Some(b'/') if !matches!(bytes.as_slice().first(), Some(b'/' | b'.')) => {}
            Some(_) => return false,
        }
    }
}

/// The bytes that say something about a path's form. A table, since this walk is for each request.
static TELLS: [bool; 256] = {
    let mut tells = [false; 256];
    (tells[b'/' as usize], tells[b'?' as usize]) = (true, true);
    (tells[b'%' as usize], tells[b'\\' as usize]) = (true, true);
    tells
};

/// Takes the escapes off that need not be, and looks at the others.
fn decode(path: &[u8], keep_escaped_slashes: bool) -> Result<Vec<u8>, Ambiguous> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let byte = match first {
            // Some servers take it for a slash, and no URI has it (RFC 3986, 2).
            b'\\' => return Err(Ambiguous),
            b'%' => escaped(rest).ok_or(Ambiguous)?,
            _ => {
                out.push(first);
                rest = behind;
                continue;
            }
        };
        rest = &rest[3..];
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(byte),
            _ if byte.is_ascii_alphanumeric() => out.push(byte),
            b'/' | b'\\' if !keep_escaped_slashes => return Err(Ambiguous),
            // A string of C ends at NUL, and a line of a log or a protocol at others.
            _ if byte.is_ascii_control() => return Err(Ambiguous),
            _ if is_overlong(byte, escaped(rest)) => return Err(Ambiguous),
            _ => push_escape(&mut out, byte),
        }
    }
    Ok(out)
}

/// The byte of the escape that this starts with.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Whether this begins a character in more bytes of UTF-8 than it has: a careless reader sees a slash or a dot in it. Bytes of
/// other encodings pass.
fn is_overlong(lead: u8, next: Option<u8>) -> bool {
    match (lead, next) {
        // These two begin nothing else, and readers were seen that take any byte for the second.
        (0xc0 | 0xc1, _) => true,
        (0xe0, Some(0x80..=0x9f)) | (0xf0, Some(0x80..=0x8f)) => true,
        (0xf8, Some(0x80..=0x87)) | (0xfc, Some(0x80..=0x83)) => true,
        _ => false,
    }
}

/// Resolves dot segments, and makes one of slashes in a row (RFC 3986, 5.2.4).
fn resolve(path: &[u8]) -> Result<Vec<u8>, Ambiguous> {
    let mut out = Vec::with_capacity(path.len());
    let mut ends_with_slash = false;
    for segment in path.split(|&byte| byte == b'/') {
        ends_with_slash = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                // RFC 3986 would stay at the root; who goes above it means harm.
                let parent = memchr::memrchr(b'/', &out).ok_or(Ambiguous)?;
                out.truncate(parent);
            }
            _ if hides_dots(segment) => return Err(Ambiguous),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if ends_with_slash {
        out.push(b'/');
    }
    Ok(out)
}

/// Whether a server that cuts parameters off (`..;a=b`) or unescapes slashes (`..%2F`) sees a dot segment in it.
fn hides_dots(segment: &[u8]) -> bool {
    let is_dots = |part: &[u8]| matches!(part.split(|&byte| byte == b';').next(), Some(b"." | b".."));
    let mut rest = segment;
    while let Some(end) =
        memchr_iter(b'%', rest).find(|&at| matches!(&rest[at..], [_, b'2', b'F', ..] | [_, b'5', b'C', ..]))
    {
        if is_dots(&rest[..end]) {
            return true;
        }
        rest = &rest[end + 3..];
    }
    is_dots(rest)
}

#[cfg(test)]
mod tests;
