//! A node that answers as it is told and remembers what it was asked.
//!
//! Each connection is served by a thread with blocking reads, so a script reads like the exchange that it stands for.

use super::wire::{Body, Head, Otherwise, Wire};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a node was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// On which of its connections, counted from 1.
    pub connection: usize,
    /// The request line and the header fields.
    pub head: Head,
    /// What followed.
    pub body: Body,
}

impl Request {
    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap_or_default()
    }

    /// The path with its query.
    pub fn path(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap_or_default()
    }
}

/// What an answering node says.
#[derive(Clone, Default)]
struct Answer {
    status: u16,
    fields: String,
    body: Vec<u8>,
    delay: Duration,
}

type Script = Box<dyn Fn(&mut Connection) + Send + Sync>;

/// The connections that are open, by number.
#[derive(Default)]
struct Open {
    streams: HashMap<usize, TcpStream>,
    stopped: bool,
}

struct Inner {
    answer: Mutex<Answer>,
    script: Option<Script>,
    seen: Mutex<Vec<Request>>,
    accepted: AtomicUsize,
    open: Mutex<Open>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    failed: AtomicBool,
}

/// A node. It stops when it is dropped, and fails the test if one of its scripts failed.
pub struct TestNode {
    inner: Arc<Inner>,
    listener: Arc<TcpListener>,
    address: SocketAddr,
}

impl TestNode {
    /// Answers every request with 200 and this body, and keeps connections alive.
    pub fn answering(body: impl Into<Vec<u8>>) -> TestNode {
        let answer = Answer { status: 200, body: body.into(), ..Answer::default() };
        TestNode::start(answer, None)
    }

    /// Plays this script on each connection; the connection ends with it.
    pub fn scripted(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> TestNode {
        TestNode::start(Answer::default(), Some(Box::new(script)))
    }

    /// An address where nobody listens: connections to it are refused. It stays taken while the node lives.
    pub fn stopped() -> TestNode {
        let node = TestNode::answering("");
        node.stop();
        node
    }

    /// Waits before each answer.
    pub fn with_delay(self, delay: Duration) -> TestNode {
        self.inner.answer.lock().unwrap().delay = delay;
        self
    }

    /// Answers with this status.
    pub fn with_status(self, status: u16) -> TestNode {
        self.set_status(status);
        self
    }

    /// Adds a field to each answer.
    pub fn with_header(self, name: &str, value: &str) -> TestNode {
        self.inner.answer.lock().unwrap().fields += &format!("{name}: {value}\r\n");
        self
    }

    /// Answers with this status from now on.
    pub fn set_status(&self, status: u16) {
        self.inner.answer.lock().unwrap().status = status;
    }

    fn start(answer: Answer, script: Option<Script>) -> TestNode {
        let listener = Arc::new(listen_on_a_port_of_its_own());
        let inner = Inner {
            answer: Mutex::new(answer),
            script,
            seen: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        };
        let node = TestNode {
            inner: Arc::new(inner),
            address: listener.local_addr().expect("it is bound"),
            listener,
        };
        node.accept();
        node
    }

    fn accept(&self) {
        self.inner.open.lock().unwrap().stopped = false;
        let (inner, listener) = (self.inner.clone(), self.listener.clone());
        thread::spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let inner = inner.clone();
                        thread::spawn(move || inner.serve(stream));
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(_) => return, // it was stopped
                }
            }
        });
    }

    /// Refuses connections and ends those that are open. The port stays this node's.
    pub fn stop(&self) {
        // Shutting a listening socket down ends its `accept`, and leaves it bound.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both); // it may be stopped already
        self.inner.open.lock().unwrap().stopped = true;
        self.close_connections();
    }

    /// Ends the connections that are open.
    pub fn close_connections(&self) {
        for stream in self.inner.open.lock().unwrap().streams.values() {
            let _ = stream.shutdown(Shutdown::Both); // the gateway may have closed it
        }
    }

    /// Accepts again after [`Self::stop`], on the same port.
    pub fn restart(&self) {
        let socket = socket2::SockRef::from(&*self.listener);
        socket.listen(1024).expect("the port is still bound");
        self.accept();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// The last request so far.
    pub fn last_request(&self) -> Request {
        self.requests().pop().expect("the node was asked")
    }

    /// How many requests so far.
    pub fn hits(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.inner.seen.lock().unwrap().clear();
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.inner.accepted.load(SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.inner.open.lock().unwrap().streams.len()
    }

    /// The most requests that it ever had to answer at once.
    pub fn peak_in_flight(&self) -> usize {
        self.inner.peak.load(SeqCst)
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.stop();
        let failed = self.inner.failed.load(SeqCst);
        assert!(!failed || thread::panicking(), "the script of a node failed; see above");
    }
}

/// A port that is bound by its number: only such a socket keeps the port when it stops listening.
fn listen_on_a_port_of_its_own() -> TcpListener {
    let free = || Some(TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port());
    (0..100)
        .find_map(|_| TcpListener::bind(("127.0.0.1", free()?)).ok())
        .expect("one of a hundred free ports is still free")
}

impl Inner {
    fn serve(self: Arc<Self>, stream: TcpStream) {
        let number = self.accepted.fetch_add(1, SeqCst) + 1;
        let Ok(handle) = stream.try_clone() else { return };
        {
            let mut open = self.open.lock().unwrap();
            if open.stopped {
                return;
            }
            open.streams.insert(number, handle);
        }
        let mut connection = Connection { wire: Wire::new(stream), number, inner: self.clone() };
        let played = catch_unwind(AssertUnwindSafe(|| match &self.script {
            Some(script) => script(&mut connection),
            None => connection.answer_all(),
        }));
        if played.is_err() {
            self.failed.store(true, SeqCst);
        }
        drop(connection);
        // The second handle kept it open: whoever sees that it is not counted any more knows that it is closed.
        self.open.lock().unwrap().streams.remove(&number);
    }
}

/// A connection to the node, as its script sees it.
pub struct Connection {
    wire: Wire,
    /// Which of the node's connections this is, counted from 1.
    pub number: usize,
    inner: Arc<Inner>,
}

impl Deref for Connection {
    type Target = Wire;
    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Connection {
    /// Reads a whole request and remembers it; none if the connection ends instead.
    pub fn read_request(&mut self) -> Option<Request> {
        let head = self.wire.read_head()?;
        let body = self.wire.read_body(&head, Otherwise::Empty);
        let request = Request { connection: self.number, head, body };
        self.inner.seen.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// Sends these bytes in one write; whether the gateway could still take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref())
    }

    /// Sends them one by one, so that the gateway meets each alone.
    pub fn trickle(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            thread::sleep(Duration::from_micros(200)); // what this node does, not what a test waits for
        }
    }

    /// Sends them in two parts, so that the gateway meets the first alone.
    pub fn send_split(&mut self, bytes: &[u8], at: usize) {
        self.send(&bytes[..at]);
        thread::sleep(Duration::from_millis(1)); // likewise
        self.send(&bytes[at..]);
    }

    fn answer_all(&mut self) {
        while let Some(request) = self.read_request() {
            let now = self.inner.in_flight.fetch_add(1, SeqCst) + 1;
            self.inner.peak.fetch_max(now, SeqCst);
            let Answer { status, fields, body, delay } = self.inner.answer.lock().unwrap().clone();
            thread::sleep(delay);
            self.inner.in_flight.fetch_sub(1, SeqCst);
            let mut answer =
                format!("HTTP/1.1 {status} Said So\r\n{fields}Content-Length: {}\r\n\r\n", body.len())
                    .into_bytes();
            if request.method() != "HEAD" {
                answer.extend_from_slice(&body);
            }
            if !self.send(answer)
                || request.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"))
            {
                break;
            }
        }
    }
}
