//! Tells when something of a crate was saved.
//!
//! Events are only hints, as everywhere: what counts is that a file's time or length differs from the last look. What
//! cargo writes, and what lies in hidden folders, does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// An editor saves in several steps, and people save several files: this long after the last one it is quiet.
const QUIET: Duration = Duration::from_millis(100);
/// How often to look without any hint, for file systems that give none.
const RESCAN: Duration = Duration::from_secs(2);

/// What is there: each file's time and length.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// A watch on a crate's folder.
pub(super) struct Watch {
    folder: PathBuf,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    hints: Receiver<()>,
    /// As it was built last.
    seen: Seen,
}

impl Watch {
    pub(super) fn new(folder: &Path) -> Self {
        let (tell, hints) = channel();
        let watcher = notify::recommended_watcher(move |_| {
            // Nobody listens any more when the process ends.
            let _ended = tell.send(());
        });
        let watched = BTreeSet::new();
        Self { folder: folder.to_owned(), watcher: watcher.ok(), watched, hints, seen: Seen::new() }
    }

    /// Remembers what is there now: later changes count as saved.
    pub(super) fn look(&mut self) {
        let (seen, folders) = walk(&self.folder);
        self.seen = seen;
        if let Some(watcher) = &mut self.watcher {
            for folder in &folders {
                if !self.watched.contains(folder) {
                    // Where it cannot be watched, the regular look remains.
                    let _unwatched = watcher.watch(folder, RecursiveMode::NonRecursive);
                }
            }
        }
        self.watched = folders;
    }

    /// Whether something was saved since the last look.
    fn saved(&self) -> bool {
        walk(&self.folder).0 != self.seen
    }

    /// Waits so long for a save.
    pub(super) fn saved_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.hints.recv_timeout(left).is_ok() && self.saved() {
                return true;
            }
        }
        false
    }

    /// Waits for a save, and until it is quiet after it.
    pub(super) fn wait(&self) {
        while !self.saved() {
            let _looks_anyway = self.hints.recv_timeout(RESCAN);
        }
        while self.hints.recv_timeout(QUIET).is_ok() {}
    }
}

/// The files in a folder and below, and the folders that hold them.
fn walk(folder: &Path) -> (Seen, BTreeSet<PathBuf>) {
    let (mut seen, mut folders) = (Seen::new(), BTreeSet::new());
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if name.to_string_lossy().starts_with('.') || name == "Cargo.lock" {
                continue;
            }
            if !metadata.is_dir() {
                seen.insert(path, (metadata.modified().ok(), metadata.len()));
            } else if !path.join("CACHEDIR.TAG").exists()
                && !entry.file_type().is_ok_and(|kind| kind.is_symlink())
            {
                // The tag marks what cargo builds into; a link might lead around in a circle.
                open.push(path);
            }
        }
        folders.insert(folder);
    }
    (seen, folders)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_saved_source_counts_and_what_cargo_writes_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["src", "target", ".git"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("src/lib.rs"), "one").unwrap();
        fs::write(path("target/CACHEDIR.TAG"), "").unwrap();
        let mut watch = Watch::new(folder.path());
        watch.look();
        for name in ["target/a.wasm", "Cargo.lock", ".git/index"] {
            fs::write(path(name), "made").unwrap();
        }
        assert!(!watch.saved_within(Duration::from_millis(50)), "nothing of the crate's own changed");
        fs::write(path("src/lib.rs"), "other").unwrap();
        watch.wait();
        assert!(watch.saved());
        watch.look();
        assert!(!watch.saved());
    }

    #[test]
    fn a_file_in_a_folder_that_is_new_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(folder.path());
        watch.look();
        fs::create_dir_all(folder.path().join("src/deep")).unwrap();
        fs::write(folder.path().join("src/deep/mod.rs"), "").unwrap();
        watch.wait();
        assert!(watch.saved());
    }
}
