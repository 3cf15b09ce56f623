//! What became of the last reloads: for logs, metrics and the admin API.
//!
//! Each outcome is one log line, one count and one row here, and is noted only once. It decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::{error, info, warn};

use super::certificates::FilesOutcomes;
use super::config::{Config, Errors};
use crate::name::Name;
use crate::plugin::{Replay, Version};

/// The outcomes, shared by control's threads.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<Outcomes>);

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// How often another process should have taken over and did not.
    pub(super) upgrades_failed: u64,
    /// When that was last, and why.
    pub(super) upgrade_error: Option<(SystemTime, String)>,
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
    /// Uses that the configuration names and that cannot be loaded at all, and why on one line.
    pub(super) unavailable: Missing,
    /// What became of the files of listeners' and pools' certificates.
    pub(super) certificates: FilesOutcomes,
    /// How listeners' certificates are got by ACME, for those that do.
    pub(super) acme: BTreeMap<Name, AcmeOutcome>,
}

/// What came of getting a listener's certificate by ACME.
#[derive(Debug, Default)]
pub(super) struct AcmeOutcome {
    /// How often one was got.
    pub(super) obtained: u64,
    /// How often that failed.
    pub(super) failed: u64,
    /// When and why it failed last, if none was got since.
    pub(super) error: Option<(SystemTime, String)>,
    /// When the next is ordered.
    pub(super) next: Option<SystemTime>,
}

/// Uses that cannot be loaded, and why.
pub(super) type Missing = BTreeMap<Name, String>;

/// What happened to one plugin file.
#[derive(Debug, Default)]
pub(super) struct FileOutcomes {
    /// How often, by [`FileOutcome::place`].
    counts: [u64; FileOutcome::WORDS.len()],
    /// What happened last.
    pub(super) last: Option<(SystemTime, FileOutcome)>,
    /// The refusal that was told last: it is found again at each try.
    refusal: Option<(Version, String)>,
    /// What came of playing recent requests to the version that was loaded last, and to the one before.
    pub(super) replay: Option<(Version, Replay)>,
    /// What its uses are pinned to.
    pub(super) pin: Option<Version>,
    /// Whether the version that serves may still be rolled back by itself.
    pub(super) on_probation: bool,
}

/// What happened to a plugin file last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileOutcome {
    /// This version runs.
    Loaded(Version),
    /// This version does not run, and why; an earlier one may.
    Refused(Version, String),
    /// The file is gone; what it held runs on, also after a restart if `kept`.
    Deleted {
        /// Whether the state directory keeps it.
        kept: bool,
    },
    /// A version gave way to an earlier one.
    RolledBack {
        /// The one that is kept out now.
        from: Version,
        /// The one that runs.
        to: Version,
        /// On one line.
        why: String,
    },
    /// The file has this content, and is pinned to another version.
    Held(Version),
}

impl FileOutcome {
    /// The words in metrics and the admin API.
    pub(super) const WORDS: [&str; 5] = ["loaded", "refused", "deleted", "rolled_back", "held"];

    fn place(&self) -> usize {
        match self {
            Self::Loaded(_) => 0,
            Self::Refused(..) => 1,
            Self::Deleted { .. } => 2,
            Self::RolledBack { .. } => 3,
            Self::Held(_) => 4,
        }
    }

    /// The word for this one.
    pub(super) fn as_str(&self) -> &'static str {
        Self::WORDS[self.place()]
    }

    /// The version that it is about.
    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Self::Loaded(version) | Self::Refused(version, _) | Self::Held(version) => Some(*version),
            Self::RolledBack { from, .. } => Some(*from),
            Self::Deleted { .. } => None,
        }
    }

    /// Why, if there is more to say.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Refused(_, why) | Self::RolledBack { why, .. } => Some(why),
            Self::Loaded(_) | Self::Deleted { .. } | Self::Held(_) => None,
        }
    }

    fn log(&self, file: &str, replay: Option<Replay>) {
        match self {
            Self::Loaded(version) if let Some(Replay { requests, differ, faults }) = replay => {
                let what = "plugin loaded; on recent requests it was compared with the version before";
                info!(file, version = %version, requests, differ, faults, "{what}");
            }
            Self::Loaded(version) => info!(file, version = %version, "plugin loaded"),
            Self::Refused(version, why) => {
                error!(file, version = %version, "plugin refused, what ran before stays: {why}");
            }
            Self::Deleted { kept: true } => {
                warn!(file, "plugin file is gone; what it held runs on, also after a restart");
            }
            Self::Deleted { kept: false } => {
                warn!(file, "plugin file is gone; what it held runs on until a restart");
            }
            Self::RolledBack { from, to, why } => {
                warn!(file, version = %from, to = %to, "plugin rolled back until its file changes: {why}");
            }
            Self::Held(version) => {
                warn!(file, version = %version, "plugin file changed, but it is pinned to another version");
            }
        }
    }
}

impl FileOutcomes {
    /// How often each outcome was, by its word.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        FileOutcome::WORDS.into_iter().zip(self.counts)
    }

    /// How often a new content was refused.
    #[cfg(test)]
    pub(super) fn refused(&self) -> u64 {
        self.counts[1]
    }
}

impl Status {
    /// Another process should have taken over and did not.
    pub(super) fn upgrade_failed(&self, why: String) {
        error!("no other process takes over, this one goes on: {why}");
        let mut outcomes = self.read();
        outcomes.upgrades_failed += 1;
        outcomes.upgrade_error = Some((SystemTime::now(), why));
    }

    /// The outcomes, to read.
    pub(super) fn read(&self) -> MutexGuard<'_, Outcomes> {
        // Each change is one assignment, so a panic in between leaves nothing torn.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This configuration rules now. `as_written` says whether it is what the files say, or an earlier one.
    pub(super) fn applied(&self, config: &Arc<Config>, as_written: bool) {
        let mut outcomes = self.read();
        if as_written && outcomes.error.take().is_some() {
            info!("the configuration is right again and rules");
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
        error!(
            errors = errors.count(),
            "the configuration is refused, the last good one stays: {}",
            errors.line()
        );
        outcomes.error = Some((SystemTime::now(), text));
        outcomes.configurations_refused += 1;
    }

    /// Something happened to a plugin file; the same thing twice is noted once.
    pub(super) fn file(&self, name: &str, outcome: FileOutcome) {
        let mut outcomes = self.read();
        let file = outcomes.files.entry(name.to_owned()).or_default();
        let refusal = match &outcome {
            FileOutcome::Refused(version, why) => Some((*version, why.clone())),
            _ => None,
        };
        let again = file.last.as_ref().is_some_and(|(_, last)| *last == outcome);
        if again || refusal.is_some() && file.refusal == refusal {
            return;
        }
        let replay = file.replay.filter(|(of, played)| outcome.version() == Some(*of) && played.requests > 0);
        outcome.log(name, replay.map(|(_, replay)| replay));
        file.counts[outcome.place()] += 1;
        if refusal.is_some() || matches!(outcome, FileOutcome::Loaded(_)) {
            file.refusal = refusal;
        }
        file.last = Some((SystemTime::now(), outcome));
    }

    /// These uses, and no others, cannot be loaded at all.
    pub(super) fn unavailable(&self, missing: &Missing) {
        let mut outcomes = self.read();
        for (name, why) in missing {
            if outcomes.unavailable.get(name) != Some(why) {
                error!(plugin = %name, "plugin cannot be loaded, and the gateway is not ready: {why}");
            }
        }
        outcomes.unavailable.clone_from(missing);
    }

    /// Recent requests were played to this version of a file. It comes before what became of that version.
    pub(super) fn replayed(&self, file: &str, version: Version, replay: Replay) {
        self.read().files.entry(file.to_owned()).or_default().replay = Some((version, replay));
    }

    /// What is remembered of a file that operators want to see.
    pub(super) fn remembered(&self, file: &str, pin: Option<Version>, on_probation: bool) {
        let mut outcomes = self.read();
        let file = outcomes.files.entry(file.to_owned()).or_default();
        (file.pin, file.on_probation) = (pin, on_probation);
    }
}
