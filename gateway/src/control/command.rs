//! What an operator may ask of a plugin's versions, and what came of it.
//!
//! The admin API sends these to the builder thread, which alone changes what is remembered of files; the answer comes
//! back when what follows is published.

use tokio::sync::oneshot;

use crate::plugin::Version;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Go back to the version before, and keep this one out until the file changes.
    RollBack,
    /// Let only this version serve: the start of its hash, or the one that serves now.
    Pin(Option<String>),
    /// Let the file rule again.
    Unpin,
}

/// What to do with a plugin.
pub(super) struct Command {
    /// A use's name, or a file's, with or without its ending.
    pub(super) plugin: String,
    pub(super) act: Act,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What came of it.
pub(super) type Answer = Result<Done, Refusal>;

/// It was done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// What, as one word.
    pub(super) act: &'static str,
    pub(super) file: String,
    /// The uses of the file; all of them have one version at a time.
    pub(super) uses: Vec<String>,
    /// The version that served before.
    pub(super) before: Option<Version>,
    /// The version that serves now.
    pub(super) serving: Option<Version>,
    pub(super) pinned: Option<Version>,
}

/// It was not done; one sentence says why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such plugin.
    Unknown(String),
    /// It cannot be done now.
    Conflict(String),
}
