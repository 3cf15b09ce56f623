//! What outlives a swap: counts, latencies, sessions, memory; and no request is lost over any number of them.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "swaps have a pace; measurements are printed"
)]

use super::{gateway_with_picker, loads, next_nodes, reloads, two_nodes, while_requests_run};
use crate::support::{GatewayProcess, TestGateway, TestNode, plugin_file, wait_until};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The same plugin in other bytes: a custom section at its end means nothing.
fn variant(plugin: &str, number: u16) -> Vec<u8> {
    let mut content = plugin_file(plugin);
    let [high, low] = number.to_be_bytes();
    content.extend([0, 4, 1, b'v', high, low]);
    content
}

const STICKY: &str =
    "[route.all]\npool = \"main\"\n[pool.main]\npolicy = [\"sticky-session\", \"round-robin\"]\n";

/// How long the policy is swapped: some seconds, or as many as the environment says, for who wants to see a minute.
fn swap_time() -> Duration {
    let seconds = std::env::var("BASCULE_SWAP_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// A client that comes back with its cookie until it is over; it fails if it is answered by another node, or not at all.
fn visit(gateway: &TestGateway, over: &AtomicBool) -> u64 {
    let mut client = gateway.client();
    let first = client.get("/");
    let cookie =
        first.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
    let mut visits = 1;
    while !over.load(SeqCst) {
        let response = client.get_with("/", &format!("Cookie: {cookie}\r\n"));
        assert_eq!((response.status, response.text()), (200, first.text()), "after {visits} visits");
        visits += 1;
    }
    visits
}

#[test]
fn no_session_moves_and_no_count_starts_anew_while_the_policy_is_swapped_ten_times_a_second() {
    let nodes = two_nodes();
    let all = [&nodes[0], &nodes[1]];
    let gateway = TestGateway::with(&format!("{STICKY}nodes = [{{nodes}}]"), &all);
    let file = [("file", "sticky_session.wasm"), ("outcome", "loaded")];
    gateway.drop_plugin("sticky_session.wasm", &variant("sticky_session.wasm", 1));
    wait_until("both versions are known", || gateway.metric("bascule_plugin_loads_total", &file) == 2.0);
    let known = gateway.admin_send("POST", "/plugins/sticky-session/pin?version=000000", "").text();
    let versions: Vec<&str> = known.trim().rsplit("known are ").next().unwrap().split(", ").collect();
    assert_eq!(versions.len(), 2, "{known}");

    let attempts = || gateway.metric("bascule_node_attempts_total", &[]);
    let over = AtomicBool::new(false);
    let (visits, swaps) = thread::scope(|scope| {
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(&gateway, &over))).collect();
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (start, mut seen, mut swaps) = (Instant::now(), 0.0, 0);
            while start.elapsed() < swap_time() {
                let next = Instant::now() + Duration::from_millis(100);
                let path = format!("/plugins/sticky-session/pin?version={}", versions[swaps % 2]);
                let answer = gateway.admin_send("POST", &path, "");
                assert_eq!(answer.status, 200, "{answer:?}");
                swaps += 1;
                if swaps % 10 == 5 {
                    // The nodes change, too: a weight, and another one beside them.
                    let weight = 1 + swaps / 10;
                    let third = format!(
                        "{STICKY}nodes = [{{ address = \"{{node1}}\", weight = {weight} }}, \"{{node2}}\"]"
                    );
                    gateway.rewrite_configuration(&third, &all);
                }
                let now = attempts();
                assert!(now >= seen, "a count went from {seen} to {now}");
                seen = now;
                thread::sleep(next.saturating_duration_since(Instant::now())); // the pace of the swaps
            }
            swaps
        }));
        over.store(true, SeqCst);
        let visits: u64 = visitors.into_iter().map(|visitor| visitor.join().expect("no session moved")).sum();
        (visits, changed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let generation = gateway.plugin_row("sticky-session")["generation"].as_u64();
    assert!(generation >= Some(swaps as u64), "{swaps} swaps made generation {generation:?}");
    println!("{swaps} swaps, {visits} visits");
    assert!(reloads(&gateway, "applied") > 1.0);
    assert_eq!(gateway.metric("bascule_sessions", &[]), 4.0);
    wait_until("every visit is counted", || attempts() == visits as f64);
    assert_eq!(nodes.iter().map(TestNode::hits).sum::<usize>() as u64, visits);
    assert_eq!(gateway.metric("bascule_node_in_flight", &[]), 0.0);
}

#[test]
fn good_and_bad_files_by_turns_cost_no_request() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let mut took = Vec::new();
    let answered = while_requests_run(&gateway, |_| {
        for round in 1..=8_u16 {
            let good = variant("round_robin.wasm", round);
            let start = Instant::now();
            gateway.drop_plugin("picker.wasm", &good);
            wait_until("the good one serves", || loads(&gateway, "loaded") == f64::from(round + 1));
            took.push(start.elapsed());
            let bad =
                [&b"bad"[..], &good[..good.len() / 2 + usize::from(round)]][usize::from(round % 4 == 0)];
            gateway.drop_plugin("picker.wasm", bad);
            wait_until("the bad one is refused", || loads(&gateway, "refused") == f64::from(round));
        }
    });
    took.sort_unstable();
    println!(
        "{answered} requests, none failed; from a file to serving it: median {:?}",
        took[took.len() / 2]
    );
    assert!(answered > 100, "only {answered} requests were sent");
    assert_eq!(next_nodes(&gateway).len(), 8);
}

/// Reloads so often, each time with a content that has to be compiled; prints and answers by how many bytes of memory and
/// by how many open files a reload grows the process, past the first ones.
fn growth(reloads: u16) -> (f64, f64) {
    let node = TestNode::answering("a");
    let text = "[plugin.picker]\nfile = \"picker.wasm\"\n[route.all]\npool = \"main\"\n[pool.main]\npolicy = \"picker\"\nnodes = [{nodes}]";
    let gateway =
        GatewayProcess::with_files(text, &[&node], &[("picker.wasm", &variant("round_robin.wasm", 0))]);
    let mut client = gateway.client();
    let warm = reloads / 3;
    let mut points = Vec::new();
    for number in 1..=reloads {
        gateway.drop_plugin("picker.wasm", &variant("round_robin.wasm", number));
        let generation = u64::from(number) + 1;
        wait_until("it is reloaded", || gateway.snapshot()["plugins"][0]["generation"] == generation);
        for _ in 0..3 {
            assert_eq!(client.get("/").status, 200);
        }
        if number > warm {
            points.push((f64::from(number), gateway.memory().now as f64, gateway.open_files() as f64));
        }
    }
    let slope = |value: fn(&(f64, f64, f64)) -> f64| {
        let count = points.len() as f64;
        let (mean_x, mean_y) =
            (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(value).sum::<f64>() / count);
        let above = points.iter().map(|p| (p.0 - mean_x) * (value(p) - mean_y)).sum::<f64>();
        above / points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>()
    };
    let (memory, files) = (slope(|point| point.1), slope(|point| point.2));
    let last = points.last().expect("there are points");
    println!(
        "{reloads} reloads: {:.1} MiB, {} files; a reload adds {memory:.0} bytes and {files:.3} files",
        last.1 / 1048576.0,
        last.2
    );
    (memory, files)
}

#[test]
fn fifty_reloads_leave_memory_and_files_as_they_were() {
    let (memory, files) = growth(50);
    // A version of this plugin takes some 500 KB as code: one that stayed would show.
    assert!(memory < 150_000.0, "a reload adds {memory} bytes");
    assert!(files < 0.1, "a reload adds {files} files");
}

#[test]
#[ignore = "it takes some minutes: `cargo test -p bascule --test integration -- --ignored thousand --nocapture`"]
fn a_thousand_reloads_leave_memory_and_files_as_they_were() {
    let (memory, files) = growth(1000);
    assert!(memory < 5_000.0 && files < 0.01);
}
