//! A connection to etcd (its API v3): what the provider of nodes, nodes that register and the registry share.
//!
//! It talks to one endpoint. A client that spreads its calls over several would watch one member and hear that another
//! is alive; so whoever loses a connection makes the next one, to the next endpoint. Every call has a deadline: a
//! server that was stopped keeps its connections open and says nothing. Errors are one line, and name no secret.

mod follow;
mod leases;
mod registration;

pub(super) use follow::{Follower, Keys};
pub use registration::Registration;

use std::error::Error as _;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, Identity, TlsOptions, WatchOptions,
    WatchStream,
};

use super::client_tls::Pem;
use super::config::{ClientTls, EtcdKeys, Login, Origin};

/// How long one call may take. A member that lost its leader finds another one in about a second.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest answer that is read. A request is 1.5 MiB at most unless the server was told otherwise.
const LONGEST: usize = 16 << 20;
/// The code of gRPC for a message that is longer than its reader takes.
const OUT_OF_RANGE: i32 = 11;

/// Where etcd is, and who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Servers {
    /// Members of the cluster; at least one.
    pub endpoints: Vec<Origin>,
    /// Who asks, where etcd wants to know.
    pub login: Option<Login>,
    /// For endpoints with https://; without it the system's authorities count.
    pub tls: Option<ClientTls>,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct Etcd {
    client: Client,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It was longer than is read here.
    #[error("an answer of etcd is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// What etcd said, or what became of the connection.
    #[error("{0}")]
    Said(String),
}

impl Servers {
    /// Those of these settings.
    pub(super) fn of(settings: &EtcdKeys) -> Self {
        let EtcdKeys { endpoints, login, tls, .. } = settings.clone();
        Self { endpoints, login, tls }
    }

    /// The endpoint with this number, counted around: whoever loses one takes the next.
    pub fn endpoint(&self, number: usize) -> &Origin {
        &self.endpoints[number % self.endpoints.len()]
    }
}

impl Etcd {
    /// Connects to one of the endpoints, and presents itself.
    ///
    /// # Errors
    /// What is wrong with files of certificates, with the connection, or with user and password.
    pub async fn connect(endpoint: &Origin, servers: &Servers) -> Result<Self, Failed> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(ANSWER)
            // A member without a leader ends its watches, so that they do not look alive.
            .with_require_leader(true)
            // Tokens of etcd live five minutes by default.
            .with_auto_token_refresh(true);
        if let Some(login) = &servers.login {
            options = options.with_user(&login.user, login.password.reveal());
        }
        if endpoint.is_tls() {
            options = options.with_tls(tls(servers.tls.as_ref())?);
        }
        // Boxed: its state has sixteen kilobytes.
        let connect = Box::pin(Client::connect([endpoint.to_string()], Some(options)));
        Ok(Self { client: in_time(connect).await? })
    }

    /// Reads keys.
    ///
    /// # Errors
    /// Whatever kept etcd from answering.
    pub(super) async fn get(
        &self,
        key: impl Into<Vec<u8>>,
        options: GetOptions,
    ) -> Result<GetResponse, Failed> {
        let mut keys = self.client.kv_client().max_decoding_message_size(LONGEST);
        in_time(keys.get(key, Some(options))).await
    }

    /// Begins to watch keys.
    ///
    /// # Errors
    /// Whatever kept etcd from answering.
    pub(super) async fn watch(&self, key: &str, options: WatchOptions) -> Result<WatchStream, Failed> {
        let mut watch = self.client.watch_client().max_decoding_message_size(LONGEST);
        in_time(watch.watch(key, Some(options))).await
    }
}

/// What a call answers, unless it takes too long.
async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(answer) => answer.map_err(Failed::from),
        Err(_) => Err(Failed::Said(format!("no answer in {} s", ANSWER.as_secs()))),
    }
}

/// The words of etcd, without the gRPC around them, and the first cause of a connection that failed.
impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::GRpcStatus(status) => status,
            other => return Self::Said(with_cause(other.to_string(), other.source())),
        };
        if status.code() as i32 == OUT_OF_RANGE
            && status.message().contains("decoded message length too large")
        {
            return Self::TooLong;
        }
        let words = match status.message() {
            "" => status.code().description(),
            words => words,
        };
        Self::Said(with_cause(words.to_owned(), status.source()))
    }
}

fn with_cause(words: String, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if !words.contains(&cause) => format!("{words}: {cause}"),
        _ => words,
    }
}

fn tls(settings: Option<&ClientTls>) -> Result<TlsOptions, Failed> {
    let pem = settings.map_or_else(|| Ok(Pem::default()), Pem::read).map_err(Failed::Said)?;
    let mut options = match pem.ca {
        Some(ca) => TlsOptions::new().ca_certificate(Certificate::from_pem(ca)),
        None => TlsOptions::new().with_native_roots(),
    };
    if let Some((certificate, key)) = pem.identity {
        options = options.identity(Identity::from_pem(certificate, key));
    }
    Ok(options)
}
