//! The folder of plugins: which files are there, what they hold, and the modules that were compiled of them.
//!
//! Only the content says that a file changed. It reads and compiles, on control's builder thread and never on a worker;
//! whether a module suits a use is decided elsewhere, which then tells what is good.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::plugin::{Engine, Module};

/// The largest file that is read: policies are some 100 KB, and one in a garbage-collected language some megabytes.
const LARGEST: u64 = 64 << 20;
/// A file that was written to within this time may still be being copied.
const SETTLED: Duration = Duration::from_millis(100);
/// A file that is cut off and was not written to for this long will not grow any more.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// A plugin's version: the SHA-256 of its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u8; 32]);

impl Version {
    /// The version of this content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The hash.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 digits: enough to tell versions apart for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A content of a file and what came of compiling it.
#[derive(Clone)]
pub(super) struct Compiled {
    pub(super) version: Version,
    /// The module, or why there is none.
    pub(super) module: Result<Module, String>,
}

/// One file, as far as it was seen.
#[derive(Default)]
struct Known {
    /// What the file system said when the content was read; the same again means the same content.
    stamp: Option<Stamp>,
    newest: Option<Compiled>,
    good: Option<Compiled>,
    gone: bool,
}

/// What a look at the folder found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Some file has another content than before.
    pub(super) changed: bool,
    /// Some file is still being written: look again shortly.
    pub(super) not_yet: bool,
    /// Files that are gone while a module of them is known.
    pub(super) gone: Vec<String>,
}

/// The files of the folder and their modules.
pub(super) struct Library {
    engine: Engine,
    folder: PathBuf,
    known: BTreeMap<String, Known>,
}

impl Library {
    /// A library that has not looked yet.
    pub(super) fn new(engine: Engine, folder: PathBuf) -> Self {
        Self { engine, folder, known: BTreeMap::new() }
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Turns to another folder. What was compiled stays known until the files there say otherwise.
    pub(super) fn move_to(&mut self, folder: &Path) {
        if self.folder != folder {
            self.folder = folder.to_owned();
            self.known.values_mut().for_each(|known| known.stamp = None);
        }
    }

    /// Reads and compiles the wanted files that changed. At the start (`wait` is false) nothing is still being written.
    pub(super) fn look(&mut self, wanted: &BTreeSet<String>, wait: bool) -> Look {
        let mut look = Look::default();
        self.known.retain(|name, _| wanted.contains(name));
        for name in wanted {
            let mut known = self.known.remove(name).unwrap_or_default();
            match self.read(name, &mut known, wait) {
                Ok(Seen::Same) => {}
                Ok(Seen::NotYet) => look.not_yet = true,
                Ok(Seen::Content(version, content)) => {
                    known.newest = Some(self.compile(version, &content));
                    look.changed = true;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if known.newest.is_some() && !known.gone {
                        look.gone.push(name.clone());
                        known.gone = true;
                    }
                    known.stamp = None;
                }
                Err(error) => look.changed |= known.unreadable(&error),
            }
            self.known.insert(name.clone(), known);
        }
        look
    }

    /// What a file holds now, and what of it is known to be good, if that is another version.
    pub(super) fn versions(&self, name: &str) -> (Option<&Compiled>, Option<&Compiled>) {
        let Some(known) = self.known.get(name) else { return (None, None) };
        let newest = known.newest.as_ref();
        let good = known.good.as_ref();
        (newest, good.filter(|good| newest.is_none_or(|newest| newest.version != good.version)))
    }

    /// This version of a file serves requests: it is what a bad one may not replace.
    pub(super) fn accept(&mut self, name: &str, compiled: Compiled) {
        if let Some(known) = self.known.get_mut(name) {
            known.good = Some(compiled);
        }
    }

    /// The names of the plugin files in the folder, and of those that are gone and still known.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let listed = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let listed = listed.filter_map(|entry| entry.file_name().into_string().ok());
        let known = self.known.iter().filter(|(_, known)| known.newest.is_some());
        listed.filter(|name| name.ends_with(".wasm")).chain(known.map(|(name, _)| name.clone())).collect()
    }

    fn read(&self, name: &str, known: &mut Known, wait: bool) -> io::Result<Seen> {
        let path = self.folder.join(name);
        let mut file = File::open(&path)?;
        let before = Stamp::of(&file.metadata()?);
        if known.stamp.as_ref() == Some(&before) && before.tells_all() {
            return Ok(Seen::Same);
        }
        let age = before.age();
        if wait && age < SETTLED {
            return Ok(Seen::NotYet);
        }
        let mut content = Vec::new();
        file.by_ref().take(LARGEST + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST {
            return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        if wait && (Stamp::of(&fs::metadata(&path)?) != before || (is_cut_off(&content) && age < GIVEN_UP)) {
            return Ok(Seen::NotYet);
        }
        known.stamp = Some(before);
        known.gone = false;
        let version = Version::of(&content);
        if known.newest.as_ref().is_some_and(|newest| newest.version == version) {
            return Ok(Seen::Same);
        }
        Ok(Seen::Content(version, content))
    }

    fn compile(&self, version: Version, content: &[u8]) -> Compiled {
        let all = self.known.values().flat_map(|known| [&known.newest, &known.good]);
        if let Some(same) = all.flatten().find(|compiled| compiled.version == version) {
            return same.clone();
        }
        let module = match self.engine.compile(content) {
            Ok(module) => Ok(module),
            Err(_) if is_cut_off(content) => Err("the file is cut off: copy it again".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Compiled { version, module }
    }
}

impl Known {
    /// Notes that the file cannot be read; answers whether that is news. The error stands in for a content.
    fn unreadable(&mut self, error: &io::Error) -> bool {
        let text = format!("it cannot be read: {error}");
        let version = Version::of(text.as_bytes());
        let news = self.newest.as_ref().is_none_or(|newest| newest.version != version);
        self.newest = Some(Compiled { version, module: Err(text) });
        self.stamp = None;
        news
    }
}

/// What reading a file gave.
enum Seen {
    Same,
    NotYet,
    Content(Version, Vec<u8>),
}

/// What the file system says of a file without reading it.
#[derive(PartialEq, Eq)]
struct Stamp {
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

    fn age(&self) -> Duration {
        // A time in the future is some other machine's clock: nothing to wait for.
        SystemTime::now().duration_since(self.modified).unwrap_or(GIVEN_UP)
    }

    /// Whether a later write must show in the stamp: file systems' clocks tick as slowly as every two seconds.
    fn tells_all(&self) -> bool {
        self.age() > GIVEN_UP
    }
}

/// Whether a wasm file ends in the middle of a section: an 8-byte preamble, then sections of an id, a length as LEB128
/// and so many bytes (WebAssembly 3.0, 5.5.2; components are framed the same way).
fn is_cut_off(content: &[u8]) -> bool {
    const MAGIC: &[u8] = b"\0asm";
    if content.len() < 8 {
        return MAGIC.starts_with(&content[..content.len().min(4)]);
    }
    if !content.starts_with(MAGIC) {
        return false;
    }
    let mut rest = &content[8..];
    while let Some((_id, after)) = rest.split_first() {
        let Some((length, body)) = leb128(after) else { return true };
        match body.get(length..) {
            Some(next) => rest = next,
            None => return true,
        }
    }
    false
}

/// An unsigned 32-bit number and what follows it; none if it does not end.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at(last + 1);
    let number = digits.iter().rev().fold(0, |number, digit| number << 7 | usize::from(digit & 0x7f));
    Some((number, rest))
}
