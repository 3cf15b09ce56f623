//! WebSocket clients and nodes, on the runtime of the test's conversation (see [`converse`](super::http2::converse)).

use futures_util::{SinkExt, Stream, StreamExt};
use h2::{RecvStream, SendStream};
use http::Request;
use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::http2::{Http2Client, until};
use super::http2_node::Http2Node;

/// One end of a conversation in messages.
pub type Socket<S = TcpStream> = WebSocketStream<S>;

/// A node that agrees to every handshake and then plays a script.
pub struct WebSocketNode {
    listener: std::net::TcpListener,
    asked: Rc<RefCell<Vec<server::Request>>>,
}

impl WebSocketNode {
    /// One that listens and does not answer yet.
    pub fn new() -> WebSocketNode {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        WebSocketNode { listener, asked: Rc::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Its address as a configuration has it.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.address())
    }

    /// The handshakes so far.
    pub fn asked(&self) -> Vec<server::Request> {
        self.asked.borrow().clone()
    }

    /// Plays this script on each connection, from now until the conversation ends.
    pub fn serve<F: Future<Output = ()> + 'static>(&self, script: impl Fn(Socket) -> F + 'static) {
        let listener = self.listener.try_clone().expect("another handle");
        let listener = TcpListener::from_std(listener).expect("a conversation runs");
        let (asked, script) = (self.asked.clone(), Rc::new(script));
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.expect("it listens");
                let (asked, script) = (asked.clone(), script.clone());
                tokio::task::spawn_local(async move {
                    // A connection without a handshake is no conversation.
                    if let Ok(socket) = agree(tcp, asked).await {
                        script(socket).await;
                    }
                });
            }
        });
    }

    /// Answers each message with the same, until the client closes.
    pub fn echo(&self) {
        self.serve(echo);
    }
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback has it so")]
async fn agree(tcp: TcpStream, asked: Rc<RefCell<Vec<server::Request>>>) -> Result<Socket, Error> {
    let note = |request: &server::Request, mut response: server::Response| {
        asked.borrow_mut().push(request.clone());
        if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
        }
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(tcp, note).await
}

impl Http2Node {
    /// One that opens tunnels, and plays this script on each (RFC 8441).
    pub fn talking<F: Future<Output = ()> + 'static>(
        script: impl Fn(Socket<DuplexStream>) -> F + Clone + Send + Sync + 'static,
    ) -> Http2Node {
        Http2Node::talking_with(|_| {}, script)
    }

    /// The same with settings of its own.
    pub fn talking_with<F: Future<Output = ()> + 'static>(
        settings: impl FnOnce(&mut h2::server::Builder),
        script: impl Fn(Socket<DuplexStream>) -> F + Clone + Send + Sync + 'static,
    ) -> Http2Node {
        let set = |builder: &mut h2::server::Builder| settings(builder.enable_connect_protocol());
        Http2Node::set_up(set, move |asked| {
            let script = script.clone();
            async move {
                let (sending, coming) = asked.open_tunnel()?;
                script(on_stream(sending, coming, Role::Server).await).await;
                Ok(())
            }
        })
    }
}

/// Answers each message with the same, until the client closes or is lost.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Socket<S>) {
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Sends many messages and meanwhile takes as many, each with its number; then both close.
pub async fn flood<S: AsyncRead + AsyncWrite + Unpin>(socket: Socket<S>, from: &str, to: &str) {
    const MANY: usize = 1000;
    let (mut sink, mut stream) = socket.split();
    let send = async {
        for number in 0..MANY {
            sink.send(Message::text(format!("{from} {number}"))).await.expect("it is taken");
        }
    };
    let take = async {
        for number in 0..MANY {
            assert_eq!(next(&mut stream).await, Message::text(format!("{to} {number}")));
        }
    };
    tokio::join!(send, take);
    // Who leaves at once could take the other's last messages along.
    sink.close().await.expect("it is taken");
    assert!(next(&mut stream).await.is_close());
}

/// Opens a WebSocket at this path of a.test, with these fields; the node's answer stands beside it.
pub async fn ask(
    address: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<(Socket, http::Response<Option<Vec<u8>>>), Error> {
    let tcp = TcpStream::connect(address).await?;
    ask_on(tcp, path, fields).await
}

/// The same on a connection that is there.
pub async fn ask_on<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<(Socket<S>, http::Response<Option<Vec<u8>>>), Error> {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let mut request = format!("ws://a.test{path}").into_client_request()?;
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    tokio_tungstenite::client_async(request, stream).await
}

/// Opens a WebSocket that has to open.
pub async fn open(address: SocketAddr) -> Socket {
    ask(address, "/", &[]).await.expect("it opens").0
}

/// Sends a text and awaits the same.
pub async fn echoes<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>, text: &str) {
    socket.send(Message::text(text)).await.expect("it is taken");
    assert_eq!(next(socket).await, Message::text(text));
}

/// The next message, which has to come.
pub async fn next<S: Stream<Item = Result<Message, Error>> + Unpin>(socket: &mut S) -> Message {
    socket.next().await.expect("there is more").expect("it is whole")
}

/// A Close with this code and reason.
pub fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into() }
}

impl Http2Client {
    /// Waits until the gateway says that it opens tunnels.
    pub async fn offers_tunnels(&self) {
        until("tunnels are offered", || self.can_connect()).await;
    }

    /// The wish for one (RFC 8441, 4).
    pub fn tunnel_request(protocol: &'static str) -> http::request::Builder {
        Request::builder()
            .method("CONNECT")
            .uri("http://a.test/")
            .extension(h2::ext::Protocol::from_static(protocol))
            .header("sec-websocket-version", "13")
    }

    /// Asks for a tunnel, with these fields; the head of the answer.
    pub async fn connect_for(
        &mut self,
        protocol: &'static str,
        fields: &[(&str, &str)],
    ) -> Result<(http::Response<RecvStream>, SendStream<bytes::Bytes>), h2::Error> {
        self.offers_tunnels().await;
        let mut request = Http2Client::tunnel_request(protocol);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (response, sending) = self.begin(request, false).await?;
        Ok((response.head().await?, sending))
    }

    /// Opens a WebSocket on a stream of its own.
    pub async fn open_websocket(&mut self) -> Socket<DuplexStream> {
        let (response, sending) = self.connect_for("websocket", &[]).await.expect("an answer");
        assert_eq!(response.status(), 200);
        on_stream(sending, response.into_body(), Role::Client).await
    }
}

/// A WebSocket on the two directions of a stream.
async fn on_stream(
    sending: SendStream<bytes::Bytes>,
    coming: RecvStream,
    role: Role,
) -> Socket<DuplexStream> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (reads, writes) = tokio::io::split(far);
    tokio::task::spawn_local(carry_up(reads, sending));
    tokio::task::spawn_local(carry_down(coming, writes));
    Socket::from_raw_socket(near, role, None).await
}

async fn carry_up(mut from: impl AsyncRead + Unpin, mut to: SendStream<bytes::Bytes>) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut piece).await.unwrap_or(0);
        let bytes = bytes::Bytes::copy_from_slice(&piece[..count]);
        if to.send_data(bytes, count == 0).is_err() || count == 0 {
            return;
        }
    }
}

async fn carry_down(mut from: RecvStream, mut to: impl AsyncWrite + Unpin) {
    while let Some(Ok(piece)) = from.data().await {
        let _room = from.flow_control().release_capacity(piece.len());
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _end = to.shutdown().await;
}
