//! `cargo xtask lint`: formatting, clippy and rustdoc with warnings as errors, and the dependencies against deny.toml.
//!
//! Every check runs, even after one failed, so that one run shows all there is to mend. It changes nothing.

mod dependencies;
mod licence;
mod yanked;

use crate::tools;
use anyhow::{Result, bail};

/// Its name, what it does, and the way out when it fails.
type Check = (&'static str, fn() -> Result<()>, &'static str);

pub(crate) fn run() -> Result<()> {
    let checks: [Check; 4] = [
        ("formatting", formatting, "run `cargo fmt`"),
        ("clippy", clippy, "mend what it names; CONTRIBUTING.md gives the reason of each ban"),
        ("documentation", documentation, "mend the comments that it names"),
        ("dependencies", dependencies::check, "deny.toml says what is allowed, and why"),
    ];
    let mut failed = Vec::new();
    for (name, check, way_out) in checks {
        println!("==> {name}");
        if let Err(error) = check() {
            eprintln!("{error:#}");
            failed.push(format!("{name} ({way_out})"));
        }
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join("; "));
    }
    println!("==> lint passed");
    Ok(())
}

fn formatting() -> Result<()> {
    tools::run(tools::cargo().args(["fmt", "--all", "--check"]))?;
    tools::run(tools::cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn clippy() -> Result<()> {
    tools::run(tools::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default() + " -D warnings";
    tools::run(tools::cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", flags))
}
