//! A node's key in etcd, bound to a lease: it goes by itself when nobody keeps the lease.

use std::time::Duration;

use super::{Etcd, Failed};

/// A key that lives as long as its lease is kept. Dropping this leaves it to its end.
pub struct Registration {
    etcd: Etcd,
    key: String,
    lease: i64,
}

impl Registration {
    /// Puts the key, with a lease of this time (whole seconds, at least one).
    ///
    /// # Errors
    /// Whatever kept etcd from it.
    pub async fn put(etcd: &Etcd, key: String, value: &str, ttl: Duration) -> Result<Self, Failed> {
        let lease = etcd.put_leased(&key, value, ttl).await?;
        Ok(Self { etcd: etcd.clone(), key, lease })
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that the lease has ended: then put it anew.
    pub async fn change(&self, value: &str) -> Result<(), Failed> {
        self.etcd.put(&self.key, value, self.lease).await
    }

    /// Lets the lease begin anew. Three times in its length is often enough.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that the lease has ended: then put it anew.
    pub async fn keep(&self) -> Result<(), Failed> {
        self.etcd.keep(self.lease).await
    }

    /// Takes the key away, now.
    ///
    /// # Errors
    /// Whatever kept etcd from it; then the key goes with the lease.
    pub async fn leave(self) -> Result<(), Failed> {
        self.etcd.revoke(self.lease).await
    }
}
