//! The nodes of one pool together: who is taken out, within the cap, and what is published. Pure; `now` is an argument.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::check::{Finding, Outcome};
use super::detect;
use super::ejection::Why;
use super::elect::elect;
use super::member::{By, Member, State};
use super::question::Question;
use crate::control::config::{self, HealthCheck, Outlier};
use crate::name::Name;
use crate::node::Node;
use crate::node::candidates::{Candidate, Candidates};
use crate::node::live::Bell;

/// A node that was asked whether it is silent is not asked again for so many times the limit.
const ASK_PAUSE: u32 = 10;
/// How often shares and latencies are compared.
const COMPARE: Duration = Duration::from_secs(1);
/// Requests that were picked before a drain was published are in flight after this.
const SETTLE: Duration = Duration::from_millis(100);

/// What the configuration says of a pool's health.
#[derive(Debug, PartialEq)]
struct Settings {
    check: Option<HealthCheck>,
    outlier: Option<Outlier>,
    panic: u32,
    slow_start: Option<Duration>,
}

/// One pool.
#[derive(Debug)]
pub(super) struct PoolHealth {
    name: Name,
    settings: Settings,
    /// In the snapshot's order.
    pub(super) members: Vec<Member>,
    pub(super) in_panic: bool,
    pub(super) panics: u64,
    /// By member: the weight that was published last, 0 if it is no candidate.
    pub(super) weights: Vec<u32>,
    /// By member: whether it was published as draining, and reachable.
    draining: Vec<bool>,
    compare_at: Instant,
    /// Members to be asked whether they are silent.
    pub(super) questions: Vec<Question>,
}

impl PoolHealth {
    /// A pool whose nodes are not known yet.
    pub(super) fn new(pool: &config::Pool, now: Instant) -> Self {
        Self {
            name: pool.name.value.clone(),
            settings: Settings { check: None, outlier: None, panic: 0, slow_start: None },
            members: Vec::new(),
            in_panic: false,
            panics: 0,
            weights: Vec::new(),
            draining: Vec::new(),
            compare_at: now + COMPARE,
            questions: Vec::new(),
        }
    }

    /// These are the pool's nodes now, in the snapshot's order. What is known of a node stays with its id, but for
    /// what another address makes untrue.
    pub(super) fn follow(
        &mut self,
        pool: &config::Pool,
        nodes: &[Arc<Node>],
        drain_timeout: Duration,
        now: Instant,
    ) {
        self.settings = Settings {
            check: pool.health.clone(),
            outlier: pool.outlier.clone(),
            panic: pool.panic,
            slow_start: pool.slow_start,
        };
        let is_new = self.members.is_empty();
        let mut known: HashMap<Arc<str>, Member> =
            self.members.drain(..).map(|member| (Arc::clone(&member.node.spec.id), member)).collect();
        let Settings { check, outlier, slow_start, .. } = &self.settings;
        for node in nodes {
            let kept = known.remove(&node.spec.id).filter(|kept| kept.node.spec.address == node.spec.address);
            let mut member = kept
                .unwrap_or_else(|| Member::new(Arc::clone(node), check.as_ref(), *slow_start, is_new, now));
            if member.node.spec.weight != node.spec.weight {
                member.weight = None;
            }
            member.node = Arc::clone(node);
            member.check.follow(check.as_ref());
            if outlier.is_none() {
                member.ejection.forget(now);
            }
            match (node.spec.drain, member.drain.map(|drain| drain.by)) {
                (true, None | Some(By::Operator)) => {
                    member.begin_drain(By::Configuration, drain_timeout, now)
                }
                (false, Some(By::Configuration)) => undrain(&mut member, *slow_start, now),
                _ => {}
            }
            self.members.push(member);
        }
        // So they stand in the snapshot that was just built.
        self.weights = self.members.iter().map(Member::declared_weight).collect();
        self.draining = vec![false; self.members.len()];
    }

    /// Looks at everything: what time did, what traffic shows. Says what changed, in the log.
    pub(super) fn look(&mut self, bell: &Arc<Bell>, now: Instant) {
        if let Some(outlier) = self.settings.outlier.clone() {
            for member in &mut self.members {
                member.age(&outlier, self.settings.slow_start, now);
                member.arm(Some(&outlier), bell);
            }
            self.detect(&outlier, now);
        }
        for member in &mut self.members {
            member.arm(self.settings.outlier.as_ref(), bell);
            tell(&self.name, member, now);
        }
    }

    /// Takes out whom traffic shows to be broken.
    fn detect(&mut self, outlier: &Outlier, now: Instant) {
        for place in 0..self.members.len() {
            if let Some(is_unreachable) = self.members[place].streak() {
                let why = if is_unreachable { Why::ConnectFailures } else { Why::Failures };
                self.eject(place, why, outlier, now);
            }
        }
        if let Some(limit) = outlier.silence {
            self.detect_silence(limit, outlier, now);
        }
        if now < self.compare_at {
            return;
        }
        self.compare_at = now + COMPARE;
        self.members.iter_mut().for_each(|member| member.window.note(member.node.live.tally()));
        let comparable = |member: &Member| (!member.is_out()).then(|| member.window.sum());
        let tallies: Vec<_> = self.members.iter().map(comparable).collect();
        let below = outlier.success_rate.map(|points| detect::below_the_others(&tallies, points));
        let slower = outlier.latency.map(|factor| detect::slower_than_the_median(&tallies, factor));
        below.into_iter().flatten().for_each(|place| self.eject(place, Why::SuccessRate, outlier, now));
        slower.into_iter().flatten().for_each(|place| self.eject(place, Why::Latency, outlier, now));
    }

    /// Whoever answers nothing while others do: after half of the time it is asked. If fewer do than are silent,
    /// something behind all of them is.
    fn detect_silence(&mut self, limit: Duration, outlier: &Outlier, now: Instant) {
        let in_use = |pool: &Self, is_so: &dyn Fn(&Member) -> bool| -> Vec<usize> {
            let places = pool.members.iter().enumerate();
            places.filter(|(_, member)| !member.is_out() && is_so(member)).map(|(place, _)| place).collect()
        };
        let seem_silent = |pool: &Self, half| in_use(pool, &|member| member.is_silent(half, now));
        if seem_silent(self, limit / 2).is_empty() {
            return;
        }
        let limit = detect::silence(limit, self.members.iter().map(|member| member.usual_latency(now)));
        let silent = seem_silent(self, limit / 2);
        let answering = in_use(self, &|member| member.has_answered(limit, now));
        if silent.len() > answering.len() {
            return;
        }
        for place in silent {
            let member = &mut self.members[place];
            if member.ejection.is_on_trial() {
                // It was silent before, or worse: no need to ask.
                if member.is_silent(limit, now) {
                    self.eject(place, Why::Silence, outlier, now);
                }
            } else if member.may_ask(limit * ASK_PAUSE, now) {
                self.questions.push(Question {
                    pool: self.name.clone(),
                    node: Arc::clone(&member.node.spec.id),
                    address: member.node.spec.address,
                    asked: now,
                    patience: limit / 2,
                });
            }
        }
    }

    /// Notes that a node said nothing when it was asked.
    pub(super) fn is_silent(&mut self, id: &str, asked: Instant, now: Instant) {
        let Some(outlier) = self.settings.outlier.clone() else { return };
        let place = self.members.iter().position(|member| member.id() == id);
        if let Some(place) = place.filter(|&place| self.members[place].is_silent_since(asked, now)) {
            self.eject(place, Why::Silence, &outlier, now);
        }
    }

    /// Takes a node out, if the cap allows it.
    fn eject(&mut self, place: usize, why: Why, outlier: &Outlier, now: Instant) {
        let staying = || self.members.iter().filter(|member| member.drain.is_none());
        let (all, out) = (staying().count(), staying().filter(|member| member.is_out()).count());
        // One of two may go, however the percentage is rounded; the only one never.
        let most =
            (all * outlier.max_ejected as usize / 100).max(usize::from(outlier.max_ejected > 0 && all > 1));
        let member = &mut self.members[place];
        if member.ejection.is_out() || member.drain.is_some() || out >= most {
            return;
        }
        if why == Why::Silence {
            member.node.live.forsake(now);
        }
        let why = if member.ejection.is_on_trial() { Why::Trial } else { why };
        let length = member.ejection.eject(why, outlier, now);
        let seconds = length.as_secs_f64();
        warn!(pool = %self.name, node = member.id(), seconds, "node is ejected: {}", why.sentence());
    }

    /// Notes what came of a check; answers whether that changed something.
    pub(super) fn checked(&mut self, id: &str, outcome: Outcome, now: Instant) -> bool {
        let Some(check) = &self.settings.check else { return false };
        let Some(member) = self.members.iter_mut().find(|member| member.id() == id) else { return false };
        let before = member.check.finding();
        let turned = member.check.note(outcome, check);
        let serves_now = member.check.finding() == Finding::Up;
        if turned && serves_now && before != (Finding::New { serves: true }) {
            member.start(self.settings.slow_start, now);
        }
        turned
    }

    /// Where a node listens.
    pub(super) fn address_of(&self, id: &str) -> Option<SocketAddr> {
        self.members.iter().find(|member| member.id() == id).map(|member| member.node.spec.address)
    }

    /// Ends an operator's drain.
    pub(super) fn undrain(&mut self, place: usize, now: Instant) {
        undrain(&mut self.members[place], self.settings.slow_start, now);
    }

    /// The candidates of now, if they differ from those that were published last.
    pub(super) fn elect(&mut self, now: Instant) -> Option<Candidates> {
        let stands: Vec<_> = self.members.iter().map(|member| member.stand(now)).collect();
        let election = elect(&stands, self.settings.panic);
        self.note_panic(election.panic);
        let draining: Vec<bool> = self.members.iter().map(|member| member.is_reachable(now)).collect();
        if (&election.weights, &draining) == (&self.weights, &self.draining) {
            return None;
        }
        (self.weights, self.draining) = (election.weights, draining);
        let candidate =
            |place: usize, weight| Candidate { node: Arc::clone(&self.members[place].node), weight };
        let places = 0..self.members.len();
        let elected = places.clone().filter(|&place| self.weights[place] > 0);
        let eligible = elected.map(|place| candidate(place, self.weights[place]));
        let leaving = places.clone().filter(|&place| self.draining[place]);
        let leaving = leaving.map(|place| candidate(place, stands[place].weight));
        // Fit and not elected: their tier is not needed.
        let spare =
            places.filter(|&place| stands[place].fit && !stands[place].draining && self.weights[place] == 0);
        let spare = spare.map(|place| candidate(place, stands[place].weight));
        Some(Candidates::with_reserve(eligible.collect(), leaving.collect(), spare.collect()))
    }

    fn note_panic(&mut self, panic: bool) {
        if panic == std::mem::replace(&mut self.in_panic, panic) {
            return;
        }
        let pool = &self.name;
        if panic {
            self.panics += 1;
            let percent = self.settings.panic;
            warn!(%pool, percent, "too few nodes are healthy, so all of them are used");
        } else {
            info!(%pool, "enough nodes are healthy again");
        }
    }
}

fn undrain(member: &mut Member, slow_start: Option<Duration>, now: Instant) {
    member.drain = None;
    member.start(slow_start, now);
}

/// One line for each step of a node. Ejections are told where their length is known.
fn tell(pool: &Name, member: &mut Member, now: Instant) {
    let state = member.state(now);
    if member.has_emptied(SETTLE, now) {
        info!(%pool, node = member.id(), "draining node is empty");
    }
    if state == member.told {
        return;
    }
    let why = member.why(now).unwrap_or_default();
    let node = member.id();
    match (member.told, state) {
        (_, State::Down) => warn!(%pool, node, "node is down: {why}"),
        (_, State::Draining) => info!(%pool, node, "node is draining: {why}"),
        (_, State::Ejected) => {}
        (_, State::Starting) => info!(%pool, node, "node is starting: {why}"),
        (State::Starting, State::Up) => info!(%pool, node, "node has its whole weight"),
        (_, State::Up) => info!(%pool, node, "node is up"),
    }
    (member.told, member.since) = (state, now);
}
