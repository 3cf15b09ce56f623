//! `bascule plugin check FILE`: loads a plugin as the gateway would, and treats it badly, without any gateway.
//!
//! Each function is called on plain and on odd requests, with no node, one and many. What goes wrong is told once for each
//! function and reason. Stores are the check's own, so nothing of it is seen anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::function::Function;
use super::inspect::kilobytes;
use super::scene::{self, Scene};
use super::{Problem, engine, refused};
use crate::node::selection::LocalCandidates;
use crate::plugin::context::Context;
use crate::plugin::module::Module;
use crate::plugin::use_::needs_grant;
use crate::plugin::{Choice, Fault, Instances, Lane, Roles, Services, Use, UseSpec, UseStats, Version};

/// Pools to pick from: none left, one, and a large one.
const POOLS: [u32; 3] = [0, 1, 1000];
/// How often each request comes: a plugin that keeps something may fail at the second one.
const ROUNDS: u32 = 3;
/// A debug build's host is slow, which is not the plugin's fault.
const PATIENCE: u32 = if cfg!(debug_assertions) { 20 } else { 1 };

/// What came of a check.
#[derive(Debug)]
pub struct Checked {
    version: Version,
    roles: Roles,
    /// The grants that the check gave by itself.
    granted: Vec<String>,
    compiled: Duration,
    started: Duration,
    memory: [usize; 2],
    functions: Vec<Played>,
    /// What the start, or the gateway's own trial, failed with.
    failed: Option<String>,
}

/// One function's calls.
#[derive(Debug)]
struct Played {
    function: Function,
    calls: u32,
    slowest: Duration,
    slowest_on: String,
    faults: Vec<Seen>,
}

/// A reason to fail, and where it was seen.
#[derive(Debug)]
struct Seen {
    fault: Fault,
    first_on: String,
    times: u32,
}

impl Checked {
    /// Whether nothing failed.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.failed.is_none() && self.functions.iter().all(|played| played.faults.is_empty())
    }
}

/// Checks a plugin file in this use of it. With `grant`, what the plugin asks for is granted, and told.
///
/// # Errors
/// When the file cannot be a plugin, is not granted what it asks for, or refuses its configuration.
pub fn check(bytes: &[u8], mut spec: UseSpec, grant: bool) -> Result<Checked, Problem> {
    let engine = engine()?;
    let before = Instant::now();
    let module = Arc::new(engine.compile(bytes).map_err(refused)?);
    let compiled = before.elapsed();
    let granted = if grant { missing_grants(&module, &spec) } else { Vec::new() };
    spec.grants.extend(granted.iter().cloned());
    let deadline = spec.limits.deadline.unwrap_or(Lane::Synchronous.deadline());
    spec.limits.deadline = Some(deadline * PATIENCE);
    // All faults are wanted, not the first twenty.
    spec.limits.quarantine = None;
    let used = use_of(spec, Arc::clone(&module))?;
    let (version, roles) = (module.version, module.roles);
    let mut checked = Checked {
        version,
        roles,
        granted,
        compiled,
        started: Duration::ZERO,
        memory: [0; 2],
        functions: Vec::new(),
        failed: None,
    };
    let instances = Instances::new(Arc::clone(&used));
    let before = Instant::now();
    if let Err(fault) = instances.warm_up() {
        checked.failed = Some(start_failed(&used.spec, &fault)?);
        return Ok(checked);
    }
    checked.started = before.elapsed();
    checked.memory[0] = instances.memory().unwrap_or(0);
    checked.functions = Function::of(roles).map(Played::new).collect();
    play_all(&instances, &mut checked.functions);
    checked.memory[1] = instances.memory().unwrap_or(0);
    // What the gateway itself does before a plugin takes traffic.
    checked.failed = used.trial().err().map(|error| error.to_string());
    Ok(checked)
}

fn missing_grants(module: &Module, spec: &UseSpec) -> Vec<String> {
    let lacks = |name: &&String| needs_grant(name) && !spec.grants.contains(name);
    module.interfaces.iter().filter(lacks).cloned().collect()
}

/// The use as the gateway would make it, on stores of its own.
pub(super) fn use_of(spec: UseSpec, module: Arc<Module>) -> Result<Arc<Use>, Problem> {
    let made = Use::new(1, 1, spec, module, Arc::new(UseStats::default()), Arc::new(Services::default()));
    made.map(Arc::new).map_err(|error| Problem::Input(error.to_string()))
}

/// A plugin that refuses its configuration is right to do so: the input was wrong. One that fails over it is not.
fn start_failed(spec: &UseSpec, fault: &Fault) -> Result<String, Problem> {
    if fault.message.starts_with("it could not be started") {
        return Ok(format!("configure: {}", fault.message));
    }
    let given = match &*spec.configuration {
        "{}" => "it takes no empty configuration; write one with --config '{ … }', or name a use with --use",
        _ => "mend the configuration",
    };
    Err(Problem::Input(format!("the plugin refuses its configuration: {}; {given}", fault.message)))
}

fn play_all(instances: &Instances, functions: &mut [Played]) {
    let pools = POOLS.map(|count| (count, scene::nodes(count)));
    for scene in Scene::odd() {
        for (count, nodes) in &pools {
            let name = format!("{}, {count} {}", scene.name, if *count == 1 { "node" } else { "nodes" });
            for _ in 0..ROUNDS {
                play_request(instances, functions, &scene, &name, nodes);
            }
        }
    }
    for played in functions.iter_mut().filter(|played| !played.function.is_of_a_request()) {
        for _ in 0..ROUNDS {
            played.play(instances, "no request", &mut None);
        }
    }
}

/// A request's whole life, as far as the plugin sees it.
fn play_request(
    instances: &Instances,
    functions: &mut [Played],
    scene: &Scene,
    name: &str,
    nodes: &LocalCandidates,
) {
    let mut context = Some(scene.begin(nodes));
    let mut node = nodes.get(0).map(|first| Arc::clone(&first.node));
    for played in functions.iter_mut().filter(|played| played.function.is_of_a_request()) {
        let about = context.as_mut().expect("a call gives back what it was lent");
        if matches!(played.function, Function::OnComplete | Function::OnResponse) {
            scene.attempt(about, node.clone());
        }
        if let Some(Choice::Node(index)) = played.play(instances, name, &mut context)
            && let Some(context) = &context
        {
            node = context.selection.candidate(index).map(|picked| Arc::clone(&picked.node));
        }
    }
}

impl Played {
    fn new(function: Function) -> Self {
        let slowest_on = String::new();
        Self { function, calls: 0, slowest: Duration::ZERO, slowest_on, faults: Vec::new() }
    }

    fn play(
        &mut self,
        instances: &Instances,
        on: &str,
        context: &mut Option<Box<Context>>,
    ) -> Option<Choice> {
        let before = Instant::now();
        let result = self.function.call(instances, context);
        let took = before.elapsed();
        self.calls += 1;
        if took > self.slowest {
            (self.slowest, self.slowest_on) = (took, on.to_owned());
        }
        let fault = match result {
            Ok(choice) => return Some(choice),
            Err(fault) => fault,
        };
        match self.faults.iter_mut().find(|seen| seen.fault == fault) {
            Some(seen) => seen.times += 1,
            None => self.faults.push(Seen { fault, first_on: on.to_owned(), times: 1 }),
        }
        // The next call must not find an instance that is still to be started.
        let _told_by_the_next_call = instances.warm_up();
        None
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "version {}, roles: {}", self.version, self.roles)?;
        if !self.granted.is_empty() {
            let quoted: Vec<_> = self.granted.iter().map(|grant| format!("\"{grant}\"")).collect();
            writeln!(out, "It needs a grant: write `grants = [{}]` in its [plugin.NAME]", quoted.join(", "))?;
        }
        let [first, last] = self.memory.map(|bytes| kilobytes(bytes as u64));
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(out, "compiled in {:.0} ms, started in {:.2} ms", ms(self.compiled), ms(self.started))?;
        writeln!(out, "memory of an instance: {first} at the start, {last} after all calls")?;
        for played in &self.functions {
            writeln!(out, "{played}")?;
        }
        if let Some(failed) = &self.failed {
            writeln!(out, "FAULT {failed}")?;
        }
        if cfg!(debug_assertions) {
            writeln!(
                out,
                "(a debug build of bascule: times are long, and calls had {PATIENCE} times their deadline)"
            )?;
        }
        write!(out, "{}", if self.is_fine() { "It is fine" } else { "It has faults" })
    }
}

impl fmt::Display for Played {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, calls, slowest) = (self.function.name(), self.calls, self.slowest.as_secs_f64() * 1e6);
        write!(out, "{name:<12} {calls} calls, the slowest {slowest:.0} µs ({})", self.slowest_on)?;
        for Seen { fault, first_on, times } in &self.faults {
            write!(out, "\nFAULT {name}, {times} times, first on {first_on}: {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
