//! What changes a node: `/pools/POOL/nodes/NODE/drain`, `/undrain` and `/weight`.
//!
//! It asks the writer, and answers what the node is when that is published.

use hyper::{Request, StatusCode};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Admin;
use crate::control::api::{Answer, JSON, PLAIN, decoded, full, is_of_a_page, text};
use crate::control::command::Refusal;
use crate::control::config;
use crate::control::health::{self, Act, NodeHealth, Order};
use crate::control::writer::Event;

/// What may be asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Drain,
    Undrain,
    Weight,
}

/// A change that a path names.
pub(super) struct NodeChange<'a> {
    pool: &'a str,
    node: &'a str,
    verb: Verb,
}

/// What the node is then.
#[derive(Serialize)]
struct Report<'a> {
    pool: &'a str,
    node: &'a str,
    in_flight: u32,
    #[serde(flatten)]
    health: NodeHealth,
}

impl<'a> NodeChange<'a> {
    /// The change of `/pools/POOL/nodes/NODE/VERB`; none if it is no such path. A node's id may hold slashes.
    pub(super) fn named_by(path: &'a str) -> Option<Self> {
        let (pool, rest) = path.strip_prefix("/pools/")?.split_once("/nodes/")?;
        let (node, verb) = rest.rsplit_once('/')?;
        let verb = match verb {
            "drain" => Verb::Drain,
            "undrain" => Verb::Undrain,
            "weight" => Verb::Weight,
            _ => return None,
        };
        Some(Self { pool, node, verb })
    }

    /// Does it, and says what came of it.
    pub(super) async fn carry_out<B>(self, admin: &Admin, request: &Request<B>) -> Answer {
        if is_of_a_page(request) {
            return text(StatusCode::FORBIDDEN, "a web page may not ask for this; use curl\n");
        }
        let act = match self.act(request.uri().query()) {
            Ok(act) => act,
            Err(sentence) => return text(StatusCode::BAD_REQUEST, sentence),
        };
        let node = decoded(self.node);
        let (answer, answered) = oneshot::channel();
        let order = Order { pool: self.pool.to_owned(), node: node.clone().into_owned(), act, answer };
        // Without a writer the gateway is stopping, and nobody answers.
        let _stopping = admin.events.send(Event::Order(Box::new(order))).await;
        match answered.await {
            Ok(Ok(health)) => full(StatusCode::OK, JSON, self.json(admin, &node, health)),
            Ok(Err(Refusal::Unknown(why))) => full(StatusCode::NOT_FOUND, PLAIN, format!("{why}\n")),
            Ok(Err(Refusal::Conflict(why))) => full(StatusCode::CONFLICT, PLAIN, format!("{why}\n")),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n"),
        }
    }

    fn act(&self, query: Option<&str>) -> Result<Act, &'static str> {
        match (self.verb, query) {
            (Verb::Drain, None) => Ok(Act::Drain(None)),
            (Verb::Drain, Some(query)) => {
                let timeout = query.strip_prefix("timeout=").and_then(config::duration);
                timeout.map(|timeout| Act::Drain(Some(timeout))).ok_or(TIMEOUT)
            }
            (Verb::Weight, None) => Ok(Act::Weigh(None)),
            (Verb::Weight, Some(query)) => {
                let weight = query.strip_prefix("value=").and_then(health::weight);
                weight.map(|weight| Act::Weigh(Some(weight))).ok_or(WEIGHT)
            }
            (Verb::Undrain, None) => Ok(Act::Undrain),
            (Verb::Undrain, Some(_)) => Err("to undrain takes no query\n"),
        }
    }

    fn json(&self, admin: &Admin, node: &str, health: NodeHealth) -> String {
        let snapshot = admin.published.load();
        let pool = snapshot.pools.iter().find(|pool| pool.name.as_str() == self.pool);
        let nodes = pool.iter().flat_map(|pool| pool.nodes.iter());
        let found = nodes.into_iter().find(|known| &*known.spec.id == node);
        let in_flight = found.map_or(0, |known| known.live.in_flight());
        let report = Report { pool: self.pool, node, in_flight, health };
        serde_json::to_string_pretty(&report).expect("it is plain") + "\n"
    }
}

const TIMEOUT: &str = "write ?timeout= and how long bound sessions may still reach the node: 30s, 5m\n";
const WEIGHT: &str = "write ?value= and a weight from 1 to 100000, or no query for the configured one; to take a node out, drain it\n";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn act(path: &str, query: Option<&str>) -> Option<Result<Act, &'static str>> {
        NodeChange::named_by(path).map(|change| change.act(query))
    }

    #[test]
    fn paths_name_nodes_and_changes() {
        let change = NodeChange::named_by("/pools/api/nodes/10.0.0.1:80/drain").expect("it is one");
        assert_eq!((change.pool, change.node, change.verb), ("api", "10.0.0.1:80", Verb::Drain));
        let change = NodeChange::named_by("/pools/api/nodes/rack/7/weight").expect("it is one");
        assert_eq!((change.node, change.verb), ("rack/7", Verb::Weight));
        for none in ["/pools/api", "/pools/api/nodes/a", "/pools/api/nodes/a/burn", "/pools//drain"] {
            assert!(NodeChange::named_by(none).is_none(), "{none}");
        }
    }

    #[test]
    fn queries_say_how_long_and_how_much() {
        let (drain, weight) = ("/pools/p/nodes/n/drain", "/pools/p/nodes/n/weight");
        assert_eq!(act(drain, None), Some(Ok(Act::Drain(None))));
        let minute = Act::Drain(Some(Duration::from_secs(60)));
        assert_eq!(act(drain, Some("timeout=1m")), Some(Ok(minute)));
        let seven = std::num::NonZeroU32::new(7);
        assert_eq!(act(weight, Some("value=7")), Some(Ok(Act::Weigh(seven))));
        assert_eq!(act(weight, None), Some(Ok(Act::Weigh(None))));
        for (path, wrong) in [
            (drain, "timeout=30"),
            (drain, "timeout=0s"),
            (drain, "value=7"),
            (weight, "value=0"),
            (weight, "value=100001"),
            (weight, "value=-1"),
            ("/pools/p/nodes/n/undrain", "timeout=1s"),
        ] {
            assert!(act(path, Some(wrong)).is_some_and(|act| act.is_err()), "{path}?{wrong}");
        }
    }
}
