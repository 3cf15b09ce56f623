//! What tests of all that lives in Redis share.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::{Mode, Redis, Spec};

/// How to reach a Redis at this URL, for tests on a busy machine: questions may take long.
pub(crate) fn spec(url: &str) -> Spec {
    Spec {
        servers: vec![server(url)],
        mode: Mode::Standalone,
        tls: None,
        user: None,
        password: None,
        prefix: "bascule:".into(),
        timeout: Duration::from_secs(5),
    }
}

/// Host and port of a URL.
pub(crate) fn server(url: &str) -> (String, u16) {
    let (host, port) = url.rsplit_once("//").unwrap().1.rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

/// One that connects, for this event loop.
pub(crate) fn start(spec: Spec) -> Redis {
    let redis = Redis::new(spec).unwrap();
    redis.connect();
    redis
}

pub(crate) fn redis_at(url: &str) -> Arc<Redis> {
    Arc::new(start(spec(url)))
}

/// A client of this cluster.
pub(crate) fn redis_of(cluster: &test_servers::RedisCluster) -> Arc<Redis> {
    let servers = cluster.urls().iter().map(|url| server(url)).collect();
    let spec = Spec { servers, mode: Mode::Cluster, ..spec(&cluster.urls()[0]) };
    Arc::new(start(spec))
}

/// Waits until something is so.
pub(crate) async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}: waited in vain"));
}
