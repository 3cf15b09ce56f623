//! What else registries have to stand that keep a node's JSON under a key: the same scenes for etcd and ZooKeeper.

use super::{configuration, nodes, pool, wait_for_nodes};
use crate::support::{Crowd, Entry, Load, Registry, TestGateway, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A registry that keeps whatever text it is given.
pub(super) trait Keyed: Registry {
    /// Sets what stands under a node's key.
    fn write(&self, id: &str, text: &str);
}

/// A gateway that is told the nodes of its pool, "main", as these keys of `discovery` say.
pub(super) fn gateway(keys: &str) -> TestGateway {
    TestGateway::with(&configuration(&format!("discovery = {{ {keys} }}")), &[])
}

/// The node of a crowd with this number, as it says of itself.
pub(super) fn text(crowd: &Crowd, number: usize, weight: u32) -> String {
    Entry::of(crowd, number, weight).json().to_string()
}

/// What /snapshot tells of the pool's discovery.
pub(super) fn told(gateway: &TestGateway) -> Value {
    pool(gateway)["discovery"].clone()
}

/// The key and the reason of each entry that is not used.
pub(super) fn unused(gateway: &TestGateway) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let rows = told(gateway)["bad_entries"].as_array().expect("a list").clone();
    rows.iter().map(|row| (text(&row["key"]), text(&row["why"]))).collect()
}

/// What cannot be used is named and counted once, and harms nobody else.
pub(super) fn bad_entries_are_named_once_and_harmless(registry: &dyn Keyed) {
    let crowd = Crowd::of(2);
    registry.put(&Entry::of(&crowd, 0, 1));
    let gateway = gateway(&registry.discovery());
    wait_for_nodes(&gateway, &[("node-0", 1)]);
    let load = Load::gently_on(gateway.address());
    let count = || gateway.metric("bascule_discovery_bad_entries_total", &[("pool", "main")]);
    let twin = format!(r#"{{"id": "node-0", "address": "{}"}}"#, crowd.address(1));
    let bad = [
        ("html", "<html>no</html>".to_owned(), "no JSON"),
        ("port", r#"{"address": "127.0.0.1:0"}"#.to_owned(), "port"),
        ("zero", r#"{"address": "127.0.0.1:1", "weight": 0}"#.to_owned(), "`weight` is 0"),
        ("slip", r#"{"address": "127.0.0.1:1", "wieght": 2}"#.to_owned(), "unknown field"),
        // A little less than the most that ZooKeeper takes.
        ("huge", "x".repeat(1_000_000), "is the most"),
        ("same-place", text(&crowd, 0, 1), "same address"),
        ("twin", twin, "same id"),
    ];
    for (number, (id, value, why)) in bad.iter().enumerate() {
        registry.write(id, value);
        let is_named = || unused(&gateway).iter().any(|(_, reason)| reason.contains(why));
        wait_until(&format!("{id} is named: {why}"), is_named);
        assert_eq!((count(), unused(&gateway).len()), ((number + 1) as f64, number + 1), "{id}");
    }
    // What else changes names nothing again.
    registry.put(&Entry::of(&crowd, 0, 5));
    wait_for_nodes(&gateway, &[("node-0", 5)]);
    assert_eq!(count(), bad.len() as f64);
    bad.iter().for_each(|(id, ..)| registry.remove(id));
    wait_until("none is left", || unused(&gateway).is_empty());
    assert_eq!(nodes(&gateway), [("node-0".to_owned(), 5)]);
    load.stop();
}

/// A registry that was away for longer than sessions last costs no request, and what it says then counts.
pub(super) fn a_long_silence_is_made_up_for(registry: &dyn Registry, silence: Duration) {
    let crowd = Crowd::of(2);
    (0..2).for_each(|number| registry.put(&Entry::of(&crowd, number, 1)));
    let gateway = gateway(&registry.discovery());
    wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", 1)]);
    let load = Load::gently_on(gateway.address());
    let begin = Instant::now();
    registry.server().freeze();
    wait_until("that is noticed", || told(&gateway)["state"] == "down");
    wait_until("the silence is over", || begin.elapsed() >= silence);
    let stale = told(&gateway)["staleness_ms"].as_u64().expect("it answered before");
    assert!(u128::from(stale) + 3000 >= silence.as_millis(), "it has said nothing for {stale} ms");
    assert_eq!(nodes(&gateway).len(), 2, "what was known is used");
    registry.server().thaw();
    registry.put(&Entry::of(&crowd, 1, 9));
    wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", 9)]);
    load.stop();
}

/// A registry that does not let the gateway in is lost for a reason, which is told in words and without the password.
pub(super) fn is_refused(keys: &str, words: &str, password: &str) {
    let gateway = gateway(keys);
    let told = || told(&gateway)["error"]["text"].as_str().unwrap_or_default().to_owned();
    wait_until(&format!("it is told that {words}"), || told().contains(words));
    assert!(!gateway.snapshot().to_string().contains(password), "a secret is shown");
}
