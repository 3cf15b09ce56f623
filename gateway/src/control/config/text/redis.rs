//! Where Redis is.

use super::address::NodeAddress;
use super::{Refused, Text, refuse};

/// A server of Redis: `redis://HOST:PORT`, or `rediss://HOST:PORT` with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control::config) struct RedisUrl {
    pub(in crate::control::config) address: NodeAddress,
    pub(in crate::control::config) tls: bool,
}

impl Text for RedisUrl {
    const WHAT: &'static str = "a URL such as \"redis://127.0.0.1:6379\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write = "write scheme, host and port: \"redis://127.0.0.1:6379\", or \"rediss://…\" with TLS";
        let (tls, address) = match (text.strip_prefix("redis://"), text.strip_prefix("rediss://")) {
            (Some(address), _) => (false, address),
            (_, Some(address)) => (true, address),
            // It may hold a password in its place, so it is not repeated.
            _ => return refuse("this is no URL with redis:// or rediss://", write),
        };
        if address.contains('@') {
            return refuse(
                "a user or a password stands in this URL",
                "leave them out here, and write `user` and `password = { env = \"NAME\" }`",
            );
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        if address.contains('/') {
            return refuse(
                "more stands here than scheme, host and port",
                "leave the database out: what shares a Redis is told apart by `prefix`",
            );
        }
        NodeAddress::parse(address)
            .map(|address| Self { address, tls })
            .map_err(|refused| Refused { write: write.to_owned(), ..refused })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_url_is_scheme_host_and_port_and_nothing_secret() {
        let url = RedisUrl::parse("rediss://Redis.example:6380/").unwrap();
        assert_eq!((url.tls, url.address.as_str()), (true, "redis.example:6380"));
        assert!(!RedisUrl::parse("redis://[::1]:6379").unwrap().tls);
        for bad in ["127.0.0.1:6379", "http://a:1", "redis://a", "redis://a:1/0", "redis://u:hunter2@a:1"] {
            let refused = RedisUrl::parse(bad).unwrap_err();
            assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        }
    }
}
