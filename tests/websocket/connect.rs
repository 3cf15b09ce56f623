//! WebSocket on a stream of HTTP/2 (RFC 8441): the gateway makes the handshake with the node.

use super::gateway;
use crate::support::http2::{Http2Client, converse, until};
use crate::support::websocket::{Socket, WebSocketNode, close, echoes, next};
use crate::support::{Connection, Request, TestGateway, TestNode};
use bascule::http::websocket::accept;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// Reads a handshake and agrees to it.
fn agree(connection: &mut Connection) -> Request {
    let request = connection.read_request().expect("a handshake");
    let key = request.header("sec-websocket-key").expect("a key");
    let answer = accept(key.as_bytes());
    connection.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: {answer}\r\n\r\n"
    ));
    request
}

async fn take(body: &mut h2::RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = body.data().await;
    if let Some(Ok(bytes)) = &piece {
        body.flow_control().release_capacity(bytes.len()).unwrap();
    }
    piece
}

#[test]
fn several_on_one_connection_do_as_on_their_own() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.echo();
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(connection.open_websocket().await);
        }
        for client in &mut clients {
            echoes(client, "hello").await;
        }
        let large = vec![7; 1_000_000];
        clients[0].send(Message::binary(large.clone())).await.unwrap();
        assert!(next(&mut clients[0]).await.into_data() == large);
        let mut client = clients.remove(0);
        client.close(Some(close(4001, "enough"))).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(Some(close(4001, "enough"))));
        assert!(client.next().await.is_none());
        echoes(&mut clients[0], "the others go on").await;
        assert_eq!(node.asked().len(), 5);
        assert_eq!(node.asked()[0].headers()["x-forwarded-proto"], "http");
    });
}

#[test]
fn the_node_sees_an_upgrade_and_the_client_none() {
    let node = TestNode::scripted(|connection| {
        agree(connection);
        connection.read_to_end();
    });
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let fields = [("sec-websocket-key", "bWluZQ=="), ("x-own", "1")];
        let (answer, _sending) = client.connect_for("websocket", &fields).await.unwrap();
        assert_eq!(answer.status(), 200);
        for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
            assert!(!answer.headers().contains_key(name), "{name}");
        }
    });
    let asked = node.last_request();
    assert_eq!(asked.head.start, "GET / HTTP/1.1");
    for (name, value) in
        [("upgrade", "websocket"), ("connection", "upgrade"), ("x-own", "1"), ("sec-websocket-version", "13")]
    {
        assert_eq!(asked.header(name), Some(value));
    }
    assert_ne!(asked.header("sec-websocket-key"), Some("bWluZQ=="));
}

#[test]
fn each_side_ends_by_itself() {
    let node = TestNode::scripted(|connection| {
        agree(connection);
        assert_eq!(connection.read_to_end(), b"all of it");
        connection.send("and all of mine");
    });
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (answer, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("all of it".into(), true).unwrap();
        let mut body = answer.into_body();
        let mut came = Vec::new();
        while let Some(piece) = take(&mut body).await {
            came.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(came, b"and all of mine");
    });
}

#[test]
fn a_reset_ends_both_sides() {
    let node = TestNode::scripted(|connection| {
        agree(connection);
        match &connection.read_bytes(3)[..] {
            b"die" => connection.reset_on_drop(),
            _ => drop(connection.read_to_end()),
        }
    });
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (answer, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("die".into(), false).unwrap();
        let lost = take(&mut answer.into_body()).await.unwrap().unwrap_err();
        assert_eq!(lost.reason(), Some(h2::Reason::INTERNAL_ERROR));

        let (answer, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("abc".into(), false).unwrap();
        until("the node has it", || node.open_connections() == 1).await;
        sending.send_reset(h2::Reason::CANCEL);
        until("the node is let go", || node.open_connections() == 0).await;
        drop(answer);
    });
}

#[test]
fn what_is_no_websocket_is_refused() {
    let node = TestNode::answering("hello");
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for protocol in ["connect-udp", "h2c"] {
            let (answer, _) = client.connect_for(protocol, &[]).await.unwrap();
            assert_eq!(answer.status(), 501, "{protocol}");
        }
        let plain = http::Request::connect("a.test:443");
        let (answer, _) = client.begin(plain, false).await.unwrap();
        assert_eq!(answer.head().await.unwrap().status(), 501);
        let (answer, _) = client.connect_for("websocket", &[("content-length", "3")]).await.unwrap();
        assert_eq!(answer.status(), 400);
        assert_eq!(node.hits(), 0);
        assert_eq!(client.get("/").await.unwrap().status, 200, "others go on");
    });
}

#[test]
fn nothing_is_tunnelled_to_a_node_that_does_not_switch() {
    let node = TestNode::answering("not you").with_status(403);
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        client.offers_tunnels().await;
        let request = Http2Client::tunnel_request("websocket");
        let (answer, mut sending) = client.begin(request, false).await.unwrap();
        sending.send_data("GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n".into(), false).unwrap();
        let refused = answer.whole().await.unwrap();
        assert_eq!((refused.status, refused.text()), (403, "not you".to_owned()));
        client.get("/next").await.unwrap();
        // What answers as if there was a tunnel must not look like one.
        node.set_status(200);
        let (answer, _sending) = client.connect_for("websocket", &[]).await.unwrap();
        assert_eq!(answer.status(), 502);
    });
    let paths: Vec<_> = node.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/", "/next", "/"]);
}

#[test]
fn a_node_has_to_show_that_it_understood() {
    for (upgrade, answer) in [("websocket", "bm8="), ("other", "right")] {
        let node = TestNode::scripted(move |connection| {
            let Some(request) = connection.read_request() else { return };
            let right = accept(request.header("sec-websocket-key").unwrap().as_bytes());
            let answer = answer.replace("right", &right);
            connection.send(format!(
                "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Accept: {answer}\r\n\r\n"
            ));
            connection.read_to_end();
        });
        let gateway = TestGateway::before(&[&node]);
        converse(async {
            let mut client = Http2Client::connect(gateway.address()).await;
            let (answer, _sending) = client.connect_for("websocket", &[]).await.unwrap();
            assert_eq!(answer.status(), 502, "{upgrade}");
        });
    }
}

#[test]
fn one_that_nobody_reads_stalls_no_other() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.serve(|mut socket: Socket| async move {
            if next(&mut socket).await == Message::text("flood") {
                while socket.send(Message::binary(vec![0; 65536])).await.is_ok() {}
            } else {
                socket.send(Message::text("hello")).await.unwrap();
            }
        });
        // One window for each stream, and room on the connection for several.
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(16_000).initial_connection_window_size(1_000_000);
        let mut connection = Http2Client::connect_with(gateway.address(), &settings).await;
        let (_unread, mut sending) = connection.connect_for("websocket", &[]).await.unwrap();
        // A text of five letters, masked with zeros.
        sending.send_data(Bytes::from_static(b"\x81\x85\0\0\0\0flood"), false).unwrap();
        let mut other = connection.open_websocket().await;
        other.send(Message::text("and you?")).await.unwrap();
        assert_eq!(next(&mut other).await, Message::text("hello"));
    });
}
