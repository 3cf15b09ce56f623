//! Chunked bodies: their size lines, extensions and trailers.

use super::*;
use crate::http::fields::Fields;

use Malformed as M;

/// Reads a row's bytes as the chunked body of a request.
fn chunked(
    rows: &[(&str, &str, Result<&str, Malformed>)],
) -> Vec<(String, String, Result<String, Malformed>)> {
    rows.iter()
        .map(|(says, bytes, expected)| {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let expected = expected.map(|body| format!("POST / @a chunked {body}"));
            (says.to_string(), format!("{head}{bytes}"), expected)
        })
        .collect()
}

#[rustfmt::skip] // one row a line
const ROWS: &[Row] = &[
    ("none", "0\r\n\r\n", Ok("[]")),
    ("one", "5\r\nhello\r\n0\r\n\r\n", Ok("[hello]")),
    ("two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", Ok("[hello world]")),
    ("sizes in either case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", Ok("[01234567890123456789]")),
    ("leading zeros", "0000000000000002\r\nhi\r\n00\r\n\r\n", Ok("[hi]")),
    ("data that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", Ok("[\r\n0\r\n\r\n]")),
    ("an extension", "2;a=b;c=\"d e\"\r\nhi\r\n0;x\r\n\r\n", Ok("[hi]")),
    ("trailers", "0\r\nX-A: 1\r\nX-B:  2 \r\n\r\n", Ok("[]{X-A=1,X-B=2}")),
    ("trailers that may not pass", "0\r\nContent-Length: 1\r\nHost: b\r\nX-A: 1\r\nAuthorization: x\r\nSet-Cookie: y\r\nConnection: z\r\nx-forwarded-for: 1.1.1.1\r\n\r\n", Ok("[]{X-A=1}")),
    ("only trailers that may not pass", "0\r\nTransfer-Encoding: chunked\r\n\r\n", Ok("[]")),
    ("a sign", "+2\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("a minus", "-2\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("a space before", " 2\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("a space behind", "2 \r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("a space before an extension", "2 ;a\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("a prefix", "0x2\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("no size", "\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("an extension without a size", ";a\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("seventeen digits", "00000000000000002\r\nhi\r\n0\r\n\r\n", Err(M::ChunkSize)),
    ("LF alone behind a size", "2\nhi\r\n0\r\n\r\n", Err(M::BareLineFeed)),
    ("CR alone behind a size", "2\rhi\r\n0\r\n\r\n", Err(M::BareCarriageReturn)),
    ("LF alone behind an extension", "2;a\nhi\r\n0\r\n\r\n", Err(M::BareLineFeed)),
    ("CR in an extension", "2;a\rb\r\nhi\r\n0\r\n\r\n", Err(M::BareCarriageReturn)),
    ("NUL in an extension", "2;\0\r\nhi\r\n0\r\n\r\n", Err(M::ChunkExtension)),
    ("LF alone behind data", "2\r\nhi\n0\r\n\r\n", Err(M::ChunkEnd)),
    ("CR alone behind data", "2\r\nhi\r0\r\n\r\n", Err(M::ChunkEnd)),
    ("more data than the size", "2\r\nhix\r\n0\r\n\r\n", Err(M::ChunkEnd)),
    ("less data than the size", "4\r\nhi\r\n0\r\n\r\n", Err(M::ChunkEnd)),
    ("LF alone behind a trailer", "0\r\nX: 1\n\r\n", Err(M::BareLineFeed)),
    ("LF alone at the end", "0\r\n\n", Err(M::BareLineFeed)),
    ("CR in a trailer", "0\r\nX: 1\r2\r\n\r\n", Err(M::Trailers)),
    ("a folded trailer", "0\r\nX: 1\r\n 2\r\n\r\n", Err(M::Trailers)),
    ("a trailer without a colon", "0\r\nX\r\n\r\n", Err(M::Trailers)),
    ("the largest size", "ffffffffffffffff\r\nx", Err(M::Truncated)),
    ("cut in the size", "5", Err(M::Truncated)),
    ("cut in the trailers", "0\r\nX: 1\r\n", Err(M::Truncated)),
];

#[test]
fn chunked_bodies() {
    for (says, bytes, expected) in chunked(ROWS) {
        let expected = expected.as_ref().map(String::as_str).map_err(|error| *error);
        check(Side::Requests, &[(&says, &bytes, expected)]);
    }
}

proptest! {
    #[test]
    fn split_at_random(
        (index, cuts) in (0..ROWS.len()).prop_flat_map(|index| (Just(index), cuts(ROWS[index].1.len()))),
    ) {
        let row = &chunked(&ROWS[index..=index])[0];
        let head = row.1.len() - ROWS[index].1.len();
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut + head).collect();
        let read = Reader::read(Side::Requests, row.1.as_bytes(), &cuts);
        prop_assert_eq!(&read, &row.2, "{}", row.0);
    }
}

/// Decodes `input` whole, without regard to its data.
fn decode_all(mut input: &[u8]) -> Result<BodyDecoder, Malformed> {
    let mut body = BodyDecoder::new(BodyLength::Unknown, true);
    loop {
        match body.decode(input)? {
            Piece::Data { consumed, .. } => input = &input[consumed..],
            Piece::More { .. } | Piece::End { .. } => return Ok(body),
        }
    }
}

#[test]
fn extensions_are_bounded_over_the_whole_body() {
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(1000));
    assert!(decode_all(chunk.repeat(16).as_bytes()).is_ok());
    assert_eq!(decode_all(chunk.repeat(17).as_bytes()).unwrap_err(), M::ChunkExtension);
    let one = format!("1;{}", "e".repeat(17_000));
    assert_eq!(decode_all(one.as_bytes()).unwrap_err(), M::ChunkExtension);
}

#[test]
fn trailers_are_bounded() {
    let section = |count| format!("0\r\n{}\r\n", "x: 1\r\n".repeat(count));
    assert_eq!(decode_all(section(32).as_bytes()).unwrap().trailers().unwrap().len(), 32);
    assert_eq!(decode_all(section(33).as_bytes()).unwrap_err(), M::Trailers);
    let long = format!("0\r\nx: {}", "y".repeat(9000));
    assert_eq!(decode_all(long.as_bytes()).unwrap_err(), M::Trailers);
}

#[test]
fn a_body_is_done_as_soon_as_its_last_byte_was_shown() {
    let mut body = BodyDecoder::new(BodyLength::Known(3), false);
    assert_eq!(body.decode(b"abcGET").unwrap(), Piece::Data { range: 0..3, consumed: 3 });
    assert!(body.is_done());
    assert_eq!(body.decode(b"GET").unwrap(), Piece::End { consumed: 0 });
    assert!(BodyDecoder::new(BodyLength::Empty, false).is_done());
    assert!(BodyDecoder::new(BodyLength::Known(0), false).is_done());
}

#[test]
fn an_encoder_keeps_its_promise_or_says_so() {
    let mut out = Vec::new();
    let mut known = BodyEncoder::for_request(BodyLength::Known(3));
    assert!(known.frame(2).unwrap().prefix().is_empty());
    assert_eq!(known.frame(2).unwrap_err(), M::BodyLength);
    assert_eq!(known.finish(None, &mut out), Err(M::BodyLength));
    let mut exact = BodyEncoder::for_request(BodyLength::Known(3));
    exact.frame(3).unwrap();
    assert_eq!(exact.finish(None, &mut out), Ok(()));
    assert_eq!(BodyEncoder::Empty.frame(1).unwrap_err(), M::BodyLength);
    assert!(BodyEncoder::Empty.frame(0).is_ok());
    assert!(out.is_empty());
}

#[test]
fn chunks_and_trailers_are_written_without_what_may_not_pass() {
    let mut body = BodyEncoder::Chunked;
    let frame = body.frame(0x1af).unwrap();
    assert_eq!((frame.prefix(), frame.suffix()), (&b"1af\r\n"[..], &b"\r\n"[..]));
    let longest = body.frame(usize::MAX).unwrap();
    assert_eq!(longest.prefix(), b"ffffffffffffffff\r\n");
    let empty = body.frame(0).unwrap();
    assert!(empty.prefix().is_empty() && empty.suffix().is_empty());
    let mut trailers = Fields::default();
    trailers.add(b"X-Sum", b"1");
    trailers.add(b"Content-Length", b"9");
    let mut out = Vec::new();
    body.finish(Some(&trailers), &mut out).unwrap();
    assert_eq!(out, b"0\r\nX-Sum: 1\r\n\r\n");
    body.finish(None, &mut out).unwrap();
    assert_eq!(out, b"0\r\nX-Sum: 1\r\n\r\n", "a body ends once");
}
