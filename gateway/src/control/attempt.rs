//! Tries a configuration as a whole: every name, every use, each on the newest content of its file that suits it.
//!
//! What is wrong never replaces what is good: a bad content of a file leaves the last good one in place, and a
//! configuration that is wrong anywhere gives nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::addresses::{Addresses, resolve};
use super::certificates::{Certificates, Secured};
use super::config::{self, Config, Error, Errors};
use super::history::History;
use super::library::{Compiled, Library};
use super::listening::{self, Listening};
use super::status::{FileOutcome, Missing, Status};
use super::uses::{Made, Mentions, Uses};
use crate::name::Name;
use crate::plugin::{Replay, Samples, Use, Version};
use crate::transport::ports::Ports;

/// Everything that a snapshot is built from; it was all tried.
#[derive(Clone)]
pub struct Prepared {
    pub(super) config: Arc<Config>,
    /// Those that the configuration mentions and that can be loaded, sorted by name.
    pub(super) uses: Vec<Arc<Use>>,
    /// Those that it mentions and that cannot.
    pub(super) missing: Missing,
    pub(super) addresses: Addresses,
    /// How listeners' clients and pools' nodes are met.
    pub(super) secured: Secured,
    /// The listeners' open sockets.
    pub(super) listening: Listening,
    /// The version that each plugin file serves with.
    pub(super) versions: BTreeMap<String, Version>,
    /// What is to be noted of plugin files when this rules.
    pub(super) outcomes: Vec<(String, FileOutcome)>,
    /// What came of playing recent requests to versions that take over, by file.
    pub(super) replays: Vec<(String, Version, Replay)>,
    /// Where workers leave those requests.
    pub(super) samples: Arc<Samples>,
    /// Whether this is the configuration as it is written now, not an earlier one that has to go on.
    pub(super) as_written: bool,
}

impl Prepared {
    /// Whether a snapshot of this is another than one of `other`.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        let mut pairs = self.uses.iter().zip(&other.uses);
        let same_uses = self.uses.len() == other.uses.len() && pairs.all(|(one, two)| Arc::ptr_eq(one, two));
        let same_missing = self.missing.keys().eq(other.missing.keys());
        let same_ground = self.addresses == other.addresses
            && self.listening == other.listening
            && self.secured.is_same_as(&other.secured);
        !same_uses || !same_missing || self.config != other.config || !same_ground
    }

    /// The uses of a file.
    pub(super) fn uses_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a Arc<Use>> {
        self.uses.iter().filter(move |used| {
            self.config.uses.get(&*used.spec.name).is_some_and(|config| config.file.value == file)
        })
    }
}

/// Which uses may be without a plugin that can be loaded.
#[derive(Clone, Copy)]
pub(super) enum May<'a> {
    /// None of them.
    LackNone,
    /// Any of them: at the start, since whatever runs is better than nothing.
    LackAny,
    /// Those that lack one already: what is new in a configuration has to be right.
    Lack(&'a Missing),
}

impl May<'_> {
    fn lack(self, used: &config::Use) -> bool {
        match self {
            Self::LackNone => false,
            Self::LackAny => true,
            Self::Lack(missing) => missing.contains_key(&used.name.value),
        }
    }
}

/// The plugin files that a configuration needs: those of uses that something mentions.
pub(super) fn wanted_files(config: &Config) -> BTreeSet<String> {
    let mentioned = config.uses.values().filter(|used| used.mentioned);
    mentioned.map(|used| used.file.value.clone()).collect()
}

/// What is taken once, at the start: the folder of plugins and the state directory.
pub(super) fn same_ground(new: &Config, running: &Config) -> Result<(), Errors> {
    let fixed = |place: &config::Place, what: String| {
        let error = Error::new(place, format!("{what} while the gateway runs"));
        error.note("restart the gateway with this configuration, or upgrade it")
    };
    let mut errors = Vec::new();
    let directory = &new.plugins.directory;
    if *directory != running.plugins.directory {
        let what = "the folder of plugins cannot change".to_owned();
        errors.push(fixed(&directory.place, what));
    }
    let state = new.plugins.state_directory.as_ref();
    if state != running.plugins.state_directory.as_ref() {
        let place = state.map_or(&directory.place, |state| &state.place);
        errors.push(fixed(place, "the state directory cannot change".to_owned()));
    }
    Errors::from_list(errors).map_or(Ok(()), Err)
}

/// What is tried on: everything that is known from before.
pub(super) struct Ground<'a> {
    pub(super) library: &'a mut Library,
    pub(super) uses: &'a mut Uses,
    pub(super) certificates: &'a mut Certificates,
    /// Where listeners are opened; a mere check opens none.
    pub(super) ports: Option<&'a Ports>,
    pub(super) earlier: &'a Addresses,
    pub(super) status: &'a Status,
    pub(super) samples: &'a Arc<Samples>,
    pub(super) may: May<'a>,
}

/// Looks up every name, tries every use that the configuration mentions, and opens the listeners.
///
/// # Errors
/// All that is wrong, at its places in the configuration.
pub(super) fn try_all(config: &Arc<Config>, ground: &mut Ground<'_>) -> Result<Prepared, Errors> {
    let may = ground.may;
    let there = ground.library.names();
    let mut missing = Missing::new();
    let mut errors = Vec::new();
    let mut lacks = |used: &config::Use, error: Error, errors: &mut Vec<Error>| {
        if may.lack(used) {
            missing.insert(used.name.value.clone(), error.line());
        } else {
            errors.push(error);
        }
    };
    config.without_files(&there).for_each(|(used, error)| lacks(used, error, &mut errors));
    let addresses = resolve(config, ground.earlier, &mut errors);
    let secured = ground.certificates.load(config, &mut errors);
    let mentions = Mentions::of(config);
    let mut ready: BTreeMap<Name, Made> = BTreeMap::new();
    let (mut versions, mut outcomes) = (BTreeMap::new(), Vec::new());
    for file in wanted_files(config).intersection(&there) {
        match choose(config, file, &mentions, ground) {
            Ok((version, made)) => {
                ready.extend(made);
                versions.insert(file.clone(), version);
                outcomes
                    .extend(outcome(ground.library, file, version).map(|outcome| (file.clone(), outcome)));
            }
            Err(error) => uses_of(config, file).for_each(|used| lacks(used, error.clone(), &mut errors)),
        }
    }
    // A file's error stands once, however many uses it has.
    errors.dedup_by_key(|error| error.to_string());
    if let Some(errors) = Errors::from_list(errors) {
        return Err(errors);
    }
    // The last that may fail: what is opened has to take over.
    let listening =
        ground.ports.map_or_else(|| Ok(Listening::new()), |ports| listening::open(config, ports))?;
    ground.uses.serve(ready.values());
    Ok(Prepared {
        config: Arc::clone(config),
        uses: ready.into_values().map(|made| made.made).collect(),
        missing,
        addresses,
        secured,
        listening,
        versions,
        outcomes,
        replays: Vec::new(),
        samples: Arc::clone(ground.samples),
        as_written: true,
    })
}

/// What is to be noted when this version of a file serves.
fn outcome(library: &Library, file: &str, version: Version) -> Option<FileOutcome> {
    let newest = library.newest(file)?.version;
    let is_held = |history: &History| history.pin().is_some() && history.bar(newest).is_none();
    match newest == version {
        // What runs on without its file was not loaded just now.
        true => (!library.is_gone(file)).then_some(FileOutcome::Loaded(version)),
        false => library.history(file).is_some_and(is_held).then_some(FileOutcome::Held(newest)),
    }
}

/// The best content of a file on which all its uses work.
fn choose(
    config: &Config,
    file: &str,
    mentions: &Mentions,
    ground: &mut Ground<'_>,
) -> Result<(Version, Vec<(Name, Made)>), Error> {
    let mut refused: Option<(Version, Error)> = None;
    for version in ground.library.candidates(file) {
        let Some(compiled) = ground.library.version(file, version) else { continue };
        match make_all(config, file, &compiled, mentions, ground.uses) {
            Ok(made) => {
                if let Some((bad, error)) = refused {
                    ground.status.file(file, FileOutcome::Refused(bad, error.line()));
                }
                return Ok((version, made));
            }
            Err(error) => drop(refused.get_or_insert((version, error))),
        }
    }
    Err(match refused {
        Some((_, error)) => error,
        None => nothing_to_try(config, file, ground.library),
    })
}

/// Why there is no content to try.
fn nothing_to_try(config: &Config, file: &str, library: &Library) -> Error {
    let place = uses_of(config, file).next().map_or(&config.plugins.directory.place, |used| &used.file.place);
    let newest = library.newest(file).map(|newest| newest.version);
    let history = library.history(file);
    match newest.and_then(|newest| history?.bar(newest)) {
        Some(why) => Error::new(place, format!("{file} was rolled back, and nothing earlier is kept: {why}"))
            .note("put another content into the file"),
        // It came between the look and now; the next look finds it.
        None => Error::new(place, format!("{file} is new")),
    }
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
