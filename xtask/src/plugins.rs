//! `cargo xtask plugins`: builds every shipped plugin into target/plugins, and with `--guests` what the tests load.
//!
//! A running gateway watches that folder, so a file appears there whole, and only when its content changed. Nothing is
//! ever deleted from it: people drop plugins of their own there.

use crate::{samples, tools};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What `cargo xtask plugins` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Build the tests' guests into target/guests too
    #[arg(long)]
    guests: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    shipped()?;
    if options.guests {
        guests()?;
    }
    Ok(())
}

/// Builds every crate of plugins/ into target/plugins.
///
/// # Errors
/// When the target cannot be added, or a crate does not compile.
pub(crate) fn shipped() -> Result<()> {
    build("plugins", "plugins", "wasm32-wasip1", |_| true, "")
}

/// Builds every crate of tests/guests into target/guests, and beside them one shipped plugin as a component, which
/// shows that both kinds of file load; and the sample in C.
///
/// # Errors
/// As [`shipped`].
pub(crate) fn guests() -> Result<()> {
    build("tests/guests", "guests", "wasm32-wasip1", |_| true, "")?;
    build("plugins", "guests", "wasm32-wasip2", |name| name == "round-robin", "_p2")?;
    samples::c_policy()
}

/// Where the built plugins lie: target/ in the workspace, wherever cargo's own target directory is.
pub(crate) fn folder() -> PathBuf {
    tools::root().join("target/plugins")
}

/// Where the built guests of the tests lie.
pub(crate) fn guests_folder() -> PathBuf {
    tools::root().join("target/guests")
}

/// Builds the crates in `from` that `wanted` names for a target, and publishes each as target/`to`/NAME`suffix`.wasm.
fn build(from: &str, to: &str, target: &str, wanted: impl Fn(&str) -> bool, suffix: &str) -> Result<()> {
    let root = tools::root();
    let metadata = tools::metadata(&["--no-deps"])?;
    let folder = root.join(from);
    let crates: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| {
            package.manifest_path.parent().and_then(Path::parent) == Some(&folder) && wanted(&package.name)
        })
        .collect();
    if crates.is_empty() {
        bail!("there is nothing to build in {from}: each folder there is one crate with a Cargo.toml");
    }

    tools::ensure_target(target)?;
    let mut cargo = tools::cargo();
    cargo.args(["build", "--lib", "--profile", "plugin", "--target", target]);
    for package in &crates {
        cargo.args(["--package", &package.name]);
    }
    tools::run(&mut cargo)?;

    let built = metadata.target_directory.join(target).join("plugin");
    for package in crates {
        let name = package.crate_name();
        let wasm = std::fs::read(built.join(format!("{name}.wasm"))).with_context(|| {
            format!(
                "{} built no .wasm file: its Cargo.toml wants crate-type = [\"cdylib\", \"rlib\"]",
                package.name
            )
        })?;
        let file = format!("target/{to}/{name}{suffix}.wasm");
        let state = if publish(&root.join(&file), &wasm)? { "new" } else { "unchanged" };
        println!("{:>5} KB  {file}  ({state})", wasm.len().div_ceil(1000));
    }
    Ok(())
}

/// Puts a file in its place whole, and only if its content differs; says whether it did.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn publish(path: &Path, content: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let folder = path.parent().context("a plugin's file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Written beside its place, since a rename is whole only within one file system; the name does not end in .wasm,
    // so the gateway does not look at it.
    let readable = std::fs::Permissions::from_mode(0o644); // the gateway may run as another user
    let mut file = tempfile::Builder::new().prefix(".new-").permissions(readable).tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_only_when_its_content_differs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("plugins/a.wasm");
        assert!(publish(&path, b"one").expect("published"));
        assert!(!publish(&path, b"one").expect("published"));
        assert!(publish(&path, b"two").expect("published"));
        assert_eq!(std::fs::read(&path).expect("readable"), b"two");
        let left = std::fs::read_dir(folder.path().join("plugins")).expect("a folder").count();
        assert_eq!(left, 1, "the temporary file must be gone");
    }
}
