//! A plugin under test, and what its calls did.

use std::time::Duration;

use super::message::{TestRequest, TestResponse};
use super::node::TestNode;
use super::world::{Attempted, World};
use crate::{
    Balancer, Choice, Decision, Filter, Lifecycle, Nodes, Observer, Outcome, Request, RequestMut,
    ResponseMut, Router, Schedule, Timer, Verdict, config,
};

/// A plugin and the world around it. Which calls it has depends on the roles that the plugin plays.
#[derive(Debug)]
pub struct PluginTest<P> {
    plugin: P,
    world: World,
}

/// A policy under test.
pub type PolicyTest<P> = PluginTest<P>;

/// A filter under test.
pub type FilterTest<P> = PluginTest<P>;

/// What a policy picked. Ids are kept for the life of the test's process, so that they compare with literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Picked {
    /// The node with this id.
    Node(&'static str),
    /// No opinion.
    Abstain,
    /// This status.
    Reject(u16),
    /// An index that no node has; the gateway would count a fault and ask the next policy.
    OutOfRange(u32),
}

/// Where a router sent a request.
#[derive(Debug)]
pub enum Routed {
    /// Nowhere else.
    GoOn,
    /// To this pool.
    Pool(String),
    /// This answer.
    Answer(TestResponse),
    /// Elsewhere.
    Redirect {
        /// The status.
        status: u16,
        /// The Location field.
        location: String,
    },
}

impl Routed {
    /// The name of the pool, if the router named one.
    pub fn pool(&self) -> Option<&str> {
        match self {
            Self::Pool(name) => Some(name),
            _ => None,
        }
    }
}

/// What a filter did to a request.
#[derive(Debug)]
pub struct RequestSeen {
    /// The request with its edits.
    pub request: TestRequest,
    /// The answer, if the filter gave one.
    pub answer: Option<TestResponse>,
}

/// What a filter did to a response.
#[derive(Debug)]
pub struct ResponseSeen {
    /// The response with its edits.
    pub response: TestResponse,
    /// The answer, if the filter gave one.
    pub answer: Option<TestResponse>,
}

impl<P> PluginTest<P> {
    /// Tests this instance, in a world without nodes.
    pub fn new(plugin: P) -> Self {
        Self { plugin, world: World::default() }
    }

    /// Adds a node: `.node("a", |node| node.in_flight(3))`.
    pub fn node(mut self, id: &str, describe: impl FnOnce(TestNode) -> TestNode) -> Self {
        self.world.nodes.push(describe(TestNode::new(id)));
        self
    }

    /// Adds plain nodes with these ids.
    pub fn nodes<I: AsRef<str>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.world.nodes.extend(ids.into_iter().map(|id| TestNode::new(id.as_ref())));
        self
    }

    /// In a gateway that stands in this zone.
    pub fn zone(mut self, zone: &str) -> Self {
        self.world.zone = Some(zone.into());
        self
    }

    /// Other chance: each seed is another sequence, the same in each run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.world.random = seed;
        self
    }

    /// Changes a node between two calls. An id that no node has fails the test.
    pub fn change(&mut self, id: &str, describe: impl FnOnce(TestNode) -> TestNode) {
        let node = self.world.nodes.iter_mut().find(|node| node.id == id);
        let node = node.unwrap_or_else(|| panic!("the test has no node `{id}`"));
        *node = describe(node.clone());
    }

    /// Takes a node away between two calls.
    pub fn remove(&mut self, id: &str) {
        self.world.nodes.retain(|node| node.id != id);
    }

    /// Lets time pass: sessions, shared values and signals expire by it.
    pub fn advance(&mut self, time: Duration) {
        self.world.now += time;
    }

    /// From now on, or not any more, the stores of sessions and shared values do not answer.
    pub fn stores_down(&mut self, down: bool) {
        self.world.store_down = down;
    }

    /// The log's lines: `warn: no such pool`.
    pub fn log(&self) -> &[String] {
        &self.world.log
    }

    /// What a counter adds up to.
    pub fn counter(&self, name: &str) -> u64 {
        self.world.counters.get(name).copied().unwrap_or(0)
    }

    /// What a gauge was set to.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.world.gauges.get(name).copied()
    }

    /// What a histogram observed.
    pub fn histogram(&self, name: &str) -> &[f64] {
        self.world.histograms.get(name).map_or(&[], Vec::as_slice)
    }

    /// The node that a session's token is bound to.
    pub fn session(&self, token: &str) -> Option<&str> {
        self.world.sessions.get(token, self.world.now).map(String::as_str)
    }

    /// How many sessions live.
    pub fn session_count(&self) -> usize {
        self.world.sessions.len(self.world.now)
    }

    /// A shared value.
    pub fn shared(&self, key: &str) -> Option<&[u8]> {
        self.world.shared.get(key, self.world.now).map(Vec::as_slice)
    }

    /// The ids that the last pick narrowed the candidates to, if it did.
    pub fn kept(&self) -> Option<&[String]> {
        self.world.kept.as_deref()
    }

    /// How often the plugin asked for every load at once, which costs in proportion to the pool.
    pub fn full_scans(&self) -> u32 {
        self.world.listed
    }

    /// The instance itself.
    pub fn plugin(&mut self) -> &mut P {
        &mut self.plugin
    }

    /// Calls the plugin about a request; the notes that it takes, and what it does without, stay with the request.
    fn call<R>(&mut self, request: &TestRequest, call: impl FnOnce(&mut P) -> R) -> R {
        self.world.gather(request);
        self.world.request = request.clone();
        self.world.reply = TestResponse::default();
        let plugin = &mut self.plugin;
        let result = self.world.enter(|| call(plugin));
        request.note.set(self.world.request.note.get());
        request.note_text.replace(self.world.request.note_text.borrow().clone());
        request.spares_response.set(self.world.request.spares_response.get());
        result
    }

    fn answer(&mut self, status: u16) -> TestResponse {
        TestResponse { status, ..std::mem::take(&mut self.world.reply) }
    }

    fn verdict(&mut self, verdict: Verdict) -> Option<TestResponse> {
        match verdict {
            Verdict::GoOn | Verdict::Done => None,
            Verdict::Answer(answer) => Some(self.answer(answer.0)),
        }
    }
}

impl<P: Lifecycle> PluginTest<P> {
    /// Tests an instance that is made from a configuration: `json!({ "ttl": 60 })` or JSON text. The error is
    /// the one that the use's owner would read.
    pub fn configured(configuration: impl ToString) -> Result<Self, String> {
        let mut world = World::default();
        let text = configuration.to_string();
        let plugin = world.enter(|| P::configure(config::parse(&text)?))?;
        Ok(Self { plugin, world })
    }
}

impl<P: Balancer> PluginTest<P> {
    /// Has it pick a node for one attempt.
    pub fn pick(&mut self, request: &TestRequest) -> Picked {
        request.spares_response.set(false);
        self.world.bound = None;
        match self.call(request, |plugin| plugin.pick(&Request::CURRENT, &Nodes::CURRENT)) {
            Choice::Abstain => Picked::Abstain,
            Choice::Reject(status) => Picked::Reject(status),
            Choice::Node(index) => match self.world.node(index) {
                Some(node) => {
                    if self.world.spares_bound && self.world.bound == Some(index) {
                        request.spares_response.set(true);
                    }
                    Picked::Node(node.id.clone().leak())
                }
                None => Picked::OutOfRange(index),
            },
        }
    }
}

impl<P: Router> PluginTest<P> {
    /// Has it route a request.
    pub fn route(&mut self, request: &TestRequest) -> Routed {
        match self.call(request, |plugin| plugin.route(&Request::CURRENT)) {
            Decision::GoOn => Routed::GoOn,
            Decision::Pool(name) => Routed::Pool(name),
            Decision::Answer(answer) => Routed::Answer(self.answer(answer.0)),
            Decision::Redirect { status, location } => Routed::Redirect { status, location },
        }
    }
}

impl<P: Filter> PluginTest<P> {
    /// Has it see a request, unless it does without.
    pub fn on_request(&mut self, request: &TestRequest) -> RequestSeen {
        if self.world.spares_requests {
            return RequestSeen { request: request.clone(), answer: None };
        }
        let verdict = self.call(request, |plugin| plugin.on_request(&mut RequestMut::current()));
        let answer = self.verdict(verdict);
        RequestSeen { request: self.world.request.clone(), answer }
    }

    /// Has it see the response to a request, unless the last pick for that did without; `request.node("a")` is the node
    /// that gave it.
    pub fn on_response(&mut self, request: &TestRequest, response: TestResponse) -> ResponseSeen {
        if request.spares_response.get() {
            return ResponseSeen { response, answer: None };
        }
        self.world.response = response;
        let see = |plugin: &mut P| plugin.on_response(&Request::CURRENT, &mut ResponseMut::current());
        let verdict = self.call(request, see);
        let answer = self.verdict(verdict);
        ResponseSeen { response: self.world.response.clone(), answer }
    }
}

impl<P: Observer> PluginTest<P> {
    /// Has it learn that a node responded with this status after this time.
    pub fn responded(&mut self, request: &TestRequest, status: u16, latency: Duration) {
        let node = request.node.clone().unwrap_or_default();
        self.complete(request, Attempted { node, status: Some(status), latency, error: None });
    }

    /// Has it learn that an attempt failed, in the contract's words: "connect", "reset", "timeout", "protocol".
    pub fn failed(&mut self, request: &TestRequest, error: &str, latency: Duration) {
        let node = request.node.clone().unwrap_or_default();
        self.complete(request, Attempted { node, status: None, latency, error: Some(error.into()) });
    }

    fn complete(&mut self, request: &TestRequest, outcome: Attempted) {
        self.world.outcome = outcome;
        self.call(request, |plugin| plugin.on_complete(&Request::CURRENT, &Outcome::CURRENT));
    }
}

impl<P: Timer> PluginTest<P> {
    /// Asks it when it acts.
    pub fn schedule(&mut self) -> Schedule {
        let plugin = &mut self.plugin;
        self.world.enter(|| plugin.schedule())
    }

    /// Has it act.
    pub fn tick(&mut self) {
        let plugin = &mut self.plugin;
        self.world.enter(|| plugin.tick());
    }
}
