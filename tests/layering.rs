//! The import rule (design: "The two paths, and the one rule"), read from the gateway's sources.
//!
//! Each module uses only what stands below it. Nobody has to remember that: this test does.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and texts without a place in the two paths; each layer may use them, and they use no layer.
const COMMON: [&str; 4] = ["cidr", "error", "name", "telemetry"];

/// Each layer, and the others that it may use.
const LAYERS: [(&str, &[&str]); 10] = [
    ("http", &[]),
    ("node", &[]),
    ("store", &[]),
    ("transport", &["http", "node"]),
    ("plugin", &["http", "node", "store"]),
    ("author", &["http", "node", "plugin", "store"]),
    ("snapshot", &["http", "node", "plugin", "transport"]),
    ("proxy", &["http", "node", "plugin", "transport", "snapshot"]),
    ("registration", &["http", "node", "plugin", "transport", "snapshot", "control"]),
    ("control", &["http", "node", "store", "plugin", "transport", "snapshot"]),
];

/// What a snapshot has no business with: waiting and I/O.
const NOT_IN_A_SNAPSHOT: [&str; 8] =
    ["async ", ".await", "tokio::", "std::fs", "std::io", "std::process", "TcpStream", "TcpListener"];

#[test]
fn each_module_uses_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for (layer, below) in LAYERS {
        let files = sources_of(layer);
        assert!(!files.is_empty(), "gateway/src/{layer}.rs is gone: is this list still right?");
        for file in files {
            for used in used_modules(&code(&file)) {
                let allowed =
                    used == layer || below.contains(&used.as_str()) || COMMON.contains(&used.as_str());
                if !allowed {
                    wrong.push(format!("{}: {layer} may not use {used}", file.display()));
                }
            }
        }
    }
    for file in COMMON.iter().flat_map(|name| sources_of(name)) {
        for used in used_modules(&code(&file)) {
            if !COMMON.contains(&used.as_str()) {
                wrong.push(format!("{}: it stands below all and may not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_snapshot_does_not_wait_and_does_no_io() {
    for file in sources_of("snapshot") {
        let code = code(&file);
        let found = NOT_IN_A_SNAPSHOT.iter().find(|word| code.contains(**word));
        assert_eq!(found, None, "{}", file.display());
    }
}

#[test]
fn every_source_file_belongs_to_a_layer() {
    // Only these join the layers, and nobody below may know them.
    let top = [
        "lib",
        "main",
        "gateway",
        "demo",
        "plugin_command",
        "register_command",
        "running",
        "upgrade_command",
    ];
    for entry in fs::read_dir(source_folder()).expect("the sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let known = top.contains(&name.as_str()) || COMMON.contains(&name.as_str());
        let layer = LAYERS.iter().any(|(layer, _)| *layer == name);
        assert!(known || layer, "{}: say in this file where it stands", path.display());
    }
}

#[test]
fn component_model_async_is_off() {
    // Cargo unifies features: a dependency could turn it on, and each call would cost 3.7 times as much.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal,features",
            "--package",
            "bascule",
            "--invert",
            "wasmtime",
        ])
        .arg("--manifest-path")
        .arg(lock)
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.contains("wasmtime feature \"component-model\""), "cargo tree said: {tree}");
    assert!(!tree.contains("component-model-async"), "{tree}");
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// NAME.rs and all below NAME/.
fn sources_of(module: &str) -> Vec<PathBuf> {
    let file = source_folder().join(format!("{module}.rs"));
    let mut files: Vec<_> = file.exists().then_some(file).into_iter().collect();
    let mut folders = vec![source_folder().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// A file's text without its comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source file");
    text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect()
}

/// The modules that stand behind `crate::`, those in braces included.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            used.push(identifier(rest));
            continue;
        };
        let mut depth = 0;
        let mut at_start = true;
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                _ if at_start && !letter.is_whitespace() => {
                    at_start = false;
                    used.push(identifier(&group[at..]));
                }
                _ => {}
            }
        }
    }
    // What is not a module in lowercase is a macro or a type at the crate's root, and there are none.
    used.retain(|name| name.starts_with(|first: char| first.is_ascii_lowercase()));
    used
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[test]
fn the_reader_finds_every_form_of_use() {
    let code = "use crate::http::Head;\nuse crate::{node::{self, Live}, proxy, control::config};\nfn a() { crate::plugin::b() }";
    assert_eq!(used_modules(code), ["http", "node", "proxy", "control", "plugin"]);
}
