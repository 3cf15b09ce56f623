//! What filters, policies and operators see of a handshake and of an open tunnel.

use super::{gateway, gateway_with};
use crate::support::http2::{converse, until};
use crate::support::websocket::{WebSocketNode, ask, echoes, open};
use crate::support::{TestGateway, TestNode};
use tokio_tungstenite::tungstenite::Error;

#[test]
fn filters_see_the_handshake_and_its_answer() {
    let node = WebSocketNode::new();
    let tables = "[plugin.edge]\nfile = \"header_rewrite.wasm\"\n\
        config = { request = { set = { x-edge-route = \"{route}\" } }, response = { set = { x-served-by = \"{node}\" } } }\n\
        [defaults.route]\nfilters = [\"edge\"]";
    let gateway = gateway_with(tables, &[&node], "");
    converse(async {
        node.echo();
        let fields = [("sec-websocket-protocol", "chat"), ("x-forwarded-for", "192.0.2.1")];
        let (mut client, answer) = ask(gateway.address(), "/room?id=7", &fields).await.unwrap();
        assert_eq!(answer.headers()["x-served-by"], node.address().to_string());
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        echoes(&mut client, "hello").await;
        let asked = &node.asked()[0];
        assert_eq!(asked.uri().path_and_query().unwrap(), "/room?id=7");
        assert_eq!(asked.headers()["x-edge-route"], "all");
        assert_eq!(asked.headers()["x-forwarded-for"], "127.0.0.1", "a client cannot say who it is");
    });
}

#[test]
fn sticky_sessions_hold() {
    let nodes = [(); 3].map(|()| WebSocketNode::new());
    let [one, two, three] = &nodes;
    let gateway = gateway(&[one, two, three], "policy = [\"sticky-session\", \"round-robin\"]");
    converse(async {
        nodes.iter().for_each(WebSocketNode::echo);
        let (_first, answer) = ask(gateway.address(), "/", &[]).await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        for _ in 0..5 {
            let (mut again, _) = ask(gateway.address(), "/", &[("cookie", cookie)]).await.unwrap();
            echoes(&mut again, "hello").await;
        }
        let mut asked: Vec<_> = nodes.iter().map(|node| node.asked().len()).collect();
        asked.sort_unstable();
        assert_eq!(asked, [0, 0, 6]);
    });
}

#[test]
fn tunnels_are_shown_and_weigh_on_their_nodes() {
    let nodes = [(); 2].map(|()| WebSocketNode::new());
    let [one, two] = &nodes;
    let gateway = gateway(&[one, two], "policy = \"least-connections\"");
    converse(async {
        nodes.iter().for_each(WebSocketNode::echo);
        let mut open_ones = Vec::new();
        for _ in 0..6 {
            open_ones.push(open(gateway.address()).await);
        }
        assert_eq!(
            nodes.each_ref().map(|node| node.asked().len()),
            [3, 3],
            "each went where fewer were open"
        );
        assert_eq!((gateway.of_first_node("tunnels"), gateway.of_first_node("in_flight")), (3, 3));
        assert_eq!(gateway.metric("bascule_node_tunnels", &[("pool", "main")]), 6.0);
        let switched = [("route", "all"), ("status", "1xx")];
        assert_eq!(gateway.metric("bascule_requests_total", &switched), 6.0, "counted when they begin");
        let before = gateway.metric("bascule_request_body_bytes_total", &[]);
        echoes(&mut open_ones[0], "hello").await;
        // Two bytes of a frame, four of its mask, and the text.
        assert_eq!(
            gateway.metric("bascule_request_body_bytes_total", &[]) - before,
            11.0,
            "counted as they pass"
        );
        drop(open_ones);
        until("no tunnel is open", || gateway.metric("bascule_node_tunnels", &[]) == 0.0).await;
        assert_eq!(gateway.metric("bascule_node_in_flight", &[]), 0.0);
        assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0, "people leave, and nobody failed");
    });
}

#[test]
fn a_node_that_drains_keeps_its_tunnels() {
    let nodes = [(); 2].map(|()| WebSocketNode::new());
    let [one, two] = &nodes;
    let ids = [one, two].map(|node| node.address().to_string());
    let gateway = gateway(&[one, two], "");
    converse(async {
        nodes.iter().for_each(WebSocketNode::echo);
        let mut clients = [open(gateway.address()).await, open(gateway.address()).await];
        let drained = gateway.admin_send("POST", &format!("/pools/main/nodes/{}/drain", ids[0]), "");
        assert_eq!(drained.status, 200);
        let mut newcomer = open(gateway.address()).await;
        for client in clients.iter_mut().chain([&mut newcomer]) {
            echoes(client, "hello").await;
        }
        assert_eq!(nodes.each_ref().map(|node| node.asked().len()), [1, 2]);
    });
}

#[test]
fn a_refusal_is_an_answer_as_any_other() {
    let node = TestNode::answering("not you").with_status(403);
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        for _ in 0..2 {
            match ask(gateway.address(), "/", &[]).await {
                Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(node.connections(), 1, "its connection goes on");
}
