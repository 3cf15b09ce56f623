//! WebSocket to nodes that speak HTTP/2 (RFC 8441): a stream of a shared connection is the tunnel.

use super::{before, pool};
use crate::support::http2::{Http2Client, converse, until};
use crate::support::websocket::{WebSocketNode, ask, close, echo, echoes, flood, next, open};
use crate::support::{Authority, Http2Node, TestGateway, wait_until};
use bascule::http::websocket::accept;
use futures_util::{SinkExt, StreamExt};
use http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The handshake of the RFC's example (RFC 6455, 1.3).
const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn an_upgrade_asks_the_node_for_a_tunnel() {
    let node = Http2Node::talking(echo);
    let tables = "[plugin.edge]\nfile = \"header_rewrite.wasm\"\n\
        config = { request = { set = { x-edge-route = \"{route}\" } }, response = { set = { x-served-by = \"{node}\" } } }\n\
        [defaults.route]\nfilters = [\"edge\"]";
    let gateway = before(&[&node], tables);
    converse(async {
        let fields = [("sec-websocket-protocol", "chat"), ("x-forwarded-for", "192.0.2.1")];
        // The client checks the answer to its key.
        let (mut client, answer) = ask(gateway.address(), "/room?id=7", &fields).await.unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["x-served-by"], node.address().to_string());
        assert!(!answer.headers().contains_key("content-length"));
        echoes(&mut client, "hello").await;
        assert_eq!((gateway.of_first_node("tunnels"), gateway.of_first_node("in_flight")), (1, 1));
        client.close(Some(close(4001, "enough"))).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(Some(close(4001, "enough"))));
        assert!(client.next().await.is_none());
        // The node ended its side first, as a server shall (RFC 6455, 7.1.1).
        drop(client);
        until("the tunnel is over", || gateway.of_first_node("tunnels") == 0).await;
    });
    let (_, asked) = node.heads().remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.uri.to_string()),
        ("CONNECT", "http://a.test/room?id=7".to_owned())
    );
    assert_eq!(asked.extensions.get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
    let field = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(field("x-edge-route"), Some("all"), "filters see it");
    assert_eq!(field("x-forwarded-for"), Some("127.0.0.1"), "a client cannot say who it is");
    assert_eq!((field("sec-websocket-version"), field("sec-websocket-protocol")), (Some("13"), Some("chat")));
    for name in ["connection", "upgrade", "sec-websocket-key"] {
        assert_eq!(field(name), None, "{name}");
    }
    let switched = [("route", "all"), ("status", "1xx")];
    assert_eq!(gateway.metric("bascule_requests_total", &switched), 1.0);
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
}

#[test]
fn the_key_is_answered_whatever_the_node_says() {
    let node = Http2Node::set_up(
        |settings| _ = settings.enable_connect_protocol(),
        |mut asked| async move {
            let head = Response::builder()
                .status(204)
                .header("sec-websocket-accept", "bm9ub25zZW5zZQ==")
                .header("sec-websocket-protocol", "chat");
            let mut sending = asked.begin(head.body(()).unwrap())?;
            sending.send_data("hello".into(), false)?;
            asked.read().await?;
            sending.send_data("bye".into(), true)
        },
    );
    let gateway = before(&[&node], "");
    let mut client = gateway.client();
    let head = client.send(HANDSHAKE).read_head();
    assert_eq!((head.status(), head.start.as_str()), (101, "HTTP/1.1 101 Switching Protocols"));
    assert_eq!(head.headers("sec-websocket-accept"), [accept(b"dGhlIHNhbXBsZSBub25jZQ==")]);
    assert_eq!(head.header("sec-websocket-protocol"), Some("chat"));
    assert_eq!((head.header("upgrade"), head.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(client.read_bytes(5), b"hello");
    assert_eq!(client.half_close().read_to_end(), b"bye");
}

#[test]
fn bytes_that_came_with_the_request_go_into_the_tunnel() {
    let node = Http2Node::set_up(
        |settings| _ = settings.enable_connect_protocol(),
        |mut asked| async move {
            let mut sending = asked.begin(Response::new(()))?;
            while let Some(piece) = asked.piece().await? {
                sending.send_data(piece, false)?;
            }
            sending.send_data("".into(), true)
        },
    );
    let gateway = before(&[&node], "");
    let mut client = gateway.client();
    assert_eq!(client.send(format!("{HANDSHAKE}now")).read_head().status(), 101);
    assert_eq!(client.read_bytes(3), b"now");
    assert_eq!(client.send(" and then").half_close().read_to_end(), b" and then");
}

#[test]
fn tunnels_of_many_clients_share_a_connection() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(connection.open_websocket().await);
        }
        for client in &mut clients {
            echoes(client, "hello").await;
        }
        let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        clients[0].send(Message::binary(large.clone())).await.unwrap();
        assert!(next(&mut clients[0]).await.into_data() == large);
        clients.remove(0).close(Some(close(1000, ""))).await.unwrap();
        echoes(&mut clients[0], "the others go on").await;
        assert_eq!((node.hits(), node.connections()), (5, 1));
    });
}

#[test]
fn it_works_under_tls() {
    let (authority, talker) = (Authority::new(), WebSocketNode::new());
    // A gateway is the node that agrees on HTTP/2 by ALPN.
    let node = TestGateway::with(
        &format!(
            "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{}]\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
             [listener.public.tls]\ncertificates = {}\n",
            talker.quoted(),
            authority.issue("node", &["127.0.0.1"])
        ),
        &[],
    );
    let tls = format!("[pool.main.tls]\nca = {:?}", authority.file());
    let gateway = TestGateway::with(&pool(&format!("\"{}\"", node.address()), &tls), &[]);
    converse(async {
        talker.echo();
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut alone = open(gateway.address()).await;
        let mut shared = connection.open_websocket().await;
        echoes(&mut shared, "hello").await;
        let large = Message::binary(vec![7; 1_000_000]);
        alone.send(large.clone()).await.unwrap();
        assert!(next(&mut alone).await == large);
        alone.close(Some(close(4001, "enough"))).await.unwrap();
        assert_eq!(next(&mut alone).await, Message::Close(Some(close(4001, "enough"))));
        assert!(alone.next().await.is_none());
        assert_eq!(talker.asked()[0].headers()["x-forwarded-proto"], "https", "the node was met under TLS");
        echoes(&mut shared, "the other goes on").await;
        drop((alone, shared));
        until("no tunnel is open", || gateway.of_first_node("tunnels") + node.of_first_node("tunnels") == 0)
            .await;
    });
    assert_eq!(gateway.metric("bascule_node_connections_total", &[]), 1.0, "both shared it");
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
}

#[test]
fn a_message_of_megabytes_is_whole() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = open(gateway.address()).await;
        let large: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
        client.send(Message::binary(large.clone())).await.unwrap();
        let came = next(&mut client).await.into_data();
        assert!(came == large, "{} bytes", came.len());
    });
}

#[test]
fn messages_pass_both_ways_at_once() {
    let node = Http2Node::talking(|socket| flood(socket, "node", "client"));
    let gateway = before(&[&node], "");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let one = async { flood(open(gateway.address()).await, "client", "node").await };
        let other = async { flood(connection.open_websocket().await, "client", "node").await };
        tokio::join!(one, other);
    });
}

#[test]
fn a_refusal_is_an_answer_as_any_other() {
    let node = Http2Node::set_up(
        |settings| _ = settings.enable_connect_protocol(),
        |mut asked| async move {
            let mut sending = asked.begin(Response::builder().status(403).body(()).unwrap())?;
            // Nothing more comes of a client that was refused.
            let (sent, _) = asked.read().await?;
            sending.send_data(format!("not you, who sent {}", sent.len()).into(), true)
        },
    );
    let gateway = before(&[&node], "");
    let mut client = gateway.client();
    for _ in 0..2 {
        let refused = client.send(HANDSHAKE).read_response();
        assert_eq!(
            (refused.status, refused.text().as_str()),
            (403, "not you, who sent 0"),
            "and the connection goes on"
        );
    }
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        client.offers_tunnels().await;
        let request = Http2Client::tunnel_request("websocket");
        let (answer, mut sending) = client.begin(request, false).await.unwrap();
        sending.send_data("smuggled".into(), false).unwrap();
        let refused = answer.whole().await.unwrap();
        assert_eq!((refused.status, refused.text().as_str()), (403, "not you, who sent 0"));
    });
    wait_until("nobody is there any more", || gateway.of_first_node("in_flight") == 0);
    assert_eq!(node.cancelled(), 0, "each ended politely");
    assert_eq!(gateway.metric("bascule_node_tunnels", &[]), 0.0);
}

#[test]
fn a_node_that_opens_none_is_not_asked() {
    let without = Http2Node::answering("a page");
    let gateway = before(&[&without], "");
    converse(async {
        match ask(gateway.address(), "/", &[]).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 502),
            other => panic!("{other:?}"),
        }
        let mut client = Http2Client::connect(gateway.address()).await;
        let (answer, _sending) = client.connect_for("websocket", &[]).await.unwrap();
        assert_eq!(answer.status(), 502);
        assert_eq!(client.get("/").await.unwrap().text(), "a page", "it serves all else");
    });
    assert_eq!(without.hits(), 1, "that one request");
    let failed = [("route", "all"), ("kind", "protocol")];
    assert_eq!(gateway.metric("bascule_route_errors_total", &failed), 2.0);
}

#[test]
fn another_node_may_open_one() {
    let (without, with) = (Http2Node::answering("a page"), Http2Node::talking(echo));
    let gateway = before(&[&without, &with], "");
    converse(async {
        for _ in 0..4 {
            echoes(&mut open(gateway.address()).await, "hello").await;
        }
    });
    assert_eq!((without.hits(), with.hits()), (0, 4));
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
}

#[test]
fn what_is_no_websocket_goes_without_its_upgrade() {
    let node = Http2Node::set_up(
        |settings| _ = settings.enable_connect_protocol(),
        |mut asked| async move {
            asked.answer(Response::new(()), asked.head.method.clone().as_str().as_bytes()).await
        },
    );
    let gateway = before(&[&node], "");
    for handshake in [
        HANDSHAKE.replace("Upgrade: websocket", "Upgrade: other"),
        HANDSHAKE.replace("GET", "DELETE"),
        HANDSHAKE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: short"),
    ] {
        let method = handshake.split(' ').next().unwrap();
        let answer = gateway.client().send(&handshake).read_response();
        assert_eq!((answer.status, answer.text().as_str()), (200, method));
    }
    for (_, head) in node.heads() {
        assert!(
            head.extensions.get::<h2::ext::Protocol>().is_none() && !head.headers.contains_key("upgrade")
        );
    }
}

#[test]
fn sticky_sessions_hold() {
    let nodes = [(); 3].map(|()| Http2Node::talking(echo));
    let [one, two, three] = &nodes;
    let gateway = before(&[one, two, three], "policy = [\"sticky-session\", \"round-robin\"]");
    converse(async {
        let (_first, answer) = ask(gateway.address(), "/", &[]).await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        for _ in 0..5 {
            let (mut again, _) = ask(gateway.address(), "/", &[("cookie", cookie)]).await.unwrap();
            echoes(&mut again, "hello").await;
        }
    });
    let mut asked: Vec<_> = nodes.iter().map(Http2Node::hits).collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 0, 6]);
}
