//! The folder of plugins: which files are there, what they hold, and the modules that were compiled of them.
//!
//! Only the content says that a file changed. It reads and compiles, on control's builder thread and never on a worker;
//! whether a module suits a use is decided elsewhere, which then tells what is good.

mod ahead;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahead::Ahead;
use read::{GIVEN_UP, Seen, Stamp};

use super::history::History;
use super::store::Store;
use crate::plugin::{COMPILE_TIMEOUT, Engine, LoadError, Module, Version};

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
    /// What it held when it was read last; a sentence in place of a content counts as one.
    newest: Option<Compiled>,
    gone: bool,
}

/// What a look at the folder found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Some file has another content than before.
    pub(super) changed: bool,
    /// Some file is still being written: look again shortly.
    pub(super) not_yet: bool,
    /// Files that are gone, or were never there, while something is known that they held.
    pub(super) gone: Vec<String>,
}

/// The files of the folder and their modules.
pub(super) struct Library {
    engine: Arc<Engine>,
    folder: PathBuf,
    known: BTreeMap<String, Known>,
    histories: BTreeMap<String, History>,
    /// Modules of versions that served and may serve again.
    past: BTreeMap<Version, Arc<Module>>,
    store: Option<Store>,
    /// What was compiled before it was looked at.
    ahead: Ahead,
}

impl Library {
    /// A library that has not looked yet, and remembers what the state directory says.
    pub(super) fn new(engine: Arc<Engine>, folder: PathBuf, store: Option<Store>) -> Self {
        let histories = store.as_ref().map(|store| store.histories().clone()).unwrap_or_default();
        Self {
            engine,
            folder,
            known: BTreeMap::new(),
            histories,
            past: BTreeMap::new(),
            store,
            ahead: Ahead::new(),
        }
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a restart finds again what is known here.
    pub(super) fn outlives_the_process(&self) -> bool {
        self.store.is_some()
    }

    /// Reads and compiles the wanted files that changed. At the start (`wait` is false) nothing is still being written.
    pub(super) fn look(&mut self, wanted: &BTreeSet<String>, wait: bool) -> Look {
        let mut look = Look::default();
        if !wait {
            self.ahead = ahead::compile(&self.engine, self.contents(wanted));
        }
        self.known.retain(|name, _| wanted.contains(name));
        for name in wanted {
            let mut known = self.known.remove(name).unwrap_or_default();
            match read::read(&self.folder.join(name), known.stamp.as_ref(), wait) {
                Seen::Same => {}
                Seen::NotYet => look.not_yet = true,
                Seen::Content(stamp, content) => {
                    let compiled = self.compile(&content, &known);
                    if wait && compiled.is_partial() && stamp.age() < GIVEN_UP {
                        look.not_yet = true;
                    } else {
                        known.stamp = Some(stamp);
                        look.changed |= known.holds(compiled);
                    }
                }
                Seen::Gone => {
                    let knows = known.newest.is_some() || self.remembers(name);
                    if knows && !known.gone {
                        look.gone.push(name.clone());
                        known.gone = true;
                    }
                    known.stamp = None;
                }
                Seen::Unreadable(sentence) => {
                    let version = Version::of(sentence.as_bytes());
                    let refused = Err(LoadError::Refused(sentence));
                    known.stamp = None;
                    look.changed |= known.holds(Compiled { version, module: refused });
                }
            }
            if let Some(newest) = known.newest.as_ref().filter(|newest| !known.gone && newest.module.is_ok())
            {
                self.histories.entry(name.clone()).or_default().saw(newest.version);
            }
            self.known.insert(name.clone(), known);
        }
        self.ahead.clear();
        look
    }

    /// What the wanted files hold.
    fn contents(&self, wanted: &BTreeSet<String>) -> BTreeMap<Version, Vec<u8>> {
        let content = |name: &String| match read::read(&self.folder.join(name), None, false) {
            Seen::Content(_, content) => Some((Version::of(&content), content)),
            _ => None,
        };
        wanted.iter().filter_map(content).collect()
    }

    /// What the file holds now.
    pub(super) fn newest(&self, name: &str) -> Option<&Compiled> {
        self.known.get(name)?.newest.as_ref()
    }

    /// What is remembered of a file.
    pub(super) fn history(&self, name: &str) -> Option<&History> {
        self.histories.get(name)
    }

    /// What to try for a file, best first.
    pub(super) fn candidates(&self, name: &str) -> Vec<Version> {
        let newest = self.newest(name).map(|newest| newest.version);
        match self.histories.get(name) {
            Some(history) => history.candidates(newest),
            None => newest.into_iter().collect(),
        }
    }

    /// A version of a file, compiled; one that served before a restart comes from the state directory.
    pub(super) fn version(&mut self, name: &str, version: Version) -> Option<Compiled> {
        if let Some(newest) = self.newest(name).filter(|newest| newest.version == version) {
            return Some(newest.clone());
        }
        let module = match self.module(version) {
            Some(module) => Ok(module),
            None => {
                let content = self.store.as_ref()?.bytes(version)?;
                self.compile_now(version, &content)
            }
        };
        if let Ok(module) = &module {
            self.past.insert(version, Arc::clone(module));
        }
        Some(Compiled { version, module })
    }

    /// Whether the file was there and is not any more.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.gone)
    }

    /// This version of a file serves requests: it is what a bad one may not replace.
    pub(super) fn accept(&mut self, name: &str, version: Version) {
        if let Some(module) = self.module(version) {
            self.past.insert(version, module);
        }
        let history = self.histories.entry(name.to_owned()).or_default();
        history.accept(version);
        history.forget_barred();
        self.remember();
    }

    /// Changes what is remembered of a file.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut History)) {
        change(self.histories.entry(name.to_owned()).or_default());
        self.remember();
    }

    /// Writes down what could not be written while the gateway before this one did.
    pub(super) fn catch_up(&mut self, wanted: &BTreeSet<String>) {
        if !self.store.as_mut().is_some_and(Store::may_catch_up) {
            return;
        }
        let mut contents = self.contents(wanted);
        contents.retain(|version, _| self.module(*version).is_some());
        if let Some(store) = &mut self.store {
            contents.iter().for_each(|(version, content)| store.keep(*version, content));
        }
        self.remember();
    }

    /// The names of the plugin files in the folder, and of those that are gone and still known.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let listed = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let listed = listed.filter_map(|entry| entry.file_name().into_string().ok());
        let known = self.known.iter().filter(|(_, known)| known.newest.is_some()).map(|(name, _)| name);
        let remembered = self.histories.keys().filter(|name| self.remembers(name));
        listed.filter(|name| name.ends_with(".wasm")).chain(known.chain(remembered).cloned()).collect()
    }

    fn remembers(&self, name: &str) -> bool {
        self.histories.get(name).is_some_and(|history| history.good().next().is_some())
    }

    /// Lets go of what nobody can go back to, and writes the rest down.
    fn remember(&mut self) {
        let (known, folder) = (&self.known, &self.folder);
        self.histories.retain(|name, history| {
            known.contains_key(name) || history.pin().is_some() || folder.join(name).exists()
        });
        let kept: BTreeSet<Version> = self.histories.values().flat_map(History::kept).collect();
        self.past.retain(|version, _| kept.contains(version));
        let newest = self.known.values().filter_map(|known| Some(known.newest.as_ref()?.version)).collect();
        if let Some(store) = &mut self.store {
            store.save(&self.histories, &newest);
        }
    }

    fn module(&self, version: Version) -> Option<Arc<Module>> {
        let newest = self.known.values().filter_map(|known| known.newest.as_ref());
        let same =
            newest.filter(|newest| newest.version == version).find_map(|newest| newest.module.clone().ok());
        same.or_else(|| self.past.get(&version).cloned())
    }

    fn compile_now(&mut self, version: Version, content: &[u8]) -> Result<Arc<Module>, LoadError> {
        if let Some(made) = self.ahead.remove(&version) {
            return made;
        }
        self.engine.compile_within(content, COMPILE_TIMEOUT).map(Arc::new)
    }

    /// Compiles a content, unless that was done before, whatever its name was.
    fn compile(&mut self, content: &[u8], known: &Known) -> Compiled {
        let version = Version::of(content);
        if let Some(same) = known.newest.as_ref().filter(|newest| newest.version == version) {
            return same.clone();
        }
        let module = match self.module(version) {
            Some(same) => Ok(same),
            None => self.compile_now(version, content),
        };
        if let (Ok(_), Some(store)) = (&module, &mut self.store) {
            store.keep(version, content);
        }
        Compiled { version, module }
    }
}

impl Compiled {
    fn is_partial(&self) -> bool {
        self.module.as_ref().is_err_and(LoadError::is_partial)
    }
}

impl Known {
    /// The file holds this now; answers whether that is news.
    fn holds(&mut self, compiled: Compiled) -> bool {
        let same = self.newest.as_ref().is_some_and(|newest| newest.version == compiled.version);
        let news = !same || self.gone;
        (self.newest, self.gone) = (Some(compiled), false);
        news
    }
}
