//! The same key goes to the same node while that node is there, and few keys move when nodes come and go.
//!
//! The ring is the host's, so all workers, gateways and instances agree. With a bound on loads, a key whose node is
//! busy goes on to the next node of the ring (Mirrokni, Thorup, Zadimoghaddam 2018), so one hot key cannot
//! bury a node. The gateway hashes what the request says: nothing of it comes here.

use bascule_plugin::prelude::*;

/// What of a request is its key.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// The client's address.
    Client,
    /// The path, without its query.
    Path,
    /// The value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
}

impl Key {
    /// The node of a request's key; none where the header or cookie is missing or empty.
    fn node(&self, nodes: &Nodes, bound: u32) -> Option<Node> {
        match self {
            Self::Client => nodes.by_client(bound),
            Self::Path => nodes.by_path(bound),
            Self::Header(name) => nodes.by_header(name, bound),
            Self::Cookie(name) => nodes.by_cookie(name, bound),
        }
    }

    fn check(&self, key: &str) -> Result<(), String> {
        match self {
            Self::Header(name) | Self::Cookie(name) if name.is_empty() => {
                Err([key, ": the name is empty; write the name of a header or a cookie"].concat())
            }
            _ => Ok(()),
        }
    }
}

/// The keys of the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "client")]
    key: Key,
    #[serde(default = "client")]
    fallback: Key,
    #[serde(default = "quarter_more")]
    bound: u32,
}

fn client() -> Key {
    Key::Client
}

fn quarter_more() -> u32 {
    125
}

/// The policy.
#[derive(Debug)]
pub struct ConsistentHash(Config);

impl Lifecycle for ConsistentHash {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        config.key.check("key")?;
        config.fallback.check("fallback")?;
        if matches!(config.bound, 1..=100) {
            return Err("bound: write more than 100 (percent of a fair share), or 0 for no bound".into());
        }
        Ok(Self(config))
    }
}

impl Balancer for ConsistentHash {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let Config { key, fallback, bound } = &self.0;
        key.node(nodes, *bound).or_else(|| fallback.node(nodes, *bound)).into()
    }
}

bascule_plugin::export!(ConsistentHash: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PolicyTest, TestRequest, json, request};

    use super::ConsistentHash;

    fn policy(config: impl ToString) -> PolicyTest<ConsistentHash> {
        PolicyTest::configured(config).expect("the configuration is right")
    }

    fn user(name: impl ToString) -> TestRequest {
        request("GET", "/").header("x-user", name.to_string())
    }

    fn by_user() -> PolicyTest<ConsistentHash> {
        policy(json!({ "key": { "header": "x-user" } })).nodes((0..10).map(|id| format!("node-{id}")))
    }

    #[test]
    fn a_key_stays_with_its_node() {
        let mut test = by_user();
        let first = test.pick(&user("ann"));
        assert!((0..100).all(|_| test.pick(&user("ann")) == first));
    }

    #[test]
    fn keys_spread_over_all_nodes() {
        let mut test = by_user();
        let mut nodes: Vec<_> = (0..500).map(|id| test.pick(&user(id))).collect();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes.len(), 10);
    }

    #[test]
    fn one_node_of_ten_moves_a_tenth_of_the_keys() {
        let mut test = by_user();
        let before: Vec<_> = (0..2000).map(|id| test.pick(&user(id))).collect();
        test.remove("node-3");
        let after = (0..2000).map(|id| test.pick(&user(id)));
        let moved: Vec<_> = before.iter().zip(after).filter(|(old, new)| *old != new).collect();
        assert!((140..260).contains(&moved.len()), "{} of 2,000 keys moved", moved.len());
        assert!(moved.iter().all(|(old, _)| **old == Picked::Node("node-3")), "only its own keys moved");
    }

    #[test]
    fn the_key_is_what_the_configuration_says() {
        let same = |config, one: TestRequest, other: TestRequest| {
            let mut test = policy(config).nodes((0..100).map(|id| id.to_string()));
            test.pick(&one) == test.pick(&other)
        };
        let get = |path| request("GET", path);
        assert!(same(json!({ "key": "path" }), get("/a?x=1").from("192.0.2.7"), get("/a?x=2")));
        assert!(!same(json!({ "key": "path" }), get("/a"), get("/b")));
        assert!(same(json!({ "key": "client" }), get("/a"), get("/b")));
        assert!(!same(json!({}), get("/").from("192.0.2.7"), get("/")));
        let cookie = json!({ "key": { "cookie": "id" } });
        assert!(same(
            cookie.clone(),
            get("/a").cookie("id", "7").from("192.0.2.7"),
            get("/b").cookie("id", "7")
        ));
        assert!(!same(cookie, get("/").cookie("id", "7"), get("/").cookie("id", "8")));
    }

    #[test]
    fn without_the_key_the_fallback_counts() {
        let mut test = by_user();
        let from = |address: &str| request("GET", "/").header("x-user", "").from(address);
        assert_eq!(test.pick(&from("192.0.2.8")), test.pick(&from("192.0.2.8")));
        let mut nodes: Vec<_> = (0..100).map(|id| test.pick(&from(&format!("192.0.2.{id}")))).collect();
        nodes.sort();
        nodes.dedup();
        assert!(nodes.len() > 5, "requests without the header must not all go to one node");
    }

    #[test]
    fn without_any_key_it_abstains() {
        let mut test =
            policy(json!({ "key": { "header": "a" }, "fallback": { "cookie": "b" } })).nodes(["n"]);
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
    }

    #[test]
    fn a_hot_key_goes_on_along_the_ring() {
        let mut test = by_user();
        let Picked::Node(home) = test.pick(&user("ann")) else { panic!("there are candidates") };
        test.change(home, |node| node.in_flight(50));
        assert_ne!(test.pick(&user("ann")), Picked::Node(home));
        test.change(home, |node| node.in_flight(0));
        assert_eq!(test.pick(&user("ann")), Picked::Node(home));
    }

    #[test]
    fn without_a_bound_a_key_never_moves_for_load() {
        let mut test = policy(json!({ "bound": 0 })).nodes(["a", "b", "c"]);
        let Picked::Node(home) = test.pick(&request("GET", "/")) else { panic!("there are candidates") };
        test.change(home, |node| node.in_flight(5000));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node(home));
    }

    #[test]
    fn wrong_keys_are_refused() {
        let error = |config| PolicyTest::<ConsistentHash>::configured(config).expect_err("it is wrong");
        assert_eq!(
            error(json!({ "bound": 90 })),
            "bound: write more than 100 (percent of a fair share), or 0 for no bound"
        );
        assert_eq!(
            error(json!({ "key": { "header": "" } })),
            "key: the name is empty; write the name of a header or a cookie"
        );
        assert_eq!(
            error(json!({ "key": "ip" })),
            "key: unknown variant `ip`, expected one of `client`, `path`, `header`, `cookie`"
        );
    }
}
