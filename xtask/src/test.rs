//! `cargo xtask test`: builds what the tests load, gets the servers that they use, then runs all of them. Behind cargo test's own
//! summary stands only which tests were skipped.

use crate::{plugins, servers, tools};
use anyhow::Result;
use clap::Args;
use std::fs;
use test_servers::{Program, SKIPPED_TESTS};

/// What `cargo xtask test` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Arguments of `cargo test`, such as `-p bascule NAME`; without any, the whole workspace is tested
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    plugins::shipped()?;
    plugins::guests()?;
    servers::prepare(&Program::ALL);
    let skipped = tempfile::NamedTempFile::new()?;
    let mut cargo = tools::cargo();
    cargo.arg("test").env(SKIPPED_TESTS, skipped.path());
    if options.arguments.is_empty() {
        cargo.arg("--workspace");
    }
    let passed = tools::run(cargo.args(&options.arguments));
    let skipped = fs::read_to_string(skipped.path())?;
    if !skipped.is_empty() {
        println!("\n{} tests were skipped:\n{skipped}", skipped.lines().count());
    }
    passed
}
