//! `cargo xtask bench`: what a request costs in bascule, nginx and haproxy on this machine.
//!
//! Only ratios travel between machines, and only those of one round: each proxy runs pinned to one core with one worker,
//! the load and the nodes (nginx, static) on another; rounds are interleaved (A B C A B C ...), so that drift hits
//! every proxy alike; a ratio to nginx is taken within a round, and medians over the rounds are printed. CPU time is
//! that of the proxy's whole process tree, from the kernel's own count.

mod calls;
mod cluster;
mod configuration;
mod discovery;
mod faults;
mod gateways;
mod idle;
mod instructions;
mod load;
mod paced;
mod plugin_faults;
mod process;
mod reloads;
pub(crate) mod servers;
mod slowloris;
mod table;
mod tls;

use crate::{plugins, tools};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use configuration::Front;
use servers::{Ground, Proxy};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo xtask bench` takes.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// What to measure, as often as wanted; `small`, `body-100k` and `idle` if left out
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// Measured rounds of each scenario, after one to warm up
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each proxy is under load in a round, or each case of the other scenarios
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How many reloads `reloads` makes behind those under load
    #[arg(long, default_value_t = 1000)]
    reloads: u32,
    /// Print Markdown with the date, for docs/benchmarks.md
    #[arg(long)]
    markdown: bool,
    /// Measure this binary, and do not build one
    #[arg(long)]
    gateway: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Run the Criterion benches of the gateway instead; arguments go to `cargo bench -p bascule`
    Criterion {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure what each call of each shipped plugin costs, in nanoseconds
    Plugins,
    /// Let nodes fail and operators work under load, and tell what clients notice; beside nginx and haproxy
    Faults(faults::Options),
    /// Let registries change and fail, with real servers, and tell how soon changes serve and what clients notice
    Discovery(discovery::Options),
    /// Let gateways that share a Redis die, and Redis too, and tell whether sessions stay and a limit is kept
    Cluster(cluster::Options),
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Scenario {
    /// 64 kept connections, a tiny response
    Small,
    /// 64 kept connections, a body of 100 KB
    #[value(name = "body-100k")]
    Body100k,
    /// 64 connections at a time, a new one for each request
    Close,
    /// The same as `small` under TLS 1.3
    Tls,
    /// Under TLS, a full handshake for each request
    TlsClose,
    /// Under TLS, a handshake for each request that resumes a session
    TlsResumed,
    /// HTTP/2 under TLS, 8 connections with 32 requests at a time (needs h2load)
    H2,
    /// TLS that the nodes end, passed through by the name that it is for; without plugins
    Passthrough,
    /// 10,000 idle client connections: the memory that each takes
    Idle,
    /// The same under TLS
    IdleTls,
    /// What the edge's checks are of a plain request's instructions (needs valgrind)
    Instructions,
    /// 5,000 clients that send their heads byte by byte: what a well-behaved client notices
    Slowloris,
    /// A policy and a filter that fault all the time: what clients notice
    PluginFaults,
    /// Good and bad plugin files in turn under load, then many reloads: memory and open files
    Reloads,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(what) = &options.what {
        return apart(what, options);
    }
    if !cfg!(target_os = "linux") {
        bail!(
            "the benchmark reads Linux's /proc: run it on Linux, or only the benches with `cargo xtask bench criterion`"
        );
    }
    if std::thread::available_parallelism()?.get() < 2 {
        bail!(
            "the benchmark needs two cores, one for the proxy and one for the load: run it on a larger machine"
        );
    }
    for (program, why, package) in [
        ("nginx", "the benchmark's nodes are nginx", "nginx-light"),
        ("wrk", "it makes the benchmark's load", "wrk"),
        ("taskset", "the benchmark pins each process to a core", "util-linux"),
        ("prlimit", "the benchmark opens many connections", "util-linux"),
    ] {
        tools::require(program, why, &format!("apt-get install {package}"))?;
    }

    if options.scenario.contains(&Scenario::H2) {
        tools::require("h2load", "it makes the load of HTTP/2", "apt-get install nghttp2-client")?;
    }
    let ground = Ground::prepare(gateway(options.gateway.as_deref())?)?;
    let mut proxies = vec![Proxy::Nginx, Proxy::Bascule, Proxy::BasculeNative];
    match tools::find("haproxy") {
        Some(_) => proxies.insert(1, Proxy::Haproxy),
        None => eprintln!("haproxy is not on PATH and stays out of the tables (`apt-get install haproxy`)"),
    }
    if options.markdown {
        println!("{}", machine()?);
    }
    for scenario in wanted(&options.scenario) {
        let proxied = |shape| load::measure(&ground, &proxies, shape, options.rounds, options.seconds);
        let tables = match scenario {
            Scenario::Small => vec![proxied(&load::SMALL)?],
            Scenario::Body100k => vec![proxied(&load::BODY_100K)?],
            Scenario::Close => vec![proxied(&load::CLOSE)?],
            Scenario::Tls => vec![proxied(&load::TLS)?],
            Scenario::TlsClose => vec![proxied(&load::TLS_CLOSE)?],
            Scenario::TlsResumed => vec![proxied(&load::TLS_RESUMED)?],
            Scenario::H2 => vec![proxied(&load::H2)?],
            Scenario::Passthrough => passthrough(&ground, &proxies, options)?.into(),
            Scenario::Idle => vec![idle::measure(&ground, &proxies, Front::Http)?],
            Scenario::IdleTls => vec![idle::measure(&ground, &proxies, Front::Tls)?],
            Scenario::Instructions => vec![instructions::measure(&ground)?],
            Scenario::Slowloris => vec![slowloris::measure(&ground, &proxies, options.seconds)?],
            Scenario::PluginFaults => vec![plugin_faults::measure(&ground, options.seconds)?],
            Scenario::Reloads => reloads::measure(&ground, options.seconds, options.reloads)?.into(),
        };
        print(&tables, options.markdown);
    }
    Ok(())
}

/// A small body and a large one, by those that can; a plugin has no part in it.
fn passthrough(ground: &Ground, proxies: &[Proxy], options: &Options) -> Result<[table::Table; 2]> {
    let mut proxies = proxies.to_vec();
    proxies.retain(|proxy| *proxy != Proxy::Bascule);
    if servers::stream_module().is_none() {
        eprintln!("nginx has no stream module and stays out (`apt-get install libnginx-mod-stream`)");
        proxies.retain(|proxy| *proxy != Proxy::Nginx);
    }
    let measure = |shape| load::measure(ground, &proxies, shape, options.rounds, options.seconds);
    Ok([measure(&load::PASSTHROUGH)?, measure(&load::PASSTHROUGH_100K)?])
}

/// What is no scenario: benches with options of their own.
fn apart(what: &What, all: &Options) -> Result<()> {
    let built = |named: Option<&Path>| gateway(named.or(all.gateway.as_deref()));
    let (tables, markdown) = match what {
        What::Criterion { arguments } => {
            return tools::run(tools::cargo().args(["bench", "--package", "bascule"]).args(arguments));
        }
        What::Plugins => return calls::measure(&built(None)?),
        What::Faults(options) => {
            (faults::measure(&built(options.gateway.as_deref())?, options)?, options.markdown)
        }
        What::Discovery(options) => {
            (discovery::measure(&built(options.gateway.as_deref())?, options)?, options.markdown)
        }
        What::Cluster(options) => {
            (cluster::measure(&built(options.gateway.as_deref())?, options)?, options.markdown)
        }
    };
    if markdown {
        println!("{}", machine()?);
    }
    print(&tables, markdown);
    Ok(())
}

fn print(tables: &[table::Table], markdown: bool) {
    for table in tables {
        println!("{}", if markdown { table.markdown() } else { table.text() });
    }
}

fn wanted(named: &[Scenario]) -> Vec<Scenario> {
    match named {
        [] => vec![Scenario::Small, Scenario::Body100k, Scenario::Idle],
        named => named.to_vec(),
    }
}

/// The binary to measure.
fn gateway(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display())),
        None => build(),
    }
}

fn build() -> Result<PathBuf> {
    plugins::shipped()?;
    tools::run(tools::cargo().args(["build", "--release", "--package", "bascule", "--bin", "bascule"]))?;
    Ok(tools::metadata(&["--no-deps"])?.target_directory.join("release/bascule"))
}

/// One line on when and where: date, processor, cores, versions.
fn machine() -> Result<String> {
    let date = tools::output(Command::new("date").args(["-u", "+%F"]))?;
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo")?;
    let processor = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let processor =
        processor.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism()?;
    let commit =
        tools::output(Command::new("git").current_dir(tools::root()).args(["rev-parse", "--short", "HEAD"]));
    Ok(format!(
        "Measured on {}, commit {}; {processor}, {cores} cores; {}.\n",
        date.trim(),
        commit.as_deref().unwrap_or("unknown").trim(),
        servers::versions()
    ))
}
