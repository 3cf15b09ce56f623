//! The folder of plugins: which files are there, what they hold, and the modules that were compiled of them.
//!
//! Only the content says that a file changed. It reads and compiles, on control's builder thread and never on a worker;
//! whether a module suits a use is decided elsewhere, which then tells what is good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::plugin::{Engine, LoadError, Module, Version};

/// The largest file that is read: policies are some 100 KB, and one in a garbage-collected language some megabytes.
const LARGEST: u64 = 64 << 20;
/// A file that was written to within this time may still be being copied.
const SETTLED: Duration = Duration::from_millis(100);
/// A file that is cut off and was not written to for this long will not grow any more.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// A content of a file and what came of compiling it.
#[derive(Clone)]
pub(super) struct Compiled {
    pub(super) version: Version,
    /// The module, or why there is none.
    pub(super) module: Result<Arc<Module>, LoadError>,
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
    engine: Arc<Engine>,
    folder: PathBuf,
    known: BTreeMap<String, Known>,
}

impl Library {
    /// A library that has not looked yet.
    pub(super) fn new(engine: Arc<Engine>, folder: PathBuf) -> Self {
        Self { engine, folder, known: BTreeMap::new() }
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads and compiles the wanted files that changed. At the start (`wait` is false) nothing is still being written.
    pub(super) fn look(&mut self, wanted: &BTreeSet<String>, wait: bool) -> Look {
        let mut look = Look::default();
        self.known.retain(|name, _| wanted.contains(name));
        for name in wanted {
            let mut known = self.known.remove(name).unwrap_or_default();
            match self.read(name, &known, wait) {
                Ok(Seen::Same) => {}
                Ok(Seen::NotYet) => look.not_yet = true,
                Ok(Seen::Content(stamp, content)) => {
                    let compiled = self.compile(&content, &known);
                    if wait && compiled.is_partial() && stamp.age() < GIVEN_UP {
                        look.not_yet = true;
                    } else {
                        known.stamp = Some(stamp);
                        let same = known.newest.as_ref().is_some_and(|old| old.version == compiled.version);
                        look.changed |= !same || known.gone;
                        known.gone = false;
                        known.newest = Some(compiled);
                    }
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

    /// What a file holds now, and what of it is known to be good, if that is another version; none if it was never read.
    pub(super) fn versions(&self, name: &str) -> Option<(&Compiled, Option<&Compiled>)> {
        let known = self.known.get(name)?;
        let newest = known.newest.as_ref()?;
        Some((newest, known.good.as_ref().filter(|good| good.version != newest.version)))
    }

    /// Whether the file was there and is not any more.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.gone)
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

    fn read(&self, name: &str, known: &Known, wait: bool) -> io::Result<Seen> {
        let path = self.folder.join(name);
        if !fs::metadata(&path)?.is_file() {
            // To open a pipe would wait for its writer.
            return Err(io::Error::other("it is not a file"));
        }
        let mut file = File::open(&path)?;
        let before = Stamp::of(&file.metadata()?);
        if known.stamp.as_ref() == Some(&before) && before.tells_all() {
            return Ok(Seen::Same);
        }
        if wait && before.age() < SETTLED {
            return Ok(Seen::NotYet);
        }
        let mut content = Vec::new();
        file.by_ref().take(LARGEST + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST {
            return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        if wait && Stamp::of(&fs::metadata(&path)?) != before {
            return Ok(Seen::NotYet);
        }
        Ok(Seen::Content(before, content))
    }

    /// Compiles a content, unless that was done before, whatever its name was.
    fn compile(&self, content: &[u8], known: &Known) -> Compiled {
        let version = Version::of(content);
        let all = self.known.values().chain([known]).flat_map(|known| [&known.newest, &known.good]);
        match all.flatten().find(|compiled| compiled.version == version) {
            Some(same) => same.clone(),
            None => Compiled { version, module: self.engine.compile(content).map(Arc::new) },
        }
    }
}

impl Compiled {
    fn is_partial(&self) -> bool {
        self.module.as_ref().is_err_and(LoadError::is_partial)
    }
}

impl Known {
    /// Notes that the file cannot be read; answers whether that is news. The error stands in for a content.
    fn unreadable(&mut self, error: &io::Error) -> bool {
        let text = format!("it cannot be read: {error}");
        let version = Version::of(text.as_bytes());
        let news = self.newest.as_ref().is_none_or(|newest| newest.version != version);
        self.newest = Some(Compiled { version, module: Err(LoadError::Refused(text)) });
        self.stamp = None;
        news
    }
}

/// What reading a file gave.
enum Seen {
    Same,
    NotYet,
    Content(Stamp, Vec<u8>),
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
