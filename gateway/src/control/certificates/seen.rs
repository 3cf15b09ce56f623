//! Which files have another content than before: read only if something about them changed, and judged by the content.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::control::pem;

/// A file that was written less than this before it was read may be written again without another time of change: the
/// clocks of file systems tick as slowly as once in two seconds.
const TICK: Duration = Duration::from_secs(2);

/// What a content comes to, or that there is none.
pub(super) type Hash = [u8; 32];

/// The files that were looked at.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<PathBuf, File>);

struct File {
    mark: Option<Mark>,
    content: Hash,
}

/// What tells that a file may have another content. Behind symbolic links, so a link to elsewhere shows as well.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    /// What stands in all of these files, and which of them cannot be read.
    pub(super) fn hash<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> Hash {
        let mut all = Sha256::new();
        for file in files {
            all.update(self.content(file, SystemTime::now()));
        }
        all.finalize().into()
    }

    /// Forgets all files but these.
    pub(super) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.0.retain(|path, _| keep(path));
    }

    fn content(&mut self, path: &Path, now: SystemTime) -> Hash {
        // Before the content: what is written in between is found the next time.
        let mark = Mark::of(path).filter(|mark| mark.is_settled(now));
        if let Some(known) = self.0.get(path).filter(|known| mark.is_some() && known.mark == mark) {
            return known.content;
        }
        let content = pem::read(path).map_or(Hash::default(), |content| Sha256::digest(content).into());
        self.0.insert(path.to_owned(), File { mark, content });
        content
    }
}

impl Mark {
    fn of(path: &Path) -> Option<Mark> {
        let of = fs::metadata(path).ok()?;
        Some(Mark {
            device: of.dev(),
            inode: of.ino(),
            length: of.len(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        })
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let last = Duration::from_secs(self.modified.0.max(self.changed.0).max(0) as u64);
        now >= last + TICK
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_settled_file_is_read_once_and_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.pem");
        fs::write(&path, "one").unwrap();
        let (mut seen, later) = (Seen::default(), SystemTime::now() + 10 * TICK);
        let first = seen.content(&path, later);
        // What is not read cannot be told from what was.
        seen.0.get_mut(&path).unwrap().content = [7; 32];
        assert_eq!(seen.content(&path, later), [7; 32]);
        fs::write(folder.path().join("new.pem"), "one").unwrap();
        fs::rename(folder.path().join("new.pem"), &path).unwrap();
        assert_eq!(seen.content(&path, later), first, "the content is the judge");
    }

    #[test]
    fn a_file_that_was_just_written_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.pem");
        fs::write(&path, "one").unwrap();
        let mut seen = Seen::default();
        let first = seen.hash([path.as_path()]);
        fs::write(&path, "two").unwrap();
        assert_ne!(seen.hash([path.as_path()]), first);
    }

    #[test]
    fn a_link_to_another_file_and_a_file_that_is_gone_are_changes() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("one"), "one").unwrap();
        fs::write(place("two"), "two").unwrap();
        std::os::unix::fs::symlink(place("one"), place("link")).unwrap();
        let (mut seen, later) = (Seen::default(), SystemTime::now() + 10 * TICK);
        let first = seen.content(&place("link"), later);
        fs::remove_file(place("link")).unwrap();
        assert_eq!(seen.content(&place("link"), later), Hash::default());
        std::os::unix::fs::symlink(place("two"), place("link")).unwrap();
        let second = seen.content(&place("link"), later);
        assert!(second != first && second != Hash::default());
    }
}
