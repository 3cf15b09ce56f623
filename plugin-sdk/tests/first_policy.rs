//! "Your first policy in five minutes" is one text: the page in the SDK, the README, and code that passes its own test.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../src/first_policy/by_zone.rs"]
mod by_zone;

const CODE: &str = include_str!("../src/first_policy/by_zone.rs");
const README: &str = include_str!("../../README.md");
const PAGE: &str = include_str!("../src/first_policy.rs");

/// The first block of Rust in the README.
fn readme_code() -> &'static str {
    let (_, rest) = README.split_once("```rust\n").expect("the README shows code");
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn the_readme_shows_the_code_of_the_page() {
    assert_eq!(readme_code(), CODE, "README.md and src/first_policy/by_zone.rs say different things");
}

#[test]
fn the_readme_and_the_page_tell_the_same_commands() {
    for command in [
        "bascule plugin new by-zone",
        "cargo test",
        "rustup target add wasm32-wasip1",
        "bascule plugin dev --config",
        "policy = [\"by-zone\", \"least-connections\"]",
        "bascule plugin check",
    ] {
        assert!(README.contains(command), "README.md lacks `{command}`");
        assert!(PAGE.contains(command), "src/first_policy.rs lacks `{command}`");
    }
}
