//! Runs cargo on a plugin's crate, and finds the file that it made. Cargo's errors go where cargo's errors go.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::author::Problem;

const TARGET: &str = "wasm32-wasip1";

/// What cargo says of each thing that it made, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The .wasm file of the crate in `folder`, or why there is none: a sentence for the one who saved.
///
/// # Errors
/// When cargo cannot be run.
pub(super) fn build(folder: &Path) -> Result<Result<PathBuf, String>, Problem> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(&cargo)
        .current_dir(folder)
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Problem::Machine(format!(
                "{} does not run: {error}; install Rust from https://rustup.rs",
                cargo.display()
            ))
        })?;
    let output = child.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines());
    let made = output.map_while(Result::ok).filter_map(|line| plugin_of(&line, folder)).last();
    let status = child.wait().map_err(|error| Problem::io("cargo was lost", &error))?;
    if !status.success() {
        return Ok(Err(format!(
            "It does not build. (If cargo misses the target: `rustup target add {TARGET}`.)"
        )));
    }
    Ok(made.ok_or_else(|| {
        "It made no .wasm file: Cargo.toml wants `crate-type = [\"cdylib\", \"rlib\"]` in [lib].".to_owned()
    }))
}

/// The .wasm file that a message of cargo's is about, if it is this crate's.
fn plugin_of(line: &str, folder: &Path) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let own =
        |path: &Path| Some(fs::canonicalize(path).ok()? == fs::canonicalize(folder.join("Cargo.toml")).ok()?);
    if message.reason != "compiler-artifact" || !own(&message.manifest_path)? {
        return None;
    }
    message.filenames.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_crates_own_wasm_file_is_found_among_all_that_cargo_made() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let line = |reason: &str, manifest: &Path| {
            serde_json::json!({
                "reason": reason, "manifest_path": manifest, "filenames": ["/t/liba.rlib", "/t/a.wasm"], "fresh": true
            })
            .to_string()
        };
        let found = |line: &str| plugin_of(line, folder.path());
        assert_eq!(found(&line("compiler-artifact", &manifest)), Some("/t/a.wasm".into()));
        assert_eq!(found(&line("build-script-executed", &manifest)), None);
        assert_eq!(found(&line("compiler-artifact", Path::new("/elsewhere/Cargo.toml"))), None);
        assert_eq!(found("no JSON"), None);
    }
}
