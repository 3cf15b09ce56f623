//! A node's key in etcd, bound to a lease: it goes by itself when nobody keeps the lease.

use std::time::Duration;

use etcd_client::PutOptions;

use super::{Etcd, Failed, in_time};

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
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let lease = in_time(etcd.client.lease_client().grant(seconds, None)).await?.id();
        let registration = Self { etcd: etcd.clone(), key, lease };
        if let Err(failed) = registration.change(value).await {
            // Nobody knows of it any more. If this fails too, it ends by itself.
            let _ends_itself = registration.leave().await;
            return Err(failed);
        }
        Ok(registration)
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that the lease has ended: then put it anew.
    pub async fn change(&self, value: &str) -> Result<(), Failed> {
        let options = PutOptions::new().with_lease(self.lease);
        let mut keys = self.etcd.client.kv_client();
        in_time(keys.put(self.key.as_str(), value, Some(options))).await.map(drop)
    }

    /// Lets the lease begin anew. Three times in its length is often enough.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that the lease has ended: then put it anew.
    pub async fn keep(&self) -> Result<(), Failed> {
        let mut leases = self.etcd.client.lease_client();
        in_time(leases.keep_alive(self.lease)).await.map(drop)
    }

    /// Takes the key away, now.
    ///
    /// # Errors
    /// Whatever kept etcd from it; then the key goes with the lease.
    pub async fn leave(self) -> Result<(), Failed> {
        in_time(self.etcd.client.lease_client().revoke(self.lease)).await.map(drop)
    }
}
