//! `bascule plugin …` as an author meets it: the program itself, in folders that are empty at first.

mod crates;
mod dev;

use crate::support::plugin_file;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// `bascule plugin` with these arguments, in a folder.
pub(crate) fn plugin(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.current_dir(folder).arg("plugin").args(arguments).output().expect("bascule runs")
}

/// What it printed, and its exit code.
fn said(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = plugin(folder, arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("it prints UTF-8");
    // A plugin's panic is told; the program's own would be of this thread.
    assert!(!text.contains("thread 'main'"), "{arguments:?}: {text}");
    (text, output.status.code())
}

/// A folder with these built plugins in it.
fn folder_with(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in files {
        fs::write(folder.path().join(file), plugin_file(file)).expect("the plugin is copied");
    }
    folder
}

#[test]
fn inspect_says_what_a_plugin_is_as_text_and_as_json() {
    let folder = folder_with(&["sticky_session.wasm"]);
    let (text, code) = said(folder.path(), &["inspect", "sticky_session.wasm"]);
    assert_eq!(code, Some(0), "{text}");
    for expected in ["lifecycle, balancer, filter", "sessions", "SDK       0.1.0", "contract  0.1.0"] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    let (json, code) = said(folder.path(), &["inspect", "--json", "sticky_session.wasm"]);
    let report: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((code, &report["sdk"], &report["kind"]), (Some(0), &"0.1.0".into(), &"core module".into()));
    let size = plugin_file("sticky_session.wasm").len();
    assert_eq!(report["size"], size, "{json}");
}

#[test]
fn check_is_fine_with_a_good_plugin() {
    let folder = folder_with(&["round_robin.wasm", "round_robin_p2.wasm"]);
    for file in ["round_robin.wasm", "round_robin_p2.wasm"] {
        let (text, code) = said(folder.path(), &["check", file]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("It is fine") && text.contains("pick "), "{text}");
    }
}

#[test]
fn check_tells_faults_by_function_and_ends_with_1() {
    let folder = folder_with(&["hostile.wasm"]);
    let (text, code) = said(folder.path(), &["check", "hostile.wasm", "--config", r#"{ "pick": "panic" }"#]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAULT pick") && text.contains("It has faults"), "{text}");
    assert!(!text.contains("FAULT route"), "{text}");
}

#[test]
fn check_takes_a_use_of_a_configuration() {
    let folder = folder_with(&["header_rewrite.wasm"]);
    let text = "[listener.public]\naddress = \"127.0.0.1:0\"\n[plugin.edge]\nfile = \"header_rewrite.wasm\"\n\
                config = { request = { set = { x-edge = \"1\" } } }\n[route.all]\nfilters = [\"edge\"]\npool = \"main\"\n\
                [pool.main]\nnodes = [\"127.0.0.1:1\"]\n";
    fs::write(folder.path().join("bascule.toml"), text).expect("the file is written");
    let of_use = |name| {
        said(folder.path(), &["check", "header_rewrite.wasm", "--use", name, "--config-file", "bascule.toml"])
    };
    let (text, code) = of_use("edge");
    assert_eq!(code, Some(0), "{text}");
    let (text, code) = of_use("edgy");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there are: edge"), "{text}");
}

#[test]
fn wrong_input_is_one_sentence_and_ends_with_2() {
    let folder = folder_with(&["header_rewrite.wasm"]);
    fs::write(folder.path().join("notes.txt"), "hello").expect("the file is written");
    for (arguments, words) in [
        (&["check", "header_rewrite.wasm"][..], "nothing to rewrite"),
        (&["check", "header_rewrite.wasm", "--config", "x"], "no JSON table"),
        (&["bench", "header_rewrite.wasm"], "nothing to rewrite"),
        (&["inspect", "notes.txt"], "a text file"),
        (&["check", "notes.txt"], "a text file"),
        (&["check", "nothing.wasm"], "cannot be read"),
        (&["dev", "--gateway-folder", "."], "no Cargo.toml"),
        (&["dev"], "--gateway-folder"),
        (&["new", "By_Zone"], "`by-zone` would do"),
    ] {
        let (text, code) = said(folder.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn bench_measures_every_file_that_it_can() {
    let folder = folder_with(&["power_of_two.wasm", "header_rewrite.wasm", "round_robin.wasm"]);
    let (text, code) =
        said(folder.path(), &["bench", "power_of_two.wasm", "header_rewrite.wasm", "round_robin.wasm"]);
    assert_eq!(code, Some(2), "one of them needs a configuration: {text}");
    assert_eq!(text.matches("\npick ").count(), 2, "{text}");
}
