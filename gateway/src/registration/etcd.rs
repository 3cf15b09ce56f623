//! A node's key in etcd. A member that is lost gives way to the next one.

use std::time::Duration;

use super::desk::Desk;
use super::settings::Settings;
use crate::control::config::Origin;
use crate::control::etcd::{Etcd, Registration, Servers};

/// The key, while it is there.
pub(super) struct Key {
    servers: Servers,
    key: String,
    value: String,
    ttl: Duration,
    name: String,
    /// The member that is asked; counted on.
    member: usize,
    held: Option<Registration>,
}

impl Key {
    pub(super) fn new(endpoints: &[Origin], prefix: &str, settings: &Settings) -> Self {
        let servers = Servers {
            endpoints: endpoints.to_vec(),
            login: settings.login.clone(),
            tls: settings.tls.clone(),
        };
        let key = format!("{}/{}", prefix.trim_end_matches('/'), settings.node.id);
        let (value, ttl) = (settings.node.to_json(), settings.ttl);
        let name = settings.to.to_string();
        Self { servers, key, value, ttl, name, member: 0, held: None }
    }
}

impl Desk for Key {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&mut self) -> Result<(), String> {
        if let Some(held) = &self.held
            && held.keep().await.is_ok()
        {
            return Ok(());
        }
        // The lease has ended, or the member is lost: the key is put anew, with a lease of its own.
        self.held = None;
        let endpoint = self.servers.endpoint(self.member).clone();
        self.member += 1;
        let etcd = Etcd::connect(&endpoint, &self.servers).await.map_err(|failed| failed.to_string())?;
        let put = Registration::put(&etcd, self.key.clone(), &self.value, self.ttl).await;
        self.held = Some(put.map_err(|failed| failed.to_string())?);
        self.member -= 1;
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), String> {
        match self.held.take() {
            Some(held) => held.leave().await.map_err(|failed| failed.to_string()),
            None => Err("its lease could not be renewed before".to_owned()),
        }
    }
}
