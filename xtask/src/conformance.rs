//! `cargo xtask conformance`: what tools from outside find, and what must be shown of the protocols frame by frame.
//!
//! Each check has an expectation, and one that is not met makes the command fail. A tool that is not there is named and
//! skipped. Without a name all parts are played, and docs/conformance.md is written anew.

mod ground;
mod http2;
mod report;

use crate::{bench, tools};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ground::Ground;
use report::{Outcome, Part};
use std::path::PathBuf;
use std::process::Command;

/// What `cargo xtask conformance` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this part
    part: Option<Name>,
    /// Check this binary, and do not build one
    #[arg(long)]
    gateway: Option<PathBuf>,
}

/// The parts.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Name {
    /// The cases of h2spec, beside nginx and HAProxy
    Http2,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let gateway = match &options.gateway {
        Some(path) => path.clone(),
        None => {
            tools::run(tools::cargo().args(["build", "--package", "bascule", "--bin", "bascule"]))?;
            tools::root().join("target/debug/bascule")
        }
    };
    let ground = Ground::prepare(&gateway)?;
    let mut parts = Vec::new();
    for name in Name::value_variants().iter().filter(|name| options.part.is_none_or(|part| part == **name)) {
        let part = match name {
            Name::Http2 => http2(&ground)?,
        };
        part.print();
        parts.push(part);
    }
    if options.part.is_none() {
        write(&parts)?;
    }
    match parts.iter().map(Part::failures).sum::<usize>() {
        0 => Ok(()),
        failures => bail!("{failures} expectations are not met; they are named above"),
    }
}

fn http2(ground: &Ground) -> Result<Part> {
    let ours = http2::play_ours(ground.plain)?;
    let mut others = Vec::new();
    for (name, server) in [("nginx", ground.nginx()), ("haproxy", ground.haproxy())] {
        match server {
            Ok(server) => others.push((bench::servers::version(name), http2::play(server.port)?)),
            Err(error) => println!("{name} is not compared: {error:#}"),
        }
    }
    let tool = "h2spec's cases, frame by frame".to_owned();
    Ok(Part { name: "http2", tool, outcome: Outcome::Played { ours, others } })
}

/// Writes docs/conformance.md.
fn write(parts: &[Part]) -> Result<()> {
    let date = tools::output(Command::new("date").args(["-u", "+%F"]))?;
    let text = include_str!("conformance/document.md").to_owned() + &report::document(parts, date.trim());
    let path = tools::root().join("docs/conformance.md");
    std::fs::write(&path, text)?;
    println!("docs/conformance.md is written");
    Ok(())
}
