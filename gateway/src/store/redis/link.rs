//! How a connection to Redis is made: to one server, to the master that Sentinels name, or to a cluster.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};
use futures_util::future::join_all;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;

use super::members::Members;
use super::{Mode, Question, Spec};

/// How long a connection may take to be made, with TLS and login. No request waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for that to one member of a cluster: one that hangs is waited for up to three times before the others are asked.
const MEMBER_TIMEOUT: Duration = Duration::from_millis(500);

/// Makes connections.
pub(super) struct Dial {
    to: To,
    config: AsyncConnectionConfig,
    /// How long one question may take.
    pub(super) timeout: Duration,
}

enum To {
    Server(Box<Client>),
    Sentinels(Box<SentinelClient>),
    Cluster(Box<Cluster>),
}

/// Makes connections to a cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    client: ClusterClient,
    timeout: Duration,
}

/// A connection that was tried, and who is at its other end.
pub(super) struct Found {
    pub(super) link: Link,
    pub(super) members: Members,
    /// Those that did not answer, and why.
    pub(super) silent: Vec<(usize, String)>,
}

/// A connection; copies of it share it.
#[derive(Clone)]
pub(super) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Dial {
    /// What this specification says.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn new(spec: &Spec) -> RedisResult<Dial> {
        // Deadlines are the driver's.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let timeout = spec.timeout;
        let authority = spec.tls.as_ref().and_then(|tls| tls.ca.as_deref());
        if authority.is_some_and(|pem| CertificateDer::pem_slice_iter(pem).next().is_none()) {
            // The client would take that for an authority that signed nothing.
            return Err(
                (ErrorKind::InvalidClientConfig, "the file of the authority holds no certificate").into()
            );
        }
        let to = match &spec.mode {
            Mode::Standalone => To::Server(Box::new(server(spec)?)),
            Mode::Sentinel(master) => To::Sentinels(Box::new(sentinels(spec, master)?)),
            Mode::Cluster => To::Cluster(Box::new(Cluster { client: cluster(spec)?, timeout })),
        };
        Ok(Dial { to, config, timeout })
    }

    /// The cluster, if it is one.
    pub(super) fn cluster(&self) -> Option<Cluster> {
        if let To::Cluster(cluster) = &self.to { Some((**cluster).clone()) } else { None }
    }

    /// Connects, and asks whether somebody is there within the time that every question has: a connection to a Redis that
    /// hangs is none.
    pub(super) async fn dial(&mut self) -> Result<Found, String> {
        let config = &self.config;
        let connected = match &mut self.to {
            To::Server(server) => in_time(server.get_multiplexed_async_connection_with_config(config)).await,
            To::Sentinels(sentinels) => in_time(sentinels.get_async_connection_with_config(config)).await,
            To::Cluster(cluster) => return cluster.dial().await,
        };
        let mut link = Link::Server(connected?);
        answer(self.timeout, link.ask(&Question::ping())).await?;
        Ok(Found { link, members: Members::default(), silent: Vec::new() })
    }
}

impl Cluster {
    /// Connects, and asks each member whether it is there. One that is not is no reason to go without the others.
    pub(super) async fn dial(&self) -> Result<Found, String> {
        let mut connection = in_time(self.client.get_async_connection()).await?;
        let mut slots = ::redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let anybody = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
        let told = answer(self.timeout, connection.route_command(slots, anybody)).await?;
        let members = Members::read(&told).ok_or("it does not tell its members")?;
        let pings = members.slots().map(|slot| {
            let mut connection = connection.clone();
            let owner = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
            async move {
                let ping = ::redis::cmd("PING");
                answer(self.timeout, connection.route_command(ping, RoutingInfo::SingleNode(owner))).await
            }
        });
        let pongs = join_all(pings).await.into_iter().enumerate();
        let silent: Vec<_> = pongs.filter_map(|(member, pong)| Some((member, pong.err()?))).collect();
        match silent.first() {
            Some((_, why)) if silent.len() == members.slots().count() => Err(why.clone()),
            _ => Ok(Found { link: Link::Cluster(connection), members, silent }),
        }
    }
}

/// Connects, in the time that there is for it.
async fn in_time<T>(connects: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match timeout(CONNECT_TIMEOUT, connects).await {
        Ok(connected) => connected.map_err(|error| words(&error)),
        Err(_) => Err("no connection within two seconds".into()),
    }
}

/// Waits for an answer for so long.
async fn answer(within: Duration, asked: impl Future<Output = RedisResult<Value>>) -> Result<Value, String> {
    match timeout(within, asked).await {
        Ok(answer) => answer.map_err(|error| words(&error)),
        Err(_) => Err(format!("no answer within {within:?}")),
    }
}

impl Link {
    /// Whether it finds the right server by itself when one is lost.
    pub(super) fn mends_itself(&self) -> bool {
        matches!(self, Link::Cluster(_))
    }

    /// Asks, for as long as it takes.
    pub(super) async fn ask(&mut self, question: &Question) -> RedisResult<Value> {
        match self {
            Link::Server(connection) => question.ask(connection).await,
            Link::Cluster(connection) => question.ask(connection).await,
        }
    }
}

/// What is wrong, in one line. Redis' answers and the client's words hold no passwords.
pub(super) fn words(error: &RedisError) -> String {
    error.to_string().replace(char::is_control, " ")
}

fn login(spec: &Spec) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default();
    if let Some(user) = &spec.user {
        login = login.set_username(user);
    }
    if let Some(password) = &spec.password {
        login = login.set_password(String::from_utf8_lossy(&password.0));
    }
    login
}

fn addresses(spec: &Spec) -> impl Iterator<Item = ConnectionAddr> {
    spec.servers.iter().map(|(host, port)| match &spec.tls {
        None => ConnectionAddr::Tcp(host.clone(), *port),
        Some(_) => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
    })
}

fn certificates(spec: &Spec) -> Option<TlsCertificates> {
    spec.tls.as_ref().map(|tls| TlsCertificates {
        client_tls: tls.identity.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone(),
            client_key: key.0.clone(),
        }),
        root_cert: tls.ca.clone(),
    })
}

fn server(spec: &Spec) -> RedisResult<Client> {
    let infos = infos(spec)?;
    // The configuration has exactly one.
    let info = infos.into_iter().next().ok_or((ErrorKind::InvalidClientConfig, "no server"))?;
    match certificates(spec) {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn infos(spec: &Spec) -> RedisResult<Vec<ConnectionInfo>> {
    let info = |address: ConnectionAddr| Ok(address.into_connection_info()?.set_redis_settings(login(spec)));
    addresses(spec).map(info).collect()
}

fn sentinels(spec: &Spec, master: &str) -> RedisResult<SentinelClient> {
    let mut builder = SentinelClientBuilder::new(addresses(spec), master, SentinelServerType::Master)?;
    if let Some(user) = &spec.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &spec.password {
        builder = builder.set_client_to_redis_password(String::from_utf8_lossy(&password.0));
    }
    if let Some(certificates) = certificates(spec) {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(spec: &Spec) -> RedisResult<ClusterClient> {
    // A key that moved is asked for at its new place; what is late is not asked again.
    let mut builder = ClusterClient::builder(infos(spec)?)
        .retries(2)
        .min_retry_wait(1)
        .max_retry_wait(5)
        .connection_timeout(MEMBER_TIMEOUT)
        .response_timeout(spec.timeout);
    if let Some(certificates) = certificates(spec) {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()
}
