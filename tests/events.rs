//! Server-sent events: each is at the client before the next one is made.

use crate::support::http2::{Http2Client, converse, until};
use crate::support::{PATIENCE, TestClient, TestGateway, TestNode, wait_until};
use http::Request;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const EVENTS: [&str; 3] = ["data: one\n\n", ": still here\n\n", "data: two\ndata: lines\n\n"];

/// A node that sends what the test says when the test says it, in chunks or up to the end of the connection, as the path has
/// it. An empty event ends the response.
fn node() -> (TestNode, Sender<&'static str>) {
    let (say, said) = channel();
    let said = Mutex::new(said);
    let node = TestNode::scripted(move |connection| {
        let Some(request) = connection.read_request() else { return };
        let chunked = request.path() == "/chunked";
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Connection: close" };
        connection.send(format!("{HEAD}{framing}\r\n\r\n"));
        while let Ok(event) = said.lock().unwrap().recv_timeout(PATIENCE) {
            match (chunked, event) {
                (true, event) => connection.send(chunk(event)),
                (false, event) => connection.send(event),
            };
            if event.is_empty() {
                return;
            }
        }
    });
    (node, say)
}

fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// A gateway whose filter edits each response.
fn gateway(node: &TestNode) -> TestGateway {
    let text = "[plugin.edge]\nfile = \"header_rewrite.wasm\"\nconfig = { response = { set = { x-served-by = \"{node}\" } } }\n\
        [route.all]\nfilters = [\"edge\"]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    TestGateway::with(text, &[node])
}

#[test]
fn each_event_comes_at_once() {
    for path in ["/chunked", "/until-close"] {
        let (node, say) = node();
        let gateway = gateway(&node);
        let mut client = gateway.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nAccept: text/event-stream\r\n\r\n"));
        let head = client.read_head();
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "it does not wait for an event");
        assert_eq!(head.header("x-served-by"), Some(&*node.address().to_string()));
        for event in EVENTS {
            say.send(event).unwrap();
            assert_eq!(client.read_bytes(chunk(event).len()), chunk(event).as_bytes(), "{path}");
        }
        say.send("").unwrap();
        assert_eq!(client.read_bytes(5), b"0\r\n\r\n", "{path}");
    }
}

#[test]
fn each_event_comes_at_once_in_http2() {
    for path in ["/chunked", "/until-close"] {
        let (node, say) = node();
        let gateway = gateway(&node);
        converse(async {
            let mut client = Http2Client::connect(gateway.address()).await;
            let request = Request::get(format!("http://a.test{path}"));
            let (response, _) = client.begin(request, true).await.unwrap();
            let (head, mut body) = response.head().await.unwrap().into_parts();
            assert_eq!(head.headers["x-served-by"], node.address().to_string());
            for event in EVENTS {
                say.send(event).unwrap();
                let came = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(came.len()).unwrap();
                assert_eq!(came, event, "{path}");
            }
            say.send("").unwrap();
            while let Some(rest) = body.data().await {
                assert_eq!(rest.unwrap(), "", "{path}");
            }
        });
    }
}

/// Sends one event and no other.
fn silent_node() -> TestNode {
    TestNode::scripted(|connection| {
        let Some(_asked) = connection.read_request() else { return };
        connection.send(format!("{HEAD}\r\n{}", EVENTS[0]));
        connection.read_to_end();
    })
}

#[test]
fn a_client_that_leaves_frees_the_node() {
    let node = silent_node();
    let gateway = gateway(&node);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").read_head();
    assert_eq!(gateway.metric("bascule_node_in_flight", &[]), 1.0);
    drop(client);
    wait_until("the node is let go", || node.open_connections() == 0);
    wait_until("nothing is in flight", || gateway.metric("bascule_node_in_flight", &[]) == 0.0);

    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, stream) = client.begin(Request::get("http://a.test/"), true).await.unwrap();
        let head = response.head().await.unwrap();
        assert_eq!(node.open_connections(), 1);
        drop((head, stream));
        until("the node is let go", || node.open_connections() == 0).await;
    });
}

#[test]
fn a_stream_of_events_may_last_longer_than_a_request() {
    let (node, say) = node();
    let silent = TestNode::scripted(|connection| {
        connection.read_to_end();
    });
    let text = "[defaults.route]\ntimeout = \"200ms\"\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node1}\"]\n\
        [route.late]\npath = \"/late\"\npool = \"late\"\n[pool.late]\nattempts = 1\nnodes = [\"{node2}\"]";
    let gateway = TestGateway::with(text, &[&node, &silent]);
    let mut client = gateway.client();
    client.send("GET /chunked HTTP/1.1\r\nHost: a.test\r\n\r\n").read_head();
    say.send(EVENTS[0]).unwrap();
    assert_eq!(client.read_bytes(chunk(EVENTS[0]).len()), chunk(EVENTS[0]).as_bytes());
    // This one begins later, and has as long.
    assert_eq!(TestClient::connect(gateway.address()).get("/late").status, 504);
    say.send(EVENTS[1]).unwrap();
    assert_eq!(client.read_bytes(chunk(EVENTS[1]).len()), chunk(EVENTS[1]).as_bytes());
}
