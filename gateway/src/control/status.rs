//! What became of the last reloads: for logs, metrics and the admin API.
//!
//! Each outcome is one log line, one count and one row here, and is noted only once. It decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::{error, info, warn};

use super::config::{Config, Errors};
use crate::plugin::Version;

/// The outcomes, shared by control's threads.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<Outcomes>);

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// How often a configuration took over.
    pub(super) configurations_applied: u64,
    /// How often one was refused.
    pub(super) configurations_refused: u64,
    /// The configuration that rules.
    pub(super) config: Option<Arc<Config>>,
    /// When it took over.
    pub(super) applied_at: Option<SystemTime>,
    /// What is wrong with the configuration as it is written now.
    pub(super) error: Option<(SystemTime, String)>,
    /// By the file's name in the folder of plugins.
    pub(super) files: BTreeMap<String, FileOutcomes>,
}

/// What happened to one plugin file.
#[derive(Debug, Default)]
pub(super) struct FileOutcomes {
    /// How often a new content took over.
    pub(super) loaded: u64,
    /// How often one was refused.
    pub(super) refused: u64,
    /// What happened last.
    pub(super) last: Option<(SystemTime, FileOutcome)>,
}

/// What happened to a plugin file last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileOutcome {
    /// This version runs.
    Loaded(Version),
    /// This version does not run, and why; an earlier one may.
    Refused(Version, String),
    /// The file is gone; what it held runs on.
    Deleted,
}

impl FileOutcome {
    /// The word in metrics and the admin API.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Loaded(_) => "loaded",
            Self::Refused(..) => "refused",
            Self::Deleted => "deleted",
        }
    }
}

impl Status {
    /// The outcomes, to read.
    pub(super) fn read(&self) -> MutexGuard<'_, Outcomes> {
        // Each change is one assignment, so a panic in between leaves nothing torn.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This configuration rules now. `as_written` says whether it is what the files say, or an earlier one.
    pub(super) fn applied(&self, config: &Arc<Config>, as_written: bool) {
        let mut outcomes = self.read();
        if as_written {
            outcomes.error = None;
        }
        if outcomes.config.as_ref() != Some(config) {
            outcomes.applied_at = Some(SystemTime::now());
            outcomes.configurations_applied += 1;
            outcomes.config = Some(Arc::clone(config));
        }
    }

    /// The configuration as it is written now cannot rule.
    pub(super) fn refused(&self, errors: &Errors) {
        let text = errors.to_string();
        let mut outcomes = self.read();
        if outcomes.error.as_ref().is_some_and(|(_, earlier)| *earlier == text) {
            return;
        }
        error!("the configuration is refused, the last good one stays:\n{text}");
        outcomes.error = Some((SystemTime::now(), text));
        outcomes.configurations_refused += 1;
    }

    /// Something happened to a plugin file; the same thing twice is noted once.
    pub(super) fn file(&self, name: &str, outcome: FileOutcome) {
        let mut outcomes = self.read();
        let file = outcomes.files.entry(name.to_owned()).or_default();
        if file.last.as_ref().is_some_and(|(_, last)| *last == outcome) {
            return;
        }
        match &outcome {
            FileOutcome::Loaded(version) => {
                file.loaded += 1;
                info!(file = name, version = %version, "plugin loaded");
            }
            FileOutcome::Refused(version, why) => {
                file.refused += 1;
                error!(file = name, version = %version, "plugin refused, what ran before stays: {why}");
            }
            FileOutcome::Deleted => {
                warn!(file = name, "plugin file is gone; what it held runs on until a restart")
            }
        }
        file.last = Some((SystemTime::now(), outcome));
    }
}
