//! gRPC through the gateway: every kind of call, errors as its clients read them, deadlines, and its health checks.

use crate::support::http2::{Http2Client, Http2Response, converse, until};
use crate::support::{Http2Node, TestGateway, TestNode, wait_until};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};

const OK: &[(&str, &str)] = &[("grpc-status", "0")];

/// A message as it stands in a body (without compression).
fn message(text: &str) -> Bytes {
    [&[0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat().into()
}

fn fields(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn call(method: &str) -> http::request::Builder {
    Request::post(format!("http://a.test/test.Service/{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
}

fn answer() -> Response<()> {
    Response::builder().header("content-type", "application/grpc+proto").body(()).unwrap()
}

/// A server with one method of each kind; all echo, and `Fails` has nothing but trailers.
fn server() -> Http2Node {
    Http2Node::serving(|mut asked| async move {
        assert_eq!(asked.head.headers["te"], "trailers");
        match asked.head.uri.path() {
            "/test.Service/Fails" => {
                let mut head = answer();
                head.headers_mut().extend(fields(&[("grpc-status", "5"), ("grpc-message", "no such thing")]));
                asked.close(head)
            }
            "/test.Service/Hangs" => asked.until_given_up().await,
            "/test.Service/Breaks" => {
                let mut out = asked.begin(answer())?;
                out.send_data(message("first"), false)?;
                asked.read().await?;
                asked.break_off();
                Ok(())
            }
            "/test.Service/Converses" => {
                let mut out = asked.begin(answer())?;
                while let Some(piece) = asked.piece().await? {
                    out.send_data(piece, false)?;
                }
                out.send_trailers(fields(OK))
            }
            _ => {
                let (body, _) = asked.read().await?;
                let mut out = asked.begin(answer())?;
                out.send_data(body.into(), false)?;
                out.send_trailers(fields(OK))
            }
        }
    })
}

fn before(node: &Http2Node, keys: &str) -> TestGateway {
    let address = node.address();
    let text = "[route.all]\npath = \"/test.Service\"\npool = \"main\"\n[pool.main]\nprotocol = \"http2\"\nattempts = 1\n";
    TestGateway::with(&format!("{text}nodes = [\"{address}\"]\n{keys}\n"), &[])
}

/// Calls a method with these messages at once.
async fn unary(client: &mut Http2Client, call: http::request::Builder, messages: &[&str]) -> Http2Response {
    let (response, mut body) = client.begin(call, false).await.unwrap();
    for text in messages {
        body.send_data(message(text), false).unwrap();
    }
    body.send_data(Bytes::new(), true).unwrap();
    response.whole().await.unwrap()
}

#[test]
fn messages_go_both_ways_and_the_status_behind_them() {
    let server = server();
    let gateway = before(&server, "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for messages in [&["one"][..], &["one", "two", "three"], &[]] {
            let answered = unary(&mut client, call("Echoes"), messages).await;
            let sent: Vec<u8> = messages.iter().flat_map(|text| message(text)).collect();
            assert_eq!((answered.status, answered.body), (200, sent));
            assert_eq!(answered.trailers.unwrap()["grpc-status"], "0");
        }
        let failed = unary(&mut client, call("Fails"), &["one"]).await;
        assert_eq!((failed.status, failed.fields["grpc-status"].to_str().unwrap()), (200, "5"));
        assert_eq!(failed.fields["grpc-message"], "no such thing");
        assert!(failed.trailers.is_none() && failed.body.is_empty(), "there are trailers only");
    });
}

#[test]
fn a_conversation_has_both_directions_at_once() {
    let server = server();
    let gateway = before(&server, "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut body) = client.begin(call("Converses"), false).await.unwrap();
        let mut answer = response.head().await.unwrap().into_body();
        for text in ["one", "two", "three"] {
            body.send_data(message(text), false).unwrap();
            assert_eq!(answer.data().await.unwrap().unwrap(), message(text));
        }
        body.send_data(Bytes::new(), true).unwrap();
        assert!(answer.data().await.is_none());
        assert_eq!(answer.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}

/// What a call was answered with: its code and what it says in words.
fn told(answered: &Http2Response) -> (&str, &str) {
    assert_eq!((answered.status, answered.body.len()), (200, 0));
    assert_eq!(answered.fields["content-type"], "application/grpc");
    assert!(!answered.fields.contains_key("content-length"));
    let text = |name: &str| answered.fields[name].to_str().unwrap();
    (text("grpc-status"), text("grpc-message"))
}

#[test]
fn the_gateways_own_errors_are_told_as_grpc_does() {
    let server = server();
    let gateway = before(&server, "");
    let nowhere = TestNode::stopped();
    let dead = TestGateway::with(
        "[route.all]\npool = \"main\"\n[pool.main]\nprotocol = \"http2\"\nnodes = [{nodes}]\n",
        &[&nowhere],
    );
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let elsewhere =
            Request::post("http://a.test/other.Service/X").header("content-type", "application/grpc");
        assert_eq!(told(&unary(&mut client, elsewhere, &["one"]).await), ("12", "Not Found"));
        let mut client = Http2Client::connect(dead.address()).await;
        assert_eq!(told(&unary(&mut client, call("Echoes"), &["one"]).await), ("14", "Bad Gateway"));
        assert_eq!(client.get("/").await.unwrap().status, 502, "others see HTTP");
    });
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "no_route")]), 1.0);
}

#[test]
fn an_error_in_the_middle_is_told_behind_the_messages() {
    let server = server();
    let gateway = before(&server, "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (response, mut body) = client.begin(call("Breaks"), false).await.unwrap();
        let mut answer = response.head().await.unwrap().into_body();
        assert_eq!(answer.data().await.unwrap().unwrap(), message("first"));
        body.send_data(Bytes::new(), true).unwrap();
        assert!(answer.data().await.is_none());
        assert_eq!(answer.trailers().await.unwrap().unwrap()["grpc-status"], "14");
    });
}

#[test]
fn a_clients_deadline_ends_its_call_and_is_passed_on() {
    let server = server();
    let gateway = before(&server, "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let late = unary(&mut client, call("Hangs").header("grpc-timeout", "200m"), &["one"]).await;
        assert_eq!(told(&late), ("4", "Gateway Timeout"));
        until("the node is told that nobody waits", || server.cancelled() == 1).await;
        unary(&mut client, call("Echoes").header("grpc-timeout", "soon"), &["one"]).await;
    });
    let heads = server.heads();
    let left = heads[0].1.headers["grpc-timeout"].to_str().unwrap();
    let micros: u32 = left.strip_suffix('u').expect("in its finest unit").parse().unwrap();
    assert!((1..=200_000).contains(&micros), "{left}");
    assert_eq!(heads[1].1.headers["grpc-timeout"], "soon", "what makes no sense is the node's to refuse");
}

#[test]
fn a_node_that_says_it_cannot_serve_is_taken_out() {
    let broken = Http2Node::serving(|mut asked| async move {
        let mut head = answer();
        head.headers_mut().extend(fields(&[("grpc-status", "14")]));
        asked.close(head)
    });
    let (addresses, keys) =
        ((broken.address(), server()), "outlier = { failures = 3, ejection = \"100s\", max_ejected = 100 }");
    let text = "[route.all]\npool = \"main\"\n[pool.main]\nprotocol = \"http2\"\npanic = 0\n";
    let nodes = format!("nodes = [\"{}\", \"{}\"]", addresses.0, addresses.1.address());
    let gateway = TestGateway::with(&format!("{text}{nodes}\n{keys}\n"), &[]);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for _ in 0..6 {
            unary(&mut client, call("Echoes"), &["one"]).await;
        }
        until("it is taken out", || gateway.metric("bascule_pool_candidates", &[("pool", "main")]) == 1.0)
            .await;
        assert_eq!(unary(&mut client, call("Echoes"), &["one"]).await.trailers.unwrap()["grpc-status"], "0");
    });
}

/// A server of grpc.health.v1 that serves nothing but `good`.
fn checked() -> Http2Node {
    Http2Node::serving(|mut asked| async move {
        assert_eq!(asked.head.uri.path(), "/grpc.health.v1.Health/Check");
        assert_eq!(asked.head.headers["content-type"], "application/grpc");
        let (body, _) = asked.read().await?;
        if !body.ends_with(b"good") {
            let mut head = answer();
            head.headers_mut().extend(fields(&[("grpc-status", "5")]));
            return asked.close(head);
        }
        let mut out = asked.begin(answer())?;
        out.send_data(message("\x08\x01"), false)?;
        out.send_trailers(fields(OK))
    })
}

#[test]
fn nodes_are_checked_as_grpc_does() {
    let node = checked();
    for (service, is_well) in [("good", true), ("bad", false)] {
        let check = format!(
            "[pool.main.health]\ntype = \"grpc\"\nservice = \"{service}\"\ninterval = \"50ms\"\nunhealthy = 1"
        );
        let gateway = before(&node, &check);
        let healthy = || gateway.metric("bascule_node_healthy", &[("pool", "main")]) == 1.0;
        let snapshot = || gateway.admin("/snapshot").text();
        if is_well {
            wait_until("it is well", healthy);
        } else {
            wait_until("it is not", || !healthy());
            wait_until("the reason is told", || snapshot().contains("it does not know the service"));
        }
    }
}
