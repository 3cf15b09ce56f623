//! Bodies of any size in constant memory, and ten thousand connections.
//!
//! The gateway is a process of its own here, so that its memory is its own too.

use crate::support::{GatewayProcess, PATIENCE, TestClient, TestGateway, TestNode, wait_until};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};

const GIGABYTE: u64 = 1_000_000_000;
/// What the gateway may grow by while a body passes. Its buffers are some 100 KB; this is far below any body.
const GROWTH: u64 = 16 << 20;

/// A body that tells every byte's place: each 64 KB are these.
fn block() -> Vec<u8> {
    (0..BLOCK).map(|at| (at % 251) as u8 ^ (at / 251) as u8).collect()
}
const BLOCK: usize = 64 * 1024;

/// Sends the first `count` bytes of the body.
fn send_body(mut send: impl FnMut(&[u8]) -> bool, count: u64) {
    let block = block();
    let mut left = count;
    while left > 0 {
        let now = block.len().min(left as usize);
        assert!(send(&block[..now]), "the other end took no more with {left} bytes to go");
        left -= now as u64;
    }
}

/// Checks each piece of the body against its place.
struct Checker {
    block: Vec<u8>,
    at: usize,
}

impl Checker {
    fn new() -> Checker {
        Checker { block: block(), at: 0 }
    }

    fn check(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let now = piece.len().min(BLOCK - self.at);
            assert!(piece[..now] == self.block[self.at..self.at + now], "a byte differs");
            self.at = (self.at + now) % BLOCK;
            piece = &piece[now..];
        }
    }
}

/// Runs what moves a body, and checks that the gateway's memory stayed flat.
fn assert_flat_memory(gateway: &GatewayProcess, mut moving: impl FnMut(&mut TestClient)) {
    let mut client = gateway.client();
    let before = gateway.memory();
    moving(&mut client);
    let after = gateway.memory();
    assert!(after.peak < before.peak + GROWTH, "before {before:?}, after {after:?}");
    let answer = client.get("/").status;
    assert_eq!(answer, 200, "the connection lives on");
}

/// Answers with `GIGABYTE` bytes below /down, takes what comes below /up, and says "fine" elsewhere.
fn node_with_large_bodies() -> TestNode {
    TestNode::scripted(|connection| {
        while let Some(head) = connection.read_head() {
            if head.start.contains("/down") {
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
                send_body(|piece| connection.send(piece), GIGABYTE);
                continue;
            }
            if head.start.contains("/up") {
                let mut checker = Checker::new();
                let came = connection.read_pieces(GIGABYTE, |piece| checker.check(piece));
                assert_eq!(came, GIGABYTE);
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    })
}

#[test]
fn a_gigabyte_goes_down_in_constant_memory() {
    let node = node_with_large_bodies();
    let gateway = GatewayProcess::before(&[&node]);
    assert_flat_memory(&gateway, |client| {
        client.send("GET /down HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.read_head().status(), 200);
        let mut checker = Checker::new();
        assert_eq!(client.read_pieces(GIGABYTE, |piece| checker.check(piece)), GIGABYTE);
    });
}

#[test]
fn a_gigabyte_goes_up_in_constant_memory() {
    let node = node_with_large_bodies();
    let gateway = GatewayProcess::before(&[&node]);
    assert_flat_memory(&gateway, |client| {
        client.send(format!("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
        send_body(|piece| client.try_send(piece), GIGABYTE);
        assert_eq!(client.read_response().text(), "fine");
    });
}

/// So much fits into the sockets' buffers on both sides of the gateway, at the very most.
const IN_SOCKETS: u64 = 32 << 20;

#[test]
fn a_slow_reader_makes_the_node_wait() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let node = TestNode::scripted(move |connection| {
        connection.read_request();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
        let block = block();
        while connection.send(&block) {
            count.fetch_add(block.len() as u64, SeqCst);
        }
    });
    let gateway = GatewayProcess::before(&[&node]);
    let before = gateway.memory();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    wait_until_it_stands(&sent);
    assert!(sent.load(SeqCst) < IN_SOCKETS, "{} bytes were taken for nobody", sent.load(SeqCst));
    assert!(gateway.memory().peak < before.peak + GROWTH);

    // It goes on as soon as the client does.
    let stood = sent.load(SeqCst);
    client.read_pieces(2 * IN_SOCKETS, |_| {});
    wait_until("the node sends again", || sent.load(SeqCst) > stood);
    drop(client);
    wait_until("the node sees that the client is gone", || node.open_connections() == 0);
}

#[test]
fn a_slow_node_makes_the_client_wait() {
    let (go_on, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let node = TestNode::scripted(move |connection| {
        connection.read_head();
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        assert_eq!(connection.read_pieces(2 * IN_SOCKETS, |_| {}), 2 * IN_SOCKETS);
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gateway = GatewayProcess::before(&[&node]);
    let before = gateway.memory();
    let sent = Arc::new(AtomicU64::new(0));
    let mut client = gateway.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", 2 * IN_SOCKETS));
    std::thread::scope(|scope| {
        let count = sent.clone();
        let client = &mut client;
        scope.spawn(move || {
            send_body(
                |piece| {
                    count.fetch_add(piece.len() as u64, SeqCst);
                    client.try_send(piece)
                },
                2 * IN_SOCKETS,
            );
        });
        wait_until_it_stands(&sent);
        assert!(sent.load(SeqCst) < IN_SOCKETS, "{} bytes were taken for nobody", sent.load(SeqCst));
        assert!(gateway.memory().peak < before.peak + GROWTH);
        go_on.send(()).unwrap();
    });
    assert_eq!(client.read_response().text(), "fine");
}

/// Waits until a number moved and then moved no more for a while.
fn wait_until_it_stands(number: &AtomicU64) {
    let mut last = (0, std::time::Instant::now());
    wait_until("nothing moves any more", || {
        let now = number.load(SeqCst);
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        now > 0 && last.1.elapsed().as_millis() > 300
    });
}

#[test]
fn a_client_that_leaves_within_a_large_body_ends_the_nodes_connection() {
    let (ended, ends) = mpsc::channel();
    let node = TestNode::scripted(move |connection| {
        let Some(head) = connection.read_head() else {
            return;
        };
        if head.start.starts_with("GET") {
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
            while connection.send([0; 10_000]) {}
        } else {
            assert!(connection.read_pieces(GIGABYTE, |_| {}) < GIGABYTE);
        }
        ended.send(()).unwrap();
    });
    let gateway = TestGateway::before(&[&node]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {GIGABYTE}\r\n\r\n"),
    ] {
        for reset in [false, true] {
            let mut client = gateway.client();
            client.send(&request);
            if request.starts_with("GET") {
                client.read_bytes(100_000);
            } else {
                send_body(|piece| client.try_send(piece), 1_000_000);
            }
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            let seen = ends.recv_timeout(PATIENCE);
            assert!(seen.is_ok(), "the node still waits: {request}, reset: {reset}");
        }
    }
}

/// As many as a process takes that may have 20,000 descriptors: half of them are for nodes, and some for neither.
const CONNECTIONS: usize = 9_900;
const DESCRIPTORS: u64 = 20_000;

#[test]
fn nearly_ten_thousand_connections_are_served_at_once() {
    raise_the_limit_of_open_files(DESCRIPTORS);
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::before(&[&node]);
    let before = gateway.memory().now;
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| gateway.client()).collect();
    // In waves, all connections staying open: the node's own threads are the bound, not the gateway.
    for wave in clients.chunks_mut(50) {
        for client in wave.iter_mut() {
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        }
        for client in wave {
            assert_eq!(client.read_response().text(), "fine");
        }
    }
    assert_eq!(node.hits(), CONNECTIONS);
    assert!(node.connections() <= 64, "{} connections to the node", node.connections());
    let each = (gateway.memory().now - before) / CONNECTIONS as u64;
    assert!(each < 12 * 1024, "{each} bytes for each idle connection");
}

/// The gateway inherits it.
fn raise_the_limit_of_open_files(needed: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
    let granted = limit.maximum.unwrap_or(u64::MAX);
    assert!(granted >= needed, "this test needs {needed} open files (ulimit -Hn), it may have {granted}");
}
