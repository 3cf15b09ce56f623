//! Makes everything that a snapshot needs: reads the configuration and the plugins, tries them, and looks up names.
//!
//! All that is slow or may fail on the control path happens here, on the builder thread, at low priority. Nothing here
//! touches what is published: a [`Prepared`] goes to the writer. What is wrong never replaces what is good.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::addresses::{Addresses, resolve};
use super::config::{self, Config, Error, Errors};
use super::folder::{Next, folders_of};
use super::library::{Compiled, Library};
use super::sources::{self, Sources};
use super::status::{FileOutcome, Status};
use super::uses::{Made, Mentions, Uses};
use crate::name::Name;
use crate::plugin::engine::Engine;
use crate::plugin::module::Version;
use crate::plugin::services::Services;
use crate::plugin::use_::Use;

/// Everything that a snapshot is built from; it was all tried.
#[derive(Clone)]
pub struct Prepared {
    pub(super) config: Arc<Config>,
    /// Those that the configuration mentions, sorted by name.
    pub(super) uses: Vec<Arc<Use>>,
    pub(super) addresses: Addresses,
    /// The plugin files whose newest version is in use.
    pub(super) loaded: Vec<(String, Version)>,
    /// Whether this is the configuration as it is written now, not an earlier one that has to go on.
    pub(super) as_written: bool,
}

/// What the builder thread keeps from one look to the next.
pub(super) struct Builder {
    sources: Option<Sources>,
    library: Library,
    uses: Uses,
    status: Arc<Status>,
    /// What was handed on last.
    current: Prepared,
    /// The configuration as it is written now; none if it cannot be read.
    written: Option<Arc<Config>>,
    /// Whether something changed that was not tried yet.
    untried: bool,
}

impl Builder {
    /// Makes the first snapshot's parts.
    ///
    /// # Errors
    /// All that is wrong with the plugins and the names, at their places in the configuration.
    pub(super) fn start(
        path: Option<PathBuf>,
        config: Config,
        engine: Arc<Engine>,
        services: Arc<Services>,
        status: Arc<Status>,
    ) -> Result<Self, Errors> {
        let config = Arc::new(config);
        let mut library = Library::new(engine, config.plugins.directory.value.clone());
        let mut uses = Uses::new(services);
        library.look(&wanted_files(&config), false);
        let current = prepare(&config, &mut library, &mut uses, &Addresses::new(), &status)?;
        let sources = path.map(Sources::new);
        Ok(Self {
            sources,
            library,
            uses,
            status,
            written: Some(config),
            untried: false,
            current,
        })
    }

    /// What was handed on last.
    pub(super) fn current(&self) -> &Prepared {
        &self.current
    }

    /// Looks at the configuration and the folder of plugins; answers new parts if something changed for the better.
    pub(super) fn look(&mut self) -> (Option<Prepared>, Next) {
        let mut soon = false;
        let mut changed = false;
        match self.sources.as_mut().map(Sources::look) {
            None | Some(sources::Look::Same) => {}
            Some(sources::Look::NotYet) => soon = true,
            Some(sources::Look::Read(read)) => {
                changed = true;
                self.written = read.inspect_err(|errors| self.status.refused(errors)).ok();
            }
        }
        let written = self.written.as_ref().unwrap_or(&self.current.config);
        let files = &wanted_files(written) | &wanted_files(&self.current.config);
        let found = self.library.look(&files, true);
        for name in found.gone {
            self.status.file(&name, FileOutcome::Deleted);
        }
        self.untried |= changed || found.changed;
        // What is still being copied may be what the rest waits for: it all changes together.
        soon |= found.not_yet;
        let prepared = if self.untried && !soon {
            self.prepare()
        } else {
            None
        };
        (
            prepared,
            Next {
                folders: self.folders(),
                soon,
            },
        )
    }

    /// Tries the configuration as it is written; if that fails, the one that rules, with what is new of its plugins.
    fn prepare(&mut self) -> Option<Prepared> {
        let ruling = Arc::clone(&self.current.config);
        self.untried = false;
        let prepared = match self.written.clone().map(|written| self.attempt(&written)) {
            Some(Ok(prepared)) => prepared,
            failed => {
                if let Some(Err(errors)) = failed {
                    self.status.refused(&errors);
                }
                let again = self.attempt(&ruling);
                let again =
                    again.inspect_err(|errors| warn!("what runs could not be prepared again: {errors}"));
                Prepared {
                    as_written: false,
                    ..again.ok()?
                }
            }
        };
        self.current = prepared.clone();
        Some(prepared)
    }

    fn attempt(&mut self, config: &Arc<Config>) -> Result<Prepared, Errors> {
        same_ground(config, &self.current.config)?;
        prepare(
            config,
            &mut self.library,
            &mut self.uses,
            &self.current.addresses,
            &self.status,
        )
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let plugins = self.library.folder();
        let mut folders: BTreeSet<PathBuf> = folders_of(plugins).collect();
        folders.insert(plugins.to_owned());
        folders.extend(self.sources.iter().flat_map(Sources::folders));
        folders
    }
}

impl Prepared {
    /// Whether a snapshot of this is another than one of `other`.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        let same_uses = self.uses.len() == other.uses.len()
            && self
                .uses
                .iter()
                .zip(&other.uses)
                .all(|(one, two)| Arc::ptr_eq(one, two));
        !same_uses || self.config != other.config || self.addresses != other.addresses
    }
}

fn wanted_files(config: &Config) -> BTreeSet<String> {
    config
        .uses
        .values()
        .filter(|used| used.mentioned)
        .map(|used| used.file.value.clone())
        .collect()
}

/// What is taken once, at the start: the listeners' sockets, and the folder of plugins.
fn same_ground(new: &Config, running: &Config) -> Result<(), Errors> {
    let write = "restart the gateway with this configuration";
    let fixed = |place: &config::Place, what: String| Error::new(place, what).note(write);
    let mut errors = Vec::new();
    for listener in new.listeners.values() {
        if running.listeners.get(&listener.name.value) != Some(listener) {
            let name = &listener.name.value;
            errors.push(fixed(
                &listener.name.place,
                format!("the listener \"{name}\" cannot change while the gateway runs"),
            ));
        }
    }
    for gone in running
        .listeners
        .values()
        .filter(|old| !new.listeners.contains_key(&old.name.value))
    {
        let name = &gone.name.value;
        errors.push(fixed(
            &gone.name.place,
            format!("the listener \"{name}\" cannot go while the gateway runs"),
        ));
    }
    let directory = &new.plugins.directory;
    if *directory != running.plugins.directory {
        errors.push(fixed(
            &directory.place,
            "the folder of plugins cannot change while the gateway runs".to_owned(),
        ));
    }
    Errors::from_list(errors).map_or(Ok(()), Err)
}

/// Tries every use that the configuration mentions, on the newest version of its file that suits all uses of that file.
fn prepare(
    config: &Arc<Config>,
    library: &mut Library,
    uses: &mut Uses,
    earlier: &Addresses,
    status: &Status,
) -> Result<Prepared, Errors> {
    config.check_plugin_files(&library.names())?;
    let mut errors = Vec::new();
    let addresses = resolve(config, earlier, &mut errors);
    let mentions = Mentions::of(config);
    let mut ready: BTreeMap<Name, Made> = BTreeMap::new();
    let mut accepted: Vec<(String, Compiled)> = Vec::new();
    for file in wanted_files(config) {
        let mut attempt = |compiled: Option<&Compiled>| {
            let used = config
                .uses
                .values()
                .filter(|used| used.mentioned && used.file.value == file);
            let compiled = compiled?.clone();
            let make =
                |used: &config::Use| Ok((used.name.value.clone(), uses.make(used, &mentions, &compiled)?));
            let made: Result<Vec<_>, Error> = used.map(make).collect();
            Some(made.map(|made| (compiled, made)))
        };
        let (newest, good) = library.versions(&file);
        let refused = match attempt(newest) {
            Some(Ok((compiled, made))) => {
                accepted.push((file.clone(), compiled));
                ready.extend(made);
                continue;
            }
            Some(Err(error)) => error,
            // It came between the look and now; the next look finds it.
            None => {
                let mentioned = config
                    .uses
                    .values()
                    .filter(|used| used.mentioned && used.file.value == file);
                let unread =
                    |used: &config::Use| Error::new(&used.file.place, format!("{file} was not read yet"));
                errors.extend(mentioned.map(unread));
                continue;
            }
        };
        match (attempt(good), newest) {
            (Some(Ok((_, made))), Some(newest)) => {
                status.file(&file, FileOutcome::Refused(newest.version, refused.to_string()));
                ready.extend(made);
            }
            _ => errors.push(refused),
        }
    }
    if let Some(errors) = Errors::from_list(errors) {
        return Err(errors);
    }
    let loaded = accepted
        .iter()
        .map(|(file, compiled)| (file.clone(), compiled.version))
        .collect();
    accepted
        .into_iter()
        .for_each(|(file, compiled)| library.accept(&file, compiled));
    uses.serve(ready.values());
    let uses = ready.into_values().map(|made| made.made).collect();
    Ok(Prepared {
        config: Arc::clone(config),
        uses,
        addresses,
        loaded,
        as_written: true,
    })
}

/// Loads every plugin that the configuration names and hands it its configuration: `bascule check --plugins`.
///
/// # Errors
/// All that is wrong, at the places in the configuration.
pub fn check_plugins(config: &Config, engine: Arc<Engine>, services: Arc<Services>) -> Result<(), Errors> {
    let mut config = config.clone();
    // Unlike the gateway, a check looks at uses that nothing mentions too.
    config.uses.values_mut().for_each(|used| used.mentioned = true);
    Builder::start(None, config, engine, services, Arc::default()).map(drop)
}
