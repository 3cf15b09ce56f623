//! A connection to a node, without a socket.

#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::LocalSet;

use super::*;

/// Short enough for a test; what comes of it does not hang on how short.
const IMPATIENT: Patience = Patience {
    look: Duration::from_millis(5),
    silence: Duration::from_millis(10),
    quiet: Duration::from_millis(10),
    answer: Duration::from_millis(500),
};
/// An empty SETTINGS: the shortest greeting.
const GREETING: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

fn converse(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, conversation);
}

fn get() -> Request<()> {
    Request::get("http://a.test/").body(()).unwrap()
}

async fn answer(shared: &Rc<SharedConnection>) -> Result<u16, Lost> {
    let stream = shared.send(get(), true)?;
    let stream = stream.as_http2().unwrap();
    poll_fn(|cx| stream.poll_head(cx)).await.map(|(head, _)| head.status().as_u16())
}

/// A node that takes one request at once, and answers so late that it is asked before whether it lives.
async fn slow_node(io: DuplexStream) {
    let mut builder = h2::server::Builder::new();
    let mut node = builder.max_concurrent_streams(1).handshake::<_, Bytes>(io).await.unwrap();
    while let Some(Ok((_, mut respond))) = node.accept().await {
        let pinged = tokio::time::sleep(Duration::from_millis(200));
        tokio::select! {
            _ = poll_fn(|cx| node.poll_closed(cx)) => return,
            () = pinged => drop(respond.send_response(http::Response::new(()), true)),
        }
    }
}

#[test]
fn a_node_that_answers_pings_is_only_slow() {
    converse(async {
        let (ours, theirs) = duplex(1 << 16);
        tokio::task::spawn_local(slow_node(theirs));
        let shared = SharedConnection::greet_over(ours, IMPATIENT).await.unwrap();
        assert_eq!(answer(&shared).await, Ok(200));
        assert!(shared.is_open());
    });
}

/// A node of bare frames that answers its first request behind so many PINGs.
async fn pinged_node(mut io: DuplexStream, pings: usize) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    const PING: u8 = 6;
    io.write_all(&GREETING).await?;
    io.read_exact(&mut [0; 24]).await?;
    let (mut asked, mut pinged) = (false, 0);
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        io.read_exact(&mut payload).await?;
        match head[3] {
            HEADERS => asked = true,
            PING => {
                pinged += 1;
                io.write_all(&[0, 0, 8, PING, 1, 0, 0, 0, 0]).await?;
                io.write_all(&payload).await?;
            }
            _ => {}
        }
        if asked && pinged == pings {
            // `:status: 200`, the end of the head and of the stream.
            io.write_all(&[0, 0, 1, HEADERS, 5, 0, 0, 0, 1, 0x88]).await?;
        }
    }
}

#[test]
fn a_node_that_is_silent_is_pinged_as_long_as_it_answers() {
    converse(async {
        let (ours, theirs) = duplex(1 << 16);
        tokio::task::spawn_local(pinged_node(theirs, 3));
        let shared = SharedConnection::greet_over(ours, IMPATIENT).await.unwrap();
        assert_eq!(answer(&shared).await, Ok(200));
    });
}

#[test]
fn a_node_that_answers_no_ping_is_dead() {
    converse(async {
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(&GREETING).await.unwrap();
        let shared = SharedConnection::greet_over(ours, IMPATIENT).await.unwrap();
        assert_eq!(answer(&shared).await, Err(Lost::Broken), "the connection is open, but nobody is there");
        assert!(!shared.is_open());
    });
}

#[test]
fn a_place_is_given_back_and_an_idle_connection_grows_stale() {
    converse(async {
        let (ours, theirs) = duplex(1 << 16);
        tokio::task::spawn_local(slow_node(theirs));
        let shared = SharedConnection::greet_over(ours, Patience::USUAL).await.unwrap();
        shared.keep(Duration::from_secs(60));
        let hours_later = Instant::now() + Duration::from_secs(10_000);
        assert!(shared.has_room() && !shared.is_idle());
        let stream = shared.send(get(), true).unwrap();
        assert!(!shared.has_room(), "the node takes one");
        assert!(!shared.is_stale(hours_later));
        drop(stream);
        assert!(shared.has_room() && shared.is_idle());
        assert!(!shared.is_stale(Instant::now()) && shared.is_stale(hours_later));
    });
}

#[test]
fn who_speaks_another_protocol_is_found_out_at_the_greeting() {
    converse(async {
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let error = SharedConnection::greet_over(ours, Patience::USUAL).await.map(drop).unwrap_err();
        assert!(error.to_string().starts_with("the node does not speak HTTP/2"), "{error}");
    });
}
