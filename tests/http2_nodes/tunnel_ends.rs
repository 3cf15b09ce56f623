//! How tunnels to nodes of HTTP/2 end, and what stalls in them.

use super::before;
use crate::support::http2::{Http2Client, converse, until};
use crate::support::websocket::{echo, echoes, open};
use crate::support::{Asked, Http2Node, TestClient, TestGateway, wait_until};
use bytes::Bytes;
use futures_util::StreamExt;
use h2::Reason;
use http::Response;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio_tungstenite::tungstenite::Message;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A node that takes extended CONNECT.
fn node<A: Future<Output = Result<(), h2::Error>> + 'static>(
    script: impl Fn(Asked) -> A + Send + Sync + 'static,
) -> Http2Node {
    Http2Node::set_up(|settings| _ = settings.enable_connect_protocol(), script)
}

fn tunnels(gateway: &TestGateway) -> f64 {
    gateway.metric("bascule_node_tunnels", &[])
}

/// Opens a tunnel by bare bytes.
fn upgraded(gateway: &TestGateway) -> TestClient {
    let mut client = gateway.client();
    assert_eq!(client.send(HANDSHAKE).read_head().status(), 101);
    client
}

#[test]
fn each_side_ends_by_itself() {
    let node = node(|mut asked| async move {
        let mut sending = asked.begin(Response::new(()))?;
        let (all, trailers) = asked.read().await?;
        assert!(trailers.is_none());
        sending.send_data(format!("{} bytes", all.len()).into(), false)?;
        sending.send_data("".into(), true)
    });
    let gateway = before(&[&node], "");
    assert_eq!(upgraded(&gateway).send("all of it").half_close().read_to_end(), b"9 bytes");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (answer, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("all of it".into(), false).unwrap();
        // A tunnel has no trailers.
        sending
            .send_trailers([("x-late".parse().unwrap(), "1".parse().unwrap())].into_iter().collect())
            .unwrap();
        let mut body = answer.into_body();
        let mut came = Vec::new();
        while let Some(piece) = body.data().await {
            came.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(came, b"9 bytes");
    });
    wait_until("no tunnel is open", || tunnels(&gateway) == 0.0);
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
    assert_eq!(node.connections(), node.open_connections(), "its connections stay");
}

#[test]
fn a_node_that_ends_first_is_still_told_what_comes() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let node = node(move |mut asked| {
        let count = count.clone();
        async move {
            asked.begin(Response::new(()))?.send_data("bye".into(), true)?;
            let (rest, _) = asked.read().await?;
            count.fetch_add(rest.len(), SeqCst);
            Ok(())
        }
    });
    let gateway = before(&[&node], "");
    let mut client = upgraded(&gateway);
    assert_eq!(client.read_to_end(), b"bye");
    client.send("and to you").half_close();
    wait_until("the node has it", || told.load(SeqCst) == 10);
}

/// Agrees, and when it has a byte ends the stream by this reason.
fn resetting() -> Http2Node {
    node(|mut asked| async move {
        let mut sending = asked.begin(Response::new(()))?;
        match asked.piece().await? {
            Some(piece) if piece == "die" => sending.send_reset(Reason::INTERNAL_ERROR),
            Some(piece) => {
                sending.send_data(piece, false)?;
                asked.read().await?;
            }
            None => {}
        }
        Ok(())
    })
}

#[test]
fn a_reset_of_the_nodes_ends_that_tunnel_alone() {
    let node = resetting();
    let gateway = before(&[&node], "");
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (one, mut to_one) = client.connect_for("websocket", &[]).await.unwrap();
        let (other, mut to_other) = client.connect_for("websocket", &[]).await.unwrap();
        to_one.send_data("die".into(), false).unwrap();
        let lost = one.into_body().data().await.unwrap().unwrap_err();
        assert_eq!(lost.reason(), Some(Reason::INTERNAL_ERROR));
        to_other.send_data("live".into(), false).unwrap();
        assert_eq!(other.into_body().data().await.unwrap().unwrap(), "live");
        assert_eq!(node.connections(), 1);
    });
    // A reset of the client's connection could destroy what is on its way.
    assert_eq!(upgraded(&gateway).send("die").read_to_end(), b"");
    wait_until("they are counted", || gateway.route_errors("reset") == 2.0);
}

#[test]
fn a_node_that_is_lost_ends_all() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut alone = open(gateway.address()).await;
        let mut shared = connection.open_websocket().await;
        echoes(&mut alone, "hello").await;
        echoes(&mut shared, "hello").await;
        node.cut();
        assert!(!matches!(alone.next().await, Some(Ok(_))), "nothing comes any more");
        assert!(!matches!(shared.next().await, Some(Ok(_))));
        until("they are counted", || gateway.route_errors("reset") == 2.0).await;
        assert_eq!(tunnels(&gateway), 0.0);
        echoes(&mut open(gateway.address()).await, "on another connection").await;
    });
}

#[test]
fn a_node_that_says_goodbye_keeps_its_tunnels() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "");
    converse(async {
        let mut connection = Http2Client::connect(gateway.address()).await;
        let mut first = connection.open_websocket().await;
        echoes(&mut first, "hello").await;
        node.say_goodbye();
        until("others go to another connection", || {
            node.connections() == 2 || {
                // Each opens and leaves at once.
                drop(upgraded(&gateway));
                false
            }
        })
        .await;
        echoes(&mut first, "still here").await;
    });
}

#[test]
fn a_client_that_is_lost_gives_its_tunnel_up() {
    let node = node(|mut asked| async move {
        let _sending = asked.begin(Response::new(()))?;
        while asked.piece().await?.is_some() {}
        Ok(())
    });
    let gateway = before(&[&node], "");
    upgraded(&gateway).reset();
    wait_until("the node is told", || node.cancelled() == 1);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (_answer, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_reset(Reason::CANCEL);
        until("the node is told again", || node.cancelled() == 2).await;
    });
    wait_until("no tunnel is open", || tunnels(&gateway) == 0.0);
}

/// Sends as long as there is room, and counts it.
async fn flood(mut sending: h2::SendStream<Bytes>, count: Arc<AtomicUsize>) -> Result<(), h2::Error> {
    loop {
        sending.reserve_capacity(16 * 1024);
        let Some(room) = poll_fn(|cx| sending.poll_capacity(cx)).await else { return Ok(()) };
        let room = room?;
        sending.send_data(vec![0; room].into(), false)?;
        count.fetch_add(room, SeqCst);
    }
}

/// Windows and buffers of both sides of the gateway; what nobody takes stops before.
const MOST_AHEAD: usize = 600 * 1024;

#[test]
fn a_client_that_takes_nothing_stops_the_node() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let node = node(move |mut asked| {
        let count = count.clone();
        async move {
            let mut sending = asked.begin(Response::new(()))?;
            match asked.piece().await? {
                Some(piece) if piece == "flood" => flood(sending, count).await,
                _ => {
                    sending.send_data("hello".into(), true)?;
                    asked.read().await.map(drop)
                }
            }
        }
    });
    let gateway = before(&[&node], "between_bytes_timeout = \"500ms\"");
    converse(async {
        // One window for each stream, and room on the connection for several.
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(16_000).initial_connection_window_size(1_000_000);
        let mut client = Http2Client::connect_with(gateway.address(), &settings).await;
        let (_unread, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("flood".into(), false).unwrap();
        until("it floods", || sent.load(SeqCst) > 100_000).await;
        // The tunnel beside it is on the same connection to the node.
        let (other, mut sending) = client.connect_for("websocket", &[]).await.unwrap();
        sending.send_data("and you?".into(), true).unwrap();
        assert_eq!(other.into_body().data().await.unwrap().unwrap(), "hello");
        until("it is let go", || gateway.route_errors("tunnel_timeout") == 1.0).await;
    });
    let sent = sent.load(SeqCst);
    assert!(sent <= MOST_AHEAD, "{sent} bytes");
    assert_eq!(node.connections(), 1);
}

#[test]
fn a_node_that_takes_nothing_stops_the_client() {
    let node = node(|mut asked| async move {
        let mut sending = asked.begin(Response::new(()))?;
        Err(poll_fn(|cx| sending.poll_reset(cx)).await?.into())
    });
    let gateway = before(&[&node], "between_bytes_timeout = \"500ms\"");
    let sent = Arc::new(AtomicUsize::new(0));
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        let (_answer, sending) = client.connect_for("websocket", &[]).await.unwrap();
        let flooding = flood(sending, sent.clone());
        let ending = until("it is let go", || gateway.route_errors("tunnel_timeout") == 1.0);
        let _ended = futures_util::future::select(Box::pin(flooding), Box::pin(ending)).await;
    });
    wait_until("the node is told", || node.cancelled() == 1);
    let sent = sent.load(SeqCst);
    assert!((64 * 1024..=MOST_AHEAD).contains(&sent), "{sent} bytes");
}

#[test]
fn one_in_which_nothing_moves_ends_in_the_end() {
    let node = Http2Node::talking(echo);
    let gateway = before(&[&node], "tunnel_timeout = \"300ms\"");
    converse(async {
        let mut client = open(gateway.address()).await;
        assert!(!matches!(client.next().await, Some(Ok(Message::Text(_)))));
        until("it is counted", || gateway.route_errors("tunnel_timeout") == 1.0).await;
    });
}

#[test]
fn a_node_that_does_not_answer_gives_way_to_another() {
    let silent = node(|mut asked| async move { asked.until_given_up().await });
    let serving = Http2Node::talking(echo);
    let gateway = before(&[&silent, &serving], "first_byte_timeout = \"300ms\"");
    converse(async {
        for _ in 0..2 {
            echoes(&mut open(gateway.address()).await, "hello").await;
        }
    });
    assert_eq!((silent.hits(), serving.hits()), (1, 2));
    wait_until("the other is told", || silent.cancelled() == 1);
}
