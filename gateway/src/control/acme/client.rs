//! Asks an ACME server over HTTPS. Each request has a connection of its own: there are some ten in two months.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::AcmeError;
use crate::control::client_tls::client_config;
use crate::control::config::{Acme, ClientTls};

/// How long a request may take, its connection included.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer: a chain of certificates has some thousand.
const MOST_BYTES: usize = 1 << 20;

/// Meets servers that its authorities vouch for.
pub(super) struct Client(TlsConnector);

impl Client {
    /// For this server.
    ///
    /// # Errors
    /// The file of authorities cannot be used.
    pub(super) fn new(wanted: &Acme) -> Result<Client, AcmeError> {
        let tls = ClientTls { ca: wanted.ca.as_ref().map(|ca| ca.value.clone()), identity: None };
        client_config(&tls).map(|config| Client(config.into())).map_err(AcmeError::Authorities)
    }
}

type Failure = Box<dyn Error + Send + Sync>;

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let tls = self.0.clone();
        Box::pin(async move {
            let server = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            let answered = tokio::time::timeout(PATIENCE, ask(tls, request)).await;
            let answered =
                answered.unwrap_or_else(|_| Err(format!("there was no answer within {PATIENCE:?}").into()));
            let failed = |error: Failure| format!("{server} cannot be asked: {error}").into();
            answered.map(BytesResponse::from).map_err(|error| instant_acme::Error::Other(failed(error)))
        })
    }
}

async fn ask(
    tls: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let uri = std::mem::take(request.uri_mut());
    let authority =
        uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or("it has no URL with https://")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await?;
    let stream = tls.connect(ServerName::try_from(host.to_owned())?, tcp).await?;
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().ok_or("its URL has no path")?);
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How it ended is told to the one who waits for the answer.
    let connection = tokio::spawn(async move { drop(connection.await) });
    let answered = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    };
    let answered = answered.await;
    connection.abort();
    answered
}
