//! What becomes of a tunnel for which there is no room: each takes a stream of a connection, and a place in its pool.

use super::before;
use crate::support::Http2Node;
use crate::support::http2::{Http2Client, converse, until};
use crate::support::websocket::{ask, echo, echoes, open};
use std::net::SocketAddr;
use tokio_tungstenite::tungstenite::Error;

/// Connections of a worker to a node at most.
const CONNECTIONS: usize = 32;

/// A handshake that is refused: the status.
async fn refused(address: SocketAddr, path: &str) -> u16 {
    match ask(address, path, &[]).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("it was to be refused: {other:?}"),
    }
}

#[test]
fn one_beyond_all_streams_waits_and_is_given_up_in_time() {
    let node = Http2Node::talking_with(|settings| _ = settings.max_concurrent_streams(1), echo);
    // The connections belong to the node, so they are shared by the pool of those who do not wait for long.
    let quick = format!(
        "[route.quick]\npath = \"/quick\"\ntimeout = \"200ms\"\npool = \"quick\"\n[pool.quick]\nprotocol = \"http2\"\n\
         nodes = [\"{}\"]\noutlier = \"off\"",
        node.address()
    );
    let gateway = before(&[&node], &quick);
    converse(async {
        let mut there = Vec::new();
        for _ in 0..CONNECTIONS {
            there.push(open(gateway.address()).await);
        }
        assert_eq!(refused(gateway.address(), "/quick").await, 504);
        let late = [("route", "quick"), ("kind", "timeout")];
        assert_eq!(gateway.metric("bascule_route_errors_total", &late), 1.0);
        assert_eq!(
            (node.connections(), node.hits()),
            (CONNECTIONS, CONNECTIONS),
            "the node knows nothing of it"
        );
        for tunnel in &mut there {
            echoes(tunnel, "still here").await;
        }
        drop(there.pop());
        until("its place is free", || gateway.of_first_node("tunnels") == CONNECTIONS as u64 - 1).await;
        echoes(&mut open(gateway.address()).await, "in its place").await;
    });
    assert_eq!(node.connections(), CONNECTIONS);
}

#[test]
fn one_that_waits_gets_whichever_stream_is_free_first() {
    let node = Http2Node::talking_with(|settings| _ = settings.max_concurrent_streams(1), echo);
    let gateway = before(&[&node], "");
    converse(async {
        let mut there = Vec::new();
        for _ in 0..CONNECTIONS {
            there.push(open(gateway.address()).await);
        }
        // Neither the oldest connection's nor the newest one's.
        let leaving = there.remove(CONNECTIONS / 2);
        let address = gateway.address();
        let wait = || tokio::task::spawn_local(async move { open(address).await });
        let in_flight = || gateway.of_first_node("in_flight") as usize;
        let impatient = wait();
        until("it waits", || in_flight() == CONNECTIONS + 1).await;
        impatient.abort();
        until("its client is missed", || in_flight() == CONNECTIONS).await;
        let waiting = wait();
        until("it waits", || in_flight() == CONNECTIONS + 1).await;
        drop(leaving);
        echoes(&mut waiting.await.unwrap(), "in its place").await;
    });
    assert_eq!((node.connections(), node.hits()), (CONNECTIONS, CONNECTIONS + 1));
}

#[test]
fn a_pool_that_is_full_of_tunnels_refuses_the_next() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "limits = { in_flight = 2, queue = 0 }");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let there = open(gateway.address()).await;
        let _beside = connection.open_websocket().await;
        assert_eq!(refused(gateway.address(), "/").await, 503);
        let (answer, _sending) = connection.connect_for("websocket", &[]).await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!((gateway.route_errors("queue_full"), node.hits()), (2.0, 2));
        drop(there);
        until("its place is free", || gateway.of_first_node("tunnels") == 1).await;
        echoes(&mut open(gateway.address()).await, "in its place").await;
    });
}
