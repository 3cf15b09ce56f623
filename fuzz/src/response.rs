//! Responses of nodes: a client reads the same one, and nothing behind it.

use crate::http::BodyLength;
use crate::http::fields::Known;
use crate::http::h1::{
    HeadLimits, Malformed, ResponseEncoding, ResponseFraming, encode_response, parse_response,
};
use crate::http::head::{Method, ResponseHead, Version};
use crate::message::{Body, body, is_end_to_end, list};

const LIMITS: HeadLimits = HeadLimits { max_bytes: 8192, max_fields: 100 };
/// The gateway adds some fields.
const OF_A_CLIENT: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_fields: 128 };
const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

struct Response {
    head: ResponseHead,
    framing: ResponseFraming,
    body: Option<Body>,
}

/// The first byte says what was asked, the second where the rest is cut.
///
/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let [how, cut, raw @ ..] = data else { return };
    let method = if how & 1 == 0 { Method::Get } else { Method::Head };
    let whole = read(raw, raw.len(), method, &LIMITS);
    let in_pieces = read(raw, usize::from(*cut), method, &LIMITS);
    let told = |read: &Result<Option<Response>, Malformed>| match read {
        Ok(response) => {
            Ok(response.as_ref().map(|response| response.body.as_ref().map(|body| body.bytes.clone())))
        }
        Err(error) => Err(*error),
    };
    assert_eq!(told(&whole), told(&in_pieces), "it reads another way in pieces");
    if let Ok(Some(Response { head, framing, body: Some(body) })) = &whole {
        is_the_same_to_a_client(head, framing, &body.bytes, method);
    }
}

fn read(raw: &[u8], cut: usize, method: Method, limits: &HeadLimits) -> Result<Option<Response>, Malformed> {
    let mut head = ResponseHead::default();
    let early = &raw[..cut.min(raw.len())];
    let mut parsed = parse_response(early, &mut head, method, limits)?;
    if parsed.is_none() {
        parsed = parse_response(raw, &mut head, method, limits)?;
    }
    let Some((framing, end)) = parsed else { return Ok(None) };
    let body = body(framing.body, framing.chunked, &raw[end..], early.len().saturating_sub(end))?;
    Ok(Some(Response { head, framing, body }))
}

fn is_the_same_to_a_client(head: &ResponseHead, framing: &ResponseFraming, body: &[u8], method: Method) {
    let options = ResponseEncoding {
        body: framing.body,
        client_version: Version::Http11,
        keep_alive: true,
        head_request: method == Method::Head,
        upgrade: head.status == 101,
        date: DATE,
        extra: &[],
    };
    let mut sent = Vec::new();
    encode_response(head, &options, &mut sent);
    let mut encoder = options.body_encoder(head.status);
    let frame = encoder.frame(body.len()).expect("as many bytes as the head told");
    for piece in [frame.prefix(), body, frame.suffix()] {
        sent.extend_from_slice(piece);
    }
    encoder.finish(None, &mut sent).expect("as many bytes as the head told");

    let shown = String::from_utf8_lossy(&sent);
    let again = read(&sent, sent.len(), method, &OF_A_CLIENT);
    let again = again.unwrap_or_else(|error| panic!("{error:?}: {shown}")).expect("the whole head was sent");
    let wanted = |known| is_end_to_end(known) || known == Known::Expect;
    let fields = |head: &ResponseHead| {
        let mut fields = list(&head.fields, wanted);
        fields.retain(|(name, value)| name != b"date" || value != DATE);
        fields
    };
    assert_eq!((again.head.status, fields(&again.head)), (head.status, fields(head)), "{shown}");
    let read = again.body.unwrap_or_else(|| panic!("the body is not whole: {shown}"));
    assert_eq!((&read.bytes[..], &read.rest[..]), (body, &b""[..]), "{shown}");
    let is_delimited = |framing: &ResponseFraming| framing.delimited || framing.body != BodyLength::Unknown;
    assert!(is_delimited(&again.framing), "only the connection's end ends it: {shown}");
}
