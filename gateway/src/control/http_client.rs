//! Asks a server over HTTP/1.1, with or without TLS: what the control path uses to speak with registries.
//!
//! One server, one connection that is kept between requests. Every wait has a limit, and so has what is read: whatever
//! the server does, the answer is an error on one line. Requests to nodes never pass here.

mod error;

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub(crate) use error::HttpError;

use super::client_tls::client_config;
use super::config::{ClientTls, NodeHost, Origin};

/// How long it may take to connect, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// The most bytes of a body: ten thousand nodes as Consul tells them, with some labels each.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A server, and the connection to it.
pub(crate) struct HttpClient {
    origin: Origin,
    host: HeaderValue,
    tls: Option<TlsConnector>,
    /// Sent with each request: a token.
    fields: HeaderMap,
    kept: Option<Connection>,
}

/// What a server answered, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A connection, and the task that moves its bytes.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stream with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl HttpClient {
    /// For this server; nothing is sent yet. Without `tls`, a server with https:// is known by the system's authorities.
    ///
    /// # Errors
    /// Which file of `tls` cannot be used.
    pub(crate) fn new(origin: &Origin, tls: Option<&ClientTls>) -> Result<Self, String> {
        let tls = match origin.is_tls() {
            true => Some(client_config(tls.unwrap_or(&ClientTls::default()))?.into()),
            false => None,
        };
        let host = HeaderValue::try_from(origin.address().to_string()).expect("an address is ASCII");
        Ok(Self { origin: origin.clone(), host, tls, fields: HeaderMap::new(), kept: None })
    }

    /// The same, that sends this field with each request. Its value is shown nowhere.
    ///
    /// # Errors
    /// If the value cannot stand in a field.
    pub(crate) fn with_secret(mut self, name: HeaderName, value: &str) -> Result<Self, String> {
        let mut value = HeaderValue::try_from(value).map_err(|_| format!("the {name} is not plain ASCII"))?;
        value.set_sensitive(true);
        self.fields.insert(name, value);
        Ok(self)
    }

    /// Sends a request with this JSON (or nothing) and reads the answer, all within `limit`. The method has to be one that may be
    /// repeated, since a kept connection may end just as it is used: then the request is sent once more on a fresh one.
    ///
    /// # Errors
    /// When there is no whole answer. One with any status is an answer.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        target: &str,
        json: Bytes,
        limit: Duration,
    ) -> Result<Answer, HttpError> {
        debug_assert!(method.is_idempotent(), "{method} may be sent twice");
        let answered = timeout(limit, self.ask_without_limit(&method, target, &json)).await;
        answered.unwrap_or_else(|_| Err(HttpError::Silent(self.origin.clone(), limit)))
    }

    async fn ask_without_limit(
        &mut self,
        method: &Method,
        target: &str,
        json: &Bytes,
    ) -> Result<Answer, HttpError> {
        let request = self.request(method, target, json);
        if let Some(kept) = self.kept.take().filter(|kept| !kept.sender.is_closed()) {
            match self.exchange(kept, request.clone()).await {
                Err(HttpError::Lost(..)) => {}
                answered => return answered,
            }
        }
        let fresh = self.connect().await?;
        self.exchange(fresh, request).await
    }

    fn request(&self, method: &Method, target: &str, json: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(json.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.parse().expect("targets are built of encoded parts");
        request.headers_mut().insert(HOST, self.host.clone());
        if !json.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.headers_mut().extend(self.fields.clone());
        request
    }

    /// One request and its answer. The connection is kept if it can serve another one; if the caller gives up meanwhile, it ends.
    async fn exchange(
        &mut self,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpError> {
        let lost = |error| HttpError::Lost(self.origin.clone(), error);
        connection.sender.ready().await.map_err(lost)?;
        let response = connection.sender.send_request(request).await.map_err(lost)?;
        let answer = self.read(response).await?;
        self.kept = Some(connection);
        Ok(answer)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, HttpError> {
        let (head, body) = response.into_parts();
        let too_long = || HttpError::TooLong(self.origin.clone(), MOST_BYTES);
        if body.size_hint().lower() > MOST_BYTES as u64 {
            return Err(too_long());
        }
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => HttpError::Lost(self.origin.clone(), *error),
            Err(_) => too_long(),
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    async fn connect(&self) -> Result<Connection, HttpError> {
        let unreachable = |error| HttpError::Unreachable(self.origin.clone(), error);
        let stream = timeout(CONNECT, self.dial()).await;
        let stream =
            stream.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Lost(self.origin.clone(), error))?;
        // How it ended is told to the one who waits for an answer.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, task })
    }

    async fn dial(&self) -> std::io::Result<Box<dyn Stream>> {
        let port = self.origin.address().port();
        let stream = match self.origin.address().host() {
            NodeHost::Ip(ip) => TcpStream::connect((*ip, port)).await?,
            NodeHost::Dns(name) => TcpStream::connect((name.as_str(), port)).await?,
        };
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = match self.origin.address().host() {
            NodeHost::Ip(ip) => ServerName::from(*ip),
            NodeHost::Dns(name) => ServerName::try_from(name.clone()).map_err(std::io::Error::other)?,
        };
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

/// Text as a part of a target, where only letters, digits and `-._~` stand for themselves (RFC 3986, 2.1 to 2.3).
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests;
