//! Real registries, stores and an ACME server: Redis, etcd, ZooKeeper, Consul and Pebble, each as a value that a test starts, breaks and drops.
//!
//! A crate of its own, since the integration tests and `cargo xtask` both use it. Nothing here knows the gateway. A server
//! listens on loopback only, on free ports, with all its data in a folder that goes with it.
//!
//! ```no_run
//! #[test]
//! fn values_survive_a_crash() {
//!     let Some(redis) = test_servers::Redis::start() else { return }; // it said that this test is skipped
//!     redis.ask(&["SET", "key", "value"]);
//!     redis.kill();
//!     redis.restart();
//!     assert_eq!(redis.ask(&["GET", "key"]), "value");
//! }
//! ```

mod certificates;
mod consul;
mod etcd;
mod http;
mod pebble;
mod ports;
mod program;
mod redis;
mod server;
mod zookeeper;

pub use certificates::Certificates;
pub use consul::Consul;
pub use etcd::Etcd;
pub use http::Answer;
pub use pebble::{Pebble, PebbleWish};
pub use ports::free_port;
pub use program::{Program, SKIPPED_TESTS, unpacked};
pub use redis::{Redis, RedisCluster, RedisSentinel};
pub use server::Server;
pub use zookeeper::ZooKeeper;
