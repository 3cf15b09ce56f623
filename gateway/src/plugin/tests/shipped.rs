//! The shipped plugins load, take their smallest configuration and pass their trial.

use std::path::PathBuf;

use super::*;

/// Built by `cargo xtask plugins`; the test fails with that advice if they were not.
pub(super) fn shipped(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target").into(), PathBuf::from);
    let path = target.join("plugins").join(format!("{name}.wasm"));
    std::fs::read(path).expect("run `cargo xtask plugins --guests` first")
}

#[test]
fn shipped_plugins_pass_their_trial() {
    for (name, configuration) in [
        ("round_robin", "{}"),
        ("least_connections", "{}"),
        ("power_of_two", "{}"),
        ("prequal", "{}"),
        ("zone_first", "{}"),
        ("sticky_session", "{}"),
        ("header_rewrite", r#"{ "request": { "set": { "x-edge": "bascule" } } }"#),
        ("rate_limit", r#"{ "rate": "10/s" }"#),
    ] {
        let mut spec = spec(&["shared"]);
        spec.configuration = configuration.to_owned();
        let owner = use_of(spec, &shipped(name)).unwrap();
        owner.trial().unwrap();
    }
}

#[test]
fn a_misspelt_key_is_refused_in_words() {
    let mut spec = spec(&[]);
    spec.configuration = r#"{ "cokie": "x" }"#.to_owned();
    let error = use_of(spec, &shipped("sticky_session")).unwrap().trial().unwrap_err().to_string();
    assert!(error.starts_with("plugin \"test\": ") && error.contains("cokie"), "{error}");
}
