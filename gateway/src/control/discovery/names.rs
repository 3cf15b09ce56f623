//! Where nodes are whose address is a name, as far as it was found out: asks the system's resolver, beside all else.
//!
//! A name that once was found stays where it was if the resolver fails later: a name server's trouble must not become the
//! nodes' trouble. Names are looked up again now and then, since nobody tells when they move.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::schema::Announced;
use crate::control::config::NodeHost;
use crate::name::Name;

/// Names that are looked up at the same time: each holds a thread.
const AT_ONCE: usize = 16;
/// How long the resolver may take. Its own patience is of this order.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a name is looked up again. It is what many name servers say themselves, which the resolver does not tell.
const AGAIN: Duration = Duration::from_secs(30);

/// What is known of a name with its port.
#[derive(Debug, Default)]
struct Known {
    address: Option<SocketAddr>,
    /// Why it could not be looked up last time.
    error: Option<String>,
}

/// The names of a pool's nodes.
#[derive(Debug)]
pub(super) struct Names {
    pool: Name,
    known: HashMap<String, Known>,
    lookups: JoinSet<(String, io::Result<Vec<SocketAddr>>)>,
    places: Arc<Semaphore>,
    /// When all are looked up again; none if there are no names.
    again: Option<Instant>,
}

impl Names {
    /// Of no node yet.
    pub(super) fn new(pool: Name) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { pool, known: HashMap::new(), lookups: JoinSet::new(), places, again: None }
    }

    /// Looks up the names of these nodes that are new, and forgets all others.
    pub(super) fn follow(&mut self, nodes: &[Announced]) {
        let mut earlier = std::mem::take(&mut self.known);
        for node in nodes.iter().filter(|node| matches!(node.address.host(), NodeHost::Dns(_))) {
            let text = node.address.as_str();
            let known = earlier.remove(text).unwrap_or_else(|| {
                self.look_up(text.to_owned());
                Known::default()
            });
            self.known.insert(text.to_owned(), known);
        }
        self.again = (!self.known.is_empty()).then(|| self.again.unwrap_or_else(|| Instant::now() + AGAIN));
    }

    fn look_up(&mut self, text: String) {
        let places = Arc::clone(&self.places);
        self.lookups.spawn(async move {
            let _place = places.acquire_owned().await.expect("nothing closes this semaphore");
            let found = match timeout(PATIENCE, lookup_host(&text)).await {
                Ok(found) => found.map(Iterator::collect),
                Err(_) => Err(io::Error::other("the resolver did not answer")),
            };
            (text, found)
        });
    }

    /// Waits until something may have changed.
    pub(super) async fn changed(&mut self) {
        loop {
            let again = async {
                match self.again {
                    Some(again) => tokio::time::sleep_until(again).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(looked_up) = self.lookups.join_next() => {
                    let (text, found) = looked_up.expect("a lookup neither panics nor is it ended");
                    if self.note(&text, found) {
                        return;
                    }
                }
                () = again => {
                    self.again = Some(Instant::now() + AGAIN);
                    // Those that still wait for their answer are not asked for twice.
                    if self.lookups.is_empty() {
                        let names: Vec<String> = self.known.keys().cloned().collect();
                        names.into_iter().for_each(|name| self.look_up(name));
                    }
                }
            }
        }
    }

    /// Notes what came of a lookup; answers whether that changes something.
    fn note(&mut self, text: &str, found: io::Result<Vec<SocketAddr>>) -> bool {
        // No node may have this name any more.
        let Some(known) = self.known.get_mut(text) else { return false };
        let found = found.and_then(|found| {
            // Servers turn the order of a name's addresses with each answer.
            let kept = known.address.filter(|earlier| found.contains(earlier));
            kept.or(found.first().copied()).ok_or_else(|| io::Error::other("the name has no address"))
        });
        match found {
            Ok(address) => {
                known.error = None;
                known.address.replace(address) != Some(address)
            }
            Err(error) => {
                let error = error.to_string();
                let is_news = known.error.as_ref() != Some(&error);
                if let (true, Some(address)) = (is_news, known.address) {
                    warn!(pool = %self.pool, "{text} cannot be looked up now ({error}); it stays at {address}");
                }
                known.error = Some(error);
                is_news && known.address.is_none()
            }
        }
    }

    /// Where a node is, or why that is not known.
    pub(super) fn address(&self, node: &Announced) -> Result<SocketAddr, String> {
        if let NodeHost::Ip(ip) = node.address.host() {
            return Ok(SocketAddr::new(*ip, node.address.port()));
        }
        let text = node.address.as_str();
        let known = self.known.get(text);
        match known.and_then(|known| known.address) {
            Some(address) => Ok(address),
            None => match known.and_then(|known| known.error.as_ref()) {
                Some(error) => Err(format!("{text} cannot be looked up: {error}")),
                None => Err(String::new()),
            },
        }
    }
}
