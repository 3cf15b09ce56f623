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

use desk::Desk;
use tokio::sync::watch;
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
    let desks = desks(&settings)?;
    let renew = (settings.ttl / 3).min(SOON);
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
        code = life::live(&settings.command, desks, well, renew, settings.leave_wait) => code,
        () = asking => unreachable!("it asks for ever"),
    }
}

fn desks(settings: &Settings) -> Result<Vec<Box<dyn Desk>>, Failed> {
    Ok(match &settings.to {
        Target::Gateways(origins) => {
            let desks = origins.iter().map(|origin| gateways::Gateway::new(origin, settings));
            desks
                .map(|desk| Ok(Box::new(desk?) as Box<dyn Desk>))
                .collect::<Result<_, _>>()
                .map_err(Failed::Tls)?
        }
        Target::Consul(origin) => vec![Box::new(consul::Agent::new(origin, settings).map_err(Failed::Tls)?)],
        Target::Etcd(origins, prefix) => vec![Box::new(etcd::Key::new(origins, prefix, settings))],
        Target::Zookeeper(servers, has_tls, path) => {
            vec![Box::new(zookeeper::Znode::new(servers, *has_tls, path, settings))]
        }
    })
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
