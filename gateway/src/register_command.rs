//! `bascule register`: what its command line is; the rest is `bascule::registration`.

use std::path::PathBuf;

use anyhow::Context as _;
use bascule::registration::{self, Settings, Wanted};
use bascule::telemetry;
use clap::Args;

use crate::Failure;

/// Where, what, how long, and when it is well.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Register {
    /// Where: http://GATEWAY:9902 (several with commas between them), consul://AGENT:8500,
    /// etcd://HOST:2379/PREFIX/ or zookeeper://HOST:2181/PATH. With TLS https://, consul+tls:// and so on.
    #[arg(long, value_name = "REGISTRY")]
    to: String,
    /// The pool that the node belongs to; in Consul the service's name.
    #[arg(long)]
    pool: String,
    /// Where gateways reach the node: host and port.
    #[arg(long)]
    address: String,
    /// What knows the node again when its address changes; the address if it is left out.
    #[arg(long)]
    id: Option<String>,
    /// Its share, beside the other nodes' weights.
    #[arg(long, default_value_t = 1)]
    weight: u32,
    /// Where it stands.
    #[arg(long)]
    zone: Option<String>,
    /// 0 to 9: later tiers are used as far as earlier ones lack healthy nodes.
    #[arg(long, default_value_t = 0)]
    tier: u8,
    /// What policies may know of it; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// How long the registry keeps the node without a word from here.
    #[arg(long, default_value = "10s")]
    ttl: String,
    /// A URL of the node: it is in the registry only while this answers with 2xx. Without it, always.
    #[arg(long, value_name = "URL")]
    health: Option<String>,
    /// How often that is asked.
    #[arg(long, default_value = "2s", value_name = "TIME")]
    health_interval: String,
    /// So many failures in a row take the node out.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    health_failures: u32,
    /// How long gateways get to hear that the node leaves, before the command is told to stop.
    #[arg(long, default_value = "1s", value_name = "TIME")]
    leave_wait: String,
    /// The environment variable with the token of the gateways or of Consul.
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
    /// Who this is for etcd or ZooKeeper.
    #[arg(long)]
    user: Option<String>,
    /// The environment variable with that user's password.
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// Who may have signed the registry's certificate (PEM); the system's authorities if it is left out.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What is shown to the registry (PEM), with its --key.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The key of --certificate (PEM).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The node itself, to be started and, after it was taken out, stopped.
    #[arg(last = true)]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  bascule register --to http://127.0.0.1:9902 --pool api --address 10.0.0.5:8080 \\
      --health http://127.0.0.1:8080/healthz -- ./server --port 8080
  bascule register --to etcd://10.0.0.1:2379,10.0.0.2:2379/bascule/api/ --pool api --address 10.0.0.5:8080

SIGTERM or SIGINT: the node is taken out, gateways get --leave-wait to hear of it, the command gets SIGTERM and is waited
for, and its exit code is passed on. A second one ends it at once. Other signals go to the command.";

/// Runs until a signal or the command ends it.
pub(crate) fn run(register: Register) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(register.wanted(), &environment).map_err(Failure::Input)?;
    telemetry::init(false, "info").map_err(|error| Failure::Input(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    match runtime.block_on(registration::run(settings)) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::Code(code)),
        Err(failed) if failed.is_input() => Err(Failure::Input(failed.to_string())),
        Err(failed) => Err(Failure::Running(failed.into())),
    }
}

impl Register {
    fn wanted(self) -> Wanted {
        Wanted {
            to: self.to,
            pool: self.pool,
            address: self.address,
            id: self.id,
            weight: self.weight,
            zone: self.zone,
            tier: self.tier,
            labels: self.labels,
            ttl: self.ttl,
            health: self.health,
            health_interval: self.health_interval,
            health_failures: self.health_failures,
            leave_wait: self.leave_wait,
            token_env: self.token_env,
            user: self.user,
            password_env: self.password_env,
            ca: self.ca,
            certificate: self.certificate,
            key: self.key,
            command: self.command,
        }
    }
}
