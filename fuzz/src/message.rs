//! Reads whole messages with the gateway's codec, in pieces, and tells what one consists of.

use crate::http::BodyLength;
use crate::http::fields::{Fields, Known};
use crate::http::h1::{BodyDecoder, Malformed, Piece};

/// A body and the trailers behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// What followed the body.
    pub(crate) rest: Vec<u8>,
}

/// Reads a body of which `input` arrived, a piece of it first. None: it is not whole.
pub(crate) fn body(
    length: BodyLength,
    chunked: bool,
    input: &[u8],
    cut: usize,
) -> Result<Option<Body>, Malformed> {
    let mut decoder = BodyDecoder::new(length, chunked);
    let mut bytes = Vec::new();
    let mut unread = 0;
    for arrived in [cut.min(input.len()), input.len()] {
        loop {
            let (piece, consumed) = match decoder.decode(&input[unread..arrived])? {
                Piece::Data { range, consumed } => (range, consumed),
                Piece::More { consumed } => {
                    unread += consumed;
                    break;
                }
                Piece::End { consumed } => {
                    let rest = input[unread + consumed..].to_vec();
                    let trailers =
                        decoder.trailers().map(|fields| list(&fields, |_| true)).unwrap_or_default();
                    return Ok(Some(Body { bytes, trailers, rest }));
                }
            };
            assert!(!piece.is_empty() && piece.end <= consumed, "a piece without data");
            bytes.extend_from_slice(&input[unread..][piece]);
            unread += consumed;
        }
    }
    let ends_with_the_connection = length == BodyLength::Unknown && !chunked;
    assert_eq!(
        decoder.close().is_ok(),
        ends_with_the_connection || decoder.is_done(),
        "a part passes for the whole"
    );
    Ok(ends_with_the_connection.then_some(Body { bytes, trailers: Vec::new(), rest: Vec::new() }))
}

/// Names, in small letters, and values of the fields that are wanted.
pub(crate) fn list(fields: &Fields, wanted: impl Fn(Known) -> bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let kept = fields.iter().filter(|field| wanted(field.known));
    kept.map(|field| (fields.bytes(field.name).to_ascii_lowercase(), fields.bytes(field.value).to_vec()))
        .collect()
}

/// Whether a field goes from one side to the other as it is.
pub(crate) fn is_end_to_end(known: Known) -> bool {
    !known.is_hop_by_hop()
        && !known.is_of_certificate()
        && !matches!(
            known,
            Known::ContentLength
                | Known::Host
                | Known::Expect
                | Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedProto
                | Known::XForwardedHost
                | Known::XRequestId
        )
}
