//! `bascule plugin bench FILE`: what a call of each function costs, beside an empty call of the same function.
//!
//! An empty call is a plugin that answers at once: what remains is the way into the sandbox and back. Medians over
//! batches, and CPU time, so that what else the machine does hardly shows.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::use_of;
use super::function::Function;
use super::inspect::kilobytes;
use super::scene::{self, Scene};
use super::{Problem, engine, plain_use, refused};
use crate::plugin::context::Context;
use crate::plugin::deadline::thread_cpu_time;
use crate::plugin::use_::needs_grant;
use crate::plugin::{Engine, Instances, Module, UseSpec, Version};

/// A plugin that plays every role and does nothing; its text stands in the tests.
const EMPTY: &[u8] = include_bytes!("empty.wasm");
/// How long a batch of calls is to take.
const BATCH: Duration = Duration::from_millis(2);
/// Batches of which the median counts; those of the plugin and of the empty one take turns.
const BATCHES: usize = 51;
/// Starts of which the median counts.
const STARTS: usize = 25;

/// What a plugin costs.
#[derive(Debug)]
pub struct Benched {
    version: Version,
    nodes: u32,
    compiled: Duration,
    started: Duration,
    memory: usize,
    calls: Vec<Cost>,
}

/// What one function costs, in nanoseconds a call.
#[derive(Debug)]
struct Cost {
    function: Function,
    plugin: f64,
    empty: f64,
}

/// Measures a plugin file in this use of it, whatever it has to be granted, on a pool of so many nodes.
///
/// # Errors
/// When the file cannot be a plugin, refuses its configuration, or fails in a call.
pub fn bench(bytes: &[u8], mut spec: UseSpec, nodes: u32) -> Result<Benched, Problem> {
    let engine = engine()?;
    let before = Instant::now();
    let module = Arc::new(engine.compile(bytes).map_err(refused)?);
    let compiled = before.elapsed();
    spec.grants.extend(module.interfaces.iter().filter(|interface| needs_grant(interface)).cloned());
    // A call that the machine interrupts must not end the whole measurement.
    let longest = Duration::from_secs(1);
    spec.limits.deadline = Some(spec.limits.deadline.map_or(longest, |deadline| deadline.max(longest)));
    spec.limits.quarantine = None;
    let plugin = started(spec, Arc::clone(&module))?;
    let empty = started(plain_use("empty"), empty(&engine)?)?;
    let memory = plugin.memory().unwrap_or(0);
    let starting = median((0..STARTS).map(|_| start_time(&plugin)).collect::<Result<_, _>>()?);
    let mut calls = Vec::new();
    let is_called = |function: &Function| match function {
        Function::Period => false,
        Function::OnRequest => !plugin.spares_requests(),
        _ => true,
    };
    for function in Function::of(module.roles).filter(is_called) {
        calls.push(Cost::measure(function, &plugin, &empty, nodes)?);
    }
    let started = Duration::from_secs_f64(starting);
    Ok(Benched { version: module.version, nodes, compiled, started, memory, calls })
}

fn empty(engine: &Engine) -> Result<Arc<Module>, Problem> {
    engine.compile(EMPTY).map(Arc::new).map_err(refused)
}

fn started(spec: UseSpec, module: Arc<Module>) -> Result<Instances, Problem> {
    let instances = Instances::new(use_of(spec, module)?);
    let refused = |fault: crate::plugin::Fault| {
        Problem::Input(format!(
            "it does not start: {}; write its configuration with --config '{{ … }}'",
            fault.message
        ))
    };
    instances.warm_up().map_err(refused)?;
    Ok(instances)
}

/// Seconds that one more instance takes to be there, configured.
fn start_time(instances: &Instances) -> Result<f64, Problem> {
    let fresh = Instances::new(Arc::clone(instances.use_()));
    let before = Instant::now();
    fresh.warm_up().map_err(|fault| Problem::Input(fault.to_string()))?;
    Ok(before.elapsed().as_secs_f64())
}

impl Cost {
    fn measure(
        function: Function,
        plugin: &Instances,
        empty: &Instances,
        nodes: u32,
    ) -> Result<Self, Problem> {
        let mut plugin = Calls::new(function, plugin, nodes);
        let mut empty = Calls::new(function, empty, nodes);
        plugin.find_batch()?;
        empty.find_batch()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..BATCHES {
            ours.push(plugin.batch()?);
            theirs.push(empty.batch()?);
        }
        Ok(Self { function, plugin: median(ours) * 1e9, empty: median(theirs) * 1e9 })
    }
}

/// Calls of one function on a plain request.
struct Calls<'a> {
    function: Function,
    instances: &'a Instances,
    context: Option<Box<Context>>,
    batch: u32,
}

impl<'a> Calls<'a> {
    fn new(function: Function, instances: &'a Instances, nodes: u32) -> Self {
        let scene = Scene::plain();
        let nodes = scene::nodes(nodes);
        let mut context = scene.begin(&nodes);
        if matches!(function, Function::OnComplete | Function::OnResponse) {
            scene.attempt(&mut context, nodes.get(0).map(|first| Arc::clone(&first.node)));
        }
        let context = function.is_of_a_request().then_some(context);
        Self { function, instances, context, batch: 1 }
    }

    /// Finds how many calls a batch has; this warms everything up, too.
    fn find_batch(&mut self) -> Result<(), Problem> {
        while self.batch()? * f64::from(self.batch) < BATCH.as_secs_f64() && self.batch < 1 << 20 {
            self.batch *= 2;
        }
        Ok(())
    }

    /// Seconds of CPU time a call.
    fn batch(&mut self) -> Result<f64, Problem> {
        let marks =
            self.context.as_ref().map(|context| (context.request.mark(), context.response.fields.mark()));
        let before = thread_cpu_time();
        for _ in 0..self.batch {
            let called = self.function.call(self.instances, &mut self.context);
            black_box(called).map_err(|fault| {
                let name = self.function.name();
                Problem::Machine(format!("{name} failed: {fault}; see `bascule plugin check`"))
            })?;
            if let (Some(context), Some((request, response))) = (&mut self.context, marks) {
                // Else the heads would grow without end.
                context.request.undo(request);
                context.response.fields.undo(response);
            }
        }
        Ok((thread_cpu_time() - before).as_secs_f64() / f64::from(self.batch))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

impl fmt::Display for Benched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, memory) = (self.version, kilobytes(self.memory as u64));
        let (compiled, started) = (self.compiled.as_secs_f64() * 1e3, self.started.as_secs_f64() * 1e6);
        writeln!(
            out,
            "version {version}: compiled in {compiled:.0} ms; an instance starts in {started:.0} µs and takes {memory}"
        )?;
        writeln!(out, "{:<12} {:>12} {:>12} {:>12}", "function", "this plugin", "empty call", "difference")?;
        for Cost { function, plugin, empty } in &self.calls {
            let name = function.name();
            writeln!(out, "{name:<12} {plugin:>9.0} ns {empty:>9.0} ns {:>9.0} ns", plugin - empty)?;
        }
        write!(out, "(medians of {BATCHES} batches, a pool of {} nodes)", self.nodes)?;
        if cfg!(debug_assertions) {
            write!(
                out,
                "\nThis is a debug build of bascule, whose host is some ten times slower: measure with a release build."
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plugin::testing::plugin;

    const EMPTY_TEXT: &str = r#"
        (func (export "lifecycle#configure") (param i32 i32) (result i32) (call $answer (i32.const 0) (i32.const 0)))
        (func (export "router#route") (result i32) (call $answer (i32.const 0) (i32.const 0)))
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))
        (func (export "filter#on-request") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "observer#on-complete"))
        (func (export "timer#period") (result i32)
            (i64.store (i32.const 1024) (i64.const 1000))
            (i32.store8 (i32.const 1032) (i32.const 0))
            (i32.const 1024))
        (func (export "timer#tick"))"#;

    #[test]
    fn the_empty_plugin_is_that_of_todays_contract() {
        let roles = ["lifecycle", "router", "balancer", "filter", "observer", "timer"];
        let made = plugin(&roles, EMPTY_TEXT);
        if std::env::var_os("BASCULE_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/author/empty.wasm"), &made).unwrap();
            return;
        }
        let hint = "run `BASCULE_BLESS=1 cargo test -p bascule empty_plugin`, and build again";
        assert!(made == EMPTY, "author/empty.wasm is not what its text makes: {hint}");
    }

    #[test]
    fn every_function_of_a_plugin_is_measured_beside_the_empty_one() {
        let benched = bench(EMPTY, plain_use("test"), 3).unwrap();
        let names: Vec<_> = benched.calls.iter().map(|cost| cost.function.name()).collect();
        assert_eq!(names, ["route", "on-request", "pick", "on-complete", "on-response", "tick"]);
        assert!(benched.calls.iter().all(|cost| cost.plugin > 0.0 && cost.empty > 0.0), "{benched}");
        assert!(benched.to_string().contains("this plugin"), "{benched}");
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!([median(vec![3.0, 1.0, 2.0]), median(Vec::new())], [2.0, 0.0]);
    }
}
