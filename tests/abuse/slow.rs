//! Clients that send or read as little as they can get away with.

use super::{configuration, gateway_with, refused};
use crate::support::frames::{END_HEADERS, END_STREAM, FrameClient, frame, kind, request};
use crate::support::{Connection, TestGateway, TestNode, wait_until};
use std::thread;
use std::time::Duration;

/// What a client at a slow pace does between two pieces, not what a test waits for.
fn pause() {
    #[allow(clippy::disallowed_methods, reason = "a client that is slow")]
    thread::sleep(Duration::from_millis(10));
}

/// Takes a whole request, or what there is of it, and answers.
fn sink(connection: &mut Connection) {
    while let Some(request) = connection.read_request() {
        if !request.body.complete {
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

const RATE: &str = "min_rate = { bytes = \"1KiB\", per = \"300ms\" }";

#[test]
fn a_body_that_trickles_is_refused() {
    let node = TestNode::scripted(sink);
    let gateway = gateway_with("", RATE, "", &node);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let ended = (0..1_000).find(|_| {
        pause();
        !client.try_send(b"x") || refused(&gateway, "slow_body") > 0.0
    });
    assert!(ended.is_some(), "it may go on for ever");
    assert_eq!(client.read_response().status, 408);
    assert_eq!(refused(&gateway, "slow_body"), 1.0);
}

#[test]
fn a_body_that_trickles_in_chunks_is_refused() {
    let node = TestNode::scripted(sink);
    let gateway = gateway_with("", RATE, "", &node);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let ended = (0..1_000).find(|_| {
        pause();
        !client.try_send(b"1\r\nx\r\n") || refused(&gateway, "slow_body") > 0.0
    });
    assert!(ended.is_some(), "it may go on for ever");
    assert_eq!(client.read_response().status, 408);
}

#[test]
fn a_slow_upload_that_keeps_its_pace_is_served() {
    let node = TestNode::scripted(sink);
    let gateway = gateway_with("", RATE, "", &node);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 122880\r\n\r\n");
    for _ in 0..60 {
        pause();
        client.send([b'x'; 2048]);
    }
    assert_eq!(client.read_response().status, 200);
    assert_eq!(node.last_request().body.bytes.len(), 122_880);
}

#[test]
fn a_slow_client_is_let_be_where_the_rate_is_off() {
    let node = TestNode::scripted(sink);
    let gateway = gateway_with("", "min_rate = \"off\"", "", &node);
    assert!(gateway.snapshot()["routes"][0]["min_rate"].is_null());
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n");
    for _ in 0..40 {
        pause();
        client.send(b"x");
    }
    assert_eq!(client.read_response().status, 200);
}

#[test]
fn a_slow_node_is_not_the_clients_fault() {
    // It takes the whole request, and sends its response byte by byte.
    let node = TestNode::scripted(|connection| {
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
            for _ in 0..60 {
                pause();
                connection.send("x");
            }
        }
    });
    let gateway = gateway_with("", RATE, "", &node);
    assert_eq!(gateway.get("/").text().len(), 60);
    assert_eq!(refused(&gateway, "slow_read"), 0.0);
}

#[test]
fn a_response_whose_window_is_opened_byte_by_byte_is_given_up() {
    let node = TestNode::answering("x".repeat(1_000_000));
    let gateway = gateway_with("", RATE, "", &node);
    let mut client = FrameClient::connect(gateway.address(), &[(4, 0)]);
    client.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &request(2, "/")));
    assert!(client.wait_for(kind::HEADERS).is_some());
    let ended = (0..1_000).find(|_| {
        pause();
        client.send(&frame(kind::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
        refused(&gateway, "slow_read") > 0.0
    });
    assert!(ended.is_some(), "it may go on for ever");
    assert_eq!(client.wait_for(kind::RST_STREAM).map(|reset| reset.stream), Some(1));
}

#[test]
fn a_response_whose_window_stays_shut_is_given_up() {
    let node = TestNode::answering("x".repeat(1_000_000));
    let gateway = gateway_with("", "", "between_bytes_timeout = \"300ms\"", &node);
    let mut client = FrameClient::connect(gateway.address(), &[(4, 0)]);
    client.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &request(2, "/")));
    assert_eq!(client.wait_for(kind::RST_STREAM).map(|reset| reset.stream), Some(1));
    wait_until("it is counted", || refused(&gateway, "slow_read") == 1.0);
    // The connection goes on.
    client.send(&frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
    client.send(&frame(kind::PING, 0, 0, &[7; 8]));
    assert_eq!(client.wait_for(kind::PING).map(|ping| ping.payload), Some(vec![7; 8]));
}

#[test]
fn a_head_in_pieces_has_its_time_also_while_others_are_served() {
    let node = TestNode::scripted(|connection| {
        while let Some(asked) = connection.read_request() {
            if asked.path() == "/held" {
                let _none = connection.read_request();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let text = format!("[gateway]\nlimits = {{ head_timeout = \"300ms\" }}\n{}", configuration("", "", ""));
    let gateway = TestGateway::with(&text, &[&node]);
    let held = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &request(2, "/held"));
    let begun = frame(kind::HEADERS, END_STREAM, 3, &request(2, "/"));
    let meanwhile = |count| wait_until("a request is served meanwhile", || node.hits() == count);
    // A frame that goes on and on, byte by byte.
    let mut trickling = FrameClient::connect(gateway.address(), &[]);
    let endless = frame(kind::CONTINUATION, 0, 3, &[0x91; 16_000]);
    trickling.send(&[&held, &begun, &endless[..10]].concat());
    meanwhile(1);
    let ended = (10..endless.len()).find(|at| {
        pause();
        !trickling.send(&endless[*at..=*at]) || refused(&gateway, "slow_head") > 0.0
    });
    assert!(ended.is_some(), "it may go on for ever");
    assert!(trickling.wait_for(kind::GOAWAY).is_some(), "it is told to go");
    // A frame that never comes.
    let mut silent = FrameClient::connect(gateway.address(), &[]);
    silent.send(&[&held[..], &begun].concat());
    meanwhile(2);
    assert!(silent.wait_for(kind::GOAWAY).is_some(), "it is told to go");
    wait_until("both are counted", || refused(&gateway, "slow_head") == 2.0);
}

#[test]
fn a_head_in_pieces_that_comes_in_time_is_served() {
    let node = TestNode::answering("hello");
    let gateway = gateway_with("", "", "", &node);
    let mut client = FrameClient::connect(gateway.address(), &[]);
    let block = request(2, "/");
    let first = frame(kind::HEADERS, END_STREAM, 1, &block[..1]);
    let rest = frame(kind::CONTINUATION, END_HEADERS, 1, &block[1..]);
    for byte in [first, rest].concat() {
        client.send(&[byte]);
    }
    assert_eq!(client.wait_for(kind::HEADERS).map(|head| head.stream), Some(1));
}
