//! The reference and the plugins' READMEs agree with what is read.

use std::fs;
use std::path::{Path, PathBuf};

use super::Invented;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts between "```toml" and "```".
fn examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

#[test]
fn every_key_stands_in_the_reference() {
    let reference = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mirror = include_str!("../file.rs");
    let keys = mirror.lines().filter_map(|line| line.strip_prefix("    ")?.trim_start().split_once(": "));
    let mut found = 0;
    let keys = keys.map(|(key, value)| (key.trim_start_matches("r#"), value));
    for (key, _) in keys.filter(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
        found += 1;
        let written = [
            format!("`{key}`"),
            format!(".{key}`"),
            format!("[{key}]"),
            format!("[{key}."),
            format!(".{key}]"),
        ];
        assert!(written.iter().any(|written| reference.contains(written)), "`{key}` is not described");
    }
    assert!(found > 40, "only {found} keys were found in file.rs");
}

#[test]
fn every_example_is_read() {
    let mut files = vec![root().join("docs/configuration.md")];
    let plugins = fs::read_dir(root().join("plugins")).unwrap();
    files.extend(plugins.map(|entry| entry.unwrap().path().join("README.md")).filter(|path| path.exists()));
    let mut read = 0;
    for file in files {
        for example in examples(&fs::read_to_string(&file).unwrap()) {
            let mut text = example.to_owned();
            if !text.contains("[listener.") {
                text += "\n[listener.public]\naddress = \"127.0.0.1:8080\"\n";
            }
            let mut outside = Invented::default().file("bascule.toml", &text);
            for name in ["EDGE_KEY", "BASCULE_ADMIN_TOKEN", "REGISTRY_TOKEN", "REDIS_PASSWORD"] {
                outside.environment.insert(name.to_owned(), "secret".to_owned());
            }
            // An example need not show the pools that it mentions.
            let errors = outside.load().err();
            let errors = errors.iter().flat_map(|errors| errors.iter()).map(ToString::to_string);
            let errors: Vec<_> = errors.filter(|error| !error.contains(": there is no pool ")).collect();
            assert!(errors.is_empty(), "{}:\n{}", file.display(), errors.concat());
            read += 1;
        }
    }
    assert!(read >= 10, "only {read} examples were found");
}
