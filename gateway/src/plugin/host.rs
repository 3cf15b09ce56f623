//! What stands behind one instance: the request that it is lent, and what the present call did so far.
//!
//! It is the data of the instance's store. Imports read and write it; [`super::instances`] sets it up for each call and
//! takes it down. Nothing in it may outlive a call but the instance's own bounds and buffers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::caps::{Cap, Tally};
use super::context::{Context, Reply};
use super::deadline::Meter;
use super::lane::Lane;
use super::limiter::Limiter;
use super::metrics::{self, Kind, Metric};
use super::module::Role;
use super::output::{LONGEST_LINE, Output};
use super::ticker::Pulse;
use super::use_::Use;
use crate::node::selection::{Estimate, Load, Scales};
use crate::store::Space;

/// Log lines that one call may write.
const MOST_LINES: u32 = 20;

/// Which of its functions the plugin is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Configure,
    Route,
    OnRequest,
    Pick,
    OnResponse,
    OnComplete,
    Period,
    Tick,
}

impl Stage {
    /// The function's name in the contract.
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Configure => "configure",
            Stage::Route => "route",
            Stage::OnRequest => "on-request",
            Stage::Pick => "pick",
            Stage::OnResponse => "on-response",
            Stage::OnComplete => "on-complete",
            Stage::Period => "period",
            Stage::Tick => "tick",
        }
    }

    /// Whether a call of it may be suspended. What is asked before an instance works at all may come in the middle of
    /// another call, or between requests, where nobody waits.
    pub(super) fn may_wait(self) -> bool {
        !matches!(self, Stage::Configure | Stage::Period)
    }

    /// The role that the function is of.
    pub(super) fn role(self) -> Role {
        match self {
            Stage::Configure => Role::Lifecycle,
            Stage::Route => Role::Router,
            Stage::OnRequest | Stage::OnResponse => Role::Filter,
            Stage::Pick => Role::Balancer,
            Stage::OnComplete => Role::Observer,
            Stage::Period | Stage::Tick => Role::Timer,
        }
    }
}

/// The node that a client is bound to, if it is.
pub(super) type Bound = Option<Arc<str>>;

/// The data of an instance's store.
pub(super) struct Host {
    pub(super) owner: Arc<Use>,
    /// How its calls run, and what CPU time each has.
    pub(super) lane: Lane,
    pub(super) deadline: Duration,
    /// The request's, while the plugin is in a call about one; an empty one else.
    pub(super) context: Box<Context>,
    pub(super) stage: Stage,
    /// Edits of this call.
    pub(super) edits: u32,
    /// Bytes that they added.
    pub(super) edit_bytes: usize,
    /// The bounds that this call met.
    pub(super) caps: Tally,
    /// What the plugin prepares as an answer; it counts if the call ends with one.
    pub(super) reply: Reply,
    /// The use's note, if this call wrote it.
    pub(super) note: Option<(u64, String)>,
    /// What this call will be told of its client's session, if that was looked up before it began.
    pub(super) foreseen: Option<Bound>,
    /// The candidate that this call was told its client is bound to.
    pub(super) bound: Option<u32>,
    /// Whether it does without on-request, and without the on-response of requests that go where their client is bound, for its
    /// whole life.
    pub(super) spares_requests: bool,
    pub(super) spares_bound: bool,
    /// Whether this call does without the request's on-response.
    pub(super) spares_response: bool,
    pub(super) meter: Meter,
    /// What hears that a call runs.
    pub(super) pulse: Arc<Pulse>,
    pub(super) limiter: Limiter,
    /// Bytes copied out of the plugin's memory for the length of an import.
    pub(super) scratch: Vec<u8>,
    pub(super) loads: Vec<Load>,
    pub(super) estimates: Vec<Estimate>,
    /// Costs of candidates, for the length of an import.
    pub(super) costs: Vec<(u64, u32)>,
    pub(super) scales: Scales,
    pub(super) space: Space,
    metrics: Vec<(Box<str>, Kind, Option<Arc<Metric>>)>,
    lines: u32,
    /// The line that the plugin prints and has not ended yet.
    stdout: Output,
    /// All that it printed as an error in this call.
    pub(super) stderr: Output,
}

impl Host {
    pub(super) fn new(owner: Arc<Use>, lane: Lane) -> Host {
        Host {
            lane,
            deadline: if lane == owner.lane { owner.deadline } else { owner.deadline.min(lane.deadline()) },
            context: Box::new(Context::new(Instant::now())),
            stage: Stage::Configure,
            edits: 0,
            edit_bytes: 0,
            caps: Tally::default(),
            reply: Reply::default(),
            note: None,
            foreseen: None,
            bound: None,
            spares_requests: false,
            spares_bound: false,
            spares_response: false,
            meter: Meter::default(),
            pulse: Arc::clone(&owner.module.pulse),
            limiter: Limiter::new(owner.spec.limits.memory, owner.spec.limits.table_elements),
            scratch: Vec::new(),
            loads: Vec::new(),
            estimates: Vec::new(),
            costs: Vec::new(),
            scales: Scales::default(),
            space: owner.space.clone(),
            metrics: Vec::new(),
            lines: 0,
            stdout: Output::default(),
            stderr: Output::default(),
            owner,
        }
    }

    /// Starts the accounts of a call that may use so much CPU time.
    pub(super) fn begin(&mut self, stage: Stage, allowed: Duration) {
        self.pulse.beat();
        self.stage = stage;
        self.edits = 0;
        self.edit_bytes = 0;
        self.lines = 0;
        self.foreseen = None;
        self.bound = None;
        self.spares_response = false;
        self.limiter.refused_memory = false;
        self.limiter.refused_elements = false;
        self.meter.restart(allowed, self.pulse.ticks());
    }

    /// The use's note for this request.
    pub(super) fn note(&self) -> (u64, &str) {
        if let Some((number, text)) = &self.note {
            return (*number, text);
        }
        match self.context.notes.iter().find(|note| note.key == self.owner.key) {
            Some(note) => (note.number, &note.text),
            None => (0, ""),
        }
    }

    /// The use's note for this request, to be changed.
    pub(super) fn note_mut(&mut self) -> &mut (u64, String) {
        if self.note.is_none() {
            let (number, text) = self.note();
            self.note = Some((number, text.to_owned()));
        }
        self.note.get_or_insert_default()
    }

    /// The use's metric of this name, which is looked up once for each instance. Names that are refused are
    /// remembered too; a plugin that makes them up without end is asked about again each time.
    pub(super) fn metric(&mut self, name: &str, kind: Kind) -> Option<&Metric> {
        const MOST: usize = 128;
        let known = self.metrics.iter().position(|(known, of, _)| **known == *name && *of == kind);
        let place = match known {
            Some(place) => place,
            None if name.len() > metrics::LONGEST_NAME => {
                self.caps.hit(Cap::MetricNames);
                return None;
            }
            None => {
                let metric = self.owner.services.metrics.metric(&self.owner.spec.name, name, kind);
                self.metrics.truncate(MOST - 1);
                self.metrics.push((name.into(), kind, metric));
                self.metrics.len() - 1
            }
        };
        let metric = self.metrics[place].2.as_deref();
        if metric.is_none() {
            self.caps.hit(Cap::MetricNames);
        }
        metric
    }

    /// Writes a line of the plugin's to the gateway's log.
    pub(super) fn log(&mut self, level: tracing::Level, line: &str) {
        self.lines += 1;
        if self.lines > MOST_LINES {
            self.caps.hit(Cap::LogLines);
            return;
        }
        if line.len() > LONGEST_LINE {
            self.caps.hit(Cap::LogLineBytes);
        }
        let line = &line[..line.floor_char_boundary(LONGEST_LINE)];
        // The level of an event is fixed where it is written, so there is one for each.
        macro_rules! write_at {
            ($level:ident, $name:ident) => {
                if tracing::enabled!(target: "plugin", tracing::Level::$name) && self.may_log() {
                    // A line break in it would forge the next line.
                    let line = line.replace(char::is_control, " ");
                    let plugin = &*self.owner.spec.name;
                    let version = tracing::field::display(self.owner.module.version);
                    let role = self.stage.role().name();
                    let request_id = self.context.id.as_str();
                    tracing::$level!(target: "plugin", plugin, version, role, request_id, "{line}")
                }
            };
        }
        match level {
            tracing::Level::TRACE => write_at!(trace, TRACE),
            tracing::Level::DEBUG => write_at!(debug, DEBUG),
            tracing::Level::INFO => write_at!(info, INFO),
            tracing::Level::WARN => write_at!(warn, WARN),
            tracing::Level::ERROR => write_at!(error, ERROR),
        }
    }

    /// Whether the use wrote few enough lines of late.
    fn may_log(&mut self) -> bool {
        let may = self.owner.stats.may_log(self.context.now);
        if !may {
            self.caps.hit(Cap::LogLines);
        }
        may
    }

    /// Takes what the plugin prints to its standard output, and logs the lines in it.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.stdout.push(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let (line, cut) = self.stdout.take();
        self.log_printed(tracing::Level::INFO, &line, cut);
    }

    fn log_printed(&mut self, level: tracing::Level, text: &str, cut: bool) {
        if cut {
            self.caps.hit(Cap::LogLineBytes);
        }
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            self.log(level, line);
        }
    }

    /// Ends the accounts of a call. After a fault, [`Fault::explain`](super::fault::Fault::explain) comes first.
    pub(super) fn end(&mut self) {
        if !self.stdout.is_empty() {
            self.end_line();
        }
        if !self.stderr.is_empty() {
            let (text, cut) = self.stderr.take();
            self.log_printed(tracing::Level::WARN, &text, cut);
        }
        if self.limiter.refused_memory {
            self.caps.hit(Cap::Memory);
        }
        if self.limiter.refused_elements {
            self.caps.hit(Cap::Table);
        }
        self.caps.hand_over(&self.owner.stats.caps);
    }
}
