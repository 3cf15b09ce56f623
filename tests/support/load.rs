//! Clients that ask without a pause, each on a thread, over real sockets; they count what came of it.

use super::wire::{Otherwise, PATIENCE, Wire};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Whether a client keeps its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// As long as the gateway does.
    Kept,
    /// A new one for each request.
    Fresh,
}

/// What it is if a connection is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// A failure.
    Fails,
    /// The end: the listener is gone.
    Ends,
}

/// How long a client of [`Load::gently_on`] waits between two requests: enough that what is under test has the processor.
const PAUSE: Duration = Duration::from_millis(2);

/// Clients at work.
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// Two clients of each kind, until [`Load::stop`].
    pub fn on(address: SocketAddr) -> Load {
        Load::start(address, Refusal::Fails, Duration::ZERO)
    }

    /// The same with a pause between requests, for what takes long.
    pub fn gently_on(address: SocketAddr) -> Load {
        Load::start(address, Refusal::Fails, PAUSE)
    }

    /// The same until no connection is accepted any more.
    pub fn until_refused(address: SocketAddr) -> Load {
        Load::start(address, Refusal::Ends, Duration::ZERO)
    }

    fn start(address: SocketAddr, refusal: Refusal, pause: Duration) -> Load {
        let mut load = Load { over: Arc::default(), answered: Arc::default(), clients: Vec::new() };
        for kind in [Connections::Kept, Connections::Fresh] {
            for _ in 0..2 {
                let (over, answered) = (load.over.clone(), load.answered.clone());
                let client = Client { address, kind, refusal, pause };
                load.clients.push(thread::spawn(move || client.ask(&over, &answered)));
            }
        }
        load
    }

    /// Requests that were answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }

    /// Ends it, and fails if a request was not answered; how many were.
    pub fn stop(self) -> usize {
        self.over.store(true, SeqCst);
        self.ended()
    }

    /// Waits until each client has ended, and fails if a request was not answered; how many were.
    pub fn ended(self) -> usize {
        for client in self.clients {
            if let Err(why) = client.join().expect("a client does not panic") {
                panic!("{why}, after {} requests in all", self.answered.load(SeqCst));
            }
        }
        self.answered.load(SeqCst)
    }
}

/// One client.
struct Client {
    address: SocketAddr,
    kind: Connections,
    refusal: Refusal,
    pause: Duration,
}

impl Client {
    /// Asks until it is over.
    fn ask(&self, over: &AtomicBool, answered: &AtomicUsize) -> Result<(), String> {
        let Client { address, kind, refusal, pause } = *self;
        let mut kept: Option<(Wire, usize)> = None;
        while !over.load(SeqCst) {
            let (mut wire, number) = match kept.take() {
                Some(kept) => kept,
                None => match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(stream) => {
                        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                        (Wire::new(stream), 0)
                    }
                    Err(error)
                        if refusal == Refusal::Ends && error.kind() == ErrorKind::ConnectionRefused =>
                    {
                        return Ok(());
                    }
                    Err(error) => return Err(format!("cannot connect: {error}")),
                },
            };
            let fields = if kind == Connections::Fresh { "Connection: close\r\n" } else { "" };
            let sent = wire.send(format!("GET / HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n").as_bytes());
            let lost = || format!("request {} of a connection was not answered (sent: {sent})", number + 1);
            let head = wire.read_head().ok_or_else(lost)?;
            let body = wire.read_body(&head, Otherwise::UntilClose);
            if head.status() != 200 || !body.complete {
                return Err(format!("a request was answered with {}", head.start));
            }
            answered.fetch_add(1, SeqCst);
            let closes = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            if kind == Connections::Kept && !closes {
                kept = Some((wire, number + 1));
            }
            thread::sleep(pause);
        }
        Ok(())
    }
}
