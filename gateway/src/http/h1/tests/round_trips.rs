//! What is encoded is read back as what it was.

use super::*;
use crate::http::fields::Known;
use crate::http::forwarded::Forwarded;

/// A reader that changes nothing.
const AS_IT_IS: Edge = Edge { normalize_path: false, keep_escaped_slashes: true, keep_underscores: true };

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}"
}

/// A field's value: no white space around it, anything but controls inside.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8];
    proptest::collection::vec(byte, 0..20).prop_map(|bytes| bytes.trim_ascii().to_vec())
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = token().prop_filter("a field that is ours or framing", |name| {
        Known::from_name(name.as_bytes()) == Known::Other && !name.eq_ignore_ascii_case("date")
    });
    proptest::collection::vec((name, value()), 0..10)
}

fn body() -> impl Strategy<Value = BodyLength> {
    prop_oneof![
        Just(BodyLength::Empty),
        (1..=u64::MAX).prop_map(BodyLength::Known),
        Just(BodyLength::Unknown)
    ]
}

fn pairs(fields: &crate::http::fields::Fields) -> Vec<(String, Vec<u8>)> {
    fields
        .iter()
        .filter(|field| field.known == Known::Other)
        .map(|field| {
            let name = String::from_utf8(fields.bytes(field.name).to_vec()).unwrap();
            (name, fields.bytes(field.value).to_vec())
        })
        .filter(|(name, _)| !name.eq_ignore_ascii_case("date"))
        .collect()
}

proptest! {
    #[test]
    fn requests(
        method in "[A-Z0-9!#$%&'*+.^_`|~-]{1,12}".prop_filter("refused", |name| name != "CONNECT" && name != "TRACE"),
        path in "/[!$-~]{0,30}",
        fields in fields(),
        body in body(),
    ) {
        let forwarded = Forwarded {
            peer: [192, 0, 2, 1].into(),
            peer_trusted: false,
            proto: "https",
            host: b"a.example",
            certificate: None,
        };
        let options = RequestEncoding { body, host: b"b:1", forwarded: &forwarded, request_id: "r", upgrade: false };
        let mut head = RequestHead::default();
        let span = head.fields.store(method.as_bytes());
        head.method = Method::from_name(method.as_bytes(), span);
        head.set_path(path.as_bytes());
        for (name, value) in &fields {
            head.fields.add(name.as_bytes(), value);
        }
        // Twice: fields that a plugin added are written another way than those that arrived.
        for _ in 0..2 {
            let mut wire = Vec::new();
            encode_request(&head, &options, &mut wire);
            let framing = parse_request(&mut wire, &mut head, &HeadLimits::default(), AS_IT_IS).unwrap().unwrap();
            prop_assert!(wire.is_empty());
            prop_assert_eq!(head.method_name(), &method);
            prop_assert_eq!(head.path(), path.as_bytes());
            prop_assert_eq!(head.authority(), b"b:1");
            prop_assert_eq!(framing.body, body);
            prop_assert!(framing.keep_alive);
            prop_assert_eq!(pairs(&head.fields), fields.clone());
            prop_assert_eq!(head.fields.known_all(Known::XForwardedFor).count(), 1);
        }
    }

    #[test]
    fn responses(
        status in 200..=599_u16,
        fields in fields(),
        body in body(),
        keep_alive in any::<bool>(),
        head_request in any::<bool>(),
    ) {
        let mut head = ResponseHead { status, ..ResponseHead::default() };
        for (name, value) in &fields {
            head.fields.add(name.as_bytes(), value);
        }
        let options = ResponseEncoding {
            body,
            client_version: Version::Http11,
            keep_alive,
            head_request,
            upgrade: false,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
            extra: &[],
        };
        let method = if head_request { Method::Head } else { Method::Get };
        for _ in 0..2 {
            let mut wire = Vec::new();
            encode_response(&head, &options, &mut wire);
            let parsed = parse_response(&wire, &mut head, method, &HeadLimits::default()).unwrap();
            let (framing, taken) = parsed.unwrap();
            prop_assert_eq!(taken, wire.len());
            prop_assert_eq!(head.status, status);
            prop_assert_eq!(framing.keep_alive, keep_alive);
            prop_assert!(framing.delimited);
            prop_assert_eq!(framing.body == BodyLength::Empty, options.body_encoder(status) == BodyEncoder::Empty);
            prop_assert_eq!(pairs(&head.fields), fields.clone());
        }
    }

    #[test]
    fn chunked_bodies(
        pieces in proptest::collection::vec("[a-z\r\n0]{0,40}", 0..6),
        trailer in proptest::option::of("[a-z]{1,9}"),
        cuts in cuts(60),
    ) {
        let mut wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let head = wire.len();
        let mut encoder = BodyEncoder::Chunked;
        for piece in &pieces {
            let frame = encoder.frame(piece.len()).unwrap();
            wire.extend_from_slice(frame.prefix());
            wire.extend_from_slice(piece.as_bytes());
            wire.extend_from_slice(frame.suffix());
        }
        let mut trailers = crate::http::fields::Fields::default();
        if let Some(value) = &trailer {
            trailers.add(b"x-sum", value.as_bytes());
        }
        encoder.finish(Some(&trailers), &mut wire).unwrap();
        let cuts: Vec<usize> = cuts.iter().map(|cut| (head + cut).min(wire.len())).collect();
        let told = trailer.map_or(String::new(), |value| format!("{{x-sum={value}}}"));
        let expected = format!("POST / @a chunked [{}]{told}", pieces.concat());
        prop_assert_eq!(Reader::read(Side::Requests, &wire, &cuts), Ok(expected));
    }
}
