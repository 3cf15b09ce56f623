//! The files that a configuration was read from, so that nothing is parsed again until one of them changed.
//!
//! It compares contents. What they say is `config`'s business.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::config::{self, Config, Errors, Outside, System};
use super::folder::folders_of;

/// A file that was written to within this time may be half of what it will be.
const SETTLED: Duration = Duration::from_millis(100);

/// A content's SHA-256.
type Hash = [u8; 32];

/// A configuration file, what it includes and the secrets that it names, as they were read last.
pub(super) struct Sources {
    path: PathBuf,
    seen: Option<Seen>,
}

/// What a look at the files found.
pub(super) enum Look {
    /// The same as the last time.
    Same,
    /// A file is still being written: look again shortly.
    NotYet,
    /// Something changed, and this is what the files say now.
    Read(Result<Arc<Config>, Errors>),
}

/// What was read: contents by hash, folders by their entries; none for what could not be read.
#[derive(Default, PartialEq, Eq)]
struct Seen {
    files: BTreeMap<PathBuf, Option<Hash>>,
    folders: BTreeMap<PathBuf, Option<BTreeSet<String>>>,
}

impl Sources {
    /// The sources of the configuration in this file; nothing is read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Reads the configuration if any of its files changed.
    pub(super) fn look(&mut self) -> Look {
        if let Some(seen) = &self.seen {
            if seen.is_unchanged() {
                return Look::Same;
            }
            if !seen.is_settled() {
                return Look::NotYet;
            }
        }
        let recorder = Recorder::default();
        let read = config::load_from(&self.path, &recorder);
        self.seen = Some(recorder.0.into_inner());
        Look::Read(read.map(Arc::new))
    }

    /// The folders in which a change matters.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let seen = self.seen.iter();
        let files = seen.clone().flat_map(|seen| seen.files.keys()).chain([&self.path]);
        let folders = seen.flat_map(|seen| seen.folders.keys().cloned());
        files.flat_map(|file| folders_of(file)).chain(folders).collect()
    }
}

impl Seen {
    fn is_unchanged(&self) -> bool {
        self.files.iter().all(|(path, hash)| hash_of(&fs::read(path)) == *hash)
            && self.folders.iter().all(|(path, names)| names_in(&System.list(path)) == *names)
    }

    fn is_settled(&self) -> bool {
        let young = |path: &PathBuf| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            let age = modified.map(|modified| SystemTime::now().duration_since(modified));
            matches!(age, Ok(Ok(age)) if age < SETTLED)
        };
        !self.files.keys().any(young)
    }
}

fn hash_of(content: &io::Result<Vec<u8>>) -> Option<Hash> {
    content.as_ref().ok().map(|content| Sha256::digest(content).into())
}

fn names_in(names: &io::Result<Vec<String>>) -> Option<BTreeSet<String>> {
    names.as_ref().ok().map(|names| names.iter().cloned().collect())
}

/// The system, with a note of all that was asked of it.
#[derive(Default)]
struct Recorder(RefCell<Seen>);

impl Outside for Recorder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = System.read(path);
        self.0.borrow_mut().files.insert(path.to_owned(), hash_of(&content));
        content
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let names = System.list(folder);
        self.0.borrow_mut().folders.insert(folder.to_owned(), names_in(&names));
        names
    }

    fn environment(&self, name: &str) -> Result<String, VarError> {
        System.environment(name)
    }
}
