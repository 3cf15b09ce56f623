//! Whether Redis is asked: what all lanes together say, and the log lines about it.
//!
//! A lane finds out for itself. An operator hears of the first one that cannot ask, and of the last one that can again. The lock
//! is taken when a lane's state changes and by who looks, never for a question.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::{info, warn};

/// Whether Redis is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not known yet: the first connection is being made.
    #[default]
    Connecting,
    /// It is.
    Up,
    /// It is not; it is tried again after pauses.
    Down,
}

impl State {
    const ALL: [State; 3] = [State::Connecting, State::Up, State::Down];

    /// The word in /snapshot.
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// What the lanes say.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Lanes>);

#[derive(Debug, Default)]
struct Lanes {
    /// How many are in each state.
    count: [usize; State::ALL.len()],
    outages: u64,
    /// What was logged last as the reason why Redis cannot be asked, and since when it cannot.
    down: Option<(String, Instant)>,
    /// The last refusal that was logged.
    refused: String,
    /// Whether it was said that Redis answers.
    answered: bool,
    /// Members of a cluster that lanes do not ask, and how many lanes that are.
    absent: BTreeMap<String, usize>,
}

impl Health {
    /// Down as soon as one lane is: the requests of its worker go without Redis. Connecting while one is.
    pub(super) fn state(&self) -> State {
        match self.lock().count {
            [_, _, down] if down > 0 => State::Down,
            [0, up, _] if up > 0 => State::Up,
            _ => State::Connecting,
        }
    }

    /// How often it came to that Redis is not asked.
    pub(super) fn outages(&self) -> u64 {
        self.lock().outages
    }

    /// Logs what Redis does not do, once for each reason: a right that the user lacks shows at each request.
    pub(super) fn note_refusal(&self, why: &str) {
        let mut lanes = self.lock();
        if lanes.refused != why {
            warn!(why, "Redis does not do what it is asked");
            why.clone_into(&mut lanes.refused);
        }
    }

    /// How many members of a cluster are not asked.
    pub(super) fn absent(&self) -> usize {
        self.lock().absent.len()
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Each change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn up(&mut self) {
        if self.count[State::Down as usize] > 0 {
            return;
        }
        match self.down.take() {
            Some((_, since)) => info!(after_ms = since.elapsed().as_millis() as u64, "Redis answers again"),
            None if !self.answered => info!("Redis answers"),
            None => {}
        }
        self.answered = true;
    }

    fn down(&mut self, why: &str) {
        let since = match self.down.take() {
            Some((logged, since)) if logged == why => return self.down = Some((logged, since)),
            Some((_, since)) => since,
            None => {
                self.outages += 1;
                Instant::now()
            }
        };
        warn!(why, "Redis cannot be asked; requests go on without it, and it is tried again");
        self.down = Some((why.to_owned(), since));
    }
}

/// While a lane does not ask a member of a cluster. An operator hears of the first lane that does not, and of the last one that
/// does again.
#[derive(Debug)]
pub(super) struct Absence {
    health: Arc<Health>,
    member: String,
}

impl Absence {
    /// From now on, for this reason.
    pub(super) fn begin(health: &Arc<Health>, member: &str, why: &str) -> Absence {
        let mut lanes = health.lock();
        let count = lanes.absent.entry(member.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            warn!(
                member,
                why, "a member of the Redis Cluster is not asked; it is tried again, and its keys are missed"
            );
        }
        drop(lanes);
        Absence { health: Arc::clone(health), member: member.to_owned() }
    }

    /// It is asked again.
    pub(super) fn end(self) {
        if self.health.lock().absent.get(&self.member) == Some(&1) {
            info!(member = self.member, "the keys of a member of the Redis Cluster are there again");
        }
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        let mut lanes = self.health.lock();
        if let Some(count) = lanes.absent.get_mut(&self.member) {
            *count -= 1;
            if *count == 0 {
                lanes.absent.remove(&self.member);
            }
        }
    }
}

/// A lane's own state; copies are the same. Its lane counts until the last one is gone.
#[derive(Clone, Debug)]
pub(super) struct Own(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    state: AtomicU8,
    health: Arc<Health>,
}

impl Own {
    /// Of a lane that connects.
    pub(super) fn new(health: Arc<Health>) -> Own {
        health.lock().count[State::Connecting as usize] += 1;
        Own(Arc::new(Counted { state: AtomicU8::new(State::Connecting as u8), health }))
    }

    pub(super) fn state(&self) -> State {
        self.0.state()
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.0.health
    }

    /// It can ask.
    pub(super) fn up(&self) {
        self.0.set(State::Up).up();
    }

    /// It cannot, for this reason.
    pub(super) fn down(&self, why: &str) {
        self.0.set(State::Down).down(why);
    }
}

impl Counted {
    fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Relaxed))]
    }

    fn set(&self, state: State) -> MutexGuard<'_, Lanes> {
        let mut lanes = self.health.lock();
        lanes.count[self.state() as usize] -= 1;
        lanes.count[state as usize] += 1;
        self.state.store(state as u8, Relaxed);
        lanes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.health.lock().count[self.state() as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lane_that_cannot_ask_is_an_outage_until_all_can() {
        let health = Arc::<Health>::default();
        let [one, other] = [(); 2].map(|()| Own::new(Arc::clone(&health)));
        one.up();
        assert_eq!(health.state(), State::Connecting, "the other one is not there yet");
        other.up();
        assert_eq!(health.state(), State::Up);
        one.down("it hangs");
        other.down("it is gone");
        assert_eq!((health.state(), health.outages()), (State::Down, 1));
        one.up();
        assert_eq!((health.state(), one.state(), other.state()), (State::Down, State::Up, State::Down));
        other.up();
        assert_eq!((health.state(), health.outages()), (State::Up, 1));
        other.down("it hangs");
        assert_eq!((health.state(), health.outages()), (State::Down, 2));
        drop(other);
        assert_eq!(health.state(), State::Up, "its worker ended");
    }
}
