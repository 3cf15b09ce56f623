//! Nodes that refuse, break, or break the rules.

use super::{before, pool};
use crate::support::http2::{Http2Client, converse, until};
use crate::support::{Http2Node, TestGateway};
use h2::Reason;
use http::{Request, Response};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[test]
fn what_a_node_refused_unseen_goes_to_another() {
    let refusing = Http2Node::serving(|mut asked| async move { asked.reset(Reason::REFUSED_STREAM) });
    let serving = Http2Node::serving(|mut asked| async move {
        let (body, _) = asked.read().await?;
        asked.answer(Response::new(()), &body).await
    });
    let gateway = before(&[&refusing, &serving], "");
    for _ in 0..4 {
        assert_eq!(gateway.client().post("/", "body").text(), "body");
    }
    assert_eq!((refusing.hits(), serving.hits()), (2, 4));
}

#[test]
fn a_reset_is_no_leave_to_do_it_twice() {
    let broken = Http2Node::serving(|mut asked| async move { asked.reset(Reason::INTERNAL_ERROR) });
    let serving = Http2Node::answering("hello");
    let gateway = before(&[&broken, &serving], "");
    let statuses: Vec<u16> = (0..4).map(|_| gateway.client().post("/", "body").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 2, "{statuses:?}");
    let answers: Vec<String> = (0..4).map(|_| gateway.get("/").text()).collect();
    assert_eq!(answers, ["hello"; 4], "a GET may be sent twice");
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "reset")]), 2.0);
}

#[test]
fn a_connection_that_breaks_fails_what_is_on_it() {
    let node = Http2Node::serving(|mut asked| async move {
        if asked.head.uri.path() == "/slow" {
            return asked.until_given_up().await;
        }
        asked.answer(Response::new(()), b"hello").await
    });
    let gateway = before(&[&node], "attempts = 1");
    converse(async {
        let client = Http2Client::connect(gateway.address()).await;
        let slow = (0..3).map(|_| {
            let mut client = client.clone();
            async move { client.get("/slow").await.unwrap().status }
        });
        let cutting = async {
            until("they are at the node", || node.hits() == 3).await;
            node.cut();
        };
        let (statuses, ()) = tokio::join!(futures_util::future::join_all(slow), cutting);
        assert_eq!(statuses, [502; 3]);
        assert_eq!(client.clone().get("/").await.unwrap().text(), "hello");
    });
    assert_eq!(node.connections(), 2);
}

#[test]
fn a_response_that_is_cut_off_is_reset() {
    let node = Http2Node::serving(|mut asked| async move {
        let mut answer = asked.begin(Response::builder().header("content-length", "10").body(()).unwrap())?;
        answer.send_data("half".into(), false)?;
        // The client has the head when it ends its request.
        asked.read().await?;
        if asked.head.uri.path() == "/short" {
            return answer.send_data("".into(), true);
        }
        answer.send_reset(Reason::INTERNAL_ERROR);
        Ok(())
    });
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for path in ["/reset", "/short"] {
            let request = Request::post(format!("http://a.test{path}"));
            let (response, mut body) = client.begin(request, false).await.unwrap();
            let mut answer = response.head().await.unwrap().into_body();
            body.send_data("".into(), true).unwrap();
            let mut ended = answer.data().await;
            if let Some(Ok(half)) = &ended {
                assert_eq!(half, "half");
                ended = answer.data().await;
            }
            assert_eq!(ended.unwrap().unwrap_err().reason(), Some(Reason::INTERNAL_ERROR), "{path}");
        }
    });
}

#[test]
fn each_node_has_its_time_to_begin_the_answer() {
    let silent = || Http2Node::serving(|mut asked| async move { asked.until_given_up().await });
    let nodes = [silent(), silent()];
    let gateway = before(&[&nodes[0], &nodes[1]], "attempts = 2\nfirst_byte_timeout = \"200ms\"");
    assert_eq!(gateway.get("/").status, 504);
    assert_eq!(nodes.each_ref().map(Http2Node::hits), [1, 1]);
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "first_byte_timeout")]), 1.0);
}

/// A literal field of HPACK that nobody remembers (RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A node of bare frames: greets, and answers the first request of each connection with this block of fields.
struct BareNode {
    address: SocketAddr,
    stopped: std::sync::Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl BareNode {
    fn answering(block: Vec<u8>) -> BareNode {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = std::sync::Arc::new(AtomicBool::new(false));
        let told = stopped.clone();
        let thread = std::thread::spawn(move || {
            while let (Ok((mut tcp, _)), false) = (listener.accept(), told.load(SeqCst)) {
                let _gone = serve_bare(&mut tcp, &block);
            }
        });
        BareNode { address, stopped, thread: Some(thread) }
    }
}

impl Drop for BareNode {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        let _wake = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _failed = thread.join();
        }
    }
}

fn serve_bare(tcp: &mut TcpStream, block: &[u8]) -> std::io::Result<()> {
    tcp.set_read_timeout(Some(crate::support::PATIENCE))?;
    tcp.write_all(&frame(4, 0, 0, &[]))?;
    tcp.read_exact(&mut [0; 24])?;
    loop {
        let mut head = [0; 9];
        tcp.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        tcp.read_exact(&mut vec![0; length as usize])?;
        if head[3] == 1 {
            tcp.write_all(&frame(1, 4, head[8], block))?;
            tcp.write_all(&frame(0, 1, head[8], b"hello"))?;
        }
    }
}

#[test]
fn a_response_that_breaks_the_rules_is_a_502() {
    const OK: u8 = 0x88; // `:status: 200`
    let with = |name, value| [vec![OK], field(name, value)].concat();
    for (block, status) in [
        (with("x-fine", "1"), 200),
        (with("X-Upper", "1"), 502),
        (with("connection", "close"), 502),
        (with("transfer-encoding", "chunked"), 502),
        (with("content-length", "5, 5"), 502),
        (with("content-length", "+5"), 502),
        (field(":status", "101"), 502),
        (field(":status", "99"), 502),
        (field(":status", "999"), 502),
        (field("x-no-status", "1"), 502),
        ([with("x-a", "1"), field(":status", "200")].concat(), 502),
        (with("x-a", "a\0b"), 502),
        (with("x-a", "a\r\nb: c"), 502),
    ] {
        let node = BareNode::answering(block.clone());
        let gateway = TestGateway::with(&pool(&format!("\"{}\"", node.address), "attempts = 1"), &[]);
        assert_eq!(gateway.get("/").status, status, "{}", block.escape_ascii());
    }
}
