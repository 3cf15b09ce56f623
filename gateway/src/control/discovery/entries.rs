//! What stands under a prefix or path of a registry, as a watch keeps it: by key, good and bad.
//!
//! It is bounded, whatever the registry holds: in the number of keys, and in what is kept of each.

use std::collections::BTreeMap;

use super::schema::{Announced, BadEntry, NodeSet};
use super::screen::MOST_NODES;

/// The longest key, in bytes; etcd would take one of a megabyte.
const LONGEST_KEY: usize = 512;

/// What a key may hold.
pub(in crate::control) trait Entry: Clone + Send {
    /// Reads it. `id` is what the node is known by: the last part of the key.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without its full stop.
    fn read(id: &str, value: &[u8]) -> Result<Self, String>;
    /// The node that it is.
    fn node(&self) -> &Announced;
}

impl Entry for Announced {
    fn read(id: &str, value: &[u8]) -> Result<Self, String> {
        Self::from_json(id, value)
    }

    fn node(&self) -> &Announced {
        self
    }
}

/// Keys in their order, each with its node or with why there is none.
pub(in crate::control) struct Entries<E = Announced> {
    by_key: BTreeMap<String, Result<E, String>>,
    /// Whether some were left out since there are too many.
    overflowed: bool,
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), overflowed: false }
    }
}

impl<E: Entry> Entries<E> {
    /// Notes what a key holds now.
    pub(in crate::control) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.note(name(key), || read(key, value));
    }

    /// Notes that a key's value cannot be had.
    pub(super) fn refuse(&mut self, key: &str, why: String) {
        self.note(name(key.as_bytes()), || Err(why));
    }

    fn note(&mut self, name: String, entry: impl FnOnce() -> Result<E, String>) {
        if self.by_key.len() < MOST_NODES || self.by_key.contains_key(&name) {
            self.by_key.insert(name, entry());
        } else {
            self.overflowed = true;
        }
    }

    /// Notes that a key is gone.
    pub(in crate::control) fn remove(&mut self, key: &[u8]) {
        self.by_key.remove(&name(key));
    }

    /// Whether keys were left out since there are too many.
    pub(in crate::control) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Whether there is room for keys that were left out: then all has to be read again.
    pub(in crate::control) fn lacks_some(&self) -> bool {
        self.overflowed && self.by_key.len() < MOST_NODES
    }

    /// Whether there is such a key, with a node or without.
    pub(in crate::control) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Those that could be read.
    pub(in crate::control) fn into_good(self) -> impl Iterator<Item = (String, E)> {
        self.by_key.into_iter().filter_map(|(key, entry)| Some((key, entry.ok()?)))
    }

    /// All of it.
    pub(in crate::control) fn to_set(&self) -> NodeSet {
        let mut set = NodeSet::default();
        self.by_key
            .iter()
            .for_each(|(key, entry)| set.add(key, entry.clone().map(|entry| entry.node().clone())));
        if self.overflowed {
            let why =
                format!("there are more than {MOST_NODES} keys, and those that come after them are left out");
            set.bad.push(BadEntry { key: "…".to_owned(), why });
        }
        set
    }
}

/// A key as it is shown and kept.
fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[..key.len().min(LONGEST_KEY)]).into_owned()
}

fn read<E: Entry>(key: &[u8], value: &[u8]) -> Result<E, String> {
    if key.len() > LONGEST_KEY {
        return Err(format!("its key has {} bytes, and {LONGEST_KEY} are allowed", key.len()));
    }
    let Ok(key) = str::from_utf8(key) else {
        return Err("its key is not UTF-8".to_owned());
    };
    let id = key.rsplit('/').next().unwrap_or(key);
    E::read(id, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &[u8] = br#"{"address": "10.0.0.1:8080"}"#;

    fn ids(entries: &Entries) -> Vec<String> {
        entries.to_set().nodes.into_iter().map(|node| node.id).collect()
    }

    #[test]
    fn the_last_segment_is_the_id_and_the_last_value_counts() {
        let mut entries: Entries = Entries::default();
        entries.put(b"/api/b", NODE);
        entries.put(b"/api/a", NODE);
        entries.put(b"/api/a", br#"{"address": "10.0.0.2:8080", "weight": 7}"#);
        assert_eq!(ids(&entries), ["a", "b"]);
        assert_eq!(entries.to_set().nodes[0].weight.get(), 7);
        entries.remove(b"/api/b");
        entries.remove(b"/api/c");
        assert_eq!(ids(&entries), ["a"]);
    }

    #[test]
    fn a_bad_entry_is_named_and_the_others_stand() {
        let mut entries: Entries = Entries::default();
        entries.put(b"/api/good", NODE);
        entries.put(b"/api/html", b"<html>");
        entries.put(b"/api/\xff", NODE);
        entries.put(b"/api/long", &[b' '; 1_000_000]);
        entries.put(&[b'k'; LONGEST_KEY + 1], NODE);
        entries.refuse("/api/secret", "not authorized".to_owned());
        let set = entries.to_set();
        assert_eq!(ids(&entries), ["good"]);
        assert_eq!(set.bad.len(), 5, "{:?}", set.bad);
        entries.put(b"/api/html", NODE);
        entries.put(b"/api/secret", NODE);
        assert_eq!(ids(&entries), ["good", "html", "secret"]);
    }

    #[test]
    fn too_many_are_left_out_and_come_when_there_is_room() {
        let mut entries: Entries = Entries::default();
        (0..MOST_NODES).for_each(|number| entries.put(format!("/api/{number:05}").as_bytes(), NODE));
        assert!(!entries.overflowed() && entries.to_set().bad.is_empty());
        entries.put(b"/api/one-more", NODE);
        assert_eq!(entries.to_set().nodes.len(), MOST_NODES);
        assert!(entries.to_set().bad[0].why.contains("more than 10000"));
        entries.put(b"/api/00007", br#"{"address": "10.0.0.2:8080"}"#);
        assert!(!entries.lacks_some(), "there is no room for it yet");
        entries.remove(b"/api/00000");
        assert!(entries.lacks_some());
    }
}
