//! What a node sends when it registers: the schema that all registries share, and how long it counts.

use std::time::Duration;

use serde_json::{Map, Value};

use super::leases::Lease;
use crate::control::config;
use crate::control::discovery::{Announced, Entry};

/// Long enough that a renewal may be lost, and short enough that a node that lost its power is soon gone.
pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(10);
const LEAST_TTL: Duration = Duration::from_secs(1);
const MOST_TTL: Duration = Duration::from_secs(3600);

const WHAT_TO_SEND: &str = r#"send {"address": "10.0.0.1:8080", "ttl": "10s"}"#;

impl Entry for Lease {
    fn read(id: &str, value: &[u8]) -> Result<Self, String> {
        read(id, value)
    }

    fn node(&self) -> &Announced {
        &self.node
    }
}

/// What reads as this lease.
pub(super) fn json(lease: &Lease) -> Value {
    let mut json: Value = serde_json::from_str(&lease.node.to_json()).expect("it was written just now");
    json["ttl"] = text(lease.ttl).into();
    json
}

/// Reads a registration of the node with this id.
///
/// # Errors
/// A sentence for whoever sent it.
pub(super) fn read(id: &str, body: &[u8]) -> Result<Lease, String> {
    let json: Result<Map<String, Value>, _> = serde_json::from_slice(body);
    let mut json = json.map_err(|error| format!("this is no JSON object ({error}): {WHAT_TO_SEND}"))?;
    let ttl = json.remove("ttl").map_or(Ok(DEFAULT_TTL), |ttl| read_ttl(&ttl))?;
    let rest = serde_json::to_vec(&json).expect("it was read from JSON");
    let node = Announced::from_json(id, &rest)?;
    if node.id != id {
        return Err(format!("the body says that the node is \"{}\", and the path \"{id}\"", node.id));
    }
    Ok(Lease { node, ttl })
}

fn read_ttl(ttl: &Value) -> Result<Duration, String> {
    let text = ttl.as_str().ok_or(r#"`ttl` is a text with a unit: "10s""#)?;
    let ttl = config::duration(text).filter(|ttl| (LEAST_TTL..=MOST_TTL).contains(ttl));
    ttl.ok_or_else(|| format!("{text:?} is no `ttl`: write \"1s\" to \"1h\""))
}

/// A duration as it is written in configurations.
pub(super) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_node_says_where_it_is_and_how_long_that_counts() {
        let lease = read("a", br#"{"address": "10.0.0.1:80", "weight": 2, "ttl": "90s"}"#).unwrap();
        assert_eq!((lease.node.id.as_str(), lease.node.weight.get()), ("a", 2));
        assert_eq!(read("a", json(&lease).to_string().as_bytes()), Ok(lease.clone()));
        assert_eq!((lease.ttl, text(lease.ttl).as_str()), (Duration::from_secs(90), "90s"));
        let lease = read("a", br#"{"address": "10.0.0.1:80"}"#).unwrap();
        assert_eq!(lease.ttl, DEFAULT_TTL);
        assert_eq!(text(Duration::from_millis(1500)), "1500ms");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        for (body, sentence) in [
            ("<html>", "this is no JSON object"),
            ("[]", "this is no JSON object"),
            (r#"{"address": "10.0.0.1:80", "ttl": 10}"#, "`ttl` is a text with a unit"),
            (r#"{"address": "10.0.0.1:80", "ttl": "500ms"}"#, r#"write "1s" to "1h""#),
            (r#"{"address": "10.0.0.1:80", "ttl": "2h"}"#, r#"write "1s" to "1h""#),
            (r#"{"address": "10.0.0.1:80", "ttl": "soon"}"#, r#""soon" is no `ttl`"#),
            (r#"{"ttl": "10s"}"#, "address"),
            (r#"{"address": "10.0.0.1:0"}"#, "port"),
        ] {
            let said = read("a", body.as_bytes()).unwrap_err();
            assert!(said.contains(sentence) && !said.contains('\n'), "{body}: {said}");
        }
    }
}
