//! Bodies in both directions, what stands before and behind them, and who slows whom.

use super::before;
use crate::support::Http2Node;
use crate::support::http2::{Http2Client, converse, send_all, until};
use http::{HeaderMap, Request, Response};

fn trailers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
}

#[test]
fn bodies_pass_both_ways_beyond_every_window() {
    let node = Http2Node::serving(|mut asked| async move {
        let (body, _) = asked.read().await?;
        asked.answer(Response::new(()), &body).await
    });
    let gateway = before(&[&node], "");
    let body: Vec<u8> = (0..3_000_000_u32).map(|byte| byte as u8).collect();
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let response = client.post("/", &body).await.unwrap();
        assert!(response.body == body, "{} bytes", response.body.len());
    });
    let text = "y".repeat(300_000);
    assert_eq!(gateway.client().post("/", &text).text(), text);
    assert_eq!(node.heads()[1].1.headers["content-length"], "300000");
}

#[test]
fn both_directions_at_once() {
    let node = Http2Node::serving(|mut asked| async move {
        // The head comes before the request's body, and each piece is answered as it comes.
        let mut answer = asked.begin(Response::new(()))?;
        while let Some(piece) = asked.piece().await? {
            answer.send_data(piece, false)?;
        }
        answer.send_trailers(trailers("x-end", "1"))
    });
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut body) = client.begin(Request::post("http://a.test/"), false).await.unwrap();
        let mut answer = response.head().await.unwrap().into_body();
        for word in ["one", "two", "three"] {
            body.send_data(word.into(), false).unwrap();
            assert_eq!(answer.data().await.unwrap().unwrap(), word);
        }
        body.send_data("".into(), true).unwrap();
        assert!(answer.data().await.is_none());
        assert_eq!(answer.trailers().await.unwrap().unwrap()["x-end"], "1");
    });
}

#[test]
fn trailers_and_informational_heads_go_through() {
    let node = Http2Node::serving(|mut asked| async move {
        asked.inform(103)?;
        let (body, behind) = asked.read().await?;
        assert_eq!(body, b"body");
        let sum = behind.unwrap()["x-sum"].clone();
        let mut answer = asked.begin(Response::builder().header("content-length", "5").body(()).unwrap())?;
        answer.send_data("hello".into(), false)?;
        let mut trailers = trailers("x-sum", sum.to_str().unwrap());
        trailers.insert("set-cookie", "a=b".parse().unwrap());
        answer.send_trailers(trailers)
    });
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut body) = client.begin(Request::post("http://a.test/"), false).await.unwrap();
        body.send_data("body".into(), false).unwrap();
        body.send_trailers(trailers("x-sum", "7")).unwrap();
        let response = response.whole().await.unwrap();
        assert_eq!(response.text(), "hello");
        let behind = response.trailers.expect("also behind a body whose length is told");
        assert_eq!(behind["x-sum"], "7");
        assert!(!behind.contains_key("set-cookie"), "no trailer changes what was decided");
    });
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 8\r\n\r\n");
    assert_eq!(client.read_head().start, "HTTP/1.1 103 Early Hints");
    assert_eq!(client.read_response().text(), "hello");
}

#[test]
fn an_answer_that_comes_early_is_passed_on() {
    let node = Http2Node::serving(|mut asked| async move {
        asked.close(Response::builder().status(413).body(()).unwrap())
    });
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut body) = client.begin(Request::post("http://a.test/"), false).await.unwrap();
        let sending = async {
            let _refused = send_all(&mut body, &vec![0; 2_000_000]).await;
        };
        let (response, ()) = tokio::join!(response.whole(), sending);
        assert_eq!(response.unwrap().status, 413);
        assert_eq!(client.get("/").await.unwrap().status, 413);
    });
    assert_eq!(node.connections(), 1, "the connection stays");
}

#[test]
fn a_client_that_leaves_gives_up_its_request_alone() {
    let node = Http2Node::serving(|mut asked| async move {
        if asked.head.uri.path() == "/slow" {
            return asked.until_given_up().await;
        }
        asked.answer(Response::new(()), b"hello").await
    });
    let gateway = before(&[&node], "");
    let mut old = gateway.client();
    old.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (slow, stream) = client.begin(Request::get("http://a.test/slow"), true).await.unwrap();
        until("both are at the node", || node.hits() == 2).await;
        drop((slow, stream, old));
        until("both are given up", || node.cancelled() == 2).await;
        assert_eq!(client.get("/").await.unwrap().text(), "hello");
    });
    assert_eq!(node.connections(), 1, "the connection stays");
}

#[test]
fn clients_that_read_nothing_stall_no_other() {
    let node = Http2Node::answering("x".repeat(2_000_000));
    let gateway = before(&[&node], "");
    converse(async {
        // Each has a connection of its own to the gateway: all they share is the one to the node.
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(1_000);
        let mut stalled = Vec::new();
        for _ in 0..16 {
            let mut client = Http2Client::connect_with(gateway.address(), &settings).await;
            let (response, _) = client.begin(Request::get("http://a.test/slow"), true).await.unwrap();
            stalled.push((client, response.head().await.unwrap()));
        }
        let mut client = Http2Client::connect(gateway.address()).await;
        assert_eq!(client.get("/fast").await.unwrap().body.len(), 2_000_000);
        drop(stalled);
        assert_eq!(client.get("/again").await.unwrap().body.len(), 2_000_000);
    });
    assert_eq!(node.connections(), 1);
}
