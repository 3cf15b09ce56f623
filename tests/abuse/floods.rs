//! Floods of frames (RFC 9113, 10.5), each against a gateway of one worker that another client uses all the time.

use super::configuration;
use crate::support::frames::{END_HEADERS, END_STREAM, FrameClient, frame, greeted, kind, request};
use crate::support::{GatewayProcess, TestClient, TestNode, wait_until};
use std::io::Write;

/// What a connection that is ended says last (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// What the worker may have grown by when a flood is over.
const MEMORY: u64 = 24 << 20;

/// Answers all but /held, where it waits until nobody waits for it.
fn node() -> TestNode {
    TestNode::scripted(|connection| {
        while let Some(asked) = connection.read_request() {
            if asked.path() == "/held" {
                let _none = connection.read_request();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn counted(gateway: &GatewayProcess, kind: &str) -> u64 {
    gateway.snapshot()["refused"][kind].as_u64().unwrap_or_default()
}

/// Sends what `next` makes of each stream's number until the connection is ended, while another client is served.
fn flood(gateway: &GatewayProcess, word: &str, mut next: impl FnMut(u32) -> Vec<u8>) {
    let mut other = gateway.client();
    assert_eq!(other.get("/").status, 200);
    let before = (counted(gateway, word), gateway.memory().now);
    let mut attacker = FrameClient::connect(gateway.address(), &[]);
    let ended = (0..4_000).find(|round| {
        let went = attacker.send(&next(2 * round + 1));
        assert_eq!(other.get("/").status, 200, "{word}: nobody else notices");
        !went
    });
    assert!(ended.is_some(), "{word}: it may go on for ever");
    let told = attacker.wait_for(kind::GOAWAY).expect("it is told why");
    assert_eq!(told.code(), ENHANCE_YOUR_CALM, "{word}");
    wait_until("it is counted", || counted(gateway, word) == before.0 + 1);
    let grown = gateway.memory().now.saturating_sub(before.1);
    assert!(grown < MEMORY, "{word}: {grown} bytes more");
}

fn many(count: usize, frame: Vec<u8>) -> Vec<u8> {
    frame.repeat(count)
}

#[test]
fn frames_that_ask_for_nothing_end_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    flood(&gateway, "http2_pings", |_| many(50, frame(kind::PING, 0, 0, &[0; 8])));
    flood(&gateway, "http2_settings", |_| many(10, frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])));
    flood(&gateway, "http2_priorities", |_| many(50, frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 3, 7])));
    flood(&gateway, "http2_window_updates", |_| {
        many(50, frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()))
    });
    flood(&gateway, "http2_unknown", |_| many(50, frame(0x42, 0, 0, b"?")));
}

#[test]
fn an_empty_body_that_never_ends_ends_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    flood(&gateway, "http2_data", |stream| {
        let begin = frame(kind::HEADERS, END_HEADERS, 1, &request(3, "/held"));
        let data = many(10, frame(kind::DATA, 0, 1, &[]));
        if stream == 1 { [begin, data].concat() } else { data }
    });
}

#[test]
fn a_body_in_single_bytes_that_nobody_takes_yet_ends_the_connection() {
    let node = node();
    // The first request has the pool for itself, and the second, whose body that is, waits.
    let held = "[route.held]\npath = \"/held\"\npool = \"held\"\n[pool.held]\nnodes = [{nodes}]\n\
                limits = { in_flight = 1, queue_timeout = \"1m\" }\n";
    let gateway = GatewayProcess::with(&format!("{}{held}", configuration("", "", "")), &[&node]);
    let begin = [(END_HEADERS | END_STREAM, 1), (END_HEADERS, 3)]
        .map(|(flags, stream)| frame(kind::HEADERS, flags, stream, &request(3, "/held")));
    flood(&gateway, "http2_data", |stream| {
        let data = many(100, frame(kind::DATA, 0, 3, b"x"));
        if stream == 1 { [begin.concat(), data].concat() } else { data }
    });
}

#[test]
fn a_body_in_single_bytes_that_are_taken_is_a_body() {
    const ROUNDS: usize = 400;
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    let mut other = gateway.client();
    assert_eq!(other.get("/").status, 200);
    let before = gateway.memory().now;
    let mut client = FrameClient::connect(gateway.address(), &[]);
    client.send(&frame(kind::HEADERS, END_HEADERS, 1, &request(3, "/")));
    for _ in 0..ROUNDS {
        assert!(client.send(&many(100, frame(kind::DATA, 0, 1, b"x"))));
        assert_eq!(other.get("/").status, 200, "nobody else notices");
    }
    client.send(&frame(kind::DATA, END_STREAM, 1, b"x"));
    assert!(client.wait_for(kind::HEADERS).is_some(), "it is answered");
    let body =
        node.requests().into_iter().find(|request| request.method() == "POST").map(|post| post.body.bytes);
    assert_eq!(body.map(|body| body.len()), Some(100 * ROUNDS + 1));
    let grown = gateway.memory().now.saturating_sub(before);
    assert!(grown < MEMORY, "{grown} bytes more");
}

#[test]
fn a_head_that_never_ends_ends_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    flood(&gateway, "http2_continuations", |stream| {
        if stream == 1 {
            frame(kind::HEADERS, END_STREAM, 1, &request(2, "/"))
        } else {
            many(5, frame(kind::CONTINUATION, 0, 1, &[]))
        }
    });
}

#[test]
fn a_head_that_unpacks_to_megabytes_ends_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    // A field of 4,000 bytes goes into the table, and each byte behind it is that field once more.
    let field = [b"\x40\x01x\x7f\xa1\x1e".to_vec(), vec![b'y'; 4_000]].concat();
    let bomb = [request(2, "/"), field, vec![0xbe; 12_000]].concat();
    flood(&gateway, "http2_head_too_large", |stream| {
        frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &bomb)
    });
}

#[test]
fn requests_that_are_given_up_at_once_end_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    let cancel = |stream| frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    // Together: before anybody looked at the request.
    flood(&gateway, "http2_resets", |stream| {
        let pairs = (0..10).map(|more| {
            let stream = 20 * (stream / 2) + 2 * more + 1;
            let head = frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &request(2, "/held"));
            [head, cancel(stream)].concat()
        });
        pairs.collect::<Vec<_>>().concat()
    });
    // One by one: the request is served already, since the other client's was.
    flood(&gateway, "http2_resets", |round| {
        let (stream, turn) = (round / 4 * 2 + 1, round / 2 % 2);
        match turn {
            0 => frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &request(2, "/held")),
            _ => cancel(stream),
        }
    });
}

#[test]
fn resets_that_the_client_provokes_end_the_connection() {
    let node = node();
    let gateway = GatewayProcess::before(&[&node]);
    // A window beyond 31 bits is an error of its stream (RFC 9113, 6.9.1).
    flood(&gateway, "http2_provoked_resets", |round| {
        let (stream, turn) = (round / 4 * 2 + 1, round / 2 % 2);
        match turn {
            0 => frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &request(2, "/held")),
            _ => frame(kind::WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        }
    });
}

#[test]
fn streams_beyond_the_limit_are_refused_and_many_of_them_end_the_connection() {
    let node = node();
    let gateway = GatewayProcess::with(&configuration("http2_streams = 3", "", ""), &[&node]);
    let head = |stream| frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &request(2, "/held"));
    let mut client = FrameClient::connect(gateway.address(), &[]);
    client.send(&[1, 3, 5, 7].map(head).concat());
    let refused = client.wait_for(kind::RST_STREAM).expect("the connection goes on");
    assert_eq!((refused.stream, refused.code()), (7, 7));
    wait_until("three are served", || node.open_connections() == 3);
    drop(client);
    flood(&gateway, "http2_provoked_resets", head);
}

#[test]
fn who_does_not_read_the_connection_is_not_kept() {
    let node = TestNode::answering("x".repeat(60_000));
    let limits = "[gateway]\nworkers = 1\nlimits = { idle_timeout = \"1s\" }\n";
    let gateway = GatewayProcess::with(&format!("{limits}{}", configuration("", "", "")), &[&node]);
    // Windows as wide as can be, so that only the socket is full.
    let mut client = greeted(gateway.address(), &[(4, 0x7fff_ffff)]);
    socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
    let wide = frame(kind::WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes());
    let heads = (0..100_u32)
        .map(|n| frame(kind::HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &request(2, "/")))
        .collect::<Vec<_>>();
    client.write_all(&[wide, heads.concat()].concat()).unwrap();
    wait_until("it is counted", || counted(&gateway, "http2_stalled") == 1);
    wait_until("it is gone", || gateway.snapshot()["listeners"][0]["open"] == 0);
    assert_eq!(TestClient::connect(gateway.address()).get("/").status, 200);
}
