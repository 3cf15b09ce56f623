//! The body of the gateway's own errors: short, in a type that the client accepts, and without any detail
//! of what lies behind the gateway.

use std::io::Write;

/// The types that are offered, in the order in which a tie is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Problem,
    Json,
    Html,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Text, "text/plain"),
    (Kind::Problem, "application/problem+json"),
    (Kind::Json, "application/json"),
    (Kind::Html, "text/html"),
];

/// Writes the body for `status` and returns its content type.
///
/// `accept` are the values of the request's Accept fields; without any, or if none of the types is accepted,
/// it is plain text. Whatever the request id holds, it can not break out of its place.
pub fn write_error_body<'a>(
    status: u16,
    accept: impl IntoIterator<Item = &'a [u8]>,
    request_id: &str,
    out: &mut Vec<u8>,
) -> &'static str {
    let reason = reason_phrase(status);
    let id: String = request_id.chars().filter(|&c| is_plain(c)).take(128).collect();
    let (kind, content_type) = choose(accept.into_iter());
    let written = match kind {
        Kind::Text => writeln!(out, "{status} {reason}\nrequest id: {id}"),
        Kind::Problem => writeln!(
            out,
            "{{\"type\":\"about:blank\",\"title\":\"{reason}\",\"status\":{status},\"request_id\":\"{id}\"}}"
        ),
        Kind::Json => writeln!(out, "{{\"status\":{status},\"error\":\"{reason}\",\"request_id\":\"{id}\"}}"),
        Kind::Html => writeln!(
            out,
            "<!doctype html>\n<title>{status} {reason}</title>\n<h1>{status} {reason}</h1>\n<p>Request id: {id}</p>"
        ),
    };
    written.expect("a Vec takes every write");
    content_type
}

/// Bytes that mean nothing in text, JSON and HTML.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:/+=@,".contains(c)
}

/// The offered type with the highest weight; a range that names it counts before one that covers it.
fn choose<'a>(accept: impl Iterator<Item = &'a [u8]>) -> (Kind, &'static str) {
    let mut best = [(0_u8, 0_u16); KINDS.len()];
    let ranges = accept
        .flat_map(|value| value.split(|&byte| byte == b','))
        .filter_map(|range| std::str::from_utf8(range).ok());
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(parse_weight).unwrap_or(1000);
        for (slot, (_, offered)) in best.iter_mut().zip(KINDS) {
            let precision = precision(name, offered);
            if precision > slot.0 {
                *slot = (precision, weight);
            }
        }
    }
    let mut chosen = 0;
    for index in 1..KINDS.len() {
        let rank = |(precision, weight): (u8, u16)| (weight, precision);
        if rank(best[index]) > rank(best[chosen]) {
            chosen = index;
        }
    }
    if best[chosen].1 == 0 {
        chosen = 0;
    }
    let (kind, name) = KINDS[chosen];
    match kind {
        Kind::Text => (kind, "text/plain; charset=utf-8"),
        Kind::Html => (kind, "text/html; charset=utf-8"),
        Kind::Problem | Kind::Json => (kind, name),
    }
}

/// How closely a media range names a type: 3 by name, 2 by its half, 1 as anything, 0 not at all.
fn precision(range: &str, offered: &str) -> u8 {
    if range.eq_ignore_ascii_case(offered) {
        3
    } else if range == "*/*" {
        1
    } else {
        let half = range.strip_suffix("/*").unwrap_or("/");
        let covered = offered.split_once('/').is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(half));
        u8::from(covered) * 2
    }
}

/// `q=0.5` in thousandths (RFC 9110, 12.4.2); anything else is no weight.
fn parse_weight(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let weight: f32 = value.parse().ok()?;
    (0.0..=1.0).contains(&weight).then_some((weight * 1000.0) as u16)
}

/// The phrase that RFC 9110, 15 and its registry give a status; empty for one that they do not know.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(accept: &[&str]) -> (&'static str, String) {
        let mut out = Vec::new();
        let values = accept.iter().map(|value| value.as_bytes());
        let content_type = write_error_body(502, values, "a1-b2\"<\r\n", &mut out);
        (content_type, String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn the_type_follows_accept() {
        let text = "text/plain; charset=utf-8";
        let html = "text/html; charset=utf-8";
        for (accept, expected) in [
            (&[][..], text),
            (&["*/*"], text),
            (&["image/png"], text),
            (&["application/json"], "application/json"),
            (&["application/problem+json, application/json"], "application/problem+json"),
            (&["application/*"], "application/problem+json"),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], html),
            (&["text/html;q=0.5", "application/json;q=0.8"], "application/json"),
            (&["*/*, text/plain;q=0"], "application/problem+json"),
            (&["TEXT/HTML"], html),
            (&["application/json;q=0"], text),
        ] {
            assert_eq!(body(accept).0, expected, "{accept:?}");
        }
    }

    #[test]
    fn each_body_says_the_status_and_the_id_and_nothing_that_could_break_out() {
        for accept in ["text/plain", "text/html", "application/json", "application/problem+json"] {
            let (_, text) = body(&[accept]);
            assert!(text.contains("502") && text.contains("Bad Gateway"), "{text}");
            assert!(text.contains("a1-b2") && !text.contains("b2\"<"), "{text}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&body(&["application/json"]).1).expect("valid JSON");
        assert_eq!(json["request_id"], "a1-b2");
    }
}
