//! Nodes in etcd: every key under a prefix is one.
//!
//! It reads all keys, then watches them from the next revision on, so no change is missed and none is read twice. After
//! each loss of the connection it begins at the start: an etcd that lost its data and was filled again may be at any
//! revision, and has the same cluster id if it is started with the same words. A question each two seconds on the same
//! connection notices a server that hangs, and a member that is cut off from the others: it needs a majority to answer.

use std::convert::Infallible;
use std::time::Duration;

use etcd_client::{EventType, GetOptions, WatchOptions, WatchResponse, WatchStream};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{MissedTickBehavior, interval};

use super::entries::Entries;
use super::provider::{Provider, Sets, Trouble};
use crate::control::config::{EtcdDiscovery, Origin};
use crate::control::etcd::{Etcd, Failed, Servers};

/// How often it is asked whether it is there.
const QUESTIONS: Duration = Duration::from_secs(2);
/// The keys that are read at once. A node takes some 200 bytes.
const PAGE: i64 = 1000;

/// The provider.
pub(in crate::control) struct EtcdProvider {
    servers: Servers,
    prefix: String,
    /// Which endpoint comes next.
    next: usize,
}

impl EtcdProvider {
    /// One that was not connected yet. It begins at any endpoint, so that many gateways spread.
    pub(in crate::control) fn new(settings: &EtcdDiscovery) -> Self {
        let EtcdDiscovery { endpoints, prefix, login, tls } = settings.clone();
        Self { servers: Servers { endpoints, login, tls }, prefix, next: fastrand::usize(..1 << 16) }
    }

    async fn run(&self, endpoint: &Origin, sets: &Sets) -> Result<Infallible, Failed> {
        let etcd = Etcd::connect(endpoint, &self.servers).await?;
        loop {
            let (mut entries, revision) = self.read(&etcd).await?;
            sets.publish(entries.to_set());
            let watched = WatchOptions::new().with_prefix().with_start_revision(revision + 1).with_fragment();
            let stream = etcd.watch(&self.prefix, watched).await?;
            // It is read again when the watch fell behind what etcd still remembers.
            tokio::select! {
                reread = follow_changes(stream, &mut entries, sets) => reread?,
                failed = self.ask_again_and_again(&etcd, sets) => return Err(failed),
            }
        }
    }

    /// All keys as they are at one revision, and that revision.
    async fn read(&self, etcd: &Etcd) -> Result<(Entries, i64), Failed> {
        let mut entries = Entries::default();
        let (mut from, mut revision, mut page) = (self.prefix.clone().into_bytes(), 0, PAGE);
        loop {
            let options = GetOptions::new().with_range(end_of(&self.prefix));
            let answer = etcd.get(from.clone(), options.with_limit(page).with_revision(revision)).await;
            let answer = match answer {
                Err(Failed::TooLong) if page > 1 => {
                    page /= 10;
                    continue;
                }
                answer => answer?,
            };
            if revision == 0 {
                revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            answer.kvs().iter().for_each(|pair| entries.put(pair.key(), pair.value()));
            match answer.kvs().last() {
                Some(last) if answer.more() && !entries.overflowed() => {
                    from = [last.key(), b"\0"].concat();
                }
                _ => return Ok((entries, revision)),
            }
        }
    }

    /// Ends when there is no answer.
    async fn ask_again_and_again(&self, etcd: &Etcd, sets: &Sets) -> Failed {
        let mut questions = interval(QUESTIONS);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            questions.tick().await;
            let options = GetOptions::new().with_range(end_of(&self.prefix)).with_count_only();
            match etcd.get(self.prefix.as_str(), options).await {
                Ok(_) => sets.heard(),
                Err(failed) => return failed,
            }
        }
    }
}

impl Provider for EtcdProvider {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(async move {
            let endpoint = self.servers.endpoint(self.next);
            let Err(failed) = self.run(endpoint, sets).await;
            let trouble = Trouble::new(format!("{endpoint}: {failed}"));
            self.next = self.next.wrapping_add(1);
            trouble
        })
    }
}

/// Publishes all changes, those that arrive together at once. Ends well if all has to be read again.
async fn follow_changes(mut stream: WatchStream, entries: &mut Entries, sets: &Sets) -> Result<(), Failed> {
    loop {
        let mut message = stream.message().await.map_err(Failed::from)?;
        let mut changed = false;
        loop {
            let Some(response) = message else {
                return Err(Failed::Said("etcd ended the watch".to_owned()));
            };
            if response.canceled() {
                return ended(&response);
            }
            changed |= !response.events().is_empty();
            apply(&response, entries);
            match stream.message().now_or_never() {
                Some(next) => message = next.map_err(Failed::from)?,
                None => break,
            }
        }
        if entries.lacks_some() {
            return Ok(());
        }
        if changed {
            sets.publish(entries.to_set());
        }
    }
}

/// A watch that lies behind the oldest revision that etcd remembers has to begin anew; any other end is a failure.
fn ended(response: &WatchResponse) -> Result<(), Failed> {
    if response.compact_revision() > 0 {
        return Ok(());
    }
    Err(Failed::Said(format!("etcd ended the watch: {}", response.cancel_reason())))
}

fn apply(response: &WatchResponse, entries: &mut Entries) {
    for event in response.events() {
        let Some(pair) = event.kv() else { continue };
        match event.event_type() {
            EventType::Put => entries.put(pair.key(), pair.value()),
            EventType::Delete => entries.remove(pair.key()),
        }
    }
}

/// The first key behind all that begin with the prefix: a byte of UTF-8 is never the last one there is. Without a prefix
/// etcd takes a zero for the end of all.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0),
    }
    end
}
