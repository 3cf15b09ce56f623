//! Compiling within bounds, and not compiling again.

#![allow(clippy::print_stdout, reason = "measurements are printed")]

use std::time::Duration;

use super::shipped::shipped;
use super::*;

/// How long each of these takes is printed; the counts decide.
#[test]
fn a_restart_compiles_little_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("compiled");
    let all = ["least_connections", "header_rewrite", "sticky_session"].map(shipped);
    let compile_all = |engine: &Engine| {
        let start = std::time::Instant::now();
        for plugin in &all {
            engine.compile(plugin).unwrap();
        }
        (engine.compilations(), start.elapsed())
    };
    let (_, plain) = compile_all(&Engine::new().unwrap());
    let (first, cold) = compile_all(&Engine::with_code(&folder).unwrap());
    let (second, warm) = compile_all(&Engine::with_code(&folder).unwrap());
    println!("without a folder {plain:?}, the first time {cold:?}, after a restart {warm:?}");
    assert!(first.functions > 100, "{first:?}");
    assert_eq!(second.functions + second.reused, first.functions + first.reused);
    // Some have another hash in each engine.
    assert!(second.functions * 5 < first.functions, "{second:?} after {first:?}");
    assert_eq!((first.modules, second.modules), (3, 3));

    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let mut code = std::fs::read(&path).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        std::fs::write(&path, code).unwrap();
    }
    let (third, _) = compile_all(&Engine::with_code(&folder).unwrap());
    assert!(
        third.functions * 5 > first.functions * 4,
        "damaged code is made anew: {third:?} after {first:?}"
    );
    let (fourth, _) = compile_all(&Engine::with_code(&folder).unwrap());
    assert!(fourth.functions * 5 < first.functions, "{fourth:?}");
}

#[test]
fn a_compilation_whose_time_is_over_is_refused_and_blocks_no_later_one_for_ever() {
    let engine = Arc::new(Engine::new().unwrap());
    let content = shipped("least_connections");
    let error = engine.compile_within(&content, Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("it was not compiled within 0 s"), "{error}");
    // While it goes on nothing else is compiled; the test waits for the end of it.
    let end = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match engine.compile_within(&content, Duration::from_secs(60)) {
            Ok(module) => return assert_eq!(module.size, content.len()),
            Err(error) => assert!(error.to_string().contains("still being compiled"), "{error}"),
        }
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
}

/// What the bounds on code were chosen from: `cargo test -p bascule --lib -- --ignored how_long --nocapture`.
#[test]
#[ignore = "it measures, and asserts nothing"]
fn how_long_functions_of_a_size_take() {
    for (what, line) in [
        ("straight", "(local.set $a (i32.add (i32.mul (local.get $a) (local.get $b)) (i32.const 7)))"),
        ("branching", "(block (br_if 0 (local.get $a)) (local.set $b (i32.load (local.get $a))))"),
        ("calling", "(local.set $a (call $answer (local.get $a) (local.get $b)))"),
    ] {
        for lines in [5_000, 20_000, 80_000] {
            let body = format!(
                "(func (export \"balancer#pick\") (result i32) (local $a i32) (local $b i32) {} (local.get $a))",
                line.repeat(lines)
            );
            let file = plugin(&["balancer"], &body);
            let start = std::time::Instant::now();
            let made = ENGINE.compile(&file).map(|_| ());
            println!("{what}: {} KiB in {:?} {made:?}", file.len() >> 10, start.elapsed());
        }
    }
}
