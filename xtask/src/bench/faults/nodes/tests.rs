use super::*;
use crate::client::Connection;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

fn two() -> Nodes {
    let service = Service { places: 4, mean: Duration::from_micros(100) };
    Nodes::start(&mut Ports::new(), &[service, service], 1).expect("two free ports")
}

/// A connection that was asked something and may be read from.
fn asked(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    stream
}

/// Waits until the first node works on so many requests: it counts on its own thread.
fn until_working(nodes: &Nodes, count: usize) {
    let working = || (nodes.working(0) == count).then_some(());
    crate::tools::poll(Duration::from_secs(20), working).expect("requests arrive and are answered");
}

#[test]
fn it_answers_counts_and_fails_as_it_is_told() {
    let nodes = two();
    let mut connection = Connection::open(nodes.ports()[0]).expect("it listens");
    for (manner, status) in
        [(Manner::Well, 200), (Manner::Failing, 500), (Manner::Slow(Duration::from_millis(1)), 200)]
    {
        nodes.set(0, manner);
        // The manner is there before the request is: it is set at once, and looked at when the request arrives.
        assert_eq!(connection.get("/", &[]).expect("an answer").status, status);
    }
    assert_eq!(nodes.asked(), [3, 0]);
    until_working(&nodes, 0);
}

#[test]
fn a_killed_node_resets_and_refuses_until_it_is_back() {
    let nodes = two();
    let port = nodes.ports()[0];
    nodes.set(0, Manner::Silent);
    let mut stream = asked(port);
    until_working(&nodes, 1);
    nodes.set(0, Manner::Killed);
    let error = stream.read(&mut [0; 100]).expect_err("no answer and no end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let refused = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err().then_some(());
    crate::tools::poll(Duration::from_secs(20), refused).expect("it refuses");
    nodes.set(0, Manner::Well);
    let back = || Connection::open(port).ok()?.get("/", &[]).ok();
    assert_eq!(crate::tools::poll(Duration::from_secs(20), back).expect("it is back").status, 200);
}

#[test]
fn a_stopped_node_answers_first() {
    let nodes = two();
    nodes.set(0, Manner::Slow(Duration::from_millis(50)));
    let mut stream = asked(nodes.ports()[0]);
    until_working(&nodes, 1);
    nodes.set(0, Manner::Stopped);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and an end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_vanished_node_says_nothing_at_all() {
    let nodes = two();
    let [gone, here] = nodes.ports()[..] else { panic!("two") };
    let mut stream = asked(gone);
    stream.read_exact(&mut [0; 15]).expect("it was there");
    nodes.set(0, Manner::Vanished);
    // It takes the manner up on its own thread: from some moment on, nobody can connect, and nobody is refused.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, gone));
    let lost = || {
        let connected = TcpStream::connect_timeout(&address, Duration::from_millis(100));
        connected.is_err_and(|error| error.kind() == ErrorKind::TimedOut).then_some(())
    };
    crate::tools::poll(Duration::from_secs(20), lost).expect("its packets are dropped");
    assert_eq!(crate::client::get(here, "/", &[]).expect("the other is there").status, 200);
}
