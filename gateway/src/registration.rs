//! `bascule register`: a companion that keeps a node in a registry for as long as the node is well.
//!
//! `settings` is the command line, read; `life` is what happens, from the start of the node's command to its end. For each
//! registry there is a `desk`: gateways, Consul, etcd, ZooKeeper. The order at the end is what it is for: the node is taken
//! out first, gateways get time to hear of it, and only then the command is told to stop.

mod child;
mod consul;
mod desk;
mod etcd;
mod gateways;
mod health;
mod life;
mod pulse;
mod settings;
mod signals;
mod target;
mod url;
mod zookeeper;

use std::io;
use std::time::Duration;

pub use settings::{Settings, Wanted};

use desk::{FAREWELL, Times, Wish, keep};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::control::http_client::{Answer, HttpClient};
use target::Target;

/// Why a node could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The system gave no event loop, or no signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// The command is not there, or may not be run.
    #[error("cannot start {program}: {error}")]
    Command {
        /// What should have been run.
        program: String,
        /// What the system said.
        error: io::Error,
    },
    /// Files of certificates cannot be used.
    #[error("{0}")]
    Tls(String),
}

impl Failed {
    /// Whether the command line is to blame.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Signals(_))
    }
}

/// A gateway that was restarted knows nothing of its nodes until they renew, and waits no longer than this for it.
const SOON: Duration = Duration::from_secs(5);

/// Characters of a registry's own words that are worth a log line.
const MOST_WORDS: usize = 200;

/// Keeps the node registered until a signal or its command ends it; answers the code to end with.
///
/// # Errors
/// See [`Failed`]. That a registry cannot be reached is none: it is tried again.
pub async fn run(settings: Settings) -> Result<u8, Failed> {
    info!(node = settings.node.id, pool = %settings.pool, to = %settings.to, "the node is looked after");
    let (wish, wished) = watch::channel(Wish::Out);
    let kept = open(&settings, &wished)?;
    // Without somebody who asks it counts as well.
    let (tell, well) = watch::channel(settings.health.is_none());
    let health = settings.health.map(|health| {
        let client = HttpClient::new(&health.url.origin, settings.tls.as_ref()).map_err(Failed::Tls);
        client.map(|client| (health, client))
    });
    let health = health.transpose()?;
    let asking = async {
        match health {
            Some((health, client)) => health::ask(health, client, &tell).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        code = life::live(&settings.command, kept, &wish, well, settings.leave_wait) => code,
        () = asking => unreachable!("it asks for ever"),
    }
}

/// Opens the desks; each follows the wishes until the node shall be gone.
fn open(settings: &Settings, wish: &watch::Receiver<Wish>) -> Result<JoinSet<bool>, Failed> {
    let times = Times { renew: (settings.ttl / 3).min(SOON), farewell: FAREWELL };
    let mut kept = JoinSet::new();
    match &settings.to {
        Target::Gateways(origins) => {
            for origin in origins {
                let gateway = gateways::Gateway::new(origin, settings).map_err(Failed::Tls)?;
                kept.spawn(keep(gateway, wish.clone(), times));
            }
        }
        Target::Consul(origin) => {
            let agent = consul::Agent::new(origin, settings).map_err(Failed::Tls)?;
            kept.spawn(keep(agent, wish.clone(), times));
        }
        Target::Etcd(origins, prefix) => {
            kept.spawn(keep(etcd::Key::new(origins, prefix, settings), wish.clone(), times));
        }
        Target::Zookeeper(servers, has_tls, path) => {
            let znode = zookeeper::Znode::new(servers, *has_tls, path, settings);
            kept.spawn(keep(znode, wish.clone(), times));
        }
    }
    Ok(kept)
}

/// Why a registry refused, as it says it itself: its first line, if that is short.
fn refusal(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let line: String = text.lines().next().unwrap_or_default().trim().chars().take(MOST_WORDS).collect();
    let line = line.replace(char::is_control, " ");
    if line.is_empty() {
        format!("it answered {}", answer.status)
    } else {
        format!("{}: {line}", answer.status)
    }
}
