//! `cargo xtask demo`: builds the plugins and the gateway, starts three demo nodes and the gateway, says what to try.
//!
//! With `--check` nobody has to watch: each thing that the text promises is tried and asserted. The promises and their
//! checks are one list, in `demo/tries.rs`. The nodes themselves are the gateway's: `bascule demo`.

mod check;
mod tries;

use crate::{plugins, tools};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What listens where in the demo, as config/quickstart.toml and `bascule demo` have it.
const PORTS: [(u16, &str); 5] =
    [(8080, "the gateway"), (9901, "its admin API"), (9001, "node-a"), (9002, "node-b"), (9003, "node-c")];
const CONFIG: &str = "config/quickstart.toml";

/// What `cargo xtask demo` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Try everything unattended, and end with an error if something is not as the text says
    #[arg(long)]
    check: bool,
    /// Use the dev profile, which builds faster and runs slower
    #[arg(long)]
    dev: bool,
    /// Use this binary, and do not build one
    #[arg(long, conflicts_with = "dev")]
    gateway: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ports_free()?; // before a build of minutes, not after it
    plugins::shipped()?;
    let gateway = match &options.gateway {
        Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display()))?,
        None => build(options.dev)?,
    };
    ports_free()?;
    let mut command = Command::new(gateway);
    command.current_dir(tools::root()).args(["demo", "--config", CONFIG]);
    if options.check {
        return check::run(command);
    }
    print!("{}", tries::text());
    // The gateway takes this process's place, so Ctrl-C, or a signal to what the person started, stops all of it.
    let error = command.exec();
    bail!("the gateway did not start: {error}");
}

/// Builds the gateway, and answers where it lies.
fn build(dev: bool) -> Result<PathBuf> {
    let mut cargo = tools::cargo();
    cargo.args(["build", "--bin", "bascule"]);
    if dev {
        // With the features that `cargo test --workspace` unifies, so that what it built, wasmtime above all, is used again.
        cargo.arg("--workspace");
    } else {
        println!("Building the gateway with full optimisation; the first time takes some minutes.");
        cargo.args(["--release", "--package", "bascule"]);
    }
    tools::run(&mut cargo)?;
    let target = tools::metadata(&["--no-deps"])?.target_directory;
    Ok(target.join(if dev { "debug" } else { "release" }).join("bascule"))
}

fn ports_free() -> Result<()> {
    for (port, user) in PORTS {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            bail!(
                "port {port} is in use, and the demo needs it for {user}: see who holds it with \
                 `ss -ltnp 'sport = :{port}'`, stop that, and run the demo again"
            );
        }
    }
    Ok(())
}
