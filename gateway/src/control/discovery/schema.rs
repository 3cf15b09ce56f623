//! What a registry says of a node: one JSON schema for etcd, ZooKeeper, the gateway's own registry and files.
//!
//! ```json
//! {"address": "10.0.0.1:8080", "weight": 2, "zone": "a", "tier": 0, "drain": false, "labels": {"version": "2"}}
//! ```
//! Only `address` is needed. What it holds is held to the same rules as in the configuration; nothing is looked up here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::control::config::{self, Node, NodeAddress};
use crate::node::NodeSpec;

/// The most bytes that one entry may have: some hundred labels.
pub(in crate::control) const MOST_BYTES: usize = 64 * 1024;

/// A node, as it was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    /// What knows it again when its address changes.
    pub(crate) id: String,
    /// Where it listens.
    pub(crate) address: NodeAddress,
    /// Its share.
    pub(crate) weight: NonZeroU32,
    /// Where it stands.
    pub(crate) zone: Option<String>,
    /// Later tiers are used as far as earlier ones lack healthy nodes.
    pub(crate) tier: u8,
    /// Whether it shall get nothing new.
    pub(crate) drain: bool,
    /// What policies may know of it.
    pub(crate) labels: BTreeMap<String, String>,
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct BadEntry {
    /// Its name in the registry.
    pub(in crate::control) key: String,
    /// Why, as a sentence without its full stop.
    pub(in crate::control) why: String,
}

/// All that a registry says of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::control) struct NodeSet {
    /// The nodes, in any order.
    pub(in crate::control) nodes: Vec<Announced>,
    /// Entries that could not be read.
    pub(in crate::control) bad: Vec<BadEntry>,
}

impl NodeSet {
    /// Adds an entry, or notes what is wrong with it.
    pub(in crate::control) fn add(&mut self, key: &str, entry: Result<Announced, String>) {
        match entry {
            Ok(node) => self.nodes.push(node),
            Err(why) => self.bad.push(BadEntry { key: key.to_owned(), why }),
        }
    }
}

/// The schema. Numbers are wider than they may be, so that the error can say so in words.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    address: String,
    #[serde(default = "one")]
    weight: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default)]
    tier: u64,
    #[serde(default)]
    drain: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

fn one() -> u64 {
    1
}

impl Announced {
    /// A node that says nothing but where it listens. Without an id it is known by that.
    pub(crate) fn at(id: &str, address: NodeAddress) -> Self {
        Self {
            id: if id.is_empty() { address.to_string() } else { id.to_owned() },
            address,
            weight: NonZeroU32::MIN,
            zone: None,
            tier: 0,
            drain: false,
            labels: BTreeMap::new(),
        }
    }

    /// Reads an entry. `id` is what it is known by if it does not say so itself: the last part of its key, or nothing.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without its full stop.
    pub(crate) fn from_json(id: &str, bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!("it has {} bytes, and {MOST_BYTES} is the most", bytes.len()));
        }
        let json = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
        Self::from_value(id, json)
    }

    /// The same of JSON that was read already.
    ///
    /// # Errors
    /// As [`Announced::from_json`].
    pub(crate) fn from_value(id: &str, json: Json) -> Result<Self, String> {
        if !json.is_object() {
            return Err("it is no JSON object with an `address`".to_owned());
        }
        let entry: Entry = serde_json::from_value(json).map_err(|error| error.to_string())?;
        let address: NodeAddress = entry.address.parse()?;
        let weight = u32::try_from(entry.weight).ok().filter(|weight| *weight <= Node::MAX_WEIGHT);
        let weight = weight.and_then(NonZeroU32::new);
        let word = |name: &str, text: String| config::word(text).map_err(|why| format!("`{name}`: {why}"));
        let labels =
            entry.labels.into_iter().map(|(name, value)| Ok((word("labels", name)?, word("labels", value)?)));
        Ok(Self {
            id: word("id", entry.id.unwrap_or_else(|| Self::at(id, address.clone()).id))?,
            weight: weight.ok_or_else(|| {
                format!("`weight` is {}, and not from 1 to {}", entry.weight, Node::MAX_WEIGHT)
            })?,
            zone: entry.zone.map(|zone| word("zone", zone)).transpose()?,
            tier: u8::try_from(entry.tier)
                .ok()
                .filter(|tier| *tier <= 9)
                .ok_or("`tier` is not from 0 to 9")?,
            drain: entry.drain,
            labels: labels.collect::<Result<_, String>>()?,
            address,
        })
    }

    /// The entry that reads as this.
    pub(crate) fn to_json(&self) -> String {
        let entry = Entry {
            id: Some(self.id.clone()),
            address: self.address.to_string(),
            weight: self.weight.get().into(),
            zone: self.zone.clone(),
            tier: self.tier.into(),
            drain: self.drain,
            labels: self.labels.clone(),
        };
        serde_json::to_string(&entry).expect("it is plain")
    }

    /// A node that was found, as it would be announced at its address.
    pub(super) fn of(node: &NodeSpec) -> Self {
        let labels = node.labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let address = node.address.to_string();
        Self {
            id: node.id.to_string(),
            address: address.parse().expect("an address with a port reads as it is written"),
            weight: node.weight,
            zone: node.zone.as_deref().map(str::to_owned),
            tier: node.tier,
            drain: node.drain,
            labels: labels.collect(),
        }
    }

    /// The node, at this address.
    pub(super) fn spec(&self, address: SocketAddr) -> NodeSpec {
        let labels = self.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        NodeSpec {
            id: self.id.as_str().into(),
            address,
            weight: self.weight,
            zone: self.zone.as_deref().map(Into::into),
            tier: self.tier,
            drain: self.drain,
            labels: labels.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_an_address_is_needed() {
        let node = Announced::from_json("a-1", br#"{"address": "10.0.0.1:8080"}"#).unwrap();
        assert_eq!(node, Announced::at("a-1", "10.0.0.1:8080".parse().unwrap()));
        let node = Announced::from_json("", br#"{"address": "10.0.0.1:8080"}"#).unwrap();
        assert_eq!(node.id, "10.0.0.1:8080");
        let node = Announced::from_json("a-1", br#"{"id": "b", "address": "10.0.0.1:8080"}"#).unwrap();
        assert_eq!(node.id, "b", "its own word stands above its key");
    }

    #[test]
    fn an_entry_reads_as_what_was_written() {
        let text = br#"{"address": "node.example:80", "weight": 3, "zone": "a", "tier": 1, "drain": true,
                        "labels": {"version": "2"}}"#;
        let node = Announced::from_json("n", text).unwrap();
        assert_eq!((node.weight.get(), node.zone.as_deref(), node.tier, node.drain), (3, Some("a"), 1, true));
        assert_eq!(Announced::from_json("other", node.to_json().as_bytes()), Ok(node));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!(r#"{{"address": "{}"}}"#, "a".repeat(MOST_BYTES));
        for (text, why) in [
            ("<html>", "it is no JSON"),
            ("[]", "no JSON object"),
            ("{}", "missing field `address`"),
            (r#"{"address": "10.0.0.1"}"#, "has no port"),
            (r#"{"address": "10.0.0.1:0"}"#, "0 is no port"),
            (r#"{"address": "10.0.0.1:190021"}"#, "190021 is no port"),
            (r#"{"address": "http://a:80"}"#, "is a URL"),
            (r#"{"address": "a:80", "weight": 0}"#, "`weight` is 0"),
            (r#"{"address": "a:80", "weight": 100001}"#, "`weight` is 100001"),
            (r#"{"address": "a:80", "weight": 1.5}"#, "expected u64"),
            (r#"{"address": "a:80", "tier": 10}"#, "`tier`"),
            (r#"{"address": "a:80", "port": 1}"#, "unknown field `port`"),
            (r#"{"address": "a:80", "zone": "a\nb"}"#, "`zone`"),
            (r#"{"address": "a:80", "id": ""}"#, "`id`"),
            (&long, "is the most"),
        ] {
            let error = Announced::from_json("n", text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text:.40}: {error}");
        }
    }
}
