//! `cargo xtask test`: builds what the tests load, then runs all of them. cargo test's own summary is the last output.

use crate::{plugins, tools};
use anyhow::Result;
use clap::Args;

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
    let mut cargo = tools::cargo();
    cargo.arg("test");
    if options.arguments.is_empty() {
        cargo.arg("--workspace");
    }
    tools::run(cargo.args(&options.arguments))
}
