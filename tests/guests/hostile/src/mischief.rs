//! Ways to break down that fit every role.

use std::hint::black_box;

use bascule_plugin::prelude::*;

/// What no plugin should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mischief {
    Trap,
    Panic,
    Loop,
    GrowMemory,
    DeepStack,
    LogFlood,
    MetricFlood,
    Exit,
    GrowAtOnce,
    Leak,
    MillionLines,
    MillionImports,
    LargeLine,
    HugeLine,
    Print,
}

/// Does it. Floods, leaks and lines come back; the rest does not, unless it is stopped.
pub(crate) fn break_down(mischief: Mischief) {
    match mischief {
        Mischief::Trap => trap(),
        Mischief::Panic => panic!("hostile: a panic, as configured"),
        Mischief::Loop => loop {
            black_box(());
        },
        Mischief::GrowMemory => grow_memory(),
        Mischief::DeepStack => {
            black_box(deep_stack(1));
        }
        Mischief::LogFlood => (0..1000).for_each(|_| log::error("hostile: a line of a flood")),
        Mischief::MetricFlood => {
            (0..1000).for_each(|series: u32| metrics::counter(&format!("hostile_{series}"), 1));
        }
        Mischief::GrowAtOnce => {
            black_box(vec![1_u8; 1 << 30]);
        }
        Mischief::Leak => std::mem::forget(black_box(vec![1_u8; 4 << 10])),
        Mischief::MillionLines => (0..1_000_000).for_each(|_| log::error("hostile: a line of a million")),
        Mischief::MillionImports => (0..1_000_000).for_each(|_| metrics::counter("hostile_imports", 1)),
        Mischief::LargeLine => log::error("x".repeat(4 << 20)),
        Mischief::HugeLine => log::error("x".repeat(100 << 20)),
        #[expect(clippy::print_stderr, reason = "the host takes it for the log")]
        Mischief::Print => eprintln!("hostile: printed"),
        #[expect(clippy::disallowed_methods, reason = "no plugin may exit, which is the point")]
        Mischief::Exit => std::process::exit(0),
    }
}

#[cfg(target_family = "wasm")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() -> ! {
    panic!("hostile: a trap, as configured")
}

/// Fills the memory until there is no more, which ends the instance.
fn grow_memory() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Recurses without an end that a compiler could see.
fn deep_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(depth) == 0 {
        return frame[0];
    }
    deep_stack(depth + 1) + frame[63]
}
