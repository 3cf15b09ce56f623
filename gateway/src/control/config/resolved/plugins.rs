//! The folder of plugins, and their uses.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::super::error::At;
use super::super::secret::PluginConfig;
use super::super::text::Size;
use super::SharedScope;
use crate::name::Name;

/// The folder of plugins, and how a new version takes over.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// Relative paths are joined to the folder of the file that says it. Its place is the file's start if it is the default.
    pub directory: At<PathBuf>,
    /// Where what was good outlives the process, and compiled code; nothing does if there is none.
    pub state_directory: Option<At<PathBuf>>,
    /// How long a new version may be rolled back by itself, at least.
    pub probation: Duration,
    /// How many request heads are kept to try new versions on.
    pub replay: u32,
}

/// A configured use of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Its name, at its table, or where it is first mentioned if it has no table.
    pub name: At<Name>,
    /// A file in the folder of plugins; by default the name's, with underscores for dashes, and ".wasm".
    pub file: At<String>,
    /// Whether a route or a pool mentions it.
    pub mentioned: bool,
    /// What a filter's fault does to the request.
    pub on_fault: OnFault,
    /// When a version that fails is not called any more.
    pub quarantine: Quarantine,
    /// What it may import, those included that are granted by default.
    pub grants: BTreeSet<Grant>,
    /// What it may take.
    pub limits: UseLimits,
    /// What `configure` is called with.
    pub config: PluginConfig,
    /// The only content that the file may have (SHA-256).
    pub sha256: Option<[u8; 32]>,
    /// Who sees its shared values.
    pub shared: SharedScope,
}

/// What a filter's fault does to the request. (A policy's costs nothing: the next one picks.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// It is answered with 500.
    Fail,
    /// It goes on as if the filter were not there.
    Skip,
}

/// When a version that fails is not called any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// Never.
    Off,
    /// After so many faults within this time.
    After {
        /// So many faults.
        faults: NonZeroU32,
        /// This time.
        window: Duration,
    },
}

impl Default for Quarantine {
    fn default() -> Self {
        Self::After { faults: NonZeroU32::MIN.saturating_add(19), window: Duration::from_secs(10) }
    }
}

/// An interface that a use may import only if its configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Bindings of clients to nodes. Granted by default.
    Sessions,
    /// Values that all workers see.
    Shared,
    /// Reading Authorization and Proxy-Authorization.
    Credentials,
    /// Setting the Host field.
    Host,
}

impl Grant {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Sessions, Self::Shared, Self::Credentials, Self::Host];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Shared => "shared",
            Self::Credentials => "credentials",
            Self::Host => "host",
        }
    }
}

/// What an instance of a use may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseLimits {
    /// Bytes of linear memory.
    pub memory: Size,
    /// CPU time of one call; what the use's lane has if not given.
    pub deadline: Option<Duration>,
    /// CPU time of starting an instance, `configure` included.
    pub start: Duration,
    /// Instances on each worker; what the use's lane has if not given.
    pub instances: Option<NonZeroU32>,
    /// Elements of an instance's tables.
    pub table_elements: NonZeroU32,
    /// Bytes that one call of an import may hand over.
    pub import_bytes: Size,
    /// Calls after which an instance gives way to a fresh one, if ever.
    pub recycle_calls: Option<NonZeroU32>,
    /// Bytes of memory above which it does.
    pub recycle_memory: Size,
}
