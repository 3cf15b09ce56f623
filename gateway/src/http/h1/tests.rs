//! The codec against tables of messages: each row says what it is, and is fed whole, split at every byte,
//! byte by byte, and split at random. However the bytes arrive, the reading must be the same.
#![allow(clippy::unwrap_used)]

mod bodies;
mod encoding;
mod requests;
mod responses;
mod round_trips;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::http::head::{Method, RequestHead, ResponseHead, Version};

/// Small enough that a row can go over them.
const LIMITS: HeadLimits = HeadLimits { max_bytes: 400, max_fields: 8 };

/// Whose messages a [`Reader`] reads.
#[derive(Clone, Copy, Debug)]
enum Side {
    Requests,
    /// The answers to requests of this method.
    Responses(Method),
}

/// Reads one message after the other, as a connection does, and tells what it read in one line.
struct Reader {
    side: Side,
    buffer: Vec<u8>,
    body: Option<BodyDecoder>,
    told: String,
}

impl Reader {
    /// What a connection reads that brings `bytes`, cut at these places, and is then closed.
    fn read(side: Side, bytes: &[u8], cuts: &[usize]) -> Result<String, Malformed> {
        let mut reader = Reader { side, buffer: Vec::new(), body: None, told: String::new() };
        let mut start = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            reader.push(&bytes[start..cut])?;
            start = cut;
        }
        if let Some(mut body) = reader.body.take() {
            body.close()?;
            reader.told.push(']');
        }
        if !reader.buffer.is_empty() {
            reader.told.push_str(" incomplete");
        }
        Ok(reader.told)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.buffer.extend_from_slice(bytes);
        loop {
            let Some(body) = &mut self.body else {
                if self.buffer.is_empty() || !self.head()? {
                    return Ok(());
                }
                continue;
            };
            match body.decode(&self.buffer)? {
                Piece::Data { range, consumed } => {
                    assert!(!range.is_empty(), "data is never empty");
                    // Byte by byte, since a cut may go through a character.
                    self.told.extend(self.buffer[range].iter().map(|&byte| char::from(byte)));
                    self.buffer.drain(..consumed);
                }
                Piece::More { consumed } => {
                    assert_eq!(consumed, self.buffer.len(), "nothing is left that would have to be kept");
                    self.buffer.clear();
                    return Ok(());
                }
                Piece::End { consumed } => {
                    assert!(body.is_done());
                    self.buffer.drain(..consumed);
                    self.told.push(']');
                    if let Some(trailers) = body.trailers() {
                        self.told.push_str(&format!("{{{}}}", list(&trailers)));
                    }
                    self.body = None;
                }
            }
        }
    }

    /// Reads a head; false if it is not complete.
    fn head(&mut self) -> Result<bool, Malformed> {
        let (line, length, chunked) = match self.side {
            Side::Requests => {
                let mut head = RequestHead::default();
                match parse_request(&mut self.buffer, &mut head, &LIMITS, Edge::default())? {
                    None => return Ok(false),
                    Some(framing) => {
                        (request_line(&head, &framing), framing.body, framing.body == BodyLength::Unknown)
                    }
                }
            }
            Side::Responses(method) => {
                let mut head = ResponseHead::default();
                match parse_response(&self.buffer, &mut head, method, &LIMITS)? {
                    None => return Ok(false),
                    Some((framing, taken)) => {
                        self.buffer.drain(..taken);
                        (response_line(&head, &framing), framing.body, framing.chunked)
                    }
                }
            }
        };
        if !self.told.is_empty() {
            self.told.push_str(" + ");
        }
        self.told.push_str(&line);
        self.told.push_str(" [");
        self.body = Some(BodyDecoder::new(length, chunked));
        Ok(true)
    }
}

fn request_line(head: &RequestHead, framing: &RequestFraming) -> String {
    let mut line = format!(
        "{} {} @{}",
        head.method_name(),
        String::from_utf8_lossy(head.path()),
        String::from_utf8_lossy(head.authority()),
    );
    let flags = [
        (head.version == Version::Http10, "1.0"),
        (!framing.keep_alive, "close"),
        (framing.expect_continue, "expect"),
        (framing.upgrade, "upgrade"),
    ];
    for (_, flag) in flags.iter().filter(|(set, _)| *set) {
        write!(line, " {flag}").unwrap();
    }
    line + &length(framing.body, true)
}

fn response_line(head: &ResponseHead, framing: &ResponseFraming) -> String {
    let reason = String::from_utf8_lossy(head.fields.bytes(head.reason)).into_owned();
    let close = if framing.keep_alive { "" } else { " close" };
    assert_eq!(framing.chunked, framing.delimited && framing.body == BodyLength::Unknown);
    format!("{} {reason}{close}{}", head.status, length(framing.body, framing.delimited))
}

fn length(body: BodyLength, delimited: bool) -> String {
    match body {
        BodyLength::Empty => String::new(),
        BodyLength::Known(length) => format!(" {length}"),
        BodyLength::Unknown if delimited => " chunked".to_owned(),
        BodyLength::Unknown => " until-close".to_owned(),
    }
}

fn list(fields: &crate::http::fields::Fields) -> String {
    let line = |name, value| {
        let (name, value) = (fields.bytes(name), fields.bytes(value));
        format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    fields.iter().map(|field| line(field.name, field.value)).collect::<Vec<_>>().join(",")
}

/// A row: what it is, its bytes, and what is read.
type Row<'a> = (&'a str, &'a str, Result<&'a str, Malformed>);

/// Feeds each row in every way.
fn check(side: Side, rows: &[Row]) {
    for (says, bytes, expected) in rows {
        let bytes = bytes.as_bytes();
        let expected = expected.map(str::to_owned);
        assert_eq!(Reader::read(side, bytes, &[]), expected, "{says}");
        for cut in 0..bytes.len() {
            assert_eq!(Reader::read(side, bytes, &[cut]), expected, "{says}, cut at {cut}");
        }
        let all: Vec<usize> = (1..bytes.len()).collect();
        assert_eq!(Reader::read(side, bytes, &all), expected, "{says}, byte by byte");
    }
}

/// Places to cut `length` bytes at.
fn cuts(length: usize) -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..=length, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

/// One of the rows, and places to cut it at.
fn cut_row<'a>(rows: &'a [Row<'a>]) -> impl Strategy<Value = (&'a Row<'a>, Vec<usize>)> + 'a {
    (0..rows.len()).prop_flat_map(move |index| {
        let row = &rows[index];
        cuts(row.1.len()).prop_map(move |cuts| (row, cuts))
    })
}

/// Text that is nearly HTTP: what trips parsers, in any order.
fn nearly_http() -> impl Strategy<Value = String> {
    let parts = [
        "GET / HTTP/1.1\r\n",
        "POST /x HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 204 \r\n",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        " ",
        "\t",
        ":",
        "x",
        "x: y\r\n",
        "3\r\nabc\r\n",
        "0\r\n",
        "a;b=c\r\n",
        "\u{1}",
        "é",
        "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..16)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_arrives_reads_the_same_however_it_is_cut(
        (text, cuts) in nearly_http().prop_flat_map(|text| {
            let cuts = cuts(text.len());
            (Just(text), cuts)
        }),
    ) {
        for side in [Side::Requests, Side::Responses(Method::Get)] {
            let whole = Reader::read(side, text.as_bytes(), &[]);
            prop_assert_eq!(&whole, &Reader::read(side, text.as_bytes(), &cuts));
        }
    }
}

#[test]
fn a_bare_line_feed_is_found_where_a_bare_carriage_return_makes_up_for_it() {
    let heads = [
        (Side::Requests, &b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"[..]),
        (Side::Responses(Method::Get), b"HTTP/1.1 204 No\r\nHost: a\r\nB: c\r\n\r\n"),
    ];
    for (side, head) in heads {
        for feed in 0..=head.len() {
            for carriage in 0..=head.len() + 1 {
                let mut bytes = head.to_vec();
                bytes.insert(feed, b'\n');
                bytes.insert(carriage, b'\r');
                let each: Vec<usize> = (1..bytes.len()).collect();
                let whole = Reader::read(side, &bytes, &[]);
                assert_eq!(whole, Reader::read(side, &bytes, &each), "{}", bytes.escape_ascii());
                let is_bare = |at: usize| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
                let has_bare = (0..bytes.len()).any(is_bare);
                assert!(!has_bare || whole.is_err(), "{}", bytes.escape_ascii());
            }
        }
    }
}
