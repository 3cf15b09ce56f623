//! What operators want to know of discovery: the tasks write it, the admin API reads it. It decides nothing.
//!
//! What is wrong with an entry is logged and counted when it is new, however often it is told.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::{debug, info, warn};

use super::provider::Trouble;
use super::schema::BadEntry;
use crate::name::Name;
use crate::snapshot::{Pool, Snapshot};

/// Bad entries that are named one by one; of the others there is the number. A thousand would hide all else.
const NAMED: usize = 20;

/// How long a registry that does not answer may keep a gateway from being ready, since its start: it has other pools, and
/// without it there is no gateway at all.
const FIRST_ANSWERS: Duration = Duration::from_secs(10);

/// All pools that find nodes.
#[derive(Debug)]
pub(in crate::control) struct Board {
    started: Instant,
    rows: Mutex<BTreeMap<Name, Arc<Row>>>,
}

/// One pool.
#[derive(Debug)]
pub(in crate::control) struct Row {
    pool: Name,
    facts: Mutex<Facts>,
}

/// How it stands with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::control) enum State {
    /// It has not answered yet.
    #[default]
    Waiting,
    /// It is followed.
    Up,
    /// It was lost; what it said last is used.
    Down,
}

impl State {
    /// The word.
    pub(in crate::control) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What is known of a pool's discovery.
#[derive(Debug, Clone, Default)]
pub(in crate::control) struct Facts {
    /// The provider's word.
    pub(in crate::control) provider: &'static str,
    pub(in crate::control) state: State,
    /// When the registry last said something.
    pub(in crate::control) heard: Option<Instant>,
    /// Whether what it said first is published.
    pub(in crate::control) answered: bool,
    /// Why it was lost last, and when.
    pub(in crate::control) error: Option<(SystemTime, String)>,
    /// How many nodes are believed to be there.
    pub(in crate::control) nodes: usize,
    /// Whether it says now that there is no node, which is not believed yet.
    pub(in crate::control) doubted: bool,
    /// Entries of its that are not used.
    pub(in crate::control) bad: Vec<BadEntry>,
    /// Nodes of its that the configuration hides.
    pub(in crate::control) hidden: Vec<BadEntry>,
    /// How many such there were in all.
    pub(in crate::control) bad_total: u64,
    /// How often the nodes changed.
    pub(in crate::control) changes: u64,
    /// How often it was lost.
    pub(in crate::control) losses: u64,
}

impl Board {
    /// Of no pool yet.
    pub(in crate::control) fn new(now: Instant) -> Self {
        Self { started: now, rows: Mutex::default() }
    }

    /// A pool's row, which keeps what was counted under another provider.
    pub(super) fn row(&self, pool: &Name, provider: &'static str) -> Arc<Row> {
        let mut rows = self.lock();
        let new = || Arc::new(Row { pool: pool.clone(), facts: Mutex::default() });
        let row = Arc::clone(rows.entry(pool.clone()).or_insert_with(new));
        {
            let mut facts = row.facts();
            (facts.provider, facts.state, facts.error) = (provider, State::Waiting, None);
        }
        row
    }

    /// The row of a pool, if it has one.
    pub(super) fn get(&self, pool: &Name) -> Option<Arc<Row>> {
        self.lock().get(pool).cloned()
    }

    /// Forgets all other pools.
    pub(super) fn keep(&self, is_kept: impl Fn(&Name) -> bool) {
        self.lock().retain(|name, _| is_kept(name));
    }

    /// All facts, by pool.
    pub(in crate::control) fn read(&self) -> BTreeMap<Name, Facts> {
        self.lock().iter().map(|(name, row)| (name.clone(), row.facts().clone())).collect()
    }

    /// A pool without any node whose registry has not answered yet, for some time after the gateway's start.
    pub(in crate::control) fn waits_for(&self, snapshot: &Snapshot, now: Instant) -> Option<Name> {
        if now.saturating_duration_since(self.started) >= FIRST_ANSWERS {
            return None;
        }
        let rows = self.lock();
        let is_silent = |pool: &&Arc<Pool>| {
            pool.nodes.is_empty() && rows.get(&pool.name).is_some_and(|row| !row.facts().answered)
        };
        snapshot.pools.iter().find(is_silent).map(|pool| pool.name.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<Row>>> {
        // Each change is one assignment, so a panic in between leaves nothing torn.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nodes are believed to be there.
    pub(super) fn knows_nodes(&self) -> bool {
        self.facts().nodes > 0
    }

    /// The registry said something.
    pub(super) fn heard(&self) {
        let mut facts = self.facts();
        facts.heard = Some(tokio::time::Instant::now().into_std());
        if facts.state != State::Up {
            let was_lost = facts.state == State::Down;
            facts.state = State::Up;
            let (pool, provider) = (&self.pool, facts.provider);
            if was_lost {
                info!(%pool, provider, "the registry answers again");
            }
        }
    }

    /// It is not followed any more. Told once as long as the reason stays.
    pub(super) fn lost(&self, trouble: &Trouble) {
        let mut facts = self.facts();
        facts.losses += 1;
        let why = trouble.to_string();
        let (pool, provider) = (&self.pool, facts.provider);
        let is_known =
            facts.state == State::Down && facts.error.as_ref().is_some_and(|(_, last)| *last == why);
        if is_known {
            debug!(%pool, provider, "the registry is still lost: {why}");
        } else {
            warn!(%pool, provider, "the registry is lost, the nodes known last go on: {why}");
        }
        facts.state = State::Down;
        facts.error = Some((SystemTime::now(), why));
    }

    /// These entries cannot be used.
    pub(super) fn bad(&self, bad: Vec<BadEntry>) {
        let mut facts = self.facts();
        facts.bad_total += self.tell(&facts.bad, &bad, "an entry of the registry is not used");
        facts.bad = bad;
    }

    /// These nodes are hidden by the configuration's.
    pub(super) fn hidden(&self, hidden: Vec<BadEntry>) {
        let mut facts = self.facts();
        facts.bad_total += self.tell(&facts.hidden, &hidden, "a node that was found is not used");
        facts.hidden = hidden;
    }

    /// Tells what is new; how much that is.
    fn tell(&self, earlier: &[BadEntry], bad: &[BadEntry], what: &str) -> u64 {
        let known: HashSet<(&str, &str)> =
            earlier.iter().map(|bad| (bad.key.as_str(), bad.why.as_str())).collect();
        let new: Vec<_> = bad.iter().filter(|bad| !known.contains(&(&*bad.key, &*bad.why))).collect();
        for BadEntry { key, why } in new.iter().take(NAMED) {
            warn!(pool = %self.pool, key = shortened(key), "{what}: {}", shortened(why));
        }
        if new.len() > NAMED {
            warn!(pool = %self.pool, more = new.len() - NAMED, "{what}, and more like it");
        }
        new.len() as u64
    }

    /// There is no node, it says, and that is doubted; or not any more.
    pub(super) fn doubts(&self, doubted: bool, patience: Duration) {
        let mut facts = self.facts();
        if doubted && !std::mem::replace(&mut facts.doubted, doubted) {
            let (pool, nodes, seconds) = (&self.pool, facts.nodes, patience.as_secs_f64());
            warn!(%pool, nodes, seconds, "the registry has no node any more, which is believed if it stays so");
        }
        facts.doubted = doubted;
    }

    /// So many nodes are believed to be there.
    pub(super) fn believed(&self, nodes: usize, changed: bool) {
        let mut facts = self.facts();
        facts.nodes = nodes;
        facts.changes += u64::from(changed);
    }

    /// What the registry said is published.
    pub(super) fn answered(&self) {
        self.facts().answered = true;
    }
}

impl Facts {
    /// The entries that are not used, as many as are named one by one; and how many there are.
    pub(in crate::control) fn unused(&self) -> (impl Iterator<Item = &BadEntry>, usize) {
        let all = self.bad.iter().chain(&self.hidden);
        (all.take(NAMED), self.bad.len() + self.hidden.len())
    }
}

/// As much of a stranger's text as fits on a line, without what could break it.
pub(in crate::control) fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(LONGEST).map(visible).collect();
    if short.len() < text.len() && text.chars().count() > LONGEST {
        short.push('…');
    }
    short
}
