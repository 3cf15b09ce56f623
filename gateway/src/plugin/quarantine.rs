//! Keeps a role of a plugin's version from its work while it fails again and again.
//!
//! Each role has a record of its own, so that an observer that fails, which costs nobody anything, does not take the
//! filter with it that the same plugin is. That instances do not start counts for the role `lifecycle`, without which no
//! other can be played. Closed: calls are made, and faults are counted; so many within a window open it. Open: no call is made, at no cost
//! but one look at the clock. After a pause it is half open: one call at a time is a probe, of the function that failed
//! last; enough good ones in a row close it, a bad one opens it again with twice the pause. Where calls go well
//! one relaxed load is all that this costs; locks are taken after a fault only.
//!
//! It belongs to a use, so a new version or configuration starts with a clean record. It decides nothing for the
//! request: a call that is not made is a fault of the kind "quarantined", and who called knows what that means.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::fault::FaultKind;
use super::host::Stage;
use super::module::Role;

/// The pause before the first probe. Each bad probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. What opens again within this time of closing goes on with its last pause, doubled.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Good probes in a row that close it.
const GOOD_PROBES: u32 = 3;

/// When faults are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// So many faults open it…
    pub faults: NonZeroU32,
    /// …if they came within this time.
    pub window: Duration,
}

impl Default for Tolerance {
    /// 20 in 10 s. Chosen: a plugin that fails now and then stays, one that fails at each request goes at once.
    fn default() -> Self {
        Tolerance { faults: NonZeroU32::MIN.saturating_add(19), window: Duration::from_secs(10) }
    }
}

/// Whether a version's calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// They are.
    Closed,
    /// They are not.
    Open {
        /// Since when, over all probes.
        since: SystemTime,
        /// Faults of this version so far.
        faults: u64,
        /// What the last of them was.
        last_kind: FaultKind,
    },
    /// Single ones are, as probes.
    HalfOpen,
}

impl QuarantineState {
    /// The state as logs and the admin API name it.
    pub fn name(self) -> &'static str {
        match self {
            QuarantineState::Closed => "closed",
            QuarantineState::Open { .. } => "open",
            QuarantineState::HalfOpen => "half_open",
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls are no longer made.
    Opened,
    /// A probe is made.
    Probing,
    /// Calls are made again.
    Closed,
}

impl Step {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Step; 3] = [Step::Opened, Step::Probing, Step::Closed];

    /// The word in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Step::Opened => "opened",
            Step::Probing => "probing",
            Step::Closed => "closed",
        }
    }
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const HALF_OPEN: u8 = 2;

/// The quarantines of one version and configuration of a use.
#[derive(Debug)]
pub(super) struct Quarantines {
    /// A bit for each role that is not closed: all that a good call reads.
    shut: AtomicU8,
    roles: [Quarantine; Role::ALL.len()],
}

impl Quarantines {
    /// All closed. Without a tolerance none ever opens.
    pub(super) fn new(tolerance: Option<Tolerance>, now: Instant) -> Quarantines {
        Quarantines { shut: AtomicU8::new(0), roles: Role::ALL.map(|_| Quarantine::new(tolerance, now)) }
    }

    /// Whether calls of a role are made without asking further.
    pub(super) fn is_closed(&self, role: Role) -> bool {
        self.shut.load(Relaxed) & (bit(role) | bit(Role::Lifecycle)) == 0
    }

    /// The roles whose calls are not made, or only as probes.
    pub(super) fn shut(&self) -> impl Iterator<Item = Role> {
        let shut = self.shut.load(Relaxed);
        Role::ALL.into_iter().filter(move |&role| shut & bit(role) != 0)
    }

    pub(super) fn of(&self, role: Role) -> &Quarantine {
        &self.roles[role as usize]
    }

    /// What keeps calls of a role from being made: its own record, or else that instances do not start.
    pub(super) fn behind(&self, role: Role) -> (Role, &Quarantine) {
        let own = self.of(role);
        let role = if own.is_closed() { Role::Lifecycle } else { role };
        (role, self.of(role))
    }

    /// A role's record took this step.
    pub(super) fn note(&self, role: Role, step: Step) {
        match step {
            Step::Opened => self.shut.fetch_or(bit(role), Relaxed),
            Step::Probing => 0,
            Step::Closed => self.shut.fetch_and(!bit(role), Relaxed),
        };
    }

    /// The worst state of a role.
    pub(super) fn state(&self) -> QuarantineState {
        let states = self.shut().map(|role| self.of(role).state());
        let worst = states.max_by_key(|state| match state {
            QuarantineState::Closed => 0,
            QuarantineState::HalfOpen => 1,
            QuarantineState::Open { .. } => 2,
        });
        match worst.unwrap_or(QuarantineState::Closed) {
            QuarantineState::Open { since, last_kind, .. } => {
                QuarantineState::Open { since, faults: self.faults(), last_kind }
            }
            other => other,
        }
    }

    /// Faults of this version and configuration so far.
    pub(super) fn faults(&self) -> u64 {
        self.roles.iter().map(Quarantine::faults).sum()
    }
}

fn bit(role: Role) -> u8 {
    1 << role as u8
}

/// The quarantine of one role.
#[derive(Debug)]
pub(super) struct Quarantine {
    tolerance: Option<Tolerance>,
    born: Instant,
    gate: AtomicU8,
    /// When the pause ends, in nanoseconds since `born`: so that calls that are not made take no lock.
    pause_ends: AtomicU64,
    faults: AtomicU64,
    record: Mutex<Record>,
}

/// What led to the present state.
#[derive(Debug, Default)]
struct Record {
    recent: VecDeque<Instant>,
    opened: Option<Opened>,
    /// The pause that was taken last, and when it was closed after that.
    pause: Duration,
    closed: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Opened {
    since: SystemTime,
    kind: FaultKind,
    /// Where it failed; none if it did not even start.
    stage: Option<Stage>,
    good_probes: u32,
    probing: bool,
}

impl Quarantine {
    /// Closed. Without a tolerance it never opens.
    pub(super) fn new(tolerance: Option<Tolerance>, now: Instant) -> Quarantine {
        Quarantine {
            tolerance,
            born: now,
            gate: AtomicU8::new(CLOSED),
            pause_ends: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            record: Mutex::default(),
        }
    }

    /// Whether calls are made without asking further.
    pub(super) fn is_closed(&self) -> bool {
        self.gate.load(Relaxed) == CLOSED
    }

    pub(super) fn state(&self) -> QuarantineState {
        let record = self.record();
        match (self.gate.load(Relaxed), record.opened) {
            (OPEN, Some(opened)) => {
                QuarantineState::Open { since: opened.since, faults: self.faults(), last_kind: opened.kind }
            }
            (HALF_OPEN, _) => QuarantineState::HalfOpen,
            _ => QuarantineState::Closed,
        }
    }

    /// Faults of this version and configuration so far, in this role.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }

    /// Counts a fault. `stage` is where; none if an instance could not be started.
    pub(super) fn fault(&self, stage: Option<Stage>, kind: FaultKind, now: Instant) -> Option<Step> {
        self.faults.fetch_add(1, Relaxed);
        let tolerance = self.tolerance?;
        let mut record = self.record();
        match self.gate.load(Relaxed) {
            // A call that began before it opened.
            OPEN => None,
            HALF_OPEN => {
                self.open(&mut record, stage, kind, now);
                Some(Step::Opened)
            }
            _ => {
                record.recent.push_back(now);
                let most = tolerance.faults.get() as usize;
                while record.recent.len() > most {
                    record.recent.pop_front();
                }
                let oldest = record.recent.front().copied().unwrap_or(now);
                let many =
                    record.recent.len() == most && now.saturating_duration_since(oldest) <= tolerance.window;
                many.then(|| {
                    self.open(&mut record, stage, kind, now);
                    Step::Opened
                })
            }
        }
    }

    fn open(&self, record: &mut Record, stage: Option<Stage>, kind: FaultKind, now: Instant) {
        let again = record.opened.is_some()
            || record.closed.is_some_and(|closed| now.saturating_duration_since(closed) < LONGEST_PAUSE);
        record.pause = if again { (record.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) } else { FIRST_PAUSE };
        let since = record.opened.map_or_else(SystemTime::now, |opened| opened.since);
        record.opened = Some(Opened { since, kind, stage, good_probes: 0, probing: false });
        record.recent.clear();
        let ends = now.saturating_duration_since(self.born) + record.pause;
        self.pause_ends.store(u64::try_from(ends.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.gate.store(OPEN, Relaxed);
    }

    /// Whether a call may be made although it is not closed: then it is a probe, and how it went has to be told with
    /// [`Quarantine::probed`].
    pub(super) fn admits(&self, stage: Stage, now: Instant) -> (bool, Option<Step>) {
        let gate = self.gate.load(Relaxed);
        let age = now.saturating_duration_since(self.born).as_nanos();
        if gate == OPEN && age < u128::from(self.pause_ends.load(Relaxed)) {
            return (false, None);
        }
        let mut record = self.record();
        let Some(opened) = &mut record.opened else {
            // It was closed in the meantime.
            return (true, None);
        };
        if opened.probing || opened.stage.is_some_and(|failed| failed != stage) {
            return (false, None);
        }
        opened.probing = true;
        let first = self.gate.swap(HALF_OPEN, Relaxed) == OPEN;
        (true, first.then_some(Step::Probing))
    }

    /// A probe is over. A fault of it that was counted opened it again already.
    pub(super) fn probed(&self, stage: Stage, bad: Option<FaultKind>, now: Instant) -> Option<Step> {
        let mut record = self.record();
        let opened = record.opened.as_mut().filter(|_| self.gate.load(Relaxed) == HALF_OPEN)?;
        opened.probing = false;
        match bad {
            Some(kind) => {
                self.open(&mut record, Some(stage), kind, now);
                Some(Step::Opened)
            }
            None => {
                opened.good_probes += 1;
                if opened.good_probes < GOOD_PROBES {
                    return None;
                }
                record.opened = None;
                record.closed = Some(now);
                self.gate.store(CLOSED, Relaxed);
                Some(Step::Closed)
            }
        }
    }

    /// A probe was given up, which tells nothing: the next call is one again.
    pub(super) fn unprobed(&self) {
        if let Some(opened) = &mut self.record().opened {
            opened.probing = false;
        }
    }

    /// The pause before the next probe.
    pub(super) fn pause(&self) -> Duration {
        self.record().pause
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Each change is whole before anything could panic.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
