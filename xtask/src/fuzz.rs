//! `cargo xtask fuzz`: what must hold of anything that strangers send, first for the seeds, then for what libFuzzer makes of them.
//!
//! It needs no nightly compiler: the gateway has no unsafe code, so no sanitizer is missed. A machine without cargo-fuzz or a C++
//! compiler replays the seeds, and says that this was all.

use crate::tools;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of cargo-fuzz that is installed where there is none.
const CARGO_FUZZ: &str = "0.13.2";

/// What `cargo xtask fuzz` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target
    target: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = targets()?;
    let wanted: Vec<&String> =
        all.iter().filter(|name| options.target.as_ref().is_none_or(|target| target == *name)).collect();
    if wanted.is_empty() {
        bail!("there is no such target; the targets are {}", all.join(", "));
    }
    println!("==> the seeds of all targets");
    tools::run(fuzz_cargo("test").arg("--quiet"))?;
    let Some(cargo_fuzz) = cargo_fuzz() else {
        println!(
            "Fuzzing is skipped: there is no cargo-fuzz and no C++ compiler to have one; the seeds were replayed, and no more."
        );
        return Ok(());
    };
    for target in wanted {
        println!("==> {target}, {} s", options.seconds);
        let corpus = built().join("corpus").join(target);
        tools::run(fuzz_cargo("run").args(["--quiet", "--example", "seeds", "--", target]).arg(&corpus))?;
        hunt(&cargo_fuzz, target, &corpus, options.seconds)?;
    }
    println!("==> no finding");
    Ok(())
}

/// Runs one target. libFuzzer's own words are only worth reading when it found something.
fn hunt(cargo_fuzz: &Path, target: &str, corpus: &Path, seconds: u32) -> Result<()> {
    let mut fuzz = Command::new(cargo_fuzz);
    // It asks for its own name as the first word, as cargo would give it.
    fuzz.current_dir(tools::root().join("fuzz")).args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]);
    fuzz.arg(built()).arg(target).arg(corpus).arg("--");
    fuzz.arg(format!("-max_total_time={seconds}")).args(["-max_len=4096", "-print_final_stats=1"]);
    let ended = fuzz.output().context("cannot start cargo-fuzz")?;
    let words = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        bail!(
            "{words}\na property of {target} does not hold: keep what fuzz/artifacts/{target} has in fuzz/regressions/{target}, and mend \
             the code"
        );
    }
    let played = words.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("{} inputs", played.context("cargo-fuzz does not say what it played")?.trim());
    Ok(())
}

/// Where all of it is built, and grown corpora stay.
fn built() -> PathBuf {
    tools::root().join("target/fuzz")
}

/// `cargo` for the crate without libFuzzer.
fn fuzz_cargo(command: &str) -> Command {
    let mut cargo = tools::cargo();
    cargo.arg(command).args(["--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--target-dir"]);
    cargo.arg(built());
    cargo
}

/// Each has a file of its name.
fn targets() -> Result<Vec<String>> {
    let folder = tools::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context("fuzz/fuzz_targets is not there")? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The program, installed into target/tools if it is missing; none where that cannot be.
fn cargo_fuzz() -> Option<PathBuf> {
    tools::find("c++")?;
    let own = tools::root().join("target/tools");
    let installed = own.join("bin/cargo-fuzz");
    if let Some(found) = tools::find("cargo-fuzz").or_else(|| installed.is_file().then(|| installed.clone()))
    {
        return Some(found);
    }
    println!("There is no cargo-fuzz; installing it into target/tools.");
    let mut install = tools::cargo();
    install.args(["install", "cargo-fuzz", "--quiet", "--locked", "--version", CARGO_FUZZ, "--root"]);
    tools::run(install.arg(&own)).is_ok().then_some(installed)
}
