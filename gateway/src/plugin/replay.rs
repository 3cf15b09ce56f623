//! Plays recent request heads to the version that runs and to the one that is to take over, and counts where they decide
//! otherwise.
//!
//! Nothing live is touched: both run as instances of their own on the caller's thread, with stores of their own, on copies
//! of the nodes that nobody else sees, and what they log is dropped. Both draw the same random numbers, so that the same
//! code decides the same. It only counts: whether a difference is meant is for people to say.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::context::{Context, RequestId};
use super::exports::{Choice, Decision, Verdict};
use super::fault::{Fault, FaultKind};
use super::instances::Instances;
use super::samples::Sample;
use super::services::Services;
use super::use_::Use;
use crate::http::fields::{Fields, Span};
use crate::http::head::Method;
use crate::node::candidates::Candidates;

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Requests that were played to both.
    pub requests: u32,
    /// Those on which they decided otherwise, in any role.
    pub differ: u32,
    /// Those on which the new version faulted and the old one did not.
    pub faults: u32,
}

impl Replay {
    /// Both together.
    pub fn add(&mut self, other: Replay) {
        self.requests += other.requests;
        self.differ += other.differ;
        self.faults += other.faults;
    }
}

/// Plays these heads to both. `nodes` are each pool's, as copies that nobody else sees. It may take some 100 ms: not for
/// a worker.
pub fn replay(
    old: &Use,
    new: &Use,
    samples: &[Sample],
    nodes: &BTreeMap<&str, Arc<Candidates>>,
) -> Option<Replay> {
    let quiet = tracing::subscriber::NoSubscriber::default();
    let _replaying = Replaying::begin();
    tracing::subscriber::with_default(quiet, || {
        let (old, new) = (apart(old)?, apart(new)?);
        let mut replay = Replay::default();
        for (seed, sample) in (1..).zip(samples) {
            let [before, after] = [&old, &new].map(|instances| {
                fastrand::seed(seed);
                decide(instances, sample, nodes)
            });
            replay.requests += 1;
            replay.differ += u32::from(before != after);
            replay.faults += u32::from(after.faulted && !before.faulted);
        }
        Some(replay)
    })
}

thread_local! {
    static REPLAYING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread replays, so that plugins draw numbers which are the same for both versions.
pub(super) fn is_replaying() -> bool {
    REPLAYING.get()
}

/// As long as it lives, this thread replays.
struct Replaying;

impl Replaying {
    fn begin() -> Self {
        REPLAYING.set(true);
        Self
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        REPLAYING.set(false);
        // Nobody shall be able to tell what this thread draws next.
        fastrand::seed(getrandom::u64().unwrap_or_default());
    }
}

/// Instances of a use that share nothing with those in service.
fn apart(used: &Use) -> Option<Instances> {
    let (module, services) = (Arc::clone(&used.module), Arc::new(Services::default()));
    let used = Use::new(used.key, used.generation, used.spec.clone(), module, Arc::default(), services);
    // It was granted all this before.
    Some(Instances::new(Arc::new(used.ok()?)))
}

/// All that a plugin decides on a request.
#[derive(Debug, PartialEq)]
struct Decided {
    route: Result<Decision, FaultKind>,
    on_request: Result<Verdict, FaultKind>,
    /// Path and fields behind its edits.
    request: (Vec<u8>, Vec<u8>),
    /// The node's id, if it picked one; none for any other choice.
    pick: Result<(Option<Choice>, Option<Arc<str>>), FaultKind>,
    on_response: Result<Verdict, FaultKind>,
    response: (u16, Vec<u8>),
    faulted: bool,
}

fn decide(instances: &Instances, sample: &Sample, nodes: &BTreeMap<&str, Arc<Candidates>>) -> Decided {
    let mut context = Some(context_of(sample, nodes));
    let mut faulted = false;
    let mut kind = |fault: Fault| {
        faulted = true;
        fault.kind
    };
    let route = instances.route(&mut context).now().map_err(&mut kind);
    let on_request = instances.on_request(&mut context).now().map_err(&mut kind);
    let request =
        context.as_ref().map(|context| (context.request.path().to_vec(), text(&context.request.fields)));
    let picked = instances.pick(&mut context).now().map_err(&mut kind);
    let pick = picked.map(|choice| match (choice, &mut context) {
        // Indices mean nothing by themselves.
        (Choice::Node(index), Some(context)) => {
            context.node = context.selection.candidate(index).map(|candidate| Arc::clone(&candidate.node));
            (None, context.node.as_ref().map(|node| Arc::clone(&node.spec.id)))
        }
        (choice, _) => (Some(choice), None),
    });
    let on_response = instances.on_response(&mut context).now().map_err(&mut kind);
    let response = context.map(|context| (context.response.status, text(&context.response.fields)));
    let (request, response) = (request.unwrap_or_default(), response.unwrap_or_default());
    Decided { route, on_request, request, pick, on_response, response, faulted }
}

/// Fields as lines.
fn text(fields: &Fields) -> Vec<u8> {
    let line = |field: &crate::http::fields::Field| {
        [fields.bytes(field.name), b": ", fields.bytes(field.value), b"\n"].concat()
    };
    fields.iter().flat_map(line).collect()
}

/// The context of a sample's request, before any filter, with a plain response behind it.
fn context_of(sample: &Sample, nodes: &BTreeMap<&str, Arc<Candidates>>) -> Box<Context> {
    let mut context = Box::new(Context::new(Instant::now()));
    let request = &mut context.request;
    let method: Span = request.fields.store(sample.method.as_bytes());
    request.method = Method::from_name(sample.method.as_bytes(), method);
    request.set_path(&sample.path);
    request.target_authority = Some(request.fields.store(&sample.authority));
    sample.fields.iter().for_each(|(name, value)| request.fields.add(name, value));
    context.response.status = 200;
    context.response.fields.add(b"content-type", b"text/plain");
    (context.client, context.secure) = (sample.client, sample.secure);
    context.id = RequestId::new(0);
    (context.route, context.pool) = ((*sample.route).into(), (*sample.pool).into());
    context.attempt = 1;
    let candidates = nodes.get(&*sample.pool).cloned().unwrap_or_default();
    context.selection.begin(Arc::new(candidates));
    context
}
