//! One node of a pool: all that decides whether it may be picked, and with which weight. Pure; `now` is an argument.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::{Check, Finding};
use super::ejection::Ejection;
use super::elect::Stand;
use super::window::Window;
use crate::control::config::{HealthCheck, Outlier};
use crate::node::Node;
use crate::node::live::{Bell, Streak};

/// Thousandths in a weight of 1.
const WEIGHT_UNIT: u32 = 1000;
/// What a node begins with when it starts slowly, in thousandths of its weight.
const RAMP_FLOOR: u32 = 100;
/// Weights grow in steps of so many thousandths, so that a ramp is not published more often than it is seen.
const RAMP_STEP: u32 = 50;
/// A node that was ejected comes back over this time at least, also in a pool without slow start: what still fails
/// shall meet few requests.
const RETURN: Duration = Duration::from_secs(2);

/// What a node is, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It may be picked.
    Up,
    /// It may be picked, and gets less than its share yet.
    Starting,
    /// Its checks fail, or have not begun.
    Down,
    /// It was taken out for its traffic.
    Ejected,
    /// It gets nothing new.
    Draining,
}

impl State {
    /// The word.
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Starting => "starting",
            State::Down => "down",
            State::Ejected => "ejected",
            State::Draining => "draining",
        }
    }
}

/// Who drains a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// `drain = true`.
    Configuration,
    /// The admin API.
    Operator,
}

/// A node that gets nothing new.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) by: By,
    since: Instant,
    /// Until then bound sessions still reach it.
    pub(super) until: Instant,
    /// Whether it was told that the node is empty.
    told: bool,
}

/// The last time that something was answered.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    answers: u32,
    since: Instant,
}

/// A node and what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: Arc<Node>,
    /// The weight that an operator gave it in place of the configured one.
    pub(super) weight: Option<NonZeroU32>,
    pub(super) check: Check,
    pub(super) ejection: Ejection,
    pub(super) window: Window,
    pub(super) drain: Option<Drain>,
    /// Since when it starts slowly, and for how long.
    ramp: Option<(Instant, Duration)>,
    quiet: Quiet,
    /// Not before then it is asked whether it is silent.
    ask_from: Instant,
    armed: Streak,
    /// What was told of it last, and since when it is so.
    pub(super) told: State,
    pub(super) since: Instant,
}

impl Member {
    /// A node that was not known before. In a pool that is itself new nobody starts slowly.
    pub(super) fn new(
        node: Arc<Node>,
        check: Option<&HealthCheck>,
        slow_start: Option<Duration>,
        pool_is_new: bool,
        now: Instant,
    ) -> Self {
        let tally = node.live.tally();
        node.live.begin_anew(now);
        let mut member = Self {
            weight: None,
            check: Check::new(check, pool_is_new),
            ejection: Ejection::new(now),
            window: Window::new(tally),
            drain: None,
            ramp: slow_start.filter(|_| !pool_is_new).map(|length| (now, length)),
            quiet: Quiet { answers: tally.answers, since: now },
            ask_from: now,
            armed: Streak::ENDLESS,
            told: State::Up,
            since: now,
            node,
        };
        member.told = member.state(now);
        member
    }

    pub(super) fn id(&self) -> &str {
        &self.node.spec.id
    }

    /// The weight of its declaration, in thousandths.
    pub(super) fn declared_weight(&self) -> u32 {
        self.node.spec.weight.get().saturating_mul(WEIGHT_UNIT)
    }

    /// What it is now.
    pub(super) fn state(&self, now: Instant) -> State {
        if self.drain.is_some() {
            State::Draining
        } else if !self.check.allows() {
            State::Down
        } else if self.ejection.is_out() {
            State::Ejected
        } else if self.ejection.is_on_trial() || self.ramp(now) < WEIGHT_UNIT {
            State::Starting
        } else {
            State::Up
        }
    }

    /// Whether it is out, by its checks or its traffic.
    pub(super) fn is_out(&self) -> bool {
        !self.check.allows() || self.ejection.is_out()
    }

    /// As an election sees it.
    pub(super) fn stand(&self, now: Instant) -> Stand {
        let weight = self.weight.unwrap_or(self.node.spec.weight).get();
        Stand {
            fit: !self.is_out(),
            draining: self.drain.is_some(),
            tier: self.node.spec.tier,
            weight: weight.saturating_mul(WEIGHT_UNIT),
            ramp: self.ramp(now),
        }
    }

    /// How much of its weight it may have, in thousandths.
    fn ramp(&self, now: Instant) -> u32 {
        let Some((since, length)) = self.ramp else { return WEIGHT_UNIT };
        let part = now.saturating_duration_since(since).as_secs_f64() / length.as_secs_f64().max(0.001);
        let grown = RAMP_FLOOR + (f64::from(WEIGHT_UNIT - RAMP_FLOOR) * part.min(1.0)) as u32;
        grown - grown % RAMP_STEP
    }

    /// Begins to serve, again or for the first time: slowly, if `length` says so, and with a clean record.
    pub(super) fn start(&mut self, length: Option<Duration>, now: Instant) {
        self.ramp = length.map(|length| (now, length));
        self.quiet.since = now;
        self.node.live.begin_anew(now);
    }

    /// What the passing of time does to it. Whoever was ejected is tried again when its time is served, if its checks
    /// agree; whoever was tried and answered well is in; what was made good is forgiven.
    pub(super) fn age(&mut self, outlier: &Outlier, slow_start: Option<Duration>, now: Instant) {
        let answers = self.node.live.tally().answers;
        if self.ejection.is_served(now) && self.check.allows() {
            self.ejection.begin_trial(answers);
            self.start(Some(slow_start.unwrap_or(RETURN).max(RETURN)), now);
            self.window = Window::new(self.node.live.tally());
        } else {
            self.ejection.pass(answers, now);
        }
        self.ejection.forgive(outlier, now);
        if self.quiet.answers != answers {
            self.quiet = Quiet { answers, since: now };
        }
    }

    /// Whether it answered nothing for so long while a request waited for as long.
    pub(super) fn is_silent(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.quiet.since) >= limit && self.node.live.waiting(limit, now) > 0
    }

    /// Whether it answered nothing since then, and still has a request that waits.
    pub(super) fn is_silent_since(&self, then: Instant, now: Instant) -> bool {
        self.quiet.since <= then && self.node.live.waiting(now.saturating_duration_since(then), now) > 0
    }

    /// Whether to ask it now; if so, not again for a while.
    pub(super) fn may_ask(&mut self, pause: Duration, now: Instant) -> bool {
        let may_ask = now >= self.ask_from;
        if may_ask {
            self.ask_from = now + pause;
        }
        may_ask
    }

    /// Whether it answered something within the time before now.
    pub(super) fn has_answered(&self, within: Duration, now: Instant) -> bool {
        self.quiet.answers != 0 && now.saturating_duration_since(self.quiet.since) < within
    }

    /// What it usually takes to answer, in microseconds; 0 if it never did. Its average fades while nothing is answered,
    /// and patience must not; so the mean of all its answers counts as well.
    pub(super) fn usual_latency(&self, now: Instant) -> u32 {
        let tally = self.node.live.tally();
        let mean = tally.micros.checked_div(u64::from(tally.answers)).unwrap_or(0);
        self.node.live.latency(now).max(u32::try_from(mean).unwrap_or(u32::MAX))
    }

    /// Lets workers ring when its failures in a row are worth a look.
    pub(super) fn arm(&mut self, outlier: Option<&Outlier>, bell: &Arc<Bell>) {
        let limits = match outlier {
            Some(_) if self.ejection.is_on_trial() => Streak { failures: 1, unreachable: 1 },
            Some(outlier) if !self.ejection.is_out() => Streak {
                failures: outlier.failures.map_or(u16::MAX, |count| count.get()),
                unreachable: outlier.connect_failures.map_or(u16::MAX, |count| count.get()),
            },
            _ => Streak::ENDLESS,
        };
        if limits != self.armed {
            self.armed = limits;
            self.node.live.ring_at(bell, limits);
        }
    }

    /// Whether its failures in a row reach a limit, and whether that of failures to connect.
    pub(super) fn streak(&self) -> Option<bool> {
        let streak = self.node.live.streak();
        if streak.unreachable >= self.armed.unreachable {
            return Some(true);
        }
        (streak.failures >= self.armed.failures).then_some(false)
    }

    /// Gives it nothing new from now on; bound sessions reach it for so long.
    pub(super) fn begin_drain(&mut self, by: By, timeout: Duration, now: Instant) {
        let since = self.drain.map_or(now, |drain| drain.since);
        let told = self.drain.is_some_and(|drain| drain.told);
        self.drain = Some(Drain { by, since, until: now + timeout, told });
    }

    /// Whether bound sessions still reach it although it gets nothing new.
    pub(super) fn is_reachable(&self, now: Instant) -> bool {
        self.drain.is_some_and(|drain| now < drain.until)
    }

    /// Whether it drains and has no request in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.drain.is_some() && self.node.live.in_flight() == 0
    }

    /// Whether it became empty since the last time that this was asked. Not in the moment in which it began to drain:
    /// requests that were picked a moment before may still be on their way.
    pub(super) fn has_emptied(&mut self, settle: Duration, now: Instant) -> bool {
        let is_empty = self.is_empty();
        let Some(drain) = &mut self.drain else { return false };
        let settled = now.saturating_duration_since(drain.since) >= settle;
        settled && is_empty && !std::mem::replace(&mut drain.told, true)
    }

    /// Why it is what it is, if there is more to say than the word.
    pub(super) fn why(&self, now: Instant) -> Option<String> {
        match self.state(now) {
            State::Up => None,
            State::Starting if self.ejection.is_on_trial() => Some("on trial after an ejection".to_owned()),
            State::Starting => Some("slow start".to_owned()),
            State::Down if self.check.finding() == Finding::Down => Some(self.check.wrong.clone()),
            State::Down => Some("it was not checked yet".to_owned()),
            State::Ejected => self.ejection.why().map(|why| why.sentence().to_owned()),
            State::Draining => match self.drain.map(|drain| drain.by) {
                Some(By::Configuration) => Some("the configuration says so".to_owned()),
                _ => Some("an operator asked for it".to_owned()),
            },
        }
    }
}
