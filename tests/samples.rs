//! The samples in config/, and `bascule check`, which reads them.

mod cluster;

use crate::support::Authority;
use bascule::control::config;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("config")).expect("the folder config/");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

fn check(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bascule"))
        .args(["check", "--config"])
        .arg(path)
        .output()
        .expect("bascule runs")
}

/// The files that `cargo xtask plugins` makes of plugins/.
fn shipped() -> BTreeSet<String> {
    let crates = fs::read_dir(root().join("plugins")).expect("the folder plugins/");
    let names = crates.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    names.map(|name| format!("{}.wasm", name.replace('-', "_"))).collect()
}

#[test]
fn every_sample_loads_and_names_only_plugins_that_are_shipped() {
    let samples = samples();
    assert!(samples.iter().any(|path| path.ends_with("quickstart.toml")), "{samples:?}");
    // A copy of them with certificates for those that name one.
    let folder = tempfile::tempdir().expect("a temporary folder");
    for stem in ["site", "pebble"] {
        Authority::new().issue_into(folder.path(), stem, &["localhost"]);
    }
    for sample in samples {
        let path = folder.path().join(sample.file_name().expect("it has a name"));
        fs::copy(&sample, &path).expect("it is copied");
        let config = config::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        config.check_plugin_files(&shipped()).unwrap_or_else(|errors| panic!("{errors}"));
        let output = check(&path);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {said}", path.display());
    }
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bascule.toml");
    fs::write(&path, text).expect("the file is written");
    (folder, path)
}

#[test]
fn check_needs_no_socket_and_no_plugin() {
    // Both addresses are taken, no node listens, and there is no folder of plugins.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let text = format!(
        "[admin]\naddress = \"{address}\"\n[plugins]\ndirectory = \"not/there\"\n[listener.public]\naddress = \"{address}\"\n\
         [route.all]\nfilters = [\"edge\"]\npool = \"main\"\n[pool.main]\npolicy = \"mine\"\nnodes = [\"no.such.name.invalid:1\"]\n\
         [plugin.edge]\nfile = \"edge.wasm\"\n"
    );
    let (_folder, path) = written(&text.replacen(&address.to_string(), "127.0.0.1:9901", 1));
    let output = check(&path);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_says_everything_that_is_wrong_and_where() {
    let (_folder, path) = written(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.all]\npool = \"mian\"\n[pool.main]\nnodes = [\"127.0.0.1:1\"]\nwieght = 2\n",
    );
    let output = check(&path);
    assert_eq!(output.status.code(), Some(2), "the input was wrong");
    let said = String::from_utf8_lossy(&output.stderr);
    for expected in ["bascule.toml:4:8", "mian", "bascule.toml:7:1", "wieght"] {
        assert!(said.contains(expected), "{expected:?} is missing in:\n{said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_wrong_input() {
    for command in ["check", "run"] {
        let output = Command::new(env!("CARGO_BIN_EXE_bascule"))
            .args([command, "--config", "no/such/file.toml"])
            .output()
            .expect("bascule runs");
        assert_eq!(output.status.code(), Some(2), "{command}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no/such/file.toml"), "{command}: {said}");
        assert!(!said.contains("panicked"), "{command}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let (folder, path) = written(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[plugins]\ndirectory = \"plugins\"\n[listener.public]\naddress = \"{address}\"\n\
         [route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"127.0.0.1:1\"]\n"
    ));
    fs::create_dir(folder.path().join("plugins")).expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_bascule"))
        .args(["run", "--config"])
        .arg(path)
        .output()
        .expect("bascule runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address.to_string()), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
