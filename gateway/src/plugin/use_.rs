//! A configured use of a plugin: which file, with which configuration, grants and limits.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::fault::{Fault, FaultKind, LoadError};
use super::host::Stage;
use super::lane::Lane;
use super::module::{Module, Role};
use super::quarantine::{QuarantineState, Quarantines, Step, Tolerance};
use super::services::Services;
use super::stats::UseStats;
use crate::store::{Owner, Scope, Space};

/// What a filter's fault means for the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It is answered with 500.
    #[default]
    Fail,
    /// It goes on without the filter.
    Skip,
}

/// Bounds of one use's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory for each instance.
    pub memory: usize,
    /// CPU time of a call; none: what the lane has.
    pub deadline: Option<Duration>,
    /// CPU time of starting an instance and configuring it.
    pub start: Duration,
    /// Instances for each worker; none: what the lane has. On the synchronous lane one works, and the others are spares for
    /// when it faults; on the waiting lane each may be in a call.
    pub instances: Option<usize>,
    /// Elements of all tables of an instance.
    pub table_elements: usize,
    /// Bytes that one call of an import may hand over.
    pub import_bytes: usize,
    /// Calls after which an instance gives way to a fresh one; none: never.
    pub recycle_calls: Option<u64>,
    /// Bytes of linear memory above which it does.
    pub recycle_memory: usize,
    /// How many faults put a version into quarantine; none: it never is.
    pub quarantine: Option<Tolerance>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 16 << 20,
            deadline: None,
            start: Duration::from_millis(100),
            instances: None,
            table_elements: 20_000,
            import_bytes: 2 << 20,
            recycle_calls: None,
            recycle_memory: 12 << 20,
            quarantine: Some(Tolerance::default()),
        }
    }
}

/// What the configuration says of a use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Its `config` as JSON text; "{}" if it has none.
    pub configuration: String,
    /// What its faults mean as a filter.
    pub on_fault: OnFault,
    /// The capabilities that it has beside the default ones.
    pub grants: Vec<String>,
    /// Its bounds.
    pub limits: Limits,
    /// Who sees its shared values.
    pub shared: Scope,
}

/// The grants that are not given by default, as flags: they are asked for on the request path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grants {
    /// May read credentials.
    pub(super) credentials: bool,
    /// May set the Host field.
    pub(super) host: bool,
    shared: bool,
}

/// Grants that can be given, for sentences. Those by default are accepted too.
const GRANTS: [&str; 4] = ["credentials", "host", "sessions", "shared"];

impl Grants {
    fn new(name: &str, granted: &[String]) -> Result<Grants, LoadError> {
        let mut grants = Grants::default();
        for grant in granted {
            match &**grant {
                "credentials" => grants.credentials = true,
                "host" => grants.host = true,
                "shared" => grants.shared = true,
                "request" | "nodes" | "log" | "metrics" | "sessions" => {}
                unknown => {
                    return Err(LoadError::Refused(format!(
                        "plugin \"{name}\" is granted \"{unknown}\", which is not known; there are {}",
                        GRANTS.join(", ")
                    )));
                }
            }
        }
        Ok(grants)
    }

    fn allows(self, interface: &str) -> bool {
        interface != "shared" || self.shared
    }
}

/// A use: a plugin with its configuration.
#[derive(Debug)]
pub struct Use {
    /// A small number that stands for the use's name as long as the process lives.
    pub key: u32,
    /// Unique for each pair of module and spec, so that a change is seen.
    pub generation: u64,
    /// What the configuration says.
    pub spec: UseSpec,
    /// The plugin.
    pub module: Arc<Module>,
    /// What it did; survives versions.
    pub stats: Arc<UseStats>,
    /// What is kept outside instances.
    pub services: Arc<Services>,
    /// Its shared values.
    pub(super) space: Space,
    /// How its calls run.
    pub lane: Lane,
    /// CPU time of a call.
    pub(super) deadline: Duration,
    /// Instances for each worker.
    pub(super) instances: usize,
    pub(super) grants: Grants,
    pub(super) quarantine: Quarantines,
    /// CPU time that the start of the trial's instance took.
    pub(super) start_took: OnceLock<Duration>,
    /// Whether that one did without on-request.
    pub(super) spares_requests: OnceLock<bool>,
    /// The first cookie by which it asked where a client is bound, be it in the trial.
    pub(super) cookie: OnceLock<Box<str>>,
}

impl Use {
    /// A use of this module, if the use is granted what the module asks for.
    pub fn new(
        key: u32,
        generation: u64,
        spec: UseSpec,
        module: Arc<Module>,
        stats: Arc<UseStats>,
        services: Arc<Services>,
    ) -> Result<Use, LoadError> {
        let grants = Grants::new(&spec.name, &spec.grants)?;
        for interface in &module.interfaces {
            if !grants.allows(interface) {
                let (name, all) = (&spec.name, with(&spec.grants, interface));
                return Err(LoadError::Refused(format!(
                    "plugin \"{name}\" uses \"{interface}\", which it is not granted; write `grants = [{all}]` in \
                     [plugin.{name}]"
                )));
            }
        }
        let space = services.shared.space(&spec.name, spec.shared);
        let lane = Lane::of(&module.interfaces, &services, &space);
        let quarantine = Quarantines::new(spec.limits.quarantine, Instant::now());
        Ok(Use {
            key,
            generation,
            lane,
            deadline: spec.limits.deadline.unwrap_or(lane.deadline()),
            instances: spec.limits.instances.unwrap_or(lane.instances()),
            spec,
            module,
            stats,
            services,
            space,
            grants,
            quarantine,
            start_took: OnceLock::new(),
            spares_requests: OnceLock::new(),
            cookie: OnceLock::new(),
        })
    }
}

impl Use {
    /// Whose sessions it asks for, for a request to this pool.
    pub(super) fn sessions_in<'a>(&'a self, pool: &'a str) -> Owner<'a> {
        Owner { key: self.key, name: &self.spec.name, pool }
    }
}

/// How the present version fares.
impl Use {
    /// Whether its calls are made: the worst state of its roles.
    pub fn quarantine(&self) -> QuarantineState {
        self.quarantine.state()
    }

    /// The roles whose calls are not made, or only tried. Where it is `lifecycle`, no role is played.
    pub fn quarantined_roles(&self) -> impl Iterator<Item = Role> {
        self.quarantine.shut()
    }

    /// Faults of this version and configuration so far, on all workers.
    pub fn faults_since_start(&self) -> u64 {
        self.quarantine.faults()
    }

    /// Counts a fault, which may be the one too many. `stage` is where; none if an instance did not start.
    #[cold]
    pub(super) fn bear(&self, stage: Option<Stage>, fault: &Fault, now: Instant) {
        let role = stage.map_or(Role::Lifecycle, Stage::role);
        let step = self.quarantine.of(role).fault(stage, fault.kind, now);
        self.tell(role, step, &fault.message);
    }

    /// Whether a call may be made in quarantine: then it is a probe of this role.
    pub(super) fn admits(&self, stage: Stage, now: Instant) -> Option<Role> {
        let (role, quarantine) = self.quarantine.behind(stage.role());
        let (admitted, step) = quarantine.admits(stage, now);
        self.tell(role, step, "");
        admitted.then_some(role)
    }

    /// A probe of this role is over.
    pub(super) fn probed(&self, role: Role, stage: Stage, fault: Option<&Fault>, now: Instant) {
        // Whether it starts is all that the first role is about.
        let fault = fault.filter(|fault| role != Role::Lifecycle || fault.kind == FaultKind::Start);
        let step = self.quarantine.of(role).probed(stage, fault.map(|fault| fault.kind), now);
        self.tell(role, step, fault.map_or("", |fault| &fault.message));
    }

    /// A probe of this role was given up before it was over.
    pub(super) fn unprobed(&self, role: Role) {
        self.quarantine.of(role).unprobed();
    }

    /// Counts a step of a role's quarantine, and logs it.
    fn tell(&self, role: Role, step: Option<Step>, why: &str) {
        let Some(step) = step else { return };
        self.quarantine.note(role, step);
        self.stats.count_step(step);
        let (plugin, version) = (&*self.spec.name, tracing::field::display(self.module.version));
        let (faults, pause) = (self.faults_since_start(), self.quarantine.of(role).pause());
        let role = role.name();
        match step {
            Step::Opened => {
                tracing::warn!(
                    target: "plugin",
                    plugin, version, role, faults, quarantine = step.name(),
                    "it failed too often and is not called; it is tried again in {} s; the last fault: {why}",
                    pause.as_secs()
                );
            }
            Step::Probing => tracing::info!(
                target: "plugin",
                plugin, version, role, faults, quarantine = step.name(), "single calls are made to see if it is well again"
            ),
            Step::Closed => tracing::info!(
                target: "plugin",
                plugin, version, role, faults, quarantine = step.name(), "it is well again and is called as usual"
            ),
        }
    }
}

/// Whether a plugin that imports this interface is refused unless its use is granted it.
pub fn needs_grant(interface: &str) -> bool {
    !Grants::default().allows(interface)
}

/// The grants and one more, as TOML writes them; sessions need not be written.
fn with(grants: &[String], more: &str) -> String {
    let all = grants.iter().map(|grant| &**grant).filter(|grant| *grant != "sessions").chain([more]);
    all.map(|grant| format!("\"{grant}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unknown_grants_are_refused_by_name() {
        let error = Grants::new("edge", &["shard".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "plugin \"edge\" is granted \"shard\", which is not known; there are credentials, host, sessions, shared"
        );
    }

    #[test]
    fn the_line_to_write_keeps_what_was_granted() {
        assert_eq!(with(&["host".to_owned()], "shared"), "\"host\", \"shared\"");
        assert_eq!(with(&[], "shared"), "\"shared\"");
    }
}
