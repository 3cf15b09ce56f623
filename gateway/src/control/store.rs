//! The state directory: what was good, what is pinned and what is kept out, so that a restart comes up with it.
//!
//! Everything is written beside its place, synced and renamed, so that a crash leaves the old or the new and nothing
//! else. Only control's builder thread writes. A state that cannot be read is no reason not to start: it is named, and
//! begun anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::history::History;
use crate::plugin::Version;

/// The file of histories.
const STATE: &str = "state.json";
/// The folder of plugins' bytes, by version.
const GOOD: &str = "good";
/// The form of the file; another one is not read.
const FORM: u32 = 1;

/// The state directory of a gateway.
pub(super) struct Store {
    folder: PathBuf,
    /// What was written last.
    written: BTreeMap<String, History>,
    /// Held for as long as this is the gateway that writes.
    lock: File,
    is_ours: bool,
    /// Whether something was not written since another gateway did.
    is_behind: bool,
}

#[derive(Serialize, Deserialize)]
struct State {
    form: u32,
    files: BTreeMap<String, History>,
}

impl Store {
    /// Opens the directory, and makes it if it is not there. It and all in it is the gateway's alone (0700).
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        refuse_if_shared(folder)?;
        private_folder(&folder.join(GOOD))?;
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
        let mut store = Self {
            folder: folder.to_owned(),
            written: BTreeMap::new(),
            lock,
            is_ours: false,
            is_behind: false,
        };
        if !store.is_writer() {
            warn!(folder = %folder.display(), "another gateway writes to this state directory; this one reads it, and writes when that one has ended");
        }
        store.written = store.load().unwrap_or_else(|why| {
            warn!(file = %folder.join(STATE).display(), "the state of plugins cannot be read and begins anew: {why}");
            BTreeMap::new()
        });
        Ok(store)
    }

    /// What is remembered of each file.
    pub(super) fn histories(&self) -> &BTreeMap<String, History> {
        &self.written
    }

    /// The bytes of a version, if they are there and whole.
    pub(super) fn bytes(&self, version: Version) -> Option<Vec<u8>> {
        let bytes = fs::read(self.place(version)).ok()?;
        if Version::of(&bytes) == version {
            return Some(bytes);
        }
        warn!(version = %version, "the kept bytes of a plugin are damaged; they are not used");
        None
    }

    /// Keeps the bytes of a version.
    pub(super) fn keep(&mut self, version: Version, bytes: &[u8]) {
        let place = self.place(version);
        if !self.may_write() || fs::read(&place).is_ok_and(|there| there == bytes) {
            return;
        }
        if let Err(error) = write_whole(&place, bytes) {
            warn!(version = %version, "a plugin cannot be kept in the state directory: {error}");
        }
    }

    /// Writes the histories down if they changed, and lets go of bytes that none of them speaks of; `also` stay.
    pub(super) fn save(&mut self, histories: &BTreeMap<String, History>, also: &BTreeSet<Version>) {
        if *histories == self.written || !self.may_write() {
            return;
        }
        let state = State { form: FORM, files: histories.clone() };
        let text = serde_json::to_vec_pretty(&state).expect("names and hashes are text");
        if let Err(error) = write_whole(&self.folder.join(STATE), &text) {
            return warn!("the state of plugins cannot be written: {error}");
        }
        self.written = state.files;
        let kept: BTreeSet<Version> =
            self.written.values().flat_map(History::kept).chain(also.iter().copied()).collect();
        for entry in fs::read_dir(self.folder.join(GOOD)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| Version::from_hex(name.strip_suffix(".wasm")?));
            if version.is_none_or(|version| !kept.contains(&version)) {
                // It may be gone already.
                let _gone = fs::remove_file(entry.path());
            }
        }
    }

    fn place(&self, version: Version) -> PathBuf {
        self.folder.join(GOOD).join(format!("{}.wasm", version.hex()))
    }

    fn load(&self) -> Result<BTreeMap<String, History>, String> {
        let text = match fs::read(self.folder.join(STATE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.to_string()),
        };
        let state: State = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if state.form != FORM {
            return Err(format!("it has form {}, and this gateway reads {FORM}", state.form));
        }
        Ok(state.files)
    }

    /// Whether there is something to write that could not be written before, and now can. It is asked for once.
    pub(super) fn may_catch_up(&mut self) -> bool {
        let may = self.is_behind && self.is_writer();
        self.is_behind &= !may;
        may
    }

    fn may_write(&mut self) -> bool {
        let is_writer = self.is_writer();
        self.is_behind |= !is_writer;
        is_writer
    }

    /// Two gateways that write by turns would undo each other's pins. A gateway that hands over to its successor lets
    /// go of the lock when it ends.
    fn is_writer(&mut self) -> bool {
        self.is_ours = self.is_ours || self.lock.try_lock().is_ok();
        self.is_ours
    }
}

/// Whoever may write there decides what runs here.
fn refuse_if_shared(folder: &Path) -> io::Result<()> {
    let metadata = fs::metadata(folder)?;
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        return Err(io::Error::other(format!("it belongs to user {owner}, and the gateway is user {own}")));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write to it: take that from them with `chmod go-w`"));
    }
    Ok(())
}

/// Makes a folder that nobody else may enter.
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Writes a file so that after a crash it is there whole, or as it was before.
/// Writes beside, syncs and renames: the old or the new is there, whatever happens. For the gateway's user alone (0600).
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The name is in the folder's own blocks.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn history(text: &str) -> History {
        serde_json::from_str(text).unwrap()
    }

    fn one(bytes: &[u8]) -> BTreeMap<String, History> {
        let good = Version::of(bytes).hex();
        BTreeMap::from([("a.wasm".to_owned(), history(&format!("{{\"good\": [\"{good}\"]}}")))])
    }

    #[test]
    fn what_was_saved_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state");
        let mut store = Store::open(&path).unwrap();
        store.keep(Version::of(b"one"), b"one");
        store.keep(Version::of(b"two"), b"two");
        store.save(&one(b"one"), &BTreeSet::new());
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(*store.histories(), one(b"one"));
        assert_eq!(store.bytes(Version::of(b"one")).as_deref(), Some(&b"one"[..]));
        assert_eq!(store.bytes(Version::of(b"two")), None, "nothing speaks of it any more");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn damage_is_seen_and_does_not_stop_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.keep(Version::of(b"one"), b"one");
        store.save(&one(b"one"), &BTreeSet::new());
        fs::write(store.place(Version::of(b"one")), "0ne").unwrap();
        assert_eq!(store.bytes(Version::of(b"one")), None);
        for damaged in ["", "{", "{\"form\": 9, \"files\": {}}"] {
            fs::write(folder.path().join(STATE), damaged).unwrap();
            assert!(store.load().is_err(), "{damaged}");
        }
        drop(store);
        assert!(Store::open(folder.path()).unwrap().histories().is_empty());
    }

    #[test]
    fn only_one_gateway_writes() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Store::open(folder.path()).unwrap();
        let mut second = Store::open(folder.path()).unwrap();
        second.save(&one(b"two"), &BTreeSet::new());
        first.save(&one(b"one"), &BTreeSet::new());
        assert_eq!(Store::open(folder.path()).unwrap().histories(), &one(b"one"));
        drop(first);
        second.save(&one(b"two"), &BTreeSet::new());
        assert_eq!(Store::open(folder.path()).unwrap().histories(), &one(b"two"), "it took over");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        assert!(Store::open(folder.path()).is_err_and(|error| error.to_string().contains("chmod go-w")));
        mode(0o755);
        Store::open(folder.path()).unwrap();
        let good = fs::metadata(folder.path().join(GOOD)).unwrap();
        assert_eq!(good.mode() & 0o777, 0o700);
    }
}
