//! What a node does with its listening socket and its connections, in each manner.

use super::{Manner, Node};
use socket2::{SockFilter, SockRef};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";
const BAD: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nbad\n";

/// Accepts until the nodes end.
pub(super) async fn node(node: Arc<Node>, listener: std::net::TcpListener) {
    let mut manner = node.manner.subscribe();
    let mut open = Some(TcpListener::from_std(listener).expect("it was made for a runtime"));
    loop {
        let now = *manner.borrow_and_update();
        if matches!(now, Manner::Killed | Manner::Stopped) {
            open = None; // connections are refused from here on
        } else if open.is_none() {
            open = Some(listen_again(node.port).await);
        }
        let accepting = async {
            let Some(listener) = &open else { return std::future::pending().await };
            reachable(listener, now != Manner::Vanished);
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(connection(node.clone(), stream))),
                    // Too few descriptors: some will be free soon.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let changed = tokio::select! {
            changed = manner.changed() => changed,
            () = accepting => unreachable!("it accepts for ever"),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// The port is in nobody's range but the nodes', so it is free, or will be in a moment.
async fn listen_again(port: u16) -> TcpListener {
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Lets packets through to a socket, or makes the kernel drop all of them before TCP sees them: no answer, no reset.
/// Unlike rules of a firewall this takes no privilege, and ends with the socket.
fn reachable(socket: &impl AsFd, yes: bool) {
    /// A classic BPF program of one instruction, "return 0": nothing of the packet is kept.
    const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);
    let socket = SockRef::from(socket);
    if yes {
        _ = socket.detach_filter(); // most have none
    } else {
        socket.attach_filter(&[DROP_ALL]).expect("the kernel takes a filter of one instruction");
    }
}

/// Serves one connection, request by request.
async fn connection(node: Arc<Node>, mut stream: TcpStream) {
    let mut manner = node.manner.subscribe();
    let mut input = Vec::with_capacity(1024);
    _ = stream.set_nodelay(true); // only a matter of speed
    loop {
        match *manner.borrow_and_update() {
            Manner::Killed => return reset(&stream),
            Manner::Stopped => return,
            Manner::Vanished => reachable(&stream, false),
            _ => {}
        }
        tokio::select! {
            read = stream.read_buf(&mut input) => if !matches!(read, Ok(1..)) { return },
            changed = manner.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        while let Some(length) = head(&input) {
            input.drain(..length);
            node.working.fetch_add(1, Relaxed);
            let answered = answer(&node, &mut stream, &mut manner).await;
            node.working.fetch_sub(1, Relaxed);
            if !answered {
                return;
            }
        }
    }
}

/// The length of the head at the front; requests have no bodies here.
fn head(input: &[u8]) -> Option<usize> {
    input.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Ends a connection with RST instead of FIN when it is dropped.
fn reset(stream: &TcpStream) {
    _ = SockRef::from(stream).set_linger(Some(Duration::ZERO)); // the peer may have ended it
}

/// Answers one request in its time; whether the connection goes on.
async fn answer(node: &Node, stream: &mut TcpStream, manner: &mut Receiver<Manner>) -> bool {
    node.asked.fetch_add(1, Relaxed);
    let now = Instant::now();
    let (mut due, text) = match *manner.borrow() {
        Manner::Slow(delay) => (Some(now + delay), GOOD),
        Manner::Failing => (Some(now), BAD),
        Manner::Silent | Manner::Vanished => (None, GOOD),
        Manner::Well | Manner::Killed | Manner::Stopped => {
            (Some(node.queue.lock().expect("no holder panics").served_at(now)), GOOD)
        }
    };
    loop {
        let wait = async {
            match due {
                Some(due) if due <= now => {}
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => return stream.write_all(text).await.is_ok(),
            changed = manner.changed() => if changed.is_err() { return false },
        }
        match *manner.borrow_and_update() {
            Manner::Killed => {
                reset(stream);
                return false;
            }
            Manner::Vanished => {
                reachable(stream, false);
                due = None;
            }
            Manner::Silent => due = None,
            // What it forgot it does not remember.
            _ if due.is_none() => return false,
            _ => {}
        }
    }
}
