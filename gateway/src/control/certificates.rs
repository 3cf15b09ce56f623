//! Certificates and keys: read, matched, and read again when their files change.
//!
//! A pair that does not fit leaves the one before in place, as long as the configuration names the same files: whoever
//! renews a certificate writes two files, and between the two nothing fits. Reading is for control's builder thread.

mod expiry;
mod make;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tracing::{info, warn};

use super::config::{At, Config, Error, Errors, ListenerTls, NodeTls, Place};
use crate::name::Name;
use crate::transport::tls::{Challenges, ClientTls, Facts, ServerTls, Tickets};
use expiry::Expiry;
use seen::{Hash, Seen};

/// How listeners' clients and pools' nodes are met, by the names of those that have TLS.
#[derive(Clone, Default)]
pub(super) struct Secured {
    /// What proves listeners' names to ACME servers; always the same.
    pub(super) challenges: Arc<Challenges>,
    pub(super) listeners: BTreeMap<Name, Arc<ServerTls>>,
    pub(super) pools: BTreeMap<Name, Arc<ClientTls>>,
}

impl Secured {
    /// Whether all of it is what it was.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        fn same<T>(one: &BTreeMap<Name, Arc<T>>, two: &BTreeMap<Name, Arc<T>>) -> bool {
            one.keys().eq(two.keys())
                && one.values().zip(two.values()).all(|(one, two)| Arc::ptr_eq(one, two))
        }
        same(&self.listeners, &other.listeners) && same(&self.pools, &other.pools)
    }
}

/// What was made of files, and what can be made again.
pub(super) struct Certificates {
    tickets: Option<Tickets>,
    challenges: Arc<Challenges>,
    listeners: BTreeMap<Name, Made<ListenerTls, ServerTls>>,
    pools: BTreeMap<Name, Made<NodeTls, ClientTls>>,
    seen: Seen,
    expiry: Expiry,
}

/// What was made as it was wanted, and from which contents; those of the last try, if that failed.
struct Made<W, T> {
    wanted: W,
    contents: Hash,
    made: Arc<T>,
    outcome: FilesOutcome,
}

/// What became of the files of a listener or of a pool.
#[derive(Clone, Debug)]
pub(super) struct FilesOutcome {
    /// When what is used was read.
    pub(super) loaded: SystemTime,
    /// Since when they hold something else that cannot be used, and why; what was read before stays.
    pub(super) refused: Option<(SystemTime, String)>,
}

/// The same for all listeners and pools.
#[derive(Clone, Debug, Default)]
pub(super) struct FilesOutcomes {
    pub(super) listeners: BTreeMap<Name, FilesOutcome>,
    pub(super) pools: BTreeMap<Name, FilesOutcome>,
}

/// What listeners have in common.
struct With {
    tickets: Tickets,
    challenges: Arc<Challenges>,
}

/// What names files and can be made of them.
trait FromFiles: Clone + PartialEq {
    type Made;
    /// Every file that it names.
    fn files(&self) -> Vec<&Path>;
    /// Reads them. The place is that of the table.
    fn make(&self, place: &Place, with: &With) -> Result<Self::Made, Error>;
    /// The certificates that are shown to others.
    fn shown(made: &Self::Made) -> &[Facts];
}

impl Certificates {
    /// Nothing is read yet.
    pub(super) fn new() -> Self {
        let (listeners, pools) = Default::default();
        let (tickets, challenges) = Default::default();
        Self { tickets, challenges, listeners, pools, seen: Seen::default(), expiry: Expiry::default() }
    }

    /// Reads what a configuration names; what did not change stays what it is.
    pub(super) fn load(&mut self, config: &Config, errors: &mut Vec<Error>) -> Secured {
        let listeners =
            config.listeners.iter().filter_map(|(name, listener)| Some((name, listener.tls.as_ref()?)));
        let pools = config.pools.iter().filter_map(|(name, pool)| Some((name, pool.tls.as_ref()?)));
        let (listeners, pools): (Vec<_>, Vec<_>) = (listeners.collect(), pools.collect());
        if listeners.is_empty() && pools.is_empty() {
            return self.nothing();
        }
        let tickets = match &self.tickets {
            Some(tickets) => tickets.clone(),
            None => match Tickets::new() {
                Ok(tickets) => self.tickets.insert(tickets).clone(),
                Err(error) => {
                    let place = listeners
                        .first()
                        .map(|(_, tls)| &tls.place)
                        .or(pools.first().map(|(_, tls)| &tls.place));
                    let what = format!("TLS cannot be used on this machine: {error}");
                    errors.extend(place.map(|place| Error::new(place, what)));
                    return self.nothing();
                }
            },
        };
        let with = With { tickets, challenges: Arc::clone(&self.challenges) };
        let mut load = Load { seen: &mut self.seen, with, errors };
        let secured = Secured {
            challenges: Arc::clone(&self.challenges),
            listeners: load.all(&mut self.listeners, "listener", &listeners),
            pools: load.all(&mut self.pools, "pool", &pools),
        };
        let files: BTreeSet<PathBuf> = self.files().into_iter().map(Path::to_owned).collect();
        self.seen.retain(|path| files.contains(path));
        secured
    }

    fn nothing(&self) -> Secured {
        Secured { challenges: Arc::clone(&self.challenges), ..Secured::default() }
    }

    /// Whether a file has another content than when it was read.
    pub(super) fn changed(&mut self) -> bool {
        fn changed<W: FromFiles>(all: &BTreeMap<Name, Made<W, W::Made>>, seen: &mut Seen) -> bool {
            all.values().any(|made| seen.hash(made.wanted.files()) != made.contents)
        }
        changed(&self.listeners, &mut self.seen) || changed(&self.pools, &mut self.seen)
    }

    /// The files that were read.
    pub(super) fn files(&self) -> BTreeSet<&Path> {
        let listeners = self.listeners.values().flat_map(|made| made.wanted.files());
        listeners.chain(self.pools.values().flat_map(|made| made.wanted.files())).collect()
    }

    /// What became of them.
    pub(super) fn outcomes(&self) -> FilesOutcomes {
        fn all<W, T>(made: &BTreeMap<Name, Made<W, T>>) -> BTreeMap<Name, FilesOutcome> {
            made.iter().map(|(name, made)| (name.clone(), made.outcome.clone())).collect()
        }
        FilesOutcomes { listeners: all(&self.listeners), pools: all(&self.pools) }
    }

    /// Tells of certificates that end soon, each in good time and once.
    pub(super) fn tell_of_ends(&mut self, now: SystemTime) {
        fn all<'a, W: FromFiles>(
            kind: &'a str,
            made: &'a BTreeMap<Name, Made<W, W::Made>>,
        ) -> impl Iterator<Item = (String, &'a Facts)> {
            let shown = made.iter().map(|(name, made)| (name, W::shown(&made.made)));
            shown.flat_map(move |(name, facts)| {
                facts.iter().map(move |facts| (format!("{kind} {name}"), facts))
            })
        }
        self.expiry.look(all("listener", &self.listeners).chain(all("pool", &self.pools)), now);
    }
}

/// Reads all certificates that a configuration names: a part of `bascule check`.
///
/// # Errors
/// Each that cannot be read or does not fit.
pub fn check_certificates(config: &Config) -> Result<(), Errors> {
    let mut errors = Vec::new();
    Certificates::new().load(config, &mut errors);
    Errors::from_list(errors).map_or(Ok(()), Err)
}

/// One look at all files that a configuration names.
struct Load<'a> {
    seen: &'a mut Seen,
    with: With,
    errors: &'a mut Vec<Error>,
}

impl Load<'_> {
    fn all<W: FromFiles>(
        &mut self,
        made: &mut BTreeMap<Name, Made<W, W::Made>>,
        kind: &str,
        wanted: &[(&Name, &At<W>)],
    ) -> BTreeMap<Name, Arc<W::Made>> {
        made.retain(|name, _| wanted.iter().any(|(wanted, _)| *wanted == name));
        let mut all = BTreeMap::new();
        for (name, wanted) in wanted {
            let what = format!("{kind} {name}");
            let earlier = made.remove(*name).filter(|earlier| earlier.wanted == wanted.value);
            if let Some(one) = self.one(&what, wanted, earlier) {
                all.insert((*name).clone(), Arc::clone(&one.made));
                made.insert((*name).clone(), one);
            }
        }
        all
    }

    /// What comes of one, in place of what there was; none if it is new and wrong.
    fn one<W: FromFiles>(
        &mut self,
        what: &str,
        wanted: &At<W>,
        earlier: Option<Made<W, W::Made>>,
    ) -> Option<Made<W, W::Made>> {
        let contents = self.seen.hash(wanted.value.files());
        if let Some(same) = &earlier
            && same.contents == contents
        {
            return earlier;
        }
        let now = SystemTime::now();
        match (wanted.value.make(&wanted.place, &self.with), earlier) {
            (Ok(new), earlier) => {
                if earlier.is_some() {
                    info!("{what}: new certificates took over");
                }
                let outcome = FilesOutcome { loaded: now, refused: None };
                Some(Made { wanted: wanted.value.clone(), contents, made: Arc::new(new), outcome })
            }
            (Err(error), Some(earlier)) => {
                let why = error.line();
                warn!("{what}: new certificates are not used, and those before stay: {why}");
                let outcome = FilesOutcome { refused: Some((now, why)), ..earlier.outcome };
                Some(Made { contents, outcome, ..earlier })
            }
            (Err(error), None) => {
                self.errors.push(error);
                None
            }
        }
    }
}
