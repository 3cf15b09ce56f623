//! etcd: a key for each node, by the JSON form of its API.

use super::{Announced, Registry, Running};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::rc::Rc;
use std::time::Duration;

const PREFIX: &str = "/bascule/bench/";

pub(super) struct Etcd(Rc<test_servers::Etcd>);

impl Etcd {
    pub(super) fn new(server: test_servers::Etcd) -> Etcd {
        Etcd(Rc::new(server))
    }

    fn call(&self, target: &str, body: &str) -> Result<Value> {
        let answer = self.0.call(target, body);
        ensure!(answer.status == 200, "{target} was answered with {}: {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    fn write(&self, node: &Announced, further: &str) -> Result<()> {
        let (key, value) = (key(&node.id), base64(node.json("").as_bytes()));
        self.call("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"{further}}}"#))?;
        Ok(())
    }
}

impl Registry for Etcd {
    fn title(&self) -> &'static str {
        "etcd"
    }

    fn tables(&self) -> String {
        let url = self.0.url();
        format!(
            "[pool.bench.discovery]\nprovider = \"etcd\"\nendpoints = [\"{url}\"]\nprefix = \"{PREFIX}\"\n"
        )
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        self.write(node, "")
    }

    fn put_leased(&mut self, node: &Announced, ttl: Duration) -> Result<()> {
        let granted = self.call("/v3/lease/grant", &format!(r#"{{"TTL":{}}}"#, ttl.as_secs()))?;
        let lease = granted["ID"].as_str().context("etcd grants no lease")?;
        self.write(node, &format!(r#","lease":"{lease}""#))
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        let gone = self.call("/v3/kv/deleterange", &format!(r#"{{"key":"{}"}}"#, key(id)))?;
        ensure!(gone["deleted"] == "1", "etcd does not know {id}");
        Ok(())
    }

    fn server(&self) -> Option<Running> {
        Some(self.0.clone())
    }
}

fn key(id: &str) -> String {
    base64([PREFIX, id].concat().as_bytes())
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit = |place: usize| char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]);
        text.extend((0..4).map(|place| if place <= three.len() { digit(place) } else { '=' }));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn the_examples_of_the_rfc() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
