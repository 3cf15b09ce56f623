//! Which requests share a connection, and when there is another one.

use super::{before, pool};
use crate::support::http2::{Http2Client, converse, until};
use crate::support::{Authority, Http2Node, TestGateway, TestNode, wait_until};
use futures_util::future::join_all;
use http::{Request, Response};
use tokio::sync::watch;

#[test]
fn a_connection_carries_many_requests_and_each_picks_its_node() {
    let nodes = [Http2Node::answering("a"), Http2Node::answering("b")];
    let gateway = before(&[&nodes[0], &nodes[1]], "");
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let answers = join_all((0..20).map(|_| {
            let mut client = client.clone();
            async move { client.get("/").await.unwrap().text() }
        }));
        let answers = answers.await;
        assert_eq!(answers.iter().filter(|answer| *answer == "a").count(), 10);
    });
    assert_eq!(gateway.get("/").status, 200, "clients of HTTP/1.1 are served as well");
    assert_eq!((nodes[0].connections(), nodes[1].connections()), (1, 1));
    assert_eq!(gateway.metric("bascule_node_connections_total", &[]), 2.0);
}

#[test]
fn a_node_is_asked_as_over_http_1() {
    let node = Http2Node::answering("hello");
    let gateway = before(&[&node], "host = \"b.test\"");
    let mut client = gateway.client();
    client.send("GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nConnection: x-gone, TE\r\nX-Gone: 1\r\nX-Kept: 2\r\nTE: trailers\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    let (_, asked) = node.heads().remove(0);
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("GET", "http://b.test/x?y=1"));
    let field = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(field("x-gone"), None);
    assert_eq!(field("x-kept"), Some("2"));
    assert_eq!(field("te"), Some("trailers"));
    assert_eq!(field("x-forwarded-host"), Some("a.test"));
    assert_eq!(field("x-forwarded-for"), Some("127.0.0.1"));
    assert!(field("x-request-id").is_some());
}

#[test]
fn no_more_requests_at_once_than_the_node_takes() {
    let node = Http2Node::set_up(
        |settings| _ = settings.max_concurrent_streams(2),
        |mut asked| async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            asked.answer(Response::new(()), b"hello").await
        },
    );
    let gateway = before(&[&node], "");
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let answers = join_all((0..9).map(|_| {
            let mut client = client.clone();
            async move { client.get("/").await.unwrap().text() }
        }));
        assert!(answers.await.iter().all(|answer| answer == "hello"));
    });
    assert_eq!(node.connections(), 5, "others are made, two requests to each");
}

#[test]
fn a_node_gets_32_connections_and_no_more() {
    const MOST: usize = 32;
    let (release, released) = watch::channel(false);
    let node = Http2Node::set_up(
        |settings| _ = settings.max_concurrent_streams(1),
        move |mut asked| {
            let mut released = released.clone();
            async move {
                let _gone = released.wait_for(|released| *released).await;
                asked.answer(Response::new(()), b"hello").await
            }
        },
    );
    let gateway = before(&[&node], "[gateway]\nworkers = 1\n");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let mut answers = Vec::new();
        for at in 0..MOST + 8 {
            let request = Request::get("http://a.test/");
            answers.push(client.begin(request, true).await.unwrap().0);
            until("it has picked its node", || {
                gateway.metric("bascule_node_in_flight", &[]) == (at + 1) as f64
            })
            .await;
            until("each has a connection of its own, while there may be more", || {
                node.hits() == MOST.min(at + 1)
            })
            .await;
        }
        release.send(true).unwrap();
        for answer in join_all(answers.into_iter().map(|answer| answer.whole())).await {
            assert_eq!(answer.unwrap().text(), "hello", "those that waited are served on what there is");
        }
    });
    assert_eq!((node.connections(), node.hits()), (MOST, MOST + 8));
    assert_eq!(gateway.metric("bascule_node_connections_total", &[]), MOST as f64);
}

#[test]
fn a_node_says_goodbye_and_new_requests_take_a_new_connection() {
    let node = Http2Node::serving(|mut asked| async move {
        if asked.head.uri.path() == "/slow" {
            // Until the request ends.
            asked.read().await?;
        }
        asked.answer(Response::new(()), format!("{}", asked.connection).as_bytes()).await
    });
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (slow, mut body) = client.begin(Request::post("http://a.test/slow"), false).await.unwrap();
        until("the request is at the node", || node.hits() == 1).await;
        node.say_goodbye();
        for _ in 0..20 {
            // A POST: only what the node did not look at may be sent again.
            assert_eq!(client.post("/", b"x").await.unwrap().status, 200);
        }
        body.send_data("".into(), true).unwrap();
        assert_eq!(slow.whole().await.unwrap().text(), "1", "what was in flight ends there");
        assert_eq!(client.get("/").await.unwrap().text(), "2");
    });
    assert_eq!(node.hits(), 22);
}

#[test]
fn an_idle_connection_is_closed() {
    let node = Http2Node::answering("hello");
    let gateway = before(&[&node], "idle_timeout = \"100ms\"");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(node.open_connections(), 1);
    wait_until("it is closed", || node.open_connections() == 0);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn it_is_agreed_on_under_tls() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let certificate = authority.issue("node", &["127.0.0.1"]);
    for (keys, status) in [("", 200), ("http2 = false", 502)] {
        let listener = format!(
            "[listener.public]\naddress = \"127.0.0.1:0\"\n{keys}\n[listener.public.tls]\ncertificates = {certificate}\n"
        );
        let route = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n";
        let inner = TestGateway::with(&format!("{route}{listener}"), &[&node]);
        let tls = format!("attempts = 1\n[pool.main.tls]\nca = {:?}", authority.file());
        let outer = TestGateway::with(&pool(&format!("\"{}\"", inner.address()), &tls), &[]);
        assert_eq!(outer.get("/").status, status, "{keys}");
    }
    assert_eq!(node.hits(), 1);
}

#[test]
fn a_node_of_http_1_cannot_be_reached() {
    let old = TestNode::scripted(|connection| {
        connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let new = Http2Node::answering("new");
    let addresses = format!("\"{}\", \"{}\"", old.address(), new.address());
    let gateway = TestGateway::with(&pool(&addresses, ""), &[]);
    for _ in 0..4 {
        assert_eq!(gateway.client().post("/", "x").text(), "new", "nothing was sent, so another is tried");
    }
    let alone = TestGateway::with(&pool(&format!("\"{}\"", old.address()), ""), &[]);
    assert_eq!(alone.get("/").status, 502);
    assert_eq!(alone.metric("bascule_errors_total", &[("kind", "connect")]), 1.0);
}

#[test]
fn what_takes_long_is_hedged() {
    let slow = Http2Node::serving(|mut asked| async move { asked.until_given_up().await });
    let fast = Http2Node::answering("fast");
    let gateway = before(&[&slow, &fast], "retry = { hedge = \"20ms\" }");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for _ in 0..4 {
            assert_eq!(client.get("/").await.unwrap().text(), "fast");
        }
        // The first two at least; on a busy machine the fast one may be the slower one at times.
        until("the others are given up", || slow.hits() >= 2 && slow.cancelled() == slow.hits()).await;
    });
    assert_eq!(slow.connections(), 1, "the connection stays");
}

#[test]
fn checks_of_nodes_speak_it_too() {
    let node = Http2Node::answering("hello");
    let gateway = before(&[&node], "[pool.main.health]\npath = \"/well\"\ninterval = \"50ms\"");
    wait_until("the node is found well", || gateway.admin("/readyz").status == 200);
    wait_until("it is checked again", || node.hits() > 1);
    assert_eq!(node.heads()[0].1.uri.path(), "/well");
    assert_eq!(gateway.get("/").text(), "hello");
}
