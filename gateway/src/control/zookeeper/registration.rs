//! A node's ephemeral znode in ZooKeeper: it goes with the session that made it.

use std::time::Duration;

use zookeeper_client::{Acl, Acls, Client, CreateMode, Error, SessionState};

use super::{Servers, child, connect, in_time};

/// A znode that lives as long as its session, which keeps itself while this process is connected. Dropping this ends both.
pub struct Registration {
    client: Client,
    path: String,
    acl: Vec<Acl>,
}

impl Registration {
    /// What [`Self::keep`] says if the znode is not there, or is another session's: then put it anew.
    pub const GONE: &str = "the znode is gone";

    /// Makes the znode NAME below a path, which is made if it is not there. One of that name that an earlier session left
    /// gives way.
    ///
    /// # Errors
    /// What kept ZooKeeper from it.
    pub async fn put(
        servers: &Servers,
        path: &str,
        name: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<Self, String> {
        let client = connect(servers, ttl).await?;
        // With a login, everybody may read and only who has it may write.
        let mut acl = Acls::anyone_all().to_vec();
        if servers.login.is_some() {
            acl = [&*Acls::creator_all(), &*Acls::anyone_read()].concat();
        }
        let registration = Self { client, path: child(path, name), acl };
        registration.make(path, value).await.map_err(|error| error.to_string())?;
        Ok(registration)
    }

    async fn make(&self, parent: &str, value: &str) -> Result<(), Error> {
        let folder = CreateMode::Persistent.with_acls(Acls::new(&self.acl));
        if parent != "/" {
            in_time(self.client.mkdir(parent, &folder)).await?;
        }
        match self.create(value).await {
            Err(Error::NodeExists) => {}
            done => return done,
        }
        match in_time(self.client.delete(&self.path, None)).await {
            Ok(()) | Err(Error::NoNode) => self.create(value).await,
            Err(error) => Err(error),
        }
    }

    async fn create(&self, value: &str) -> Result<(), Error> {
        let options = CreateMode::Ephemeral.with_acls(Acls::new(&self.acl));
        in_time(self.client.create(&self.path, value.as_bytes(), &options)).await.map(drop)
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// What kept ZooKeeper from it, also that the znode is gone: then put it anew.
    pub async fn change(&self, value: &str) -> Result<(), String> {
        let set = in_time(self.client.set_data(&self.path, value.as_bytes(), None)).await;
        set.map(drop).map_err(|error| error.to_string())
    }

    /// Looks whether the znode is still there and still this session's.
    ///
    /// # Errors
    /// What kept ZooKeeper from answering; the session may yet live. See [`Self::is_lost`].
    pub async fn keep(&self) -> Result<(), String> {
        match in_time(self.client.check_stat(&self.path)).await {
            Ok(Some(stat)) if stat.ephemeral_owner == self.client.session_id().0 => Ok(()),
            Ok(_) => Err(Self::GONE.to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the session has ended, so that it has to be put anew. A connection alone comes back by itself.
    pub fn is_lost(&self) -> bool {
        let state = self.client.state();
        matches!(state, SessionState::Expired | SessionState::Closed | SessionState::AuthFailed)
    }

    /// Takes the znode away, now.
    ///
    /// # Errors
    /// What kept ZooKeeper from it; then it goes with the session.
    pub async fn leave(self) -> Result<(), String> {
        match in_time(self.client.delete(&self.path, None)).await {
            Ok(()) | Err(Error::NoNode) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
