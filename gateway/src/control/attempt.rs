//! Tries a configuration as a whole: every name, every use, each on the newest content of its file that suits it.
//!
//! What is wrong never replaces what is good: a bad content of a file leaves the last good one in place, and a
//! configuration that is wrong anywhere gives nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::addresses::{Addresses, resolve};
use super::config::{self, Config, Error, Errors};
use super::library::{Compiled, Library};
use super::status::{FileOutcome, Status};
use super::uses::{Made, Mentions, Uses};
use crate::name::Name;
use crate::plugin::{Use, Version};

/// Everything that a snapshot is built from; it was all tried.
#[derive(Clone)]
pub struct Prepared {
    pub(super) config: Arc<Config>,
    /// Those that the configuration mentions, sorted by name.
    pub(super) uses: Vec<Arc<Use>>,
    pub(super) addresses: Addresses,
    /// The plugin files whose newest content is in use.
    pub(super) loaded: Vec<(String, Version)>,
    /// Whether this is the configuration as it is written now, not an earlier one that has to go on.
    pub(super) as_written: bool,
}

impl Prepared {
    /// Whether a snapshot of this is another than one of `other`.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        let mut pairs = self.uses.iter().zip(&other.uses);
        let same_uses = self.uses.len() == other.uses.len() && pairs.all(|(one, two)| Arc::ptr_eq(one, two));
        !same_uses || self.config != other.config || self.addresses != other.addresses
    }
}

/// The plugin files that a configuration needs: those of uses that something mentions.
pub(super) fn wanted_files(config: &Config) -> BTreeSet<String> {
    let mentioned = config.uses.values().filter(|used| used.mentioned);
    mentioned.map(|used| used.file.value.clone()).collect()
}

/// What is taken once, at the start: the listeners' sockets, and the folder of plugins.
pub(super) fn same_ground(new: &Config, running: &Config) -> Result<(), Errors> {
    let fixed = |place: &config::Place, what: String| {
        let error = Error::new(place, format!("{what} while the gateway runs"));
        error.note("restart the gateway with this configuration")
    };
    let mut errors = Vec::new();
    for (name, listener) in &new.listeners {
        if running.listeners.get(name) != Some(listener) {
            let what = format!("the listener \"{name}\" cannot change");
            errors.push(fixed(&listener.name.place, what));
        }
    }
    for (name, listener) in &running.listeners {
        if !new.listeners.contains_key(name) {
            let what = format!("the listener \"{name}\" cannot go");
            errors.push(fixed(&listener.name.place, what));
        }
    }
    let directory = &new.plugins.directory;
    if *directory != running.plugins.directory {
        let what = "the folder of plugins cannot change".to_owned();
        errors.push(fixed(&directory.place, what));
    }
    Errors::from_list(errors).map_or(Ok(()), Err)
}

/// Looks up every name and tries every use that the configuration mentions.
///
/// # Errors
/// All that is wrong, at its places in the configuration.
pub(super) fn try_all(
    config: &Arc<Config>,
    library: &mut Library,
    uses: &mut Uses,
    earlier: &Addresses,
    status: &Status,
) -> Result<Prepared, Errors> {
    let there = library.names();
    let missing = config.check_plugin_files(&there).err();
    let mut errors: Vec<Error> = missing.iter().flat_map(Errors::iter).cloned().collect();
    let addresses = resolve(config, earlier, &mut errors);
    let mentions = Mentions::of(config);
    let mut ready: BTreeMap<Name, Made> = BTreeMap::new();
    let mut accepted = Vec::new();
    for file in wanted_files(config).intersection(&there) {
        let Some((newest, good)) = library.versions(file) else {
            // It came between the look and now; the next look finds it.
            errors.extend(
                uses_of(config, file).map(|used| Error::new(&used.file.place, format!("{file} is new"))),
            );
            continue;
        };
        let mut tried = |compiled| make_all(config, file, compiled, &mentions, uses);
        match tried(newest) {
            Ok(made) => {
                ready.extend(made);
                accepted.push((file.clone(), newest.clone()));
            }
            Err(error) => match good.map(tried) {
                Some(Ok(made)) => {
                    status.file(file, FileOutcome::Refused(newest.version, error.to_string()));
                    ready.extend(made);
                }
                Some(Err(_)) | None => errors.push(error),
            },
        }
    }
    if let Some(errors) = Errors::from_list(errors) {
        return Err(errors);
    }
    // What runs on without its file was not loaded just now.
    let loaded = accepted
        .iter()
        .filter(|(file, _)| !library.is_gone(file))
        .map(|(file, compiled)| (file.clone(), compiled.version))
        .collect();
    accepted.into_iter().for_each(|(file, compiled)| library.accept(&file, compiled));
    uses.serve(ready.values());
    Ok(Prepared {
        config: Arc::clone(config),
        uses: ready.into_values().map(|made| made.made).collect(),
        addresses,
        loaded,
        as_written: true,
    })
}

/// The uses of a file that something mentions.
fn uses_of<'a>(config: &'a Config, file: &'a str) -> impl Iterator<Item = &'a config::Use> {
    config.uses.values().filter(move |used| used.mentioned && used.file.value == file)
}

/// Every use of a file on one of its contents: all of them or none, so that a file has one version at a time.
fn make_all(
    config: &Config,
    file: &str,
    compiled: &Compiled,
    mentions: &Mentions,
    uses: &mut Uses,
) -> Result<Vec<(Name, Made)>, Error> {
    let make = |used: &config::Use| Ok((used.name.value.clone(), uses.make(used, mentions, compiled)?));
    uses_of(config, file).map(make).collect()
}
