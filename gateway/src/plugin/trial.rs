//! Tries a use before it takes traffic: one instance, its configuration, and each role once on an invented request.
//!
//! What a trial writes is thrown away with the stores that it gets, so that no session, value or number of it is seen.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::context::{Context, Outcome, RequestId};
use super::fault::{Fault, FaultKind, LoadError};
use super::instances::Instances;
use super::lane::Lane;
use super::module::Role;
use super::quarantine::Quarantines;
use super::services::Services;
use super::stats::UseStats;
use super::use_::Use;
use crate::node::candidates::{Candidate, Candidates};
use crate::node::{Node, NodeSpec};
use crate::store::Scope;

/// A start that takes longer is worth a warning: ten times what a call may by default.
const SHORT_START: Duration = Duration::from_millis(10);

/// The first call of code and memory that nobody used before costs more than any later one, and most on a machine that has much
/// to do. So a call that is too late in a trial is tried again, in a fresh instance.
const TRIES: u32 = 3;

impl Use {
    /// Starts an instance, hands it the configuration and lets it play each role once on an invented request. The
    /// error says what failed. It may take some 100 ms: not for a worker.
    pub fn trial(&self) -> Result<(), LoadError> {
        let mut more = 1..TRIES;
        loop {
            match self.try_roles() {
                Err((_, fault)) if fault.kind == FaultKind::Deadline && more.next().is_some() => {}
                tried => return tried.map_err(|(function, fault)| self.refused(function, &fault)),
            }
        }
    }

    fn try_roles(&self) -> Result<(), Failed> {
        let (stats, services) = (Arc::new(UseStats::default()), Arc::new(Services::default()));
        let tried = Arc::new(Use {
            key: self.key,
            generation: self.generation,
            spec: self.spec.clone(),
            module: Arc::clone(&self.module),
            stats: Arc::clone(&stats),
            space: services.shared.space(&self.spec.name, Scope::Gateway),
            services,
            // Stores of its own answer at once. It may take as long as it may later.
            lane: Lane::Synchronous,
            deadline: self.deadline,
            instances: 1,
            grants: self.grants,
            quarantine: Quarantines::new(None, Instant::now()),
            start_took: OnceLock::new(),
            spares_requests: OnceLock::new(),
            cookie: OnceLock::new(),
        });
        let instances = Instances::new(Arc::clone(&tried));
        let took = instances.warm_up().map_err(|fault| ("", fault))?;
        self.remember_start(took, instances.spares_requests());
        let mut context = Some(invented());
        for role in self.module.roles.iter() {
            play(role, &instances, &mut context)?;
        }
        if let Some(cookie) = tried.cookie.get() {
            let _ = self.cookie.set(cookie.clone());
        }
        Ok(())
    }

    /// Workers measure their own starts by this one, and know from it what need not be called. A long one holds up requests each
    /// time.
    fn remember_start(&self, took: Duration, spares_requests: bool) {
        // A second trial of the same use tells nothing new.
        let _ = (self.start_took.set(took), self.spares_requests.set(spares_requests));
        if took > SHORT_START {
            tracing::warn!(
                target: "plugin",
                plugin = &*self.spec.name,
                version = %self.module.version,
                "starting it took {} ms of CPU time; a worker that starts an instance serves nothing meanwhile",
                took.as_millis()
            );
        }
    }

    fn refused(&self, function: &str, fault: &Fault) -> LoadError {
        let name = &self.spec.name;
        LoadError::Refused(match function {
            "" => format!("plugin \"{name}\": {}", fault.message),
            _ => format!("plugin \"{name}\" failed in {function} on an invented request: {fault}"),
        })
    }
}

type Failed = (&'static str, Fault);

fn play(role: Role, instances: &Instances, context: &mut Option<Box<Context>>) -> Result<(), Failed> {
    let failed = |function| move |fault| (function, fault);
    match role {
        Role::Lifecycle => Ok(()),
        Role::Router => instances.route(context).now().map(drop).map_err(failed("route")),
        Role::Balancer => instances.pick(context).now().map(drop).map_err(failed("pick")),
        Role::Filter => {
            instances.on_request(context).now().map_err(failed("on-request"))?;
            instances.on_response(context).now().map(drop).map_err(failed("on-response"))
        }
        Role::Observer => instances.on_complete(context).now().map_err(failed("on-complete")),
        Role::Timer => {
            instances.period().map_err(failed("period"))?;
            instances.tick().now().map_err(failed("tick"))
        }
    }
}

/// GET /trial?of=plugin, two nodes to choose from, one of them in the gateway's own zone, and a response.
pub(super) fn invented() -> Box<Context> {
    let now = Instant::now();
    let mut context = Box::new(Context::new(now));
    context.request.set_path(b"/trial?of=plugin");
    for (name, value) in [
        (&b"host"[..], &b"trial.invalid"[..]),
        (b"user-agent", b"bascule-trial"),
        (b"accept", b"*/*"),
        (b"cookie", b"trial=1"),
    ] {
        context.request.fields.add(name, value);
    }
    context.response.status = 200;
    context.response.fields.add(b"content-type", b"text/plain");
    context.client = Some([192, 0, 2, 1].into());
    context.id = RequestId::new(0);
    context.route = "trial".into();
    context.pool = "trial".into();
    context.attempt = 1;
    let zone: Arc<str> = "trial".into();
    let nodes = vec![candidate("trial-1", Some(&zone)), candidate("trial-2", None)];
    context.node = nodes.first().map(|candidate| Arc::clone(&candidate.node));
    context.selection.begin(Arc::new(Arc::new(Candidates::new(nodes, Vec::new()))));
    context.selection.stand_in(Some(&zone));
    context.outcome = Outcome { status: Some(200), latency: Duration::from_millis(1), error: None };
    context
}

fn candidate(id: &str, zone: Option<&Arc<str>>) -> Candidate {
    let spec = NodeSpec {
        id: id.into(),
        // An address of documentation's (RFC 5737): nothing is ever sent there.
        address: ([192, 0, 2, 2], 80).into(),
        weight: NonZeroU32::MIN,
        zone: zone.cloned(),
        tier: 0,
        drain: false,
        labels: BTreeMap::new(),
    };
    Candidate { node: Node::new(spec), weight: 1000 }
}
