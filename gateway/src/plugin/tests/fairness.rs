//! Whose time a call's deadline counts: time in which its thread did not run is not the plugin's.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::*;
use crate::plugin::Choice;
use crate::plugin::deadline::thread_cpu_time;

/// Threads that keep one processor busy beside the one that calls.
const RIVALS: usize = 6;
const DEADLINE: Duration = Duration::from_millis(40);
/// How long the test waits for calls that are late.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets this thread, and all that it starts, run on one processor only.
fn stay_on_one_processor() {
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|&cpu| all.is_set(cpu)).unwrap());
    sched_setaffinity(None, &one).unwrap();
}

/// A policy that counts so far and then abstains.
fn counting(far: u64) -> Instances {
    let text = format!(
        r#"(func (export "balancer#pick") (result i32) (local $i i64)
            (loop
                (local.set $i (i64.add (local.get $i) (i64.const 1)))
                (br_if 0 (i64.lt_u (local.get $i) (i64.const {far}))))
            (call $answer (i32.const 0) (i32.const 0)))"#
    );
    let mut spec = spec(&[]);
    spec.limits = Limits { deadline: Some(DEADLINE), quarantine: None, ..Limits::default() };
    Instances::new(use_of(spec, &plugin(&["balancer"], &text)).unwrap())
}

/// A policy that takes a fifth of the deadline or a little more of this machine's CPU time.
fn busy() -> Instances {
    let mut far = 1_000_000;
    loop {
        let instances = counting(far);
        instances.warm_up().unwrap();
        let before = thread_cpu_time();
        assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Abstain));
        if thread_cpu_time() - before >= DEADLINE / 5 {
            return instances;
        }
        far += far / 4;
    }
}

#[test]
fn an_innocent_call_on_a_thread_that_is_not_scheduled_is_no_fault() {
    let calling = std::thread::spawn(|| {
        let innocent = busy();
        stay_on_one_processor();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..RIVALS {
                // They inherit the processor.
                scope.spawn(|| {
                    while !over.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let (start, mut late) = (Instant::now(), 0);
            let mut picked = Ok(Choice::Abstain);
            // Until enough calls stood still for longer than they may compute.
            while picked.is_ok() && late < 5 && start.elapsed() < PATIENCE {
                let began = Instant::now();
                picked = innocent.pick(&mut context()).now();
                late += usize::from(began.elapsed() > DEADLINE);
            }
            over.store(true, Relaxed);
            assert_eq!(picked, Ok(Choice::Abstain), "after {late} that were late");
            assert_eq!(late, 5, "the rivals left the processor to the calls");
        });
    });
    calling.join().unwrap();
}

/// `cargo test -p bascule --lib -- --ignored --nocapture what_a_deadline_costs_and_gives`
#[test]
#[ignore = "prints figures and asserts nothing"]
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn what_a_deadline_costs_and_gives() {
    let text = r#"(func (export "balancer#pick") (result i32) (loop (br 0)) unreachable)"#;
    let limits = Limits { quarantine: None, instances: Some(2), ..Limits::default() };
    let looping =
        Instances::new(use_of(UseSpec { limits, ..spec(&[]) }, &plugin(&["balancer"], text)).unwrap());
    let (mut ran, mut took) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        while looping.tend(Instant::now()) {}
        let (began, before) = (Instant::now(), thread_cpu_time());
        looping.pick(&mut context()).now().unwrap_err();
        ran.push(thread_cpu_time() - before);
        took.push(began.elapsed());
    }
    for (what, figures) in [("CPU time", &mut ran), ("wall time", &mut took)] {
        figures.sort_unstable();
        let [least, median, p99, most] = [0, 500, 990, 999].map(|place| figures[place]);
        println!(
            "a looping call is ended after {what} {least:?} to {most:?}, median {median:?}, p99 {p99:?}"
        );
    }
    let ticker = || -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
        let ours = tasks.filter(|task| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("plugin-ticker"))
        });
        let spent = ours.map(|task| std::fs::read_to_string(task.join("schedstat")).unwrap());
        spent.map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let (began, before) = (Instant::now(), ticker());
    while began.elapsed() < Duration::from_secs(5) {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    let share = (ticker() - before) as f64 / began.elapsed().as_nanos() as f64;
    println!("ticking takes {:.2} % of a core", share * 100.0);
}

/// `cargo test -p bascule --lib -- --ignored --nocapture what_a_fault_costs`
#[test]
#[ignore = "prints figures and asserts nothing"]
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn what_a_fault_costs() {
    // It traps at each second call.
    let text = r#"(global $calls (mut i32) (i32.const 0))
        (func (export "balancer#pick") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.eq (global.get $calls) (i32.const 2)) (then unreachable))
            (call $answer (i32.const 0) (i32.const 0)))"#;
    for spares in [0, 1] {
        let limits = Limits { quarantine: None, instances: Some(1 + spares), ..Limits::default() };
        let file = plugin(&["balancer"], text);
        let failing = Instances::new(use_of(UseSpec { limits, ..spec(&[]) }, &file).unwrap());
        let (mut faults, mut next) = (Vec::new(), Vec::new());
        let mut context = context();
        for _ in 0..2_000 {
            for took in [&mut next, &mut faults] {
                let began = Instant::now();
                let _ = failing.pick(&mut context).now();
                took.push(began.elapsed());
            }
            if spares > 0 {
                while failing.tend(Instant::now()) {}
            }
        }
        for (what, figures) in [("a call that traps", &mut faults), ("the call after it", &mut next)] {
            figures.sort_unstable();
            let [median, p99] = [1_000, 1_980].map(|place| figures[place]);
            println!("{spares} spares: {what} takes {median:?}, p99 {p99:?}");
        }
    }
}
