//! What `bascule plugin new` writes builds, passes its own tests and loads, wherever it lies.

use super::{plugin, said};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo in a folder outside of this repository, and what it built. Nothing is fetched: what the SDK needs was fetched
/// to build this repository's plugins.
pub(super) fn cargo(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(folder).args(arguments).envs(environment());
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One target directory for all, so that what the SDK needs is built once.
pub(super) fn environment() -> [(&'static str, PathBuf); 2] {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors");
    [("CARGO_TARGET_DIR", target), ("CARGO_NET_OFFLINE", "true".into())]
}

/// A new plugin's crate in `parent`.
pub(super) fn new(parent: &Path, name: &str, role: &str) -> PathBuf {
    let output = plugin(parent, &["new", name, "--role", role]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parent.join(name)
}

/// Where cargo puts a crate's plugin.
pub(super) fn built(name: &str) -> PathBuf {
    let [(_, target), _] = environment();
    target.join(format!("wasm32-wasip1/release/{name}.wasm"))
}

/// The crate's own tests pass, and its plugin is fine.
fn assert_builds(role: &str, configuration: Option<&str>) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let name = format!("my-{role}");
    let folder = new(parent.path(), &name, role);
    cargo(&folder, &["test", "--lib"]);
    cargo(&folder, &["build", "--release", "--target", "wasm32-wasip1"]);
    let wasm = built(&name.replace('-', "_"));
    let file = wasm.to_str().expect("the path is UTF-8");
    let (text, code) = said(parent.path(), &["inspect", file]);
    assert_eq!(code, Some(0), "{text}");
    let roles = text.lines().find(|line| line.starts_with("roles")).expect("a line of roles");
    assert!(roles.contains(role), "{text}");
    let mut arguments = vec!["check", file];
    arguments.extend(configuration.into_iter().flat_map(|text| ["--config", text]));
    let (text, code) = said(parent.path(), &arguments);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_new_balancer_builds_and_is_fine() {
    assert_builds("balancer", None);
}

#[test]
fn a_new_filter_builds_and_is_fine() {
    assert_builds("filter", None);
}

#[test]
fn a_new_router_builds_and_is_fine() {
    assert_builds("router", Some(r#"{ "header": "x-beta", "pool": "beta" }"#));
}

#[test]
fn a_new_observer_builds_and_is_fine() {
    assert_builds("observer", None);
}

#[test]
fn a_new_timer_builds_and_is_fine() {
    assert_builds("timer", None);
}

#[test]
fn what_exists_is_left_alone() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(parent.path().join("mine")).expect("a folder");
    let (text, code) = said(parent.path(), &["new", "mine"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("exists already"), "{text}");
    assert_eq!(fs::read_dir(parent.path().join("mine")).expect("it is there").count(), 0);
}
