//! Nodes in a file, TOML or JSON, that somebody else writes: a script, a template, a mounted ConfigMap.
//!
//! A change is seen as it happens, and each two seconds in any case. A file that cannot be read, or not whole, takes no
//! node out: it is named like a bad entry, and what it said before stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::provider::{Provider, Sets, Trouble};
use super::schema::{Announced, BadEntry, NodeSet};
use crate::control::folder::{Watch, folders_of};

/// A file that was written to within this time may be half of what it will be.
const SETTLED: Duration = Duration::from_millis(50);
/// How soon to look again at such a file.
const SOON: Duration = Duration::from_millis(20);
/// How often to look without any hint: on some file systems there are none.
const REGULAR: Duration = Duration::from_secs(2);
/// Ten thousand nodes with long labels.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// A file that tells nodes.
pub(super) struct File {
    path: PathBuf,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It was written to just now.
    NotYet,
    Read(Result<Vec<u8>, String>),
}

impl Provider for File {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        async move {
            // One hint that waits says as much as many.
            let (tell, mut told) = mpsc::channel(1);
            let mut watch = Watch::calling(move || _ = tell.try_send(()));
            let mut last = None;
            loop {
                let path = self.path.clone();
                // First, so that a change after the look is a hint.
                watch.follow(&folders_of(&path).collect::<BTreeSet<_>>());
                let look = match tokio::task::spawn_blocking(move || look(&path)).await {
                    Ok(look) => look,
                    Err(error) => return Trouble::new(format!("the file cannot be looked at: {error}")),
                };
                let pause = match look {
                    Look::NotYet => SOON,
                    Look::Read(content) => {
                        if last.as_ref() == Some(&content) {
                            sets.heard();
                        } else {
                            sets.publish(set(&self.path, &content));
                            last = Some(content);
                        }
                        REGULAR
                    }
                };
                let _hint = timeout(pause, told.recv()).await;
            }
        }
        .boxed()
    }
}

/// Reads the file, unless it is being written.
fn look(path: &Path) -> Look {
    let read = || -> io::Result<Option<Vec<u8>>> {
        let file = fs::File::open(path)?;
        let modified = file.metadata()?.modified()?;
        if SystemTime::now().duration_since(modified).is_ok_and(|age| age < SETTLED) {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MOST_BYTES {
            return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
        }
        Ok(Some(content))
    };
    match read() {
        Ok(None) => Look::NotYet,
        Ok(Some(content)) => Look::Read(Ok(content)),
        Err(error) => Look::Read(Err(format!("it cannot be read: {error}"))),
    }
}

/// The nodes of a file; a file that is wrong as a whole is one bad entry.
fn set(path: &Path, content: &Result<Vec<u8>, String>) -> NodeSet {
    let read = content.as_ref().map_err(Clone::clone).and_then(|content| entries(path, content));
    let mut set = NodeSet::default();
    match read {
        Ok(entries) => {
            for (place, entry) in entries.into_iter().enumerate() {
                set.add(&format!("nodes[{place}]"), node(entry));
            }
        }
        Err(why) => set.bad.push(BadEntry { key: path.display().to_string(), why }),
    }
    set
}

/// `nodes` in a table, or in JSON a list alone.
fn entries(path: &Path, content: &[u8]) -> Result<Vec<Json>, String> {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let file: Json = if is_json {
        serde_json::from_slice(content).map_err(|error| format!("it is no JSON: {error}"))?
    } else {
        let text = std::str::from_utf8(content).map_err(|error| format!("it is no text: {error}"))?;
        toml::from_str(text)
            .map_err(|error: toml::de::Error| format!("it is no TOML: {}", error.message()))?
    };
    match file {
        Json::Array(entries) => Ok(entries),
        Json::Object(mut table) => match (table.remove("nodes"), table.keys().next()) {
            (_, Some(other)) => Err(format!("it has a key `{other}`, and should have `nodes` alone")),
            (Some(Json::Array(entries)), None) => Ok(entries),
            _ => Err("it has no list `nodes`".to_owned()),
        },
        _ => Err("it has no list `nodes`".to_owned()),
    }
}

/// A node: a table, or its address alone.
fn node(entry: Json) -> Result<Announced, String> {
    match entry {
        Json::String(address) => Ok(Announced::at("", address.parse()?)),
        other => Announced::from_value("", other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(name: &str, text: &str) -> NodeSet {
        set(Path::new(name), &Ok(text.as_bytes().to_vec()))
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "nodes = [\"h:1\", { id = \"b\", address = \"h:2\", weight = 3, labels = { v = \"2\" } }]";
        let json = r#"{"nodes": ["h:1", {"id": "b", "address": "h:2", "weight": 3, "labels": {"v": "2"}}]}"#;
        let list = r#"["h:1", {"id": "b", "address": "h:2", "weight": 3, "labels": {"v": "2"}}]"#;
        let tables = "[[nodes]]\naddress = \"h:1\"\n[[nodes]]\nid = \"b\"\naddress = \"h:2\"\nweight = 3\nlabels.v = \"2\"";
        let nodes = read("nodes.toml", toml);
        assert_eq!((nodes.nodes.len(), nodes.bad.len()), (2, 0));
        assert_eq!((nodes.nodes[0].id.as_str(), nodes.nodes[1].weight.get()), ("h:1", 3));
        assert_eq!(read("nodes.JSON", json), nodes);
        assert_eq!(read("nodes.json", list), nodes);
        assert_eq!(read("nodes", tables), nodes);
    }

    #[test]
    fn a_bad_entry_is_named_and_the_others_stand() {
        let set = read("nodes.toml", "nodes = [\"h:1\", \"h\", { address = \"h:0\" }, 7]");
        assert_eq!(set.nodes.len(), 1);
        let keys: Vec<_> = set.bad.iter().map(|bad| bad.key.as_str()).collect();
        assert_eq!(keys, ["nodes[1]", "nodes[2]", "nodes[3]"]);
    }

    #[test]
    fn a_file_that_is_wrong_is_one_bad_entry() {
        for (name, text, why) in [
            ("n.toml", "nodes = [\"h:1\"", "no TOML"),
            ("n.json", "{\"nodes\": [", "no JSON"),
            ("n.toml", "node = []", "a key `node`"),
            ("n.toml", "", "no list `nodes`"),
            ("n.json", "\"h:1\"", "no list `nodes`"),
        ] {
            let set = read(name, text);
            assert_eq!((set.nodes.len(), set.bad.len()), (0, 1), "{text}");
            assert!(set.bad[0].why.contains(why), "{}", set.bad[0].why);
        }
        assert_eq!(set(Path::new("n"), &Err("it is gone".to_owned())).bad.len(), 1);
        assert_eq!(read("n.toml", "nodes = []"), NodeSet::default(), "none is an answer");
    }

    #[test]
    fn a_file_that_was_written_just_now_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.toml");
        assert!(matches!(look(&path), Look::Read(Err(_))));
        fs::write(&path, "nodes = []").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + SETTLED).unwrap();
        assert_eq!(
            look(&path),
            Look::Read(Ok(b"nodes = []".to_vec())),
            "a clock that is ahead stops nothing"
        );
        file.set_modified(SystemTime::now()).unwrap();
        let young = look(&path);
        assert!(
            young == Look::NotYet
                || SystemTime::now() > file.metadata().unwrap().modified().unwrap() + SETTLED
        );
        file.set_modified(SystemTime::now() - SETTLED).unwrap();
        assert_eq!(look(&path), Look::Read(Ok(b"nodes = []".to_vec())));
    }
}
