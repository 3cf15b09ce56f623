//! The command line: reads arguments, starts what they name, and turns the outcome into an exit code.
//!
//! 0: fine; 1: it failed while running; 2: the input was wrong.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

mod demo;
mod plugin_command;
mod register_command;
mod running;
mod upgrade_command;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bascule::control::config::{self, Config};
use bascule::control::{check_certificates, check_plugins};
use bascule::plugin::Engine;
use clap::{Parser, Subcommand};
use plugin_command::PluginCommand;
use register_command::Register;

/// An edge gateway that hands every balancing decision to sandboxed WebAssembly plugins.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration; opens no socket and runs no plugin.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Also load the plugins and hand them their configuration.
        #[arg(long)]
        plugins: bool,
    },
    /// Let a new process take over from a running gateway, which ends when that is ready.
    Upgrade {
        /// The configuration file of the gateway that runs.
        #[arg(long)]
        config: PathBuf,
        /// The process that it has to be.
        #[arg(long)]
        pid: Option<i32>,
    },
    /// Keep a node in a registry while it is well; start it, and stop it after it was taken out.
    Register(Box<Register>),
    /// Run three demo nodes and the gateway before them.
    Demo {
        /// The configuration file; config/quickstart.toml, or config/tls.toml with --tls.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Make a certificate for localhost beside the configuration, if there is none: site.pem and site.key.
        #[arg(long)]
        tls: bool,
    },
    /// Make, look at and try plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// What ends the program early.
enum Failure {
    /// The input was wrong; the text says where and what to write.
    Input(String),
    /// It failed while running.
    Running(anyhow::Error),
    /// The same, and what there is to say was said.
    Told,
    /// Another program ended so.
    Code(u8),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Running(error)
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { config } => running::run(config, false),
        Command::Demo { config, tls } => demo(config, tls),
        Command::Upgrade { config, pid } => upgrade_command::run(&config, pid),
        Command::Register(register) => register_command::run(*register),
        Command::Check { config, plugins } => check(&config, plugins),
        Command::Plugin(command) => plugin_command::run(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(text)) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
        Err(Failure::Running(error)) => {
            eprintln!("bascule: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Code(code)) => ExitCode::from(code),
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(|errors| Failure::Input(errors.to_string()))
}

fn demo(config: Option<PathBuf>, tls: bool) -> Result<(), Failure> {
    let default = if tls { "config/tls.toml" } else { "config/quickstart.toml" };
    let config = config.unwrap_or_else(|| default.into());
    if tls {
        demo::make_certificate(config.parent().unwrap_or(Path::new("")))?;
    }
    running::run(config, true)
}

fn check(path: &Path, plugins: bool) -> Result<(), Failure> {
    let config = load(path)?;
    check_certificates(&config).map_err(|errors| Failure::Input(errors.to_string()))?;
    if plugins {
        let engine = Engine::new().context("plugins cannot run on this machine")?;
        check_plugins(&config, Arc::new(engine), Arc::default())
            .map_err(|errors| Failure::Input(errors.to_string()))?;
    }
    println!("{} is fine", path.display());
    Ok(())
}
