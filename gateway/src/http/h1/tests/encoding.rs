//! What leaves: which fields stay behind, and which framing is written.

use super::*;
use crate::http::forwarded::Forwarded;

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn forwarded() -> Forwarded<'static> {
    Forwarded {
        peer: [192, 0, 2, 1].into(),
        peer_trusted: false,
        proto: "http",
        host: b"a",
        certificate: None,
    }
}

fn parse_as_request(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let mut buffer = text.as_bytes().to_vec();
    parse_request(&mut buffer, &mut head, &HeadLimits::default(), Edge::default()).unwrap().unwrap();
    head
}

fn parse_as_response(text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    parse_response(text.as_bytes(), &mut head, Method::Get, &HeadLimits::default()).unwrap().unwrap();
    head
}

/// The lines that a node gets, without those that every request has.
fn to_node(head: &RequestHead, body: BodyLength, upgrade: bool) -> String {
    let mut out = Vec::new();
    let options =
        RequestEncoding { body, host: b"node", forwarded: &forwarded(), request_id: "id-1", upgrade };
    encode_request(head, &options, &mut out);
    let text = String::from_utf8(out).unwrap();
    for line in [
        "host: node\r\n",
        "x-forwarded-for: 192.0.2.1\r\n",
        "x-forwarded-proto: http\r\n",
        "x-forwarded-host: a\r\n",
        "forwarded: for=192.0.2.1;host=\"a\";proto=http\r\n",
        "x-request-id: id-1\r\n",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line} in {text}");
    }
    text.split_inclusive("\r\n")
        .filter(|line| !line.starts_with("x-forwarded-") && !line.starts_with("forwarded: "))
        .filter(|line| !line.starts_with("host: ") && !line.starts_with("x-request-id: "))
        .collect()
}

#[test]
fn what_is_hop_by_hop_or_ours_stays_behind() {
    let head = parse_as_request(
        "GET /p?q HTTP/1.1\r\nA: 1\r\nHost: a\r\nB:2\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: x\r\nX-Hop: 3\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: y\r\nC: \t4 \r\nD:\r\n\
         X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-Id: z\r\nE: 5\r\n\r\n",
    );
    let expected = "GET /p?q HTTP/1.1\r\nA: 1\r\nB:2\r\nC: \t4\r\nD:\r\nE: 5\r\n\r\n";
    assert_eq!(to_node(&head, BodyLength::Empty, false), expected);
}

#[test]
fn edits_show_and_a_field_that_a_plugin_adds_can_not_be_taken_out_by_the_client() {
    let mut head =
        parse_as_request("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nConnection: x-user\r\n\r\n");
    head.fields.set(b"x-user", b"7");
    head.fields.set(b"a", b":3");
    head.fields.add(b"empty", b"");
    head.set_path(b"/new");
    let expected = "GET /new HTTP/1.1\r\nB: 2\r\nx-user: 7\r\na: :3\r\nempty: \r\n\r\n";
    assert_eq!(to_node(&head, BodyLength::Empty, false), expected);
}

#[test]
fn the_framing_of_requests() {
    let text = |method| format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n");
    for (method, body, line) in [
        ("GET", BodyLength::Empty, ""),
        ("DELETE", BodyLength::Empty, ""),
        ("POST", BodyLength::Empty, "content-length: 0\r\n"),
        ("PUT", BodyLength::Empty, "content-length: 0\r\n"),
        ("PATCH", BodyLength::Empty, "content-length: 0\r\n"),
        ("GET", BodyLength::Known(7), "content-length: 7\r\n"),
        ("POST", BodyLength::Known(u64::MAX), "content-length: 18446744073709551615\r\n"),
        ("POST", BodyLength::Unknown, "transfer-encoding: chunked\r\n"),
    ] {
        let expected = format!("{method} / HTTP/1.1\r\n{line}\r\n");
        assert_eq!(to_node(&parse_as_request(&text(method)), body, false), expected);
    }
}

#[test]
fn an_upgrade_goes_on_only_when_asked_for() {
    let head =
        parse_as_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let plain = "GET / HTTP/1.1\r\n";
    assert_eq!(to_node(&head, BodyLength::Empty, false), format!("{plain}\r\n"));
    let upgrade = format!("{plain}connection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(to_node(&head, BodyLength::Empty, true), upgrade);
}

#[test]
fn an_expectation_of_http_1_0_stays_behind() {
    for (version, expected) in [("1.0", ""), ("1.1", "Expect: 100-continue\r\n")] {
        let text =
            format!("POST / HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        let written = to_node(&parse_as_request(&text), BodyLength::Known(1), false);
        assert_eq!(written, format!("POST / HTTP/1.1\r\n{expected}content-length: 1\r\n\r\n"));
    }
}

const OPTIONS: ResponseEncoding<'static> = ResponseEncoding {
    body: BodyLength::Empty,
    client_version: Version::Http11,
    keep_alive: true,
    head_request: false,
    upgrade: false,
    date: DATE,
    extra: &[],
};

/// The lines that a client gets, without the date that was added.
fn to_client(response: &str, options: ResponseEncoding) -> String {
    let mut out = Vec::new();
    encode_response(&parse_as_response(response), &options, &mut out);
    String::from_utf8(out).unwrap().replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
}

#[test]
fn the_framing_of_responses() {
    let length = "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 9\r\nB: 2\r\n\r\n";
    let kept = "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n";
    let old = Version::Http10;
    let rows = [
        ("none", ResponseEncoding { ..OPTIONS }, "content-length: 0\r\n"),
        ("known", ResponseEncoding { body: BodyLength::Known(9), ..OPTIONS }, "content-length: 9\r\n"),
        (
            "unknown",
            ResponseEncoding { body: BodyLength::Unknown, ..OPTIONS },
            "transfer-encoding: chunked\r\n",
        ),
        (
            "unknown to HTTP/1.0: until close",
            ResponseEncoding { body: BodyLength::Unknown, client_version: old, ..OPTIONS },
            "connection: close\r\n",
        ),
        (
            "known to HTTP/1.0",
            ResponseEncoding { body: BodyLength::Known(9), client_version: old, ..OPTIONS },
            "content-length: 9\r\nconnection: keep-alive\r\n",
        ),
        (
            "the last on its connection",
            ResponseEncoding { body: BodyLength::Known(9), keep_alive: false, ..OPTIONS },
            "content-length: 9\r\nconnection: close\r\n",
        ),
    ];
    for (says, options, lines) in rows {
        assert_eq!(to_client(length, options), format!("{kept}{lines}\r\n"), "{says}");
    }
}

#[test]
fn responses_without_a_body() {
    let head = ResponseEncoding { head_request: true, ..OPTIONS };
    let rows = [
        ("HEAD keeps the length", "200 OK\r\nContent-Length: 9\r\n", head, "200 OK\r\nContent-Length: 9\r\n"),
        ("HEAD without a length", "200 OK\r\nA: 1\r\n", head, "200 OK\r\nA: 1\r\n"),
        (
            "HEAD of our own answer",
            "404 Not Found\r\n",
            ResponseEncoding { body: BodyLength::Known(3), ..head },
            "404 Not Found\r\ncontent-length: 3\r\n",
        ),
        ("HEAD of chunks", "200 OK\r\nTransfer-Encoding: chunked\r\n", head, "200 OK\r\n"),
        (
            "304 keeps the length",
            "304 Not Modified\r\nContent-Length: 9\r\n",
            OPTIONS,
            "304 Not Modified\r\nContent-Length: 9\r\n",
        ),
        ("204 has none", "204 No Content\r\nContent-Length: 9\r\n", OPTIONS, "204 No Content\r\n"),
        ("204 to HEAD has none", "204 No Content\r\nContent-Length: 9\r\n", head, "204 No Content\r\n"),
        (
            "103 has neither length, date nor close",
            "103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n",
            ResponseEncoding { keep_alive: false, ..OPTIONS },
            "103 Early Hints\r\nLink: x\r\n",
        ),
        (
            "101 names its protocol",
            "101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n",
            ResponseEncoding { upgrade: true, ..OPTIONS },
            "101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n",
        ),
        (
            "a phrase that is missing is filled in",
            "503 \r\n",
            OPTIONS,
            "503 Service Unavailable\r\ncontent-length: 0\r\n",
        ),
        ("a status that nobody knows", "299 \r\n", OPTIONS, "299 \r\ncontent-length: 0\r\n"),
    ];
    for (says, response, options, expected) in rows {
        let written = to_client(&format!("HTTP/1.1 {response}\r\n"), options);
        assert_eq!(written, format!("HTTP/1.1 {expected}\r\n"), "{says}");
        let status = response[..3].parse().unwrap();
        assert_eq!(options.body_encoder(status), BodyEncoder::Empty, "{says}");
    }
}

#[test]
fn date_is_added_unless_it_is_there() {
    let encode = |response: &str, extra: &[(&str, &[u8])]| {
        let mut out = Vec::new();
        encode_response(&parse_as_response(response), &ResponseEncoding { extra, ..OPTIONS }, &mut out);
        String::from_utf8(out).unwrap().to_ascii_lowercase()
    };
    let plain = "HTTP/1.1 200 OK\r\n\r\n";
    assert!(encode(plain, &[]).contains("\r\ndate: sun, 06"));
    let dated = encode("HTTP/1.1 200 OK\r\nDate: then\r\n\r\n", &[("x", b"1")]);
    assert_eq!(dated.matches("\r\ndate: ").count(), 1);
    assert!(dated.contains("date: then") && dated.contains("\r\nx: 1\r\n"));
    assert_eq!(encode(plain, &[("Date", b"then")]).matches("\r\ndate: ").count(), 1);
}

#[test]
fn what_the_node_says_of_its_own_connection_stays_behind() {
    let response =
        "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nServer: n\r\n\r\n";
    assert_eq!(to_client(response, OPTIONS), "HTTP/1.1 200 OK\r\nServer: n\r\ncontent-length: 0\r\n\r\n");
}
