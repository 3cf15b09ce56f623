//! The stores that the configuration asks for.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::control::config::{self, Config, NodeHost, RedisMode, Store};
use crate::plugin::services::Services;
use crate::store::redis::{Mode, Password, Redis, Spec, Tls};
use crate::store::sessions::FailMode;
use crate::store::{Sessions, Shared};

/// Opens them. A Redis need not be there yet.
///
/// # Errors
/// A file of a certificate cannot be read.
pub(super) fn open(config: &Config) -> Result<Services, StartError> {
    let redis = config.redis.as_ref().map(self::redis).transpose()?;
    let most = config.sessions.capacity.get();
    let sessions = match (&config.sessions.store, &redis) {
        (Store::Cookie { keys }, _) => Sessions::in_cookies(keys.iter().map(|key| key.reveal().as_bytes())),
        (Store::Redis { near_cache, fail_mode }, Some(redis)) => {
            let fail_mode = match fail_mode {
                config::FailMode::Move => FailMode::Move,
                config::FailMode::Refuse => FailMode::Refuse,
            };
            Sessions::in_redis(Arc::clone(redis), most, *near_cache, fail_mode)
        }
        // The configuration refuses sessions in Redis without one.
        (Store::Redis { .. }, None) | (Store::Memory, _) => Sessions::in_memory(most),
    };
    Ok(Services { sessions, shared: Shared::new(redis.clone()), redis, ..Services::default() })
}

fn redis(redis: &config::Redis) -> Result<Arc<Redis>, StartError> {
    let host = |host: &NodeHost| match host {
        NodeHost::Ip(ip) => ip.to_string(),
        NodeHost::Dns(name) => name.clone(),
    };
    let spec = Spec {
        servers: redis.servers.iter().map(|server| (host(server.host()), server.port())).collect(),
        mode: match &redis.mode {
            RedisMode::Standalone => Mode::Standalone,
            RedisMode::Sentinel(master) => Mode::Sentinel(master.clone()),
            RedisMode::Cluster => Mode::Cluster,
        },
        tls: redis.tls.as_ref().map(tls).transpose()?,
        user: redis.user.clone(),
        password: redis.password.as_ref().map(|password| Password(password.reveal().into())),
        prefix: redis.prefix.clone(),
        timeout: redis.timeout,
    };
    let failed = |error: io::Error| StartError::System(format!("[redis]: {error}"));
    Redis::new(spec).map(Arc::new).map_err(failed)
}

fn tls(tls: &config::ClientTls) -> Result<Tls, StartError> {
    let identity = tls
        .identity
        .as_ref()
        .map(|identity| Ok::<_, StartError>((read(&identity.certificate)?, Password(read(&identity.key)?))));
    Ok(Tls { ca: tls.ca.as_deref().map(read).transpose()?, identity: identity.transpose()? })
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    let named = |error| StartError::System(format!("[redis]: {} cannot be read: {error}", path.display()));
    std::fs::read(path).map_err(named)
}
