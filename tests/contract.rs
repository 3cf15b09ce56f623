//! The plugin contract keeps what it promised: plugins that were built for an earlier 0.1 keep running.
//!
//! tests/contract/VERSION holds the contract as it was, and plugins as they were built for it (`cargo xtask freeze`). Today's
//! contract is compared with each, and today's gateway runs those files.

mod compare;
mod guests;

use compare::{Contract, broken};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of all frozen versions.
fn frozen() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/contract")).expect("the frozen contracts");
    let folders: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.into_iter().filter(|path| path.join("wit").is_dir()).collect()
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("wit/bascule.wit")).expect("the contract")
}

#[test]
fn todays_contract_has_all_of_every_frozen_one() {
    let today = Contract::read(&text(&root().join("plugin-sdk")));
    let frozen = frozen();
    assert!(!frozen.is_empty(), "no version was frozen: run `cargo xtask freeze`");
    for folder in frozen {
        let broken = broken(&Contract::read(&text(&folder)), &today);
        assert!(
            broken.is_empty(),
            "plugins that were built for {} would not load any more. Add functions instead; what changed is\n{}",
            folder.file_name().and_then(|name| name.to_str()).expect("a version"),
            broken.join("\n")
        );
    }
}

/// What is broken if the frozen contract is changed like this.
fn after(changes: &[(&str, &str)]) -> Vec<String> {
    let frozen = text(&root().join("tests/contract/0.1.0"));
    let changed = changes.iter().fold(frozen.clone(), |text, (old, new)| {
        assert!(text.contains(old), "{old:?} is not in the contract: is this test still right?");
        text.replacen(old, new, 1)
    });
    broken(&Contract::read(&frozen), &Contract::read(&changed))
}

#[test]
fn a_new_function_or_interface_breaks_nothing() {
    let function = ("count: func() -> u32;", "count: func() -> u32;\n spare: func() -> u32;");
    let interface =
        ("interface outcome {", "interface spare { name: func() -> string; }\ninterface outcome {");
    assert_eq!(after(&[function, interface]), [""; 0]);
}

#[test]
fn a_new_name_for_a_parameter_breaks_nothing() {
    assert_eq!(after(&[("find: func(id: string)", "find: func(key: string)")]), [""; 0]);
}

#[test]
fn a_function_or_an_interface_that_is_gone_is_said() {
    assert_eq!(after(&[("count: func() -> u32;", "")]), ["nodes: the function `count` is gone"]);
    let renamed = [
        ("interface timer {", "interface clock {"),
        ("export timer;", "export clock;"),
        ("export timer;", "export clock;"),
    ];
    assert_eq!(after(&renamed), ["timer: the interface is gone"]);
}

#[test]
fn what_grew_or_changed_is_said() {
    for (old, new, expected) in [
        (
            "count: func() -> u32;",
            "count: func() -> u64;",
            "nodes: the function `count` was `func() -> u32` and is `func() -> u64`",
        ),
        (
            "enum scope { every-worker, one-worker }",
            "enum scope { every-worker, one-worker, any-worker }",
            "timer: `scope` was `enum { every-worker, one-worker }` and is `enum { every-worker, one-worker, any-worker }`",
        ),
        (
            "record binding { token: string, node: string }",
            "record binding { token: string, node: string, age: u64 }",
            "sessions: `binding` was `record { token: string, node: string }` and is \
             `record { token: string, node: string, age: u64 }`",
        ),
        (
            "reject(u16),",
            "reject(u16),\n again,",
            "balancer: `choice` was `variant { abstain, node(u32), reject(u16) }` and is \
             `variant { abstain, node(u32), reject(u16), again }`",
        ),
    ] {
        assert_eq!(after(&[(old, new)]), [expected], "{old}");
    }
}
