//! A node's znode in ZooKeeper, which keeps itself while the session lives.

use std::time::Duration;

use super::desk::Desk;
use super::settings::Settings;
use crate::control::config::NodeAddress;
use crate::control::zookeeper::{Registration, Servers};

/// The znode, while it is there.
pub(super) struct Znode {
    servers: Servers,
    path: String,
    id: String,
    value: String,
    ttl: Duration,
    name: String,
    held: Option<Registration>,
}

impl Znode {
    pub(super) fn new(servers: &[NodeAddress], has_tls: bool, path: &str, settings: &Settings) -> Self {
        let servers = Servers {
            servers: servers.to_vec(),
            login: settings.login.clone(),
            tls: has_tls.then(|| settings.tls.clone().unwrap_or_default()),
        };
        let (id, value) = (settings.node.id.clone(), settings.node.to_json());
        let (path, ttl, name) = (path.to_owned(), settings.ttl, settings.to.to_string());
        Self { servers, path, id, value, ttl, name, held: None }
    }
}

impl Desk for Znode {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&mut self) -> Result<(), String> {
        if let Some(held) = &self.held {
            match held.keep().await {
                Ok(()) => return Ok(()),
                // The connection comes back by itself, and the session with it.
                Err(why) if why != Registration::GONE && !held.is_lost() => return Err(why),
                Err(_) => self.held = None,
            }
        }
        let put = Registration::put(&self.servers, &self.path, &self.id, &self.value, self.ttl).await;
        self.held = Some(put?);
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), String> {
        match self.held.take() {
            Some(held) => held.leave().await,
            None => Ok(()),
        }
    }
}
