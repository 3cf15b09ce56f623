//! What passes while a tunnel is open.

use super::gateway;
use crate::support::Authority;
use crate::support::http2::converse;
use crate::support::websocket::{Socket, WebSocketNode, ask_on, close, echo, echoes, flood, next, open};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[test]
fn fragments_and_what_stands_between_them_pass() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.echo();
        let mut client = open(gateway.address()).await;
        let fragment =
            |text: &'static str, code, last| Message::Frame(Frame::message(text, OpCode::Data(code), last));
        client.send(fragment("he", Data::Text, false)).await.unwrap();
        client.send(Message::Ping("between".into())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong("between".into()), "the node sees each at once");
        client.send(fragment("ll", Data::Continue, false)).await.unwrap();
        client.send(fragment("o", Data::Continue, true)).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text("hello"));
    });
}

#[test]
fn either_side_pings() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.serve(|mut socket: Socket| async move {
            socket.send(Message::Ping("from the node".into())).await.unwrap();
            let answered = next(&mut socket).await;
            assert_eq!(answered, Message::Pong("from the node".into()));
            socket.send(Message::text("it answered")).await.unwrap();
            echo(socket).await;
        });
        let mut client = open(gateway.address()).await;
        assert_eq!(next(&mut client).await, Message::Ping("from the node".into()));
        assert_eq!(next(&mut client).await, Message::text("it answered"));
        client.send(Message::Ping("from the client".into())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong("from the client".into()));
    });
}

#[test]
fn codes_and_reasons_of_closing_pass_both_ways() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.serve(|mut socket: Socket| async move {
            match next(&mut socket).await {
                Message::Text(_) => socket.close(Some(close(4002, "the node's"))).await.unwrap(),
                closed => assert_eq!(closed, Message::Close(Some(close(4001, "the client's")))),
            }
            while socket.next().await.is_some() {}
        });
        let mut client = open(gateway.address()).await;
        client.close(Some(close(4001, "the client's"))).await.unwrap();
        assert_eq!(
            next(&mut client).await,
            Message::Close(Some(close(4001, "the client's"))),
            "the node's echo"
        );
        assert!(client.next().await.is_none(), "and a clean end");

        let mut client = open(gateway.address()).await;
        client.send(Message::text("close, please")).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(Some(close(4002, "the node's"))));
        assert!(client.next().await.is_none());
    });
}

#[test]
fn a_message_of_megabytes_is_whole() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.echo();
        let mut client = open(gateway.address()).await;
        let large: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
        client.send(Message::binary(large.clone())).await.unwrap();
        let came = next(&mut client).await.into_data();
        assert!(came == large, "{} bytes", came.len());
    });
}

#[test]
fn messages_pass_both_ways_at_once() {
    let node = WebSocketNode::new();
    let gateway = gateway(&[&node], "");
    converse(async {
        node.serve(|socket: Socket| flood(socket, "node", "client"));
        flood(open(gateway.address()).await, "client", "node").await;
    });
}

#[test]
fn it_works_under_tls() {
    let (authority, node) = (Authority::new(), WebSocketNode::new());
    let site = authority.issue("site", &["a.test"]);
    let tables = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[listener.public.tls]\ncertificates = {site}\n"
    );
    let gateway = super::gateway_with(&tables, &[&node], "");
    let config = authority.client().build().config();
    converse(async {
        node.echo();
        let tcp = TcpStream::connect(gateway.address()).await.unwrap();
        let name = "a.test".try_into().unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.unwrap();
        let (mut client, _) = ask_on(stream, "/", &[]).await.unwrap();
        echoes(&mut client, "hello").await;
        client.close(Some(close(1000, ""))).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(Some(close(1000, ""))));
        assert!(client.next().await.is_none(), "TLS vouches for the end");
        assert_eq!(node.asked()[0].headers()["x-forwarded-proto"], "https");
    });
}
