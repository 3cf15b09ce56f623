//! Requests of HTTP/1.1: however they are cut they read the same, and what a node gets of one is that one request, to the
//! gateway's own codec and to a second, strict reader.

use std::net::{IpAddr, Ipv4Addr};

use crate::http::BodyLength;
use crate::http::forwarded::Forwarded;
use crate::http::h1::{
    BodyEncoder, Edge, HeadLimits, Malformed, RequestEncoding, RequestFraming, encode_request, parse_request,
};
use crate::http::head::RequestHead;
use crate::message::{Body, body, is_end_to_end, list};
use crate::seeds::strict;

/// The gateway adds some fields, so that what a client may just send is more for a node.
pub(crate) const OF_A_NODE: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_fields: 128 };

/// A request as it was read.
struct Request {
    head: RequestHead,
    framing: RequestFraming,
    /// None if it did not arrive whole.
    body: Option<Body>,
}

/// The first byte says how strict the edge is, the second where the rest is cut.
///
/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let [how, cut, raw @ ..] = data else { return };
    let edge = Edge {
        normalize_path: how & 1 == 0,
        keep_escaped_slashes: how & 2 != 0,
        keep_underscores: how & 4 != 0,
    };
    let limits = HeadLimits { max_bytes: 8192, max_fields: 100 };
    let whole = read(raw, raw.len(), &limits, edge);
    let in_pieces = read(raw, usize::from(*cut), &limits, edge);
    match (&whole, &in_pieces) {
        (Ok(whole), Ok(in_pieces)) => assert_eq!(
            whole.as_ref().map(summary),
            in_pieces.as_ref().map(summary),
            "it reads another way in pieces"
        ),
        (Err(whole), Err(in_pieces)) => assert_eq!(whole, in_pieces, "it is refused another way in pieces"),
        // A piece may be refused before the rest of it, which is bad in another way, is there.
        _ => panic!("{:?} in one piece, {:?} in two", whole.is_ok(), in_pieces.is_ok()),
    }
    if let Ok(Some(Request { head, framing, body: Some(body) })) = &whole {
        is_the_same_to_a_node(head, framing, body, edge);
    }
}

fn summary(request: &Request) -> impl PartialEq + std::fmt::Debug + use<> {
    let Request { head, framing, body } = request;
    let body = body.as_ref().map(|body| (body.bytes.clone(), body.trailers.clone(), body.rest.clone()));
    (head.method_name().to_owned(), head.path().to_vec(), list(&head.fields, |_| true), *framing, body)
}

fn read(raw: &[u8], cut: usize, limits: &HeadLimits, edge: Edge) -> Result<Option<Request>, Malformed> {
    let cut = cut.min(raw.len());
    let (mut buffer, mut head) = (raw[..cut].to_vec(), RequestHead::default());
    let mut framing = parse_request(&mut buffer, &mut head, limits, edge)?;
    let early = framing.is_some().then_some(buffer.len());
    buffer.extend_from_slice(&raw[cut..]);
    if framing.is_none() {
        framing = parse_request(&mut buffer, &mut head, limits, edge)?;
    }
    let Some(framing) = framing else { return Ok(None) };
    let body =
        body(framing.body, framing.body == BodyLength::Unknown, &buffer, early.unwrap_or(buffer.len()))?;
    Ok(Some(Request { head, framing, body }))
}

/// The bytes that a node gets.
pub(crate) fn encode(head: &RequestHead, framing: &RequestFraming, body: &[u8]) -> Vec<u8> {
    let host = if head.authority().is_empty() { b"node.test" } else { head.authority() };
    let forwarded = Forwarded {
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        peer_trusted: false,
        proto: "http",
        host: head.authority(),
        certificate: None,
    };
    let options = RequestEncoding {
        body: framing.body,
        host,
        forwarded: &forwarded,
        request_id: "0123456789abcdef",
        upgrade: framing.upgrade,
    };
    let mut sent = Vec::new();
    encode_request(head, &options, &mut sent);
    let mut encoder = BodyEncoder::for_request(framing.body);
    let frame = encoder.frame(body.len()).expect("as many bytes as the head told");
    for piece in [frame.prefix(), body, frame.suffix()] {
        sent.extend_from_slice(piece);
    }
    encoder.finish(None, &mut sent).expect("as many bytes as the head told");
    sent
}

fn is_the_same_to_a_node(head: &RequestHead, framing: &RequestFraming, body: &Body, edge: Edge) {
    let sent = encode(head, framing, &body.bytes);
    let shown = String::from_utf8_lossy(&sent);
    let again = read(&sent, sent.len(), &OF_A_NODE, edge);
    let again = again.unwrap_or_else(|error| panic!("{error:?}: {shown}")).expect("the whole head was sent");
    let same = |head: &RequestHead| {
        (head.method_name().to_owned(), head.path().to_vec(), list(&head.fields, is_end_to_end))
    };
    assert_eq!(same(&again.head), same(head), "{shown}");
    assert_eq!((again.framing.body, again.framing.upgrade), (framing.body, framing.upgrade), "{shown}");
    let read = again.body.expect("the whole body was sent");
    assert_eq!((&read.bytes, &read.rest[..]), (&body.bytes, &b""[..]), "{shown}");
    is_the_same_to_a_second_reader(&sent, head, &body.bytes);
}

fn is_the_same_to_a_second_reader(sent: &[u8], head: &RequestHead, body: &[u8]) {
    let shown = String::from_utf8_lossy(sent);
    let read =
        strict::read(sent).unwrap_or_else(|error| panic!("a second reader refuses it: {error}: {shown}"));
    let (message, taken) = read.expect("all of it was sent");
    assert_eq!(taken, sent.len(), "a second reader sees a second request: {shown}");
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    assert_eq!(
        (&*message.method, message.target, message.body),
        (head.method_name(), text(head.path()), text(body))
    );
}
