//! A node that speaks HTTP/2 in the clear, on a runtime of its own: each request is given to a script.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, Response};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::http2::send_all;

/// What all connections are told to do, again each time that the count grows.
#[derive(Clone, Copy, Default)]
struct Orders {
    goodbyes: usize,
    cuts: usize,
    stopped: bool,
}

#[derive(Default)]
struct Seen {
    accepted: AtomicUsize,
    open: AtomicUsize,
    /// Requests that their client gave up.
    cancelled: AtomicUsize,
    heads: Mutex<Vec<(usize, Parts)>>,
}

type Script = Arc<dyn Fn(Asked) -> LocalBoxFuture<'static, Result<(), h2::Error>> + Send + Sync>;

/// A node. It stops when it is dropped.
pub struct Http2Node {
    seen: Arc<Seen>,
    orders: watch::Sender<Orders>,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One request, and by what it is answered.
pub struct Asked {
    /// On which of the node's connections, counted from 1.
    pub connection: usize,
    /// Method, target and fields.
    pub head: Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
}

impl Http2Node {
    /// One that answers every request with this body, once it has read all of it.
    pub fn answering(body: impl Into<Bytes>) -> Http2Node {
        let body = body.into();
        Http2Node::serving(move |mut asked| {
            let body = body.clone();
            async move {
                asked.read().await?;
                asked.answer(Response::new(()), &body).await
            }
        })
    }

    /// One that answers as a script says. An error ends that request alone.
    pub fn serving<F, A>(script: F) -> Http2Node
    where
        F: Fn(Asked) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), h2::Error>> + 'static,
    {
        Http2Node::set_up(|_| {}, script)
    }

    /// The same with settings of its own.
    pub fn set_up<F, A>(settings: impl FnOnce(&mut Builder), script: F) -> Http2Node
    where
        F: Fn(Asked) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), h2::Error>> + 'static,
    {
        let mut builder = Builder::new();
        settings(&mut builder);
        let script: Script = Arc::new(move |asked| script(asked).boxed_local());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket of the runtime's kind");
        let address = listener.local_addr().expect("an address");
        let (orders, told) = watch::channel(Orders::default());
        let seen = Arc::new(Seen::default());
        let node = (builder, script, seen.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            tokio::task::LocalSet::new().block_on(&runtime, run(listener, node, told));
        });
        Http2Node { seen, orders, address, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.seen.accepted.load(SeqCst)
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        self.seen.open.load(SeqCst)
    }

    /// Requests so far.
    pub fn hits(&self) -> usize {
        self.seen.heads.lock().expect("no test panics with it").len()
    }

    /// The heads of the requests so far, each with the number of its connection.
    pub fn heads(&self) -> Vec<(usize, Parts)> {
        self.seen.heads.lock().expect("no test panics with it").clone()
    }

    /// Requests that were given up (CANCEL).
    pub fn cancelled(&self) -> usize {
        self.seen.cancelled.load(SeqCst)
    }

    /// Takes no more requests on the connections that there are (GOAWAY), and ends what is in flight.
    pub fn say_goodbye(&self) {
        self.orders.send_modify(|orders| orders.goodbyes += 1);
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }
}

impl Drop for Http2Node {
    fn drop(&mut self) {
        self.orders.send_modify(|orders| orders.stopped = true);
        if let Some(thread) = self.thread.take() {
            let _failed = thread.join();
        }
    }
}

type Node = (Builder, Script, Arc<Seen>);

async fn run(listener: std::net::TcpListener, node: Node, mut told: watch::Receiver<Orders>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let tcp = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            _ = told.wait_for(|orders| orders.stopped) => return,
        };
        let number = node.2.accepted.fetch_add(1, SeqCst) + 1;
        let (node, mut told) = (node.clone(), told.clone());
        tokio::task::spawn_local(async move {
            node.2.open.fetch_add(1, SeqCst);
            let cuts = told.borrow().cuts;
            let orders = told.clone();
            tokio::select! {
                () = serve(tcp, number, &node, orders) => {}
                _ = told.wait_for(|orders| orders.cuts > cuts || orders.stopped) => {}
            }
            node.2.open.fetch_sub(1, SeqCst);
        });
    }
}

async fn serve(tcp: TcpStream, number: usize, node: &Node, mut told: watch::Receiver<Orders>) {
    let (builder, script, seen) = node;
    let goodbyes = told.borrow().goodbyes;
    let Ok(mut connection) = builder.handshake::<_, Bytes>(tcp).await else { return };
    let mut leaving = false;
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            _ = told.wait_for(|orders| orders.goodbyes > goodbyes), if !leaving => {
                connection.graceful_shutdown();
                leaving = true;
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else { return };
        let (head, body) = request.into_parts();
        seen.heads.lock().expect("no test panics with it").push((number, head.clone()));
        let (script, seen) = (script.clone(), seen.clone());
        tokio::task::spawn_local(async move {
            let answered = script(Asked { connection: number, head, body, respond }).await;
            if answered.is_err_and(|error| error.reason() == Some(Reason::CANCEL)) {
                seen.cancelled.fetch_add(1, SeqCst);
            }
        });
    }
}

impl Asked {
    /// The next piece of its body; none at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, h2::Error> {
        let Some(piece) = self.body.data().await.transpose()? else { return Ok(None) };
        self.body.flow_control().release_capacity(piece.len())?;
        Ok(Some(piece))
    }

    /// The rest of its body, and what stood behind it.
    pub async fn read(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok((body, self.body.trailers().await?))
    }

    /// Sends a head that is not the last.
    pub fn inform(&mut self, status: u16) -> Result<(), h2::Error> {
        self.respond.send_informational(Response::builder().status(status).body(()).expect("a head"))
    }

    /// Answers with a head alone.
    pub fn close(&mut self, head: Response<()>) -> Result<(), h2::Error> {
        self.respond.send_response(head, true).map(drop)
    }

    /// Answers with a head, behind which more follows.
    pub fn begin(&mut self, head: Response<()>) -> Result<SendStream<Bytes>, h2::Error> {
        self.respond.send_response(head, false)
    }

    /// Opens the WebSocket that was asked for: what goes into it, and what comes out.
    pub fn open_tunnel(mut self) -> Result<(SendStream<Bytes>, RecvStream), h2::Error> {
        let mut head = Response::new(());
        if let Some(protocol) = self.head.headers.get("sec-websocket-protocol") {
            head.headers_mut().insert("sec-websocket-protocol", protocol.clone());
        }
        Ok((self.begin(head)?, self.body))
    }

    /// Answers with all of it.
    pub async fn answer(&mut self, head: Response<()>, body: &[u8]) -> Result<(), h2::Error> {
        send_all(&mut self.begin(head)?, body).await
    }

    /// Ends it without the rest of an answer.
    pub fn break_off(&mut self) {
        self.respond.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Ends it without an answer.
    pub fn reset(&mut self, reason: Reason) -> Result<(), h2::Error> {
        self.respond.send_reset(reason);
        Ok(())
    }

    /// Waits until it is given up.
    pub async fn until_given_up(&mut self) -> Result<(), h2::Error> {
        let reason = poll_fn(|cx| self.respond.poll_reset(cx)).await?;
        Err(reason.into())
    }
}
