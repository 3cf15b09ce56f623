//! The client against servers that answer by the byte.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use test_servers::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::control::config::ClientIdentity;

const LIMIT: Duration = Duration::from_secs(10);
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server that gives these answers, on each connection one after the other, and then closes.
struct Server {
    origin: Origin,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(answers: &'static [&'static str], tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = origin(&format!("{scheme}://{}", listener.local_addr().unwrap()));
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Server { origin, connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, SeqCst);
                let mut stream: Box<dyn Stream> = match &tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue, // the client's error is what a test looks at
                    },
                    None => Box::new(stream),
                };
                for answer in answers {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let text = String::from_utf8(head).unwrap().to_ascii_lowercase();
                    let answer = answer
                        .replace("{token}", if text.contains("x-token: s3cret") { "yes" } else { "no" });
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                _ = stream.shutdown().await; // a client that has gone is no matter
            }
        });
        server
    }

    fn client(&self) -> HttpClient {
        HttpClient::new(&self.origin, None).unwrap()
    }
}

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

async fn get(client: &mut HttpClient) -> Result<String, HttpError> {
    let answer = client.ask(Method::GET, "/a?b=c", Bytes::new(), LIMIT).await?;
    Ok(format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body)))
}

#[tokio::test]
async fn a_connection_is_kept_and_one_that_ended_is_made_anew() {
    let server = Server::answering(&[HELLO, HELLO], None).await;
    let mut client = server.client();
    for connections in [1, 1, 2, 2, 3] {
        assert_eq!(get(&mut client).await.unwrap(), "200 hello");
        assert_eq!(server.connections.load(SeqCst), connections);
    }
}

#[tokio::test]
async fn a_secret_goes_with_each_request_and_is_not_shown() {
    let server = Server::answering(&["HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\n({token})\n"], None).await;
    let name = HeaderName::from_static("x-token");
    assert!(server.client().with_secret(name.clone(), "a\nb").is_err());
    let mut client = server.client().with_secret(name, "s3cret").unwrap();
    assert!(!format!("{:?}", client.fields).contains("s3cret"));
    assert_eq!(get(&mut client).await.unwrap(), "403 (yes)\n");
}

#[tokio::test]
async fn whatever_a_server_does_is_an_error_on_one_line() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let short = Duration::from_millis(50);
    let ask = |at: Origin, limit| async move {
        let mut client = HttpClient::new(&at, None).unwrap();
        client.ask(Method::GET, "/", Bytes::new(), limit).await.unwrap_err().to_string()
    };
    let at = |address| origin(&format!("http://{address}"));
    let error = ask(at(silent.local_addr().unwrap()), short).await;
    assert!(error.ends_with("did not answer within 50ms"), "{error}");
    let error = ask(at(gone), LIMIT).await;
    assert!(error.contains("cannot be reached: Connection refused"), "{error}");
    for (answers, named) in [
        (&["-NOAUTH\r\n\r\n"], "gave no whole answer: invalid HTTP"),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], "gave no whole answer"),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nhello"], "answers more than 16777216 bytes"),
        (&[""], "gave no whole answer"),
    ] {
        let error = ask(Server::answering(answers, None).await.origin, LIMIT).await;
        assert!(error.contains(named) && !error.contains('\n'), "{error}");
    }
}

/// A server with TLS that wants a certificate of its clients.
async fn over_tls(made: &Certificates) -> Server {
    let read = |path| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read(made.authority()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_file(made.server_key()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients.build().unwrap());
    let config = config.with_single_cert(read(made.server()), key).unwrap();
    Server::answering(&[HELLO], Some(Arc::new(config).into())).await
}

#[tokio::test]
async fn both_ends_of_tls_are_known_by_their_authority() {
    let made = Certificates::make();
    let server = over_tls(&made).await;
    let identity = ClientIdentity { certificate: made.client(), key: made.client_key() };
    let known = ClientTls { ca: Some(made.authority()), identity: Some(identity) };
    let mut client = HttpClient::new(&server.origin, Some(&known)).unwrap();
    assert_eq!(get(&mut client).await.unwrap(), "200 hello");
    let others = Certificates::make();
    let stranger = ClientTls { ca: Some(others.authority()), ..known.clone() };
    let error = get(&mut HttpClient::new(&server.origin, Some(&stranger)).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let nameless = ClientTls { identity: None, ..known };
    let error = get(&mut HttpClient::new(&server.origin, Some(&nameless)).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("gave no whole answer"), "{error}");
}
