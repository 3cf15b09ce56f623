//! HTTP/2 from clients: each stream is an exchange of its own, and nothing of one reaches another.

mod trailers;
mod waiting;

use crate::support::http2::{Http2Client, converse, send_all, until};
use crate::support::{Authority, TestClient, TestGateway, TestNode};
use http::Request;
use std::time::Duration;

const TWO: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n";

#[test]
fn requests_of_one_connection_go_to_several_nodes() {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let gateway = TestGateway::before(&[&nodes[0], &nodes[1]]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for _ in 0..4 {
            assert_eq!(client.get("/x?y=1").await.unwrap().status, 200);
        }
    });
    assert_eq!((nodes[0].hits(), nodes[1].hits()), (2, 2));
    let asked = nodes[0].last_request();
    assert_eq!((asked.head.start.as_str(), asked.header("host")), ("GET /x?y=1 HTTP/1.1", Some("a.test")));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn it_is_agreed_on_under_tls_and_can_be_switched_off() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    for (keys, agreed) in [("", Some(&b"h2"[..])), ("http2 = false", Some(&b"http/1.1"[..]))] {
        let text = format!(
            "{TWO}[listener.public]\naddress = \"127.0.0.1:0\"\n{keys}\n[listener.public.tls]\ncertificates = {site}\n"
        );
        let gateway = TestGateway::with(&text, &[&node]);
        let client = authority.client().speaking(&["h2", "http/1.1"]).build();
        let connection = client.connect(gateway.address(), "site.test").unwrap();
        assert_eq!(connection.protocol(), agreed, "{keys}");
    }
}

#[test]
fn where_it_is_switched_off_its_greeting_is_a_bad_request() {
    let node = TestNode::answering("hello");
    let gateway = TestGateway::with(
        &format!("{TWO}[listener.public]\naddress = \"127.0.0.1:0\"\nhttp2 = false\n"),
        &[&node],
    );
    let mut client = TestClient::connect(gateway.address());
    assert_eq!(client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").read_response().status, 505);
}

#[test]
fn bodies_pass_both_ways_beyond_every_window() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|byte| byte as u8).collect();
    let node = TestNode::answering(body.clone());
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let response = client.post("/", &body).await.unwrap();
        assert_eq!(response.fields["content-length"], "3000000");
        assert!(response.body == body, "{} bytes", response.body.len());
    });
    let asked = node.last_request();
    assert!(asked.body.bytes == body, "{} bytes", asked.body.bytes.len());
    assert_eq!(asked.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_length_that_is_told_goes_on() {
    let node = TestNode::answering("hello");
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let request = Request::post("http://a.test/").header("content-length", "4");
        let (response, mut stream) = client.begin(request, false).await.unwrap();
        send_all(&mut stream, b"body").await.unwrap();
        assert_eq!(response.whole().await.unwrap().text(), "hello");
        // More than was told is no request (RFC 9113, 8.1.1).
        let request = Request::post("http://a.test/").header("content-length", "4");
        let (response, mut stream) = client.begin(request, false).await.unwrap();
        let _refused = send_all(&mut stream, b"longer").await;
        assert!(response.whole().await.is_err());
        assert_eq!(client.get("/").await.unwrap().text(), "hello", "the others go on");
    });
    assert_eq!(node.requests()[0].header("content-length"), Some("4"));
}

#[test]
fn a_stream_that_nobody_reads_stalls_no_other() {
    let large = TestNode::answering("x".repeat(2_000_000));
    let gateway = TestGateway::before(&[&large]);
    converse(async {
        // One window for each stream, and room on the connection for several.
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(16_000).initial_connection_window_size(1_000_000);
        let mut client = Http2Client::connect_with(gateway.address(), &settings).await;
        let (stalled, _) = client.begin(Request::get("http://a.test/slow"), true).await.unwrap();
        let stalled = stalled.head().await.unwrap();
        assert_eq!(client.get("/fast").await.unwrap().body.len(), 2_000_000);
        drop(stalled);
        assert_eq!(client.get("/again").await.unwrap().body.len(), 2_000_000);
    });
}

#[test]
fn trailers_go_through() {
    let node = TestNode::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            assert_eq!(request.body.trailers, [("x-sum".to_owned(), "1".to_owned())]);
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Status: 7\r\nSet-Cookie: a=b\r\n\r\n");
        }
    });
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut stream) = client.begin(Request::post("http://a.test/"), false).await.unwrap();
        stream.send_data("body".into(), false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("host", "evil.test".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        let response = response.whole().await.unwrap();
        assert_eq!(response.text(), "hello");
        let trailers = response.trailers.unwrap();
        assert_eq!(trailers["x-status"], "7");
        assert!(!trailers.contains_key("set-cookie"), "no trailer changes what was decided");
    });
}

#[test]
fn a_response_that_is_cut_off_is_reset() {
    let node = TestNode::scripted(|connection| {
        let _asked = connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let error = client.get("/").await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    });
}

#[test]
fn a_client_that_gives_a_request_up_frees_its_node() {
    let node = TestNode::answering("late").with_delay(Duration::from_secs(5));
    let gateway = TestGateway::before(&[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, stream) = client.begin(Request::get("http://a.test/"), true).await.unwrap();
        until("the request is at the node", || node.hits() == 1).await;
        drop((response, stream));
        until("the node is let go", || node.open_connections() == 0).await;
    });
}

#[test]
fn errors_have_their_statuses() {
    let node = TestNode::answering("hello");
    let gateway = TestGateway::with(
        "[route.all]\npath = \"/here\"\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n",
        &[&node],
    );
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        assert_eq!(client.get("/there").await.unwrap().status, 404);
        let contradicting = Request::get("http://a.test/here").header("host", "b.test");
        let (response, _) = client.begin(contradicting, true).await.unwrap();
        assert_eq!(response.whole().await.unwrap().status, 400);
        let head =
            client.begin(Request::head("http://a.test/here"), true).await.unwrap().0.whole().await.unwrap();
        assert_eq!(
            (head.status, head.fields["content-length"].to_str().unwrap(), head.body.len()),
            (200, "5", 0)
        );
        assert_eq!(client.get("/there/../here").await.unwrap().text(), "hello");
    });
    assert_eq!(node.hits(), 2);
    assert_eq!(node.last_request().path(), "/here", "what is routed by is what is forwarded");
}

#[test]
fn more_streams_than_the_limit_wait() {
    let node = TestNode::answering("hello").with_delay(Duration::from_millis(20));
    let text = format!("{TWO}[listener.public]\naddress = \"127.0.0.1:0\"\nhttp2_streams = 2\n");
    let gateway = TestGateway::with(&text, &[&node]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        // The limit is known with the server's greeting.
        client.get("/").await.unwrap();
        let requests = (0..10).map(|_| {
            let mut client = client.clone();
            async move { client.get("/").await.unwrap().text() }
        });
        let answers = futures_util::future::join_all(requests).await;
        assert!(answers.iter().all(|answer| answer == "hello"));
    });
    assert!(node.peak_in_flight() <= 2, "{}", node.peak_in_flight());
}

#[test]
fn a_gateway_that_stops_says_goodbye_and_ends_what_is_in_flight() {
    let node = TestNode::answering("late").with_delay(Duration::from_millis(300));
    let gateway = TestGateway::before(&[&node]);
    let address = gateway.address();
    let stopping = converse(async {
        let mut client = Http2Client::connect(address).await;
        let (response, _stream) = client.begin(Request::get("http://a.test/"), true).await.unwrap();
        until("the request is at the node", || node.hits() == 1).await;
        let stopping = std::thread::spawn(move || gateway.stop());
        assert_eq!(response.whole().await.unwrap().text(), "late");
        until("no new request is taken", || stopping.is_finished()).await;
        assert!(client.get("/").await.is_err());
        stopping
    });
    stopping.join().unwrap();
    assert_eq!(node.hits(), 1);
}
