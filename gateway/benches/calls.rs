//! What a call of a plugin costs: `cargo bench --bench calls`.
//!
//! The plugins as text do one thing each, so their differences are the price of that thing. The shipped ones are
//! measured if they were built (`cargo xtask plugins`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use bascule::node::candidates::{Candidate, Candidates};
use bascule::node::{Node, NodeSpec};
use bascule::plugin::context::Context;
use bascule::plugin::engine::Engine;
use bascule::plugin::instances::Instances;
use bascule::plugin::lane::Lane;
use bascule::plugin::services::Services;
use bascule::plugin::stats::UseStats;
use bascule::plugin::use_::{Limits, OnFault, Use, UseSpec};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../src/plugin/testing.rs"]
mod testing;

const NOTHING: &str =
    r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;
const HEADER: &str = r#"
    (import "request" "header" (func $header (param i32 i32 i32)))
    ;; ---
    (data (i32.const 16) "x-user")
    (func (export "balancer#pick") (result i32)
        (call $header (i32.const 16) (i32.const 6) (i32.const 32))
        (call $answer (i32.const 0) (i32.const 0)))"#;
const TWO_RANDOM: &str = r#"
    (import "nodes" "two-random" (func $two (param i32)))
    ;; ---
    (func (export "balancer#pick") (result i32)
        (call $two (i32.const 32))
        (call $answer (i32.const 1) (i32.load (i32.const 36))))"#;
const COUNT: &str = r#"
    (import "nodes" "count" (func $count (result i32)))
    ;; ---
    (func (export "balancer#pick") (result i32)
        (drop (call $count))
        (call $answer (i32.const 0) (i32.const 0)))"#;
/// What a policy of sessions does on each request, with a token that nobody knows: it is answered at once.
const SESSION: &str = r#"
    (import "sessions" "get" (func $get (param i32 i32 i32)))
    ;; ---
    (data (i32.const 16) "AAAAAAAAAAAAAAAAAAAAAA")
    (func (export "balancer#pick") (result i32)
        (call $get (i32.const 16) (i32.const 22) (i32.const 64))
        (call $answer (i32.const 0) (i32.const 0)))"#;
const SET_HEADER: &str = r#"
    (import "request" "set-header" (func $set (param i32 i32 i32 i32 i32)))
    ;; ---
    (data (i32.const 16) "x-edge")
    (data (i32.const 32) "bascule")
    (func (export "filter#on-request") (result i32)
        (call $set (i32.const 16) (i32.const 6) (i32.const 32) (i32.const 7) (i32.const 64))
        (call $answer (i32.const 0) (i32.const 0)))
    (func (export "filter#on-response") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;

fn instances(engine: &Engine, file: &[u8], configuration: &str) -> Instances {
    instances_on(Lane::Synchronous, engine, file, configuration)
}

fn instances_on(lane: Lane, engine: &Engine, file: &[u8], configuration: &str) -> Instances {
    let spec = UseSpec {
        name: "bench".into(),
        configuration: configuration.to_owned(),
        on_fault: OnFault::Fail,
        grants: Vec::new(),
        limits: Limits::default(),
        shared: bascule::store::Scope::Gateway,
    };
    let module = Arc::new(engine.compile(file).unwrap());
    let stats = Arc::new(UseStats::default());
    let mut made = Use::new(1, 1, spec, module, stats, Arc::new(Services::default())).unwrap();
    made.trial().unwrap();
    made.lane = lane;
    Instances::new(Arc::new(made))
}

fn context(nodes: u16) -> Option<Box<Context>> {
    let mut context = Box::new(Context::new(Instant::now()));
    context.request.set_path(b"/api/items?page=2");
    for (name, value) in [
        ("host", "example.org"),
        ("user-agent", "bench/1.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("cookie", "session=1"),
        ("x-user", "somebody"),
    ] {
        context.request.fields.add(name.as_bytes(), value.as_bytes());
    }
    context.route = "api".into();
    context.pool = "api".into();
    let candidates = (0..nodes).map(candidate).collect();
    context.selection.begin(Arc::new(Arc::new(Candidates::new(candidates, Vec::new()))));
    Some(context)
}

fn candidate(index: u16) -> Candidate {
    let spec = NodeSpec {
        id: format!("node-{index}").into(),
        address: ([127, 0, 0, 1], 1024 + index).into(),
        weight: NonZeroU32::MIN,
        zone: None,
        tier: 0,
        drain: false,
        labels: BTreeMap::new(),
    };
    Candidate { node: Node::new(spec), weight: 1000 }
}

/// A shipped plugin's file, if it was built.
fn shipped(name: &str) -> Option<Vec<u8>> {
    let target = std::env::var("CARGO_TARGET_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../target").to_owned());
    let path = format!("{target}/plugins/{name}.wasm");
    let file = std::fs::read(&path).ok();
    if file.is_none() {
        eprintln!("{name} is left out: run `cargo xtask plugins` first");
    }
    file
}

fn picks(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let mut group = criterion.benchmark_group("pick");
    for (name, text) in
        [("nothing", NOTHING), ("count", COUNT), ("two-random", TWO_RANDOM), ("one header", HEADER)]
    {
        let instances = instances(&engine, &testing::plugin(&["balancer"], text), "{}");
        let mut context = context(2);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(instances.pick(&mut context).now()).unwrap());
        });
    }
    for nodes in [2, 1000] {
        let mut context = context(nodes);
        let turn = std::cell::Cell::new(0);
        let selection = &context.as_ref().unwrap().selection;
        group.bench_function(format!("native fallback, {nodes} nodes"), |bencher| {
            bencher.iter(|| black_box(selection.round_robin(&turn)));
        });
        for name in ["least_connections", "power_of_two", "prequal", "round_robin"] {
            let Some(file) = shipped(name) else { continue };
            let instances = instances(&engine, &file, "{}");
            group.bench_function(format!("{name}, {nodes} nodes"), |bencher| {
                bencher.iter(|| black_box(instances.pick(&mut context).now()).unwrap());
            });
        }
    }
}

/// The same call on both lanes, awaited as the request path does it. On neither it has to wait.
fn lanes(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let mut group = criterion.benchmark_group("pick, a session that is known at once");
    let file = testing::plugin(&["balancer"], SESSION);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for lane in [Lane::Synchronous, Lane::Waiting] {
        let instances = instances_on(lane, &engine, &file, "{}");
        let mut context = context(2);
        group.bench_function(lane.name(), |bencher| {
            bencher.iter_custom(|calls| {
                let start = Instant::now();
                runtime.block_on(async {
                    for _ in 0..calls {
                        black_box(instances.pick(&mut context).await).unwrap();
                    }
                });
                start.elapsed()
            });
        });
    }
}

fn filters(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let mut group = criterion.benchmark_group("on-request");
    let mut bench = |name: &str, instances: Instances| {
        let mut context = context(2);
        let mark = context.as_ref().unwrap().request.mark();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(instances.on_request(&mut context).now()).unwrap();
                // Else the head would grow without end.
                context.as_mut().unwrap().request.undo(mark);
            });
        });
    };
    bench("set one field", instances(&engine, &testing::plugin(&["filter"], SET_HEADER), "{}"));
    if let Some(file) = shipped("header_rewrite") {
        let configuration = r#"{ "request": { "set": { "x-edge": "bascule" } } }"#;
        bench("header_rewrite", instances(&engine, &file, configuration));
    }
}

fn starts(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let file = testing::plugin(&["balancer"], NOTHING);
    criterion.bench_function("compile a tiny plugin", |bencher| {
        bencher.iter(|| black_box(engine.compile(&file)).unwrap());
    });
    let mut start = |name: &str, file: &[u8]| {
        let instances = instances(&engine, file, "{}");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let fresh = Instances::new(Arc::clone(instances.use_()));
                fresh.warm_up().unwrap();
                fresh
            });
        });
    };
    start("start a tiny plugin", &file);
    if let Some(file) = shipped("least_connections") {
        start("start least_connections", &file);
    }
}

criterion_group!(benches, picks, lanes, filters, starts);
criterion_main!(benches);
