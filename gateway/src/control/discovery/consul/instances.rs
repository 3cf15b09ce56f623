//! What Consul's health endpoint says of a service's instances. Pure.
//!
//! An instance is a node by the same rules as one in JSON anywhere else; only where its parts stand is Consul's own.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::control::config;
use crate::control::discovery::schema::{Announced, MOST_BYTES, NodeSet};

type Meta = BTreeMap<String, String>;

/// One instance, as far as it is looked at. Consul adds fields from version to version.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Agent,
    service: Service,
}

/// What Consul calls a node: where an agent runs.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Agent {
    node: String,
    address: String,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: u64,
    meta: Option<Meta>,
    weights: Option<Weights>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u64,
}

/// Reads a whole answer.
///
/// # Errors
/// When it is no list; as a sentence without its full stop.
pub(super) fn read(body: &[u8]) -> Result<NodeSet, String> {
    let rows: Vec<Json> = serde_json::from_slice(body)
        .map_err(|_| "what answers is not Consul: it sends no list in JSON".to_owned())?;
    let mut set = NodeSet::default();
    let mut instances = Vec::with_capacity(rows.len());
    for (at, row) in rows.into_iter().enumerate() {
        match serde_json::from_value::<Instance>(row) {
            Ok(instance) => instances.push(instance),
            Err(error) => set.add(&format!("[{at}]"), Err(error.to_string())),
        }
    }
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for instance in &instances {
        *uses.entry(&instance.service.id).or_default() += 1;
    }
    for instance in &instances {
        let Service { id, .. } = &instance.service;
        // An id belongs to an agent: another one may use the same.
        let id = if uses[id.as_str()] > 1 { format!("{id}@{}", instance.node.node) } else { id.clone() };
        set.add(&id, node(&id, instance));
    }
    Ok(set)
}

/// The node that an instance is.
fn node(id: &str, instance: &Instance) -> Result<Announced, String> {
    let Instance { node: agent, service } = instance;
    let mut labels = service.meta.clone().unwrap_or_default();
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MOST_BYTES {
        return Err(format!("its meta has {bytes} bytes, and {MOST_BYTES} is the most"));
    }
    // It is there for others, too: what cannot be a label is none.
    let is_label = |text: &String| config::word(text.clone()).is_ok();
    labels.retain(|name, value| is_label(name) && is_label(value));
    let zone = labels.remove("zone").or_else(|| agent.meta.as_ref()?.get("zone").cloned());
    let tier = match labels.remove("tier") {
        Some(tier) => tier.parse::<u64>().map_err(|_| "`tier` in its meta is no number".to_owned())?,
        None => 0,
    };
    let host = if service.address.is_empty() { &agent.address } else { &service.address };
    let address = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{host}]:{}", service.port),
        _ => format!("{host}:{}", service.port),
    };
    let weight = service.weights.as_ref().map_or(1, |weights| weights.passing);
    Announced::from_value(
        id,
        json!({ "address": address, "weight": weight, "zone": zone, "tier": tier, "labels": labels }),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn instance(agent: &str, service: Json) -> Json {
        json!({ "Node": { "Node": agent, "Address": "10.0.0.9", "Meta": { "zone": "rack" } }, "Service": service, "Checks": [] })
    }

    fn read_all(rows: &[Json]) -> NodeSet {
        read(serde_json::to_string(rows).unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn an_instance_says_where_it_is_and_what_it_can() {
        let meta = json!({ "zone": "a", "tier": "1", "version": "2", "note": "", "team": "für alle" });
        let full = json!({ "ID": "api-1", "Address": "10.0.0.1", "Port": 8080, "Meta": meta, "Weights": { "Passing": 3, "Warning": 1 }, "New": 1 });
        let bare = json!({ "ID": "api-2", "Address": "", "Port": 8081 });
        let six = json!({ "ID": "api-3", "Address": "fd00::1", "Port": 80, "Meta": null });
        let set = read_all(&[instance("n1", full), instance("n1", bare), instance("n2", six)]);
        assert_eq!(set.bad, []);
        let [full, bare, six] = set.nodes.as_slice() else { panic!("{set:?}") };
        assert_eq!(
            (full.id.as_str(), full.address.as_str(), full.weight.get()),
            ("api-1", "10.0.0.1:8080", 3)
        );
        assert_eq!((full.zone.as_deref(), full.tier), (Some("a"), 1));
        assert_eq!(full.labels, Meta::from([("version".to_owned(), "2".to_owned())]));
        assert_eq!((bare.address.as_str(), bare.weight.get()), ("10.0.0.9:8081", 1));
        assert_eq!((bare.zone.as_deref(), bare.tier, bare.labels.len()), (Some("rack"), 0, 0));
        assert_eq!(six.address.as_str(), "[fd00::1]:80");
    }

    #[test]
    fn an_id_that_two_agents_use_is_told_apart() {
        let api = |port: u16| json!({ "ID": "api", "Address": "10.0.0.1", "Port": port });
        let other = json!({ "ID": "other", "Address": "10.0.0.1", "Port": 3 });
        let set = read_all(&[instance("n1", api(1)), instance("n2", api(2)), instance("n2", other)]);
        let ids: Vec<_> = set.nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(ids, ["api@n1", "api@n2", "other"]);
    }

    #[test]
    fn a_bad_instance_is_named_and_the_others_stand() {
        let with = |id: &str, key: &str, value: Json| {
            let mut service = json!({ "ID": id, "Address": "10.0.0.1", "Port": 8080 });
            service[key] = value;
            instance("n1", service)
        };
        let set = read_all(&[
            with("port", "Port", json!(0)),
            with("weight", "Weights", json!({ "Passing": 0 })),
            with("tier", "Meta", json!({ "tier": "first" })),
            with("large", "Meta", json!({ "note": "x".repeat(1024 * 1024) })),
            with("good", "Port", json!(1)),
            json!({ "Node": 7 }),
        ]);
        assert_eq!(set.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["good"]);
        let keys: Vec<_> = set.bad.iter().map(|bad| bad.key.as_str()).collect();
        assert_eq!(keys, ["[5]", "port", "weight", "tier", "large"]);
        assert!(set.bad.iter().all(|bad| bad.why.len() < 200), "{:?}", set.bad);
    }

    #[test]
    fn what_is_no_list_is_not_consul() {
        for body in ["<html>", "{}", "", "[1"] {
            assert!(read(body.as_bytes()).unwrap_err().contains("not Consul"), "{body}");
        }
        assert_eq!(read(b"[]").unwrap(), NodeSet::default());
    }
}
