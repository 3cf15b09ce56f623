//! Forwarding fields: replaced for strangers, continued for trusted proxies.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn head(lines: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    for (name, value) in lines {
        head.fields.add(name.as_bytes(), value.as_bytes());
    }
    head
}

fn written(peer: &str, peer_trusted: bool, host: &str, lines: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    let peer = peer.parse().unwrap();
    let forwarded = Forwarded { peer, peer_trusted, proto: "http", host: host.as_bytes(), certificate: None };
    forwarded.write(&head(lines).fields, &mut out);
    String::from_utf8(out).unwrap()
}

const CLAIMS: [(&str, &str); 5] = [
    ("X-Forwarded-For", "1.1.1.1"),
    ("x-forwarded-for", "2.2.2.2"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "www.example.com"),
    ("Forwarded", "for=1.1.1.1;proto=https"),
];

#[test]
fn a_strangers_claims_are_replaced() {
    assert_eq!(
        written("203.0.113.9", false, "a:8080", &CLAIMS),
        "x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: http\r\nx-forwarded-host: a:8080\r\n\
         forwarded: for=203.0.113.9;host=\"a:8080\";proto=http\r\n"
    );
}

#[test]
fn a_trusted_proxys_lists_are_continued_and_its_host_and_proto_kept() {
    assert_eq!(
        written("10.0.0.1", true, "a", &CLAIMS),
        "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.1\r\nx-forwarded-proto: https\r\n\
         x-forwarded-host: www.example.com\r\n\
         forwarded: for=1.1.1.1;proto=https, for=10.0.0.1;host=\"a\";proto=http\r\n"
    );
}

#[test]
fn ipv6_is_bracketed_and_quoted_in_forwarded_only_and_no_host_is_no_field() {
    assert_eq!(
        written("2001:db8::1", false, "", &[]),
        "x-forwarded-for: 2001:db8::1\r\nx-forwarded-proto: http\r\n\
         forwarded: for=\"[2001:db8::1]\";proto=http\r\n"
    );
    assert!(written("::ffff:192.0.2.1", false, "", &[]).contains("for=192.0.2.1;"));
}

#[test]
fn the_client_is_the_right_most_untrusted_address() {
    let trusted = |address: IpAddr| address.to_string().starts_with("10.");
    for (peer, lines, expected) in [
        ("203.0.113.9", &[("x-forwarded-for", "1.1.1.1")][..], "203.0.113.9"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6,1.1.1.1"), ("x-forwarded-for", "10.0.0.2")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", &[("x-forwarded-for", "1.1.1.1:4711")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
        ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]")], "2001:db8::1"),
        ("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:1.1.1.1")], "1.1.1.1"),
    ] {
        let client = client_address(&head(lines), peer.parse().unwrap(), trusted);
        assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
    }
}

proptest! {
    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them(
        v4 in any::<u32>(),
        groups in any::<[(bool, u16); 8]>(),
    ) {
        let v6 = groups.map(|(zero, group)| if zero { 0 } else { group });
        for address in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
            let canonical = address.to_canonical();
            let text = Address::new(address);
            prop_assert_eq!(std::str::from_utf8(text.text()).unwrap(), canonical.to_string());
        }
    }
}
