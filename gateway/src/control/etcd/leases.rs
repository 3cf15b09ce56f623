//! Keys that go by themselves: each is bound to a lease, and nobody has to take it away.

use std::time::Duration;

use etcd_client::{DeleteOptions, KeyValue, PutOptions};

use super::{Etcd, Failed, in_time};

impl Etcd {
    /// Begins a lease of this time (whole seconds, at least one; etcd has a least of its own, mostly two).
    ///
    /// # Errors
    /// Whatever kept etcd from it.
    async fn grant(&self, ttl: Duration) -> Result<i64, Failed> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).max(1);
        Ok(in_time(self.client.lease_client().grant(seconds, None)).await?.id())
    }

    /// Lets a lease begin anew.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that it has ended.
    pub(in crate::control) async fn keep(&self, lease: i64) -> Result<(), Failed> {
        in_time(self.client.lease_client().keep_alive(lease)).await.map(drop)
    }

    /// What is left of a lease; nothing if it has ended.
    ///
    /// # Errors
    /// Whatever kept etcd from answering.
    pub(in crate::control) async fn left(&self, lease: i64) -> Result<Duration, Failed> {
        let answer = in_time(self.client.lease_client().time_to_live(lease, None)).await?;
        Ok(Duration::from_secs(u64::try_from(answer.ttl()).unwrap_or(0)))
    }

    /// Ends a lease, and all keys with it.
    ///
    /// # Errors
    /// Whatever kept etcd from it.
    pub(in crate::control) async fn revoke(&self, lease: i64) -> Result<(), Failed> {
        in_time(self.client.lease_client().revoke(lease)).await.map(drop)
    }

    /// Puts a key that lives as long as this lease.
    ///
    /// # Errors
    /// Whatever kept etcd from it, also that the lease has ended.
    pub(in crate::control) async fn put(&self, key: &str, value: &str, lease: i64) -> Result<(), Failed> {
        let options = PutOptions::new().with_lease(lease);
        in_time(self.client.kv_client().put(key, value, Some(options))).await.map(drop)
    }

    /// The same with a lease of its own, of this time; which one.
    ///
    /// # Errors
    /// Whatever kept etcd from it.
    pub(in crate::control) async fn put_leased(
        &self,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<i64, Failed> {
        let lease = self.grant(ttl).await?;
        if let Err(failed) = self.put(key, value, lease).await {
            // Nobody knows of it any more. If this fails too, it ends by itself.
            let _ends_itself = self.revoke(lease).await;
            return Err(failed);
        }
        Ok(lease)
    }

    /// Takes a key away; what it was, if it was there.
    ///
    /// # Errors
    /// Whatever kept etcd from it.
    pub(in crate::control) async fn delete(&self, key: &str) -> Result<Option<KeyValue>, Failed> {
        let options = DeleteOptions::new().with_prev_key();
        let mut answer = in_time(self.client.kv_client().delete(key, Some(options))).await?;
        Ok(answer.take_prev_kvs().pop())
    }
}
