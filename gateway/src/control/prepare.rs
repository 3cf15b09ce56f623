//! What the builder thread does: looks at the configuration and the plugins, and makes what a snapshot needs of them.
//!
//! All that is slow or may fail on the control path happens here, at low priority. Nothing here touches what is
//! published: a [`Prepared`] goes to the writer. What operators ask of versions is done in `obey`.

mod obey;
mod replays;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tracing::{debug, warn};

use super::addresses::Addresses;
use super::attempt::{Ground, May, Prepared, same_ground, try_all, wanted_files};
use super::certificates::Certificates;
use super::config::{Config, Error, Errors};
use super::folder::{Next, folders_of};
use super::history::History;
use super::library::Library;
use super::probation::{Probation, Verdict};
use super::sources::{self, Sources};
use super::status::{FileOutcome, Status};
use super::store::Store;
use super::uses::Uses;
use crate::plugin::{Engine, QuarantineState, Services, Version};
use crate::transport::ports::Ports;

/// What the builder thread keeps from one look to the next.
pub(super) struct Builder {
    sources: Option<Sources>,
    library: Library,
    uses: Uses,
    certificates: Certificates,
    ports: Arc<Ports>,
    probation: Probation,
    status: Arc<Status>,
    /// What was handed on last.
    current: Prepared,
    /// The configuration as it is written now; none if it cannot be read.
    written: Option<Arc<Config>>,
    /// Whether something changed that was not tried yet.
    untried: bool,
}

impl Builder {
    /// Makes the first snapshot's parts. A plugin that cannot be loaded is no reason not to start; all else is.
    ///
    /// # Errors
    /// All that is wrong with the names, the listeners and the state directory, at their places in the configuration.
    pub(super) fn start(
        path: Option<PathBuf>,
        config: Config,
        engine: Arc<Engine>,
        services: Arc<Services>,
        ports: Arc<Ports>,
        status: Arc<Status>,
    ) -> Result<Self, Errors> {
        let store = open_store(&config)?;
        let mut library = Library::new(engine, config.plugins.directory.value.clone(), store);
        let mut uses = Uses::new(services);
        let mut certificates = Certificates::new();
        let config = Arc::new(config);
        let found = library.look(&wanted_files(&config), false);
        let mut ground = Ground {
            library: &mut library,
            uses: &mut uses,
            certificates: &mut certificates,
            ports: Some(&ports),
            earlier: &Addresses::new(),
            status: &status,
            samples: &Arc::default(),
            may: May::LackAny,
        };
        let current = try_all(&config, &mut ground)?;
        let sources = path.map(Sources::new);
        let probation = Probation::default();
        let mut builder = Self {
            sources,
            library,
            uses,
            certificates,
            ports,
            probation,
            status,
            written: Some(config),
            untried: false,
            current,
        };
        builder.note_gone(found.gone);
        builder.adopt();
        builder.remembered();
        builder.note_certificates();
        Ok(builder)
    }

    /// What was handed on last.
    pub(super) fn current(&self) -> &Prepared {
        &self.current
    }

    /// Looks at the configuration, the folder of plugins and what took over a moment ago; answers new parts if
    /// something changed for the better.
    pub(super) fn look(&mut self) -> (Option<Prepared>, Next) {
        let judged = self.judge();
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
        let wanted = self.wanted();
        let found = self.library.look(&wanted, true);
        self.library.catch_up(&wanted);
        self.note_gone(found.gone);
        self.untried |= changed || found.changed || self.certificates.changed();
        // What is still being copied may be what the rest waits for: it all changes together.
        soon |= found.not_yet;
        let prepared = if self.untried && !soon { self.prepare() } else { None };
        self.remembered();
        self.note_certificates();
        let length = self.current.config.plugins.probation;
        let watchful = self.probation.is_watchful(length, Instant::now());
        (prepared.or(judged), Next { folders: self.folders(), soon, watchful })
    }

    /// The files that the written configuration and the one that rules need.
    fn wanted(&self) -> BTreeSet<String> {
        let written = self.written.as_ref().unwrap_or(&self.current.config);
        &wanted_files(written) | &wanted_files(&self.current.config)
    }

    fn note_gone(&self, gone: Vec<String>) {
        let kept = self.library.outlives_the_process();
        gone.iter().for_each(|name| self.status.file(name, FileOutcome::Deleted { kept }));
    }

    /// Tries the configuration as it is written; if that fails, the one that rules, with what is new of its plugins.
    fn prepare(&mut self) -> Option<Prepared> {
        self.untried = false;
        match self.written.clone().map(|written| self.attempt(&written)) {
            Some(Ok(prepared)) => Some(self.hand_on(prepared)),
            failed => {
                if let Some(Err(errors)) = failed {
                    self.status.refused(&errors);
                }
                let again = self.attempt_ruling();
                let again = again
                    .inspect_err(|errors| warn!("what runs could not be prepared again: {}", errors.line()));
                let prepared = Prepared { as_written: false, ..again.ok()? };
                Some(self.hand_on(prepared))
            }
        }
    }

    /// Takes versions back that fail more than they may.
    fn judge(&mut self) -> Option<Prepared> {
        let length = self.current.config.plugins.probation;
        let mut prepared = None;
        let verdicts = self.probation.verdicts(length, Instant::now());
        for (file, version, verdict) in verdicts.into_iter().chain(self.quarantined()) {
            if self.current.versions.get(&file) != Some(&version) {
                // It was judged twice, and is gone already.
                continue;
            }
            match verdict {
                Verdict::Passed => {
                    debug!(file, version = %version, "plugin passed its probation");
                    self.library.change(&file, History::prove);
                }
                Verdict::Failed(why) => match self.roll_back(&file, &why) {
                    Ok(rolled_back) => prepared = Some(rolled_back),
                    Err(reason) => {
                        warn!(file, version = %version, "plugin fails ({why}) and stays: {reason}")
                    }
                },
            }
        }
        prepared
    }

    /// Versions in quarantine that have an earlier one behind them: it comes back, however long ago they took over.
    fn quarantined(&self) -> Vec<(String, Version, Verdict)> {
        let told = self.current.versions.iter().filter_map(|(file, version)| {
            let history = self.library.history(file).filter(|history| history.pin().is_none())?;
            history.earlier()?;
            let mut uses = self.current.uses_of(file);
            uses.find_map(|used| match used.quarantine() {
                QuarantineState::Open { faults, last_kind, .. } => {
                    let (name, kind) = (&used.spec.name, last_kind.name());
                    let why = format!("\"{name}\" is in quarantine after {faults} faults, the last a {kind}");
                    Some((file.clone(), *version, Verdict::Failed(why)))
                }
                QuarantineState::Closed | QuarantineState::HalfOpen => None,
            })
        });
        told.collect()
    }

    /// Goes back to the version of a file that served before, and keeps the one that serves out.
    fn roll_back(&mut self, file: &str, why: &str) -> Result<Prepared, String> {
        let history = self.library.history(file).ok_or("nothing of it ever served")?;
        if let Some(pin) = history.pin() {
            return Err(format!("it is pinned to {pin}; unpin it first"));
        }
        let serving = history.serving().ok_or("nothing of it ever served")?;
        history.earlier().ok_or("no earlier version is known")?;
        self.library.change(file, |history| history.roll_back(why));
        match self.attempt_ruling() {
            Ok(mut prepared) if prepared.versions.get(file).is_some_and(|version| *version != serving) => {
                let to = prepared.versions[file];
                let outcome = FileOutcome::RolledBack { from: serving, to, why: why.to_owned() };
                prepared.outcomes.retain(|(other, _)| other != file);
                prepared.outcomes.push((file.to_owned(), outcome));
                let prepared = self.hand_on(prepared);
                self.library.change(file, History::prove);
                Ok(prepared)
            }
            failed => {
                self.library.change(file, |history| history.lift(serving));
                let errors = failed.err().map(|errors| errors.line());
                Err(errors.unwrap_or_else(|| "the configuration does not use it".to_owned()))
            }
        }
    }

    fn attempt_ruling(&mut self) -> Result<Prepared, Errors> {
        let ruling = Arc::clone(&self.current.config);
        let as_written = self.current.as_written;
        self.attempt(&ruling).map(|prepared| Prepared { as_written, ..prepared })
    }

    fn attempt(&mut self, config: &Arc<Config>) -> Result<Prepared, Errors> {
        same_ground(config, &self.current.config)?;
        let mut ground = Ground {
            library: &mut self.library,
            uses: &mut self.uses,
            certificates: &mut self.certificates,
            ports: Some(&self.ports),
            earlier: &self.current.addresses,
            status: &self.status,
            samples: &self.current.samples,
            may: May::Lack(&self.current.missing),
        };
        try_all(config, &mut ground)
    }

    /// This is what serves from now on.
    fn hand_on(&mut self, mut prepared: Prepared) -> Prepared {
        prepared.replays = replays::all(&self.current, &prepared);
        self.ports.keep(|id| prepared.listening.values().any(|opened| opened.id == id));
        self.current = prepared.clone();
        self.adopt();
        prepared
    }

    /// Remembers the versions that serve now, and puts those on probation that have an earlier one behind them.
    fn adopt(&mut self) {
        let (current, now) = (&self.current, Instant::now());
        for (file, version) in &current.versions {
            self.library.accept(file, *version);
            if self.probation.serving(file) != Some(*version) {
                let on_probation = self.library.history(file).is_some_and(History::is_unproven);
                let stats = current.uses_of(file).map(|used| Arc::clone(&used.stats)).collect();
                self.probation.begin(file, *version, stats, on_probation, now);
            }
        }
        current.samples.keep(current.config.plugins.replay as usize);
        self.probation.retain(|file| current.versions.contains_key(file));
    }

    /// Tells what is remembered of files.
    fn remembered(&self) {
        for file in self.current.versions.keys() {
            let history = self.library.history(file);
            let pin = history.and_then(History::pin);
            self.status.remembered(file, pin, history.is_some_and(History::is_unproven));
        }
    }

    /// Tells what became of certificates' files, and of those that end soon.
    fn note_certificates(&mut self) {
        self.status.read().certificates = self.certificates.outcomes();
        self.certificates.tell_of_ends(SystemTime::now());
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let plugins = self.library.folder();
        let mut folders: BTreeSet<PathBuf> = folders_of(plugins).collect();
        folders.insert(plugins.to_owned());
        folders.extend(self.sources.iter().flat_map(Sources::folders));
        folders.extend(self.certificates.files().into_iter().flat_map(folders_of));
        folders
    }
}

fn open_store(config: &Config) -> Result<Option<Store>, Errors> {
    let Some(state) = &config.plugins.state_directory else { return Ok(None) };
    Store::open(state).map(Some).map_err(|error| {
        let what = format!("the state directory {} cannot be used: {error}", state.display());
        let error =
            Error::new(&state.place, what).note("name a folder that the gateway's user alone can write to");
        Errors::from_list(vec![error]).expect("there is one")
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
    // It says what is in the folder, whatever was good before.
    let mut library = Library::new(engine, config.plugins.directory.value.clone(), None);
    library.look(&wanted_files(&config), false);
    let mut ground = Ground {
        library: &mut library,
        uses: &mut Uses::new(services),
        certificates: &mut Certificates::new(),
        ports: None,
        earlier: &Addresses::new(),
        status: &Status::default(),
        samples: &Arc::default(),
        may: May::LackNone,
    };
    try_all(&Arc::new(config), &mut ground).map(drop)
}
