//! A walk over a block of fields (RFC 7541, 6) that only asks whether one of them is a pseudo-field.
//!
//! It keeps no table, so that a field which is only a reference to an entry that the client made (an index beyond the static table) is not
//! seen through. That is harmless: h2, which has the table, drops it from trailers, and no node sees it. What is malformed
//! is for h2, too: the walk is lost there, and ends.

/// Names up to here are the static table's pseudo-fields (RFC 7541, A): from `:authority` to `:status`.
const LAST_PSEUDO: u32 = 14;
/// Numbers may have so many bits behind their first byte, as for h2.
const MOST_BITS: u32 = 28;
/// What `:` begins a name with, as it stands and in Huffman's code (RFC 7541, B), where it has seven bits.
const COLON: u8 = b':';
const COLON_IN_HUFFMAN: u8 = 0b101_1100;

/// How far a walk has come, and what it found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    at: At,
    found: bool,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// A field's first.
    Field,
    /// A text's length.
    Length(Text),
    /// One more of a number.
    Number { of: Number, value: u32, bits: u32 },
    /// One of a text of which so many are left.
    Text { of: Text, left: u32 },
    /// Anything: the block is malformed.
    Lost,
}

/// What a number says.
#[derive(Clone, Copy, Debug)]
enum Number {
    /// The whole field's index.
    Field,
    /// The name's index; 0 if the name follows.
    Name,
    /// How large the table may be.
    Size,
    /// How long a text is.
    Length(Text),
}

#[derive(Clone, Copy, Debug)]
enum Text {
    /// The name, of which nothing was seen yet.
    Name {
        huffman: bool,
    },
    /// The rest of it.
    RestOfName,
    Value,
}

impl Walk {
    /// At the beginning of a block.
    pub(super) fn new() -> Walk {
        Walk { at: At::Field, found: false }
    }

    /// Whether there is a pseudo-field among what was walked over.
    pub(super) fn has_pseudo(&self) -> bool {
        self.found
    }

    /// Walks over the next bytes of the block.
    pub(super) fn go_on(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            let skipped = match self.at {
                At::Text { left, of: Text::RestOfName | Text::Value } => bytes.len().min(left as usize),
                _ => 1,
            };
            self.step(byte, skipped as u32);
            bytes = &rest[skipped - 1..];
        }
    }

    /// Takes a byte, or so many of a text.
    fn step(&mut self, byte: u8, count: u32) {
        self.at = match self.at {
            At::Field => self.begin(byte),
            At::Length(Text::Name { .. }) => {
                self.number(Number::Length(Text::Name { huffman: byte & 0x80 != 0 }), byte, 7)
            }
            At::Length(text) => self.number(Number::Length(text), byte, 7),
            At::Number { bits, .. } if bits >= MOST_BITS => At::Lost,
            At::Number { of, value, bits } => {
                let value = value + (u32::from(byte & 0x7f) << bits);
                match byte & 0x80 {
                    0 => self.read(of, value),
                    _ => At::Number { of, value, bits: bits + 7 },
                }
            }
            At::Text { of: Text::Name { huffman }, left } => {
                self.found |= if huffman { byte >> 1 == COLON_IN_HUFFMAN } else { byte == COLON };
                behind(Text::RestOfName, left - 1)
            }
            At::Text { of, left } => behind(of, left - count),
            At::Lost => At::Lost,
        };
    }

    /// The first byte of a field says in which form it is (RFC 7541, 6).
    fn begin(&mut self, byte: u8) -> At {
        match byte.leading_zeros() {
            0 => self.number(Number::Field, byte, 7),
            1 => self.number(Number::Name, byte, 6),
            2 => self.number(Number::Size, byte, 5),
            _ => self.number(Number::Name, byte, 4),
        }
    }

    /// A number begins with so many bits of this byte (RFC 7541, 5.1).
    fn number(&mut self, of: Number, byte: u8, bits: u32) -> At {
        let most = (1 << bits) - 1;
        let value = u32::from(byte) & most;
        if value < most { self.read(of, value) } else { At::Number { of, value, bits: 0 } }
    }

    /// A number is there.
    fn read(&mut self, of: Number, value: u32) -> At {
        let is_pseudo = (1..=LAST_PSEUDO).contains(&value);
        match of {
            Number::Field => {
                self.found |= is_pseudo;
                At::Field
            }
            Number::Name if value == 0 => At::Length(Text::Name { huffman: false }),
            Number::Name => {
                self.found |= is_pseudo;
                At::Length(Text::Value)
            }
            Number::Size => At::Field,
            Number::Length(text) => behind(text, value),
        }
    }
}

/// What comes in a text of which so many bytes are left, or behind it.
fn behind(text: Text, left: u32) -> At {
    match (text, left) {
        (Text::Value, 0) => At::Field,
        (Text::Name { .. } | Text::RestOfName, 0) => At::Length(Text::Value),
        (of, left) => At::Text { of, left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http2::frames::{Frames, Passed, kind};
    use http::{HeaderMap, HeaderName, HeaderValue, Request};
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    fn has_pseudo(block: &[u8]) -> bool {
        let mut whole = Walk::new();
        whole.go_on(block);
        let mut in_bytes = Walk::new();
        block.chunks(1).for_each(|byte| in_bytes.go_on(byte));
        assert_eq!(whole.has_pseudo(), in_bytes.has_pseudo(), "however its bytes are cut");
        whole.has_pseudo()
    }

    #[test]
    fn each_form_of_a_pseudo_field_is_found() {
        let forms: [&[u8]; 11] = [
            // Whole from the static table: the first one and the last.
            &[0x81],
            &[0x8e],
            // The name from there: to be kept, not to be kept, never to be kept.
            &[0x42, 1, b'x'],
            &[0x02, 1, b'x'],
            &[0x1e, 1, b'x'],
            // A new name, as it stands.
            b"\x40\x05:test\x01x",
            b"\x00\x01:\x00",
            b"\x10\x05:test\x01x",
            // In Huffman's code: `:a`, and `:` alone with its bit of padding.
            &[0x40, 0x82, 0xb8, 0x3f, 1, b'x'],
            &[0x00, 0x81, 0xb9, 0],
            // A length that takes more bytes than it has to.
            &[0x00, 0x7f, 0x81, 0x80, 0x80, 0x00, b':'],
        ];
        for form in forms {
            assert!(has_pseudo(form), "{form:x?}");
            let behind = [b"\x3f\xe1\x1f\x40\x01a\x7f\x01".as_slice(), &[b'y'; 128], &[0x91], form].concat();
            assert!(has_pseudo(&behind), "behind a size, a long value and an index: {form:x?}");
        }
    }

    #[test]
    fn other_fields_are_not_taken_for_one() {
        let blocks: [&[u8]; 8] = [
            b"",
            // `accept-charset: ` from the static table, and what the client put behind that.
            &[0x8f],
            &[0xbe],
            &[0xff, 0x00],
            &[0x4f, 2, b':', b'x'],
            // A colon inside a name, and as a value.
            b"\x00\x02a:\x01:",
            // No name at all.
            b"\x00\x00\x01:",
            // The table's size.
            &[0x22, 0x3f, 0xe1, 0x1f],
        ];
        for block in blocks {
            assert!(!has_pseudo(block), "{block:x?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_makes_no_sense_ends_the_walk() {
        let whole = b"\x40\x05:test\x01x";
        assert!(!has_pseudo(&whole[..2]));
        assert!(has_pseudo(&whole[..3]));
        // A number without end, and a text that is longer than the block.
        assert!(!has_pseudo(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x81]));
        assert!(!has_pseudo(&[0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0x81, 0x81]));
    }

    /// A block as h2 makes it.
    struct Encoded {
        is_trailers: bool,
        length: usize,
        bytes: Vec<u8>,
    }

    /// The heads and trailers of requests with these fields.
    async fn encoded(requests: &[HeaderMap]) -> Vec<Encoded> {
        let (client, mut server) = tokio::io::duplex(1 << 20);
        let (mut sender, connection) = h2::client::handshake(client).await.unwrap();
        let driver = tokio::spawn(connection);
        for fields in requests {
            let mut request = Request::get("http://a.test/path?query").body(()).unwrap();
            *request.headers_mut() = fields.clone();
            let (_response, mut body) = sender.send_request(request, false).unwrap();
            body.send_trailers(fields.clone()).unwrap();
        }
        let (mut frames, mut bytes) = (Frames::of_client(), Vec::new());
        let (mut blocks, mut is_block) = (Vec::<Encoded>::new(), false);
        while blocks.iter().filter(|block| block.bytes.len() == block.length).count() < 2 * requests.len() {
            bytes.clear();
            assert!(server.read_buf(&mut bytes).await.unwrap() > 0);
            frames.follow(&bytes, |passed| match passed {
                Passed::Frame(frame) => {
                    is_block = frame.kind == kind::HEADERS;
                    if is_block {
                        let (is_trailers, length) = (frame.ends_stream(), frame.length);
                        blocks.push(Encoded { is_trailers, length, bytes: Vec::new() });
                    }
                }
                Passed::Payload(payload) if is_block => {
                    blocks.last_mut().expect("one began").bytes.extend_from_slice(payload);
                }
                Passed::Payload(_) => {}
            });
        }
        driver.abort();
        blocks
    }

    fn fields() -> impl Strategy<Value = HeaderMap> {
        let field =
            ("[a-z][a-z0-9_.-]{0,40}", "[!-~:]{0,300}").prop_filter_map("a field", |(name, value)| {
                let name = HeaderName::from_bytes(format!("x{name}").as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(&value).ok()?))
            });
        proptest::collection::vec(field, 1..12).prop_map(|fields| fields.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn heads_of_an_encoder_have_one_and_its_trailers_have_none(
            requests in proptest::collection::vec(fields(), 1..4),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for block in runtime.block_on(encoded(&requests)) {
                prop_assert_eq!(has_pseudo(&block.bytes), !block.is_trailers);
            }
        }

        #[test]
        fn any_bytes_are_walked_over(block in proptest::collection::vec(any::<u8>(), 0..400)) {
            has_pseudo(&block);
        }
    }
}
