//! A client of HTTP/2, on a runtime of its own: many requests on one connection.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::wire::PATIENCE;

/// What came of a request.
#[derive(Debug)]
pub struct Http2Response {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub fields: HeaderMap,
    /// The body, up to its end.
    pub body: Vec<u8>,
    /// What stood behind it.
    pub trailers: Option<HeaderMap>,
}

impl Http2Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection, in the clear, of which a clone is another handle, to a server that is known to speak HTTP/2.
#[derive(Clone)]
pub struct Http2Client {
    sender: SendRequest<Bytes>,
}

/// Runs a test's conversation; it fails if that takes too long.
pub fn converse<T>(conversation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(3 * PATIENCE, conversation).await };
    runtime.block_on(local.run_until(limited)).expect("it ends in time")
}

impl Http2Client {
    /// Connects. Whatever ends the connection shows at its requests.
    pub async fn connect(address: SocketAddr) -> Http2Client {
        Http2Client::connect_with(address, &h2::client::Builder::new()).await
    }

    /// The same with settings of its own.
    pub async fn connect_with(address: SocketAddr, builder: &h2::client::Builder) -> Http2Client {
        let tcp = TcpStream::connect(address).await.expect("the listener accepts");
        Http2Client::greet(tcp, builder).await
    }

    /// Connects after other bytes.
    pub async fn connect_behind(first: &[u8], address: SocketAddr) -> Http2Client {
        let mut tcp = TcpStream::connect(address).await.expect("the listener accepts");
        tcp.write_all(first).await.expect("the gateway takes them");
        Http2Client::greet(tcp, &h2::client::Builder::new()).await
    }

    async fn greet(tcp: TcpStream, builder: &h2::client::Builder) -> Http2Client {
        let (sender, connection) = builder.handshake(tcp).await.expect("a greeting");
        tokio::task::spawn_local(async move {
            let _end = connection.await;
        });
        Http2Client { sender }
    }

    /// Whether the server said that it takes extended CONNECT (RFC 8441, 3).
    pub fn can_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Begins a request; its body follows unless it is ended.
    pub async fn begin(
        &mut self,
        request: http::request::Builder,
        ended: bool,
    ) -> Result<(Pending, SendStream<Bytes>), h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let request: Request<()> = request.body(()).expect("a request");
        let (response, body) = sender.send_request(request, ended)?;
        Ok((Pending(response), body))
    }

    /// A GET of this path of a.test.
    pub async fn get(&mut self, path: &str) -> Result<Http2Response, h2::Error> {
        let (response, _) = self.begin(Request::get(format!("http://a.test{path}")), true).await?;
        response.whole().await
    }

    /// A POST with this body.
    pub async fn post(&mut self, path: &str, body: &[u8]) -> Result<Http2Response, h2::Error> {
        let (response, mut stream) = self.begin(Request::post(format!("http://a.test{path}")), false).await?;
        let sent = send_all(&mut stream, body);
        let (sent, response) = tokio::join!(sent, response.whole());
        sent?;
        response
    }
}

/// Sends a body as far as the window goes, and ends it.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut body: &[u8]) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        while stream.capacity() == 0 {
            match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => drop(room?),
                None => return Ok(()),
            }
        }
        let (now, later) = body.split_at(stream.capacity().min(body.len()));
        stream.send_data(Bytes::copy_from_slice(now), false)?;
        body = later;
    }
    stream.send_data(Bytes::new(), true)
}

/// A response that is awaited.
pub struct Pending(h2::client::ResponseFuture);

impl Pending {
    /// Its head, and the stream of its body.
    pub async fn head(self) -> Result<http::Response<RecvStream>, h2::Error> {
        self.0.await
    }

    /// All of it.
    pub async fn whole(self) -> Result<Http2Response, h2::Error> {
        let (head, mut stream) = self.0.await?.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = stream.data().await {
            let piece = piece?;
            stream.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        let trailers = stream.trailers().await?;
        Ok(Http2Response { status: head.status.as_u16(), fields: head.headers, body, trailers })
    }
}

/// Waits for something that another thread does.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
