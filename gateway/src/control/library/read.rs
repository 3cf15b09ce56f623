//! Reads a plugin file whole, or says why not: it is half-copied, too large, no file, or not to be read.
//!
//! A file that did not change is not read again, so that a look at the folder costs next to nothing. What a content is
//! worth is not known here.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The largest file that is read: policies are some 100 KB, and one in a garbage-collected language some megabytes.
const LARGEST: u64 = 64 << 20;
/// A file that was written to within this time may still be being copied.
const SETTLED: Duration = Duration::from_millis(100);
/// A file that is cut off and was not written to for this long will not grow any more.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(2);

/// What reading a file gave.
pub(super) enum Seen {
    /// The same file as before, by all that the file system says.
    Same,
    /// It is still being written.
    NotYet,
    /// It is not there.
    Gone,
    /// Its content.
    Content(Stamp, Vec<u8>),
    /// One sentence that says why there is no content and what to do.
    Unreadable(String),
}

/// Reads a file unless it is the one that `known` is of. With `wait`, one that may still be being written is "not yet".
pub(super) fn read(path: &Path, known: Option<&Stamp>, wait: bool) -> Seen {
    try_read(path, known, wait).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Seen::Gone,
        io::ErrorKind::PermissionDenied => Seen::Unreadable(format!(
            "it cannot be read: {error}; let the gateway's user read it, with chmod or chown"
        )),
        _ => Seen::Unreadable(format!("it cannot be read: {error}; put it there again")),
    })
}

fn try_read(path: &Path, known: Option<&Stamp>, wait: bool) -> io::Result<Seen> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Ok(Seen::Unreadable("this is a folder; put the .wasm file itself here".to_owned()));
    }
    if !kind.is_file() {
        // To open a pipe would wait for its writer.
        return Ok(Seen::Unreadable("this is a pipe, a socket or a device; put a file here".to_owned()));
    }
    let mut file = File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    if known == Some(&before) && before.tells_all() {
        return Ok(Seen::Same);
    }
    if before.length > LARGEST {
        return Ok(Seen::Unreadable(format!(
            "it has {} MiB, and a plugin may have {}; build it with opt-level = \"s\", lto = true and strip = true",
            before.length >> 20,
            LARGEST >> 20
        )));
    }
    if wait && before.age() < SETTLED {
        return Ok(Seen::NotYet);
    }
    let mut content = Vec::new();
    file.by_ref().take(LARGEST).read_to_end(&mut content)?;
    if wait && Stamp::of(&fs::metadata(path)?) != before {
        return Ok(Seen::NotYet);
    }
    Ok(Seen::Content(before, content))
}

/// What the file system says of a file without reading it.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: SystemTime,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// How long ago it was written to.
    pub(super) fn age(&self) -> Duration {
        // A time in the future is some other machine's clock: nothing to wait for.
        SystemTime::now().duration_since(self.modified).unwrap_or(GIVEN_UP)
    }

    /// Whether a later write must show in the stamp: file systems' clocks tick as slowly as every two seconds.
    fn tells_all(&self) -> bool {
        self.age() > GIVEN_UP
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sentence(path: &Path) -> String {
        match read(path, None, false) {
            Seen::Unreadable(sentence) => sentence,
            _ => panic!("{} was read", path.display()),
        }
    }

    #[test]
    fn what_is_no_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(sentence(folder.path()), "this is a folder; put the .wasm file itself here");
        let pipe = folder.path().join("pipe.wasm");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(sentence(&pipe).contains("a pipe"), "{}", sentence(&pipe));
        // A link to itself cannot be opened by anyone, not even by root.
        let link = folder.path().join("link.wasm");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(sentence(&link).contains("it cannot be read"), "{}", sentence(&link));
        assert!(matches!(read(&folder.path().join("none"), None, false), Seen::Gone));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.wasm");
        File::create(&path).unwrap().set_len(200 << 20).unwrap();
        let sentence = sentence(&path);
        assert!(sentence.starts_with("it has 200 MiB, and a plugin may have 64"), "{sentence}");
    }

    #[test]
    fn a_file_that_was_just_written_is_waited_for_and_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        let file = File::create(&path).unwrap();
        assert!(matches!(read(&path, None, true), Seen::NotYet));
        file.set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
        let Seen::Content(stamp, _) = read(&path, None, true) else { panic!("it was not read") };
        assert!(matches!(read(&path, Some(&stamp), true), Seen::Same));
        fs::write(&path, "more").unwrap();
        assert!(!matches!(read(&path, Some(&stamp), false), Seen::Same));
    }
}
