//! What the host's own part of a pick costs, among 2 and among 1,000 nodes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bascule::node::candidates::{Candidate, Candidates};
use bascule::node::live::AttemptResult;
use bascule::node::selection::Selection;
use bascule::node::{Node, NodeSpec};
use criterion::{Criterion, criterion_group, criterion_main};

/// Nodes that answered before; weights 1 and 2 in turn.
fn pool(count: u32, now: Instant) -> Candidates {
    let candidate = |number: u32| {
        let weight = NonZeroU32::MIN.saturating_add(number % 2);
        let node = Node::new(NodeSpec {
            id: format!("node-{number}").into(),
            address: ([127, 0, 0, 1], 80).into(),
            weight,
            zone: None,
            tier: 0,
            drain: false,
            labels: BTreeMap::new(),
        });
        node.begin(now).observe(now + Duration::from_millis(5), AttemptResult::Ok);
        Candidate { node, weight: weight.get() * 1000 }
    };
    Candidates::new((0..count).map(candidate).collect(), Vec::new())
}

fn picks(criterion: &mut Criterion) {
    let start = Instant::now();
    let now = start + Duration::from_millis(500);
    for count in [2, 1000] {
        let shared = Arc::new(Arc::new(pool(count, start)));
        let mut selection = Selection::default();
        selection.begin(Arc::clone(&shared));
        // A request in flight on each, so that all of a load has to be read.
        let _in_flight: Vec<_> = shared.iter().map(|candidate| candidate.node.begin(start)).collect();
        let mut group = criterion.benchmark_group(format!("among {count}"));
        let turn = Cell::new(0);
        group.bench_function("begin and native round robin", |bencher| {
            let mut selection = Selection::default();
            bencher.iter(|| {
                selection.begin(Arc::clone(&shared));
                selection.round_robin(&turn)
            });
        });
        group.bench_function("two_random", |bencher| bencher.iter(|| selection.two_random(now)));
        let mut out = Vec::new();
        group.bench_function("loads", |bencher| bencher.iter(|| selection.loads(now, black_box(&mut out))));
        group.bench_function("sample of 16", |bencher| {
            bencher.iter(|| selection.sample(16, now, black_box(&mut out)));
        });
        let mut key = 0_u64;
        let mut next = || {
            key += 1;
            key.to_le_bytes()
        };
        group.bench_function("by_hash", |bencher| bencher.iter(|| selection.by_hash(&next())));
        group.bench_function("find", |bencher| bencher.iter(|| selection.find(black_box("node-1"))));
        let busy: Vec<_> =
            (0..count).filter_map(|index| Some(selection.candidate(index)?.node.begin(now))).collect();
        group.bench_function("by_hash_bounded, all busy", |bencher| {
            bencher.iter(|| selection.by_hash_bounded(&next(), 125));
        });
        drop(busy);
        group.bench_function("retry: next_attempt and two_random", |bencher| {
            let mut selection = Selection::default();
            bencher.iter(|| {
                selection.begin(Arc::clone(&shared));
                selection.next_attempt(0);
                selection.two_random(now)
            });
        });
        group.bench_function("count a request, observe, take back", |bencher| {
            let candidate = selection.candidate(0).expect("there is a first");
            bencher.iter(|| candidate.node.begin(now).observe(now, AttemptResult::Ok));
        });
        group.bench_function("publish", |bencher| bencher.iter(|| pool(count, start)));
        group.bench_function("publish with its ring", |bencher| {
            bencher.iter(|| {
                let mut selection = Selection::default();
                selection.begin(Arc::new(Arc::new(pool(count, start))));
                selection.by_hash(b"key")
            });
        });
    }
}

criterion_group!(benches, picks);
criterion_main!(benches);
