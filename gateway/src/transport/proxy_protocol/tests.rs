//! What is a header and what is not; and that the two directions agree.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn ends(client: &str, server: &str) -> Option<Ends> {
    Some(Ends { client: client.parse().unwrap(), server: server.parse().unwrap() })
}

/// A header of version 2 with this kind and body.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, body].concat()
}

const TWO_V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

#[test]
fn lines_are_read() {
    for (line, told) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", ends("192.0.2.1:56324", "198.51.100.1:443")),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", ends("0.0.0.0:0", "255.255.255.255:65535")),
        ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", ends("[2001:db8::1]:1", "[::1]:2")),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:: whatever 1 65536\r\n", None),
    ] {
        let header = Header { ends: told, length: line.len() };
        assert_eq!(parse(format!("{line}GET /").as_bytes()), Ok(Some(header)), "{line}");
        for end in 0..line.len() {
            assert_eq!(parse(&line.as_bytes()[..end]), Ok(None), "{end} bytes of {line}");
        }
    }
}

#[test]
fn lines_that_differ_in_anything_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\rX",
        "PROXY TCP4\t192.0.2.1 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +5632 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 00 443\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY UNKNOWN\0\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY \u{e9}\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed::Line), "{line:?}");
    }
    for other in
        ["GET / HTTP/1.1\r\n", "proxy TCP4", "PROXY\r\n", "\r\nGET", "\r\n\r\n\0\r\nQUIX", "\x16\x03\x01"]
    {
        assert_eq!(parse(other.as_bytes()), Err(Malformed::Missing), "{other:?}");
    }
}

#[test]
fn a_line_has_107_bytes_at_most() {
    let line = |padding: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(padding));
    let header = Header { ends: None, length: 107 };
    assert_eq!(parse(line(91).as_bytes()), Ok(Some(header)));
    assert_eq!(parse(line(92).as_bytes()), Err(Malformed::TooLong));
    assert_eq!(parse(&"PROXY UNKNOWN".repeat(20).as_bytes()[..107]), Err(Malformed::TooLong));
}

#[test]
fn binary_headers_are_read() {
    let two_v6 = [[0; 15].as_slice(), &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
    let field = [0x04, 0, 3, 1, 2, 3];
    for (bytes, told) in [
        (v2(0x21, 0x11, TWO_V4), ends("192.0.2.1:56324", "198.51.100.1:443")),
        (v2(0x21, 0x11, &[TWO_V4, &field, &field].concat()), ends("192.0.2.1:56324", "198.51.100.1:443")),
        (v2(0x21, 0x21, &two_v6), ends("[::1]:1", "[::2]:2")),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, b"anything"), None),
        (v2(0x21, 0x00, &field), None),
        (v2(0x20, 0x00, &[0; 4096]), None),
    ] {
        let header = Header { ends: told, length: bytes.len() };
        assert_eq!(parse(&[&bytes[..], b"GET /"].concat()), Ok(Some(header)), "{bytes:?}");
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} of {bytes:?}");
        }
    }
}

#[test]
fn binary_headers_that_differ_in_anything_are_refused() {
    let cut = [TWO_V4, &[0x04, 0, 3, 1, 2]].concat();
    for (bytes, why) in [
        (v2(0x11, 0x11, TWO_V4), Malformed::Kind),
        (v2(0x22, 0x11, TWO_V4), Malformed::Kind),
        (v2(0x21, 0x12, TWO_V4), Malformed::Kind),
        (v2(0x21, 0x22, &[0; 36]), Malformed::Kind),
        (v2(0x21, 0x31, &[0; 216]), Malformed::Kind),
        (v2(0x21, 0x10, TWO_V4), Malformed::Kind),
        (v2(0x21, 0x41, TWO_V4), Malformed::Kind),
        (v2(0x21, 0x11, &TWO_V4[..11]), Malformed::Length),
        (v2(0x21, 0x21, TWO_V4), Malformed::Length),
        (v2(0x21, 0x11, &cut), Malformed::Length),
        (v2(0x20, 0x00, &[0; 4097]), Malformed::TooLong),
    ] {
        assert_eq!(parse(&bytes), Err(why), "{bytes:?}");
    }
    let early = &v2(0x20, 0x00, &[0; 4097])[..16];
    assert_eq!(parse(early), Err(Malformed::TooLong), "nobody waits for what would be too long");
}

#[test]
fn ends_of_two_families_are_told_as_ipv6() {
    let mixed = ends("192.0.2.1:1", "[2001:db8::1]:2");
    for version in [Version::V1, Version::V2] {
        let told = parse(&encode(version, mixed)).unwrap().unwrap().ends;
        assert_eq!(told, ends("[::ffff:192.0.2.1]:1", "[2001:db8::1]:2"));
        let told = parse(&encode(version, ends("[::ffff:192.0.2.1]:1", "192.0.2.2:2"))).unwrap().unwrap();
        assert_eq!(told.ends, ends("192.0.2.1:1", "192.0.2.2:2"), "that is IPv4");
    }
}

fn any_ends() -> impl Strategy<Value = Ends> {
    let v4 = any::<([u8; 4], u16, [u8; 4], u16)>()
        .prop_map(|(a, from, b, to)| Ends { client: (a, from).into(), server: (b, to).into() });
    let v6 = any::<([u8; 16], u16, [u8; 16], u16)>()
        .prop_map(|(a, from, b, to)| Ends { client: (a, from).into(), server: (b, to).into() });
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn what_is_written_is_read(ends in proptest::option::of(any_ends()), binary: bool, behind: Vec<u8>) {
        let version = if binary { Version::V2 } else { Version::V1 };
        let bytes = encode(version, ends);
        let header = Header { ends: ends.map(Ends::of_one_family), length: bytes.len() };
        prop_assert_eq!(parse(&[bytes, behind].concat()), Ok(Some(header)));
    }

    #[test]
    fn what_follows_changes_no_answer(
        start in prop_oneof![Just(v2::SIGNATURE), Just(v1::WORD), Just(&b"PROXY TCP4 1.2.3.4 "[..])],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut: prop::sample::Index,
    ) {
        let whole = [start, &bytes].concat();
        let part = &whole[..cut.index(whole.len() + 1)];
        match parse(part) {
            Ok(None) => prop_assert!(part.len() < 16 + 4096),
            decided => {
                prop_assert_eq!(parse(&whole), decided);
                if let Ok(Some(header)) = decided {
                    prop_assert!(header.length <= part.len());
                }
            }
        }
    }
}
