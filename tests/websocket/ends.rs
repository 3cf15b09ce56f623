//! How tunnels end.

use super::{gateway, gateway_with};
use crate::support::http2::{converse, until};
use crate::support::websocket::{Socket, WebSocketNode, close, echo, echoes, next, open};
use crate::support::{TestClient, TestNode};
use futures_util::{SinkExt, StreamExt};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn a_node_that_dies_ends_it_for_the_client() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.serve(|mut socket: Socket| async move {
            next(&mut socket).await;
            let mut tcp = socket.into_inner();
            // 256 bytes are promised.
            tcp.write_all(b"\x82\x7e\x01\x00half").await.unwrap();
            socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let mut client = open(gateway.address()).await;
        client.send(Message::text("die")).await.unwrap();
        let end = client.next().await;
        assert!(matches!(end, Some(Err(_))), "it is no clean end: {end:?}");
        until("it is counted", || gateway.route_errors("reset") == 1.0).await;
        assert_eq!((gateway.of_first_node("tunnels"), gateway.of_first_node("in_flight")), (0, 0));
    });
}

#[test]
fn a_client_that_dies_ends_it_for_the_node() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        let ended = Rc::new(Cell::new(0));
        let count = ended.clone();
        node.serve(move |socket: Socket| {
            let count = count.clone();
            async move {
                echo(socket).await;
                count.set(count.get() + 1);
            }
        });
        for linger in [None, Some(Duration::ZERO)] {
            let mut client = open(gateway.address()).await;
            echoes(&mut client, "hello").await;
            socket2::SockRef::from(client.get_ref()).set_linger(linger).unwrap();
        }
        until("the node is told", || ended.get() == 2).await;
        until("no tunnel is open", || gateway.of_first_node("tunnels") == 0).await;
    });
}

#[test]
fn nobody_has_to_talk_all_the_time() {
    let node = WebSocketNode::new();
    let stalls = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.read_to_end();
    });
    let tables = format!(
        "[defaults.pool]\nbetween_bytes_timeout = \"200ms\"\n\
         [route.stalls]\npath = \"/stalls\"\npool = \"stalls\"\n[pool.stalls]\nnodes = [\"{}\"]",
        stalls.address()
    );
    let gateway = gateway_with(&tables, &[&node], "");
    converse(async {
        node.echo();
        let mut client = open(gateway.address()).await;
        let mut other = TestClient::connect(gateway.address());
        // It begins later, and is cut off when the limit is over.
        other.send("GET /stalls HTTP/1.1\r\nHost: a.test\r\n\r\n").read_head();
        other.read_to_end();
        echoes(&mut client, "still here").await;
    });
}

#[test]
fn one_in_which_nothing_moves_ends_in_the_end() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "tunnel_timeout = \"300ms\"");
    converse(async {
        node.echo();
        let mut client = open(gateway.address()).await;
        assert!(!matches!(client.next().await, Some(Ok(Message::Text(_)))));
        until("it is counted", || gateway.route_errors("tunnel_timeout") == 1.0).await;
    });
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "between_bytes_timeout = \"300ms\"");
    converse(async {
        node.serve(|mut socket: Socket| async move {
            while socket.send(Message::binary(vec![0; 65536])).await.is_ok() {}
        });
        let _reads_nothing = open(gateway.address()).await;
        until("it is let go", || gateway.route_errors("tunnel_timeout") == 1.0).await;
        assert_eq!(gateway.of_first_node("tunnels"), 0);
    });
}

#[test]
fn a_gateway_that_stops_waits_for_it() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.echo();
        let admin = gateway.admin_address();
        let mut client = open(gateway.address()).await;
        let stopping = std::thread::spawn(move || gateway.stop());
        until("it stops", || TestClient::connect(admin).get("/readyz").status == 503).await;
        echoes(&mut client, "still here").await;
        client.close(Some(close(1000, ""))).await.unwrap();
        while client.next().await.is_some() {}
        // The node closed first, as a server shall (RFC 6455, 7.1.1).
        drop(client);
        until("it stopped", || stopping.is_finished()).await;
        stopping.join().unwrap();
    });
}

#[test]
fn a_gateway_that_stops_does_not_wait_for_ever() {
    let node = WebSocketNode::new();
    let gateway = gateway_with("[gateway]\nworkers = 1\ndrain_timeout = \"300ms\"", &[&node], "");
    converse(async {
        node.echo();
        let mut client = open(gateway.address()).await;
        echoes(&mut client, "hello").await;
        let stopping = std::thread::spawn(move || gateway.stop());
        while let Some(Ok(_)) = client.next().await {}
        until("it stopped", || stopping.is_finished()).await;
        stopping.join().unwrap();
    });
}
