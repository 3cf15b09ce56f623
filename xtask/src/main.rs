//! `cargo xtask`: what a person runs here, and what CI runs, is the same command.
//!
//! One file for each command. A command that cannot go on says so in one sentence that ends with what to do.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these commands talk to people, not to a log")]

mod bench;
mod client;
mod conformance;
mod demo;
mod freeze;
mod fuzz;
mod lint;
mod plugins;
mod samples;
mod servers;
mod test;
mod tools;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use test_servers::Program;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start three demo nodes and the gateway on 127.0.0.1:8080, and say what to try
    Demo(demo::Options),
    /// Build the plugins and run all tests; what follows `--` goes to `cargo test`
    Test(test::Options),
    /// Check formatting, clippy, documentation and dependencies
    Lint,
    /// Compare the gateway's cost with that of nginx and haproxy on this machine
    Bench(bench::Options),
    /// Build every shipped plugin into target/plugins
    Plugins(plugins::Options),
    /// Install the real servers that tests and benchmarks use (Redis, etcd, ZooKeeper, Consul, Pebble), as far as they are missing
    Servers,
    /// Check the gateway with tools from outside, and write docs/conformance.md
    Conformance(conformance::Options),
    /// Look for input that breaks what must hold of the codec, paths, configuration, sessions and HTTP/2's heads
    Fuzz(fuzz::Options),
    /// Keep the plugin contract as it is now, and plugins that were built for it, for the tests
    Freeze(freeze::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Plugins(options) => plugins::run(&options),
        Command::Servers => {
            servers::prepare(&Program::ALL);
            Ok(())
        }
        Command::Conformance(options) => conformance::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Freeze(options) => freeze::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
