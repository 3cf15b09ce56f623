//! Nodes in ZooKeeper: every child of a path is one.
//!
//! One persistent, recursive watch tells which children changed, and these are read again: an event carries no value, so
//! what is read is the newest in any case. The watch is set before the first reading, so nothing falls between the two. A
//! path that is not there has no children; the watch sees when it is made. Events that happen while the connection is
//! lost are not told later (ZOOKEEPER-4698), and a session that only reads is worth nothing: so each loss of the
//! connection ends it all, and the next session reads everything.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::{MissedTickBehavior, interval};
use zookeeper_client::{AddWatchMode, Client, Error, EventType, PersistentWatcher, WatchedEvent};

use super::entries::Entries;
use super::provider::{Provider, Sets, Trouble};
use super::screen::MOST_NODES;
use crate::control::config::ZookeeperDiscovery;
use crate::control::zookeeper::{Servers, child, connect, in_time};

/// A connection on which nothing comes for two fifths of it is given up.
const SESSION: Duration = Duration::from_secs(6);
/// How often it is asked whether it is there.
const QUESTIONS: Duration = Duration::from_secs(2);
/// Values that are asked for at once; each may have a megabyte.
const AT_ONCE: usize = 32;

/// The provider.
pub(in crate::control) struct ZookeeperProvider {
    servers: Servers,
    path: String,
}

/// The children that have to be read again.
type Changed = BTreeSet<String>;

impl ZookeeperProvider {
    /// One that was not connected yet.
    pub(in crate::control) fn new(settings: &ZookeeperDiscovery) -> Self {
        let ZookeeperDiscovery { servers, path, login, tls } = settings.clone();
        Self { servers: Servers { servers, login, tls }, path }
    }

    async fn run(&self, sets: &Sets) -> Result<Infallible, String> {
        let client = connect(&self.servers, SESSION).await?;
        let ended = async {
            let watch = in_time(client.watch(&self.path, AddWatchMode::PersistentRecursive)).await;
            self.follow_changes(&client, watch?, sets).await
        };
        let error = tokio::select! {
            Err(error) = ended => error,
            error = self.ask_again_and_again(&client, sets) => error,
        };
        Err(match error {
            Error::Unimplemented => {
                "this ZooKeeper cannot watch recursively: 3.6 or newer is needed".to_owned()
            }
            error => error.to_string(),
        })
    }

    /// Publishes all changes, those that arrive together at once.
    async fn follow_changes(
        &self,
        client: &Client,
        mut watch: PersistentWatcher,
        sets: &Sets,
    ) -> Result<Infallible, Error> {
        let mut entries = Entries::default();
        let mut changed = self.children(client).await?;
        loop {
            self.read(client, changed, &mut entries).await?;
            if entries.lacks_some() {
                entries = Entries::default();
                changed = self.children(client).await?;
                continue;
            }
            sets.publish(entries.to_set());
            changed = Changed::new();
            while changed.is_empty() {
                self.note(&watch.changed().await, &mut changed)?;
            }
            while let Some(event) = watch.changed().now_or_never() {
                self.note(&event, &mut changed)?;
            }
        }
    }

    /// Which child an event is about, if it is about one. The end of the connection is an event, too, and the last.
    fn note(&self, event: &WatchedEvent, changed: &mut Changed) -> Result<(), Error> {
        if event.event_type == EventType::Session {
            return Err(Error::ConnectionLoss);
        }
        let below = event.path.strip_prefix(self.path.trim_end_matches('/'));
        let name = below.and_then(|below| below.strip_prefix('/'));
        // What stands below a child is none of ours.
        changed.extend(name.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned));
        Ok(())
    }

    /// The names of all; one more than are kept, so that this is noticed.
    async fn children(&self, client: &Client) -> Result<Changed, Error> {
        match in_time(client.list_children(&self.path)).await {
            Ok(names) => Ok(Changed::from_iter(names).into_iter().take(MOST_NODES + 1).collect()),
            Err(Error::NoNode) => Ok(Changed::new()),
            Err(error) => Err(error),
        }
    }

    /// Reads these children, a few at once. One that is gone is gone; one that must not be read is a bad entry.
    async fn read(&self, client: &Client, names: Changed, entries: &mut Entries) -> Result<(), Error> {
        let mut values = stream::iter(names)
            .map(|name| async move {
                let path = child(&self.path, &name);
                let value = in_time(client.get_data(&path)).await;
                (path, value)
            })
            .buffered(AT_ONCE);
        while let Some((path, value)) = values.next().await {
            match value {
                Ok((value, _)) => entries.put(path.as_bytes(), &value),
                Err(Error::NoNode) => entries.remove(path.as_bytes()),
                Err(Error::NoAuth) => entries.refuse(&path, "it must not be read".to_owned()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends when there is no answer. The client's own pings end a silent connection, too, but tell nobody that all is well.
    async fn ask_again_and_again(&self, client: &Client, sets: &Sets) -> Error {
        let mut questions = interval(QUESTIONS);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            questions.tick().await;
            match in_time(client.check_stat(&self.path)).await {
                Ok(_) => sets.heard(),
                Err(error) => return error,
            }
        }
    }
}

impl Provider for ZookeeperProvider {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(async move {
            let Err(why) = self.run(sets).await;
            Trouble::new(why)
        })
    }
}
