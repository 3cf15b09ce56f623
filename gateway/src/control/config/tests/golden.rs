//! Each tests/golden/NAME.toml is wrong in some ways; NAME.txt is what a user reads then, so that wording is reviewed.
//! `BASCULE_BLESS=1 cargo test -p bascule golden` writes the texts anew.

use std::collections::BTreeSet;
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::control::config::{Outside, load_from};

/// The folder of golden files as a system of its own, so that no text names a path of this machine.
struct Golden(PathBuf);

impl Outside for Golden {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // The system's own words differ from one system to the next.
        fs::read(self.0.join(path)).map_err(|_| io::Error::other("no such file"))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        super::super::System.list(&self.0.join(folder)).map_err(|_| io::Error::other("no such folder"))
    }

    fn environment(&self, _name: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }
}

#[test]
fn golden_errors() {
    let golden = Golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"));
    let plugins: BTreeSet<String> =
        ["header_rewrite.wasm", "least_connections.wasm", "sticky_session.wasm"].map(str::to_owned).into();
    let names = super::super::System.list(&golden.0).unwrap();
    let mut cases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".toml")).collect();
    cases.sort_unstable();
    assert!(cases.len() >= 30, "golden files are missing: {cases:?}");
    let mut differ = Vec::new();
    for case in cases {
        let errors = load_from(Path::new(&format!("{case}.toml")), &golden)
            .and_then(|config| config.check_plugin_files(&plugins))
            .expect_err(case);
        let text = format!("{errors}\n");
        let path = golden.0.join(case).with_extension("txt");
        if std::env::var_os("BASCULE_BLESS").is_some() {
            fs::write(path, text).unwrap();
        } else if fs::read_to_string(path).unwrap_or_default() != text {
            differ.push(format!("--- {case}\n{text}"));
        }
    }
    assert!(differ.is_empty(), "these texts changed:\n{}", differ.join("\n"));
}
