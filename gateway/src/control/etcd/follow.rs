//! Keys under a prefix, as they change: who follows them hears of each change once, and of none too little.
//!
//! All keys are read, then watched from the next revision on, so no change is missed and none is read twice. After
//! each loss of the connection it begins at the start: an etcd that lost its data and was filled again may be at any
//! revision, and has the same cluster id if it is started with the same words. A question each two seconds on the same
//! connection notices a server that hangs, and a member that is cut off from the others: it needs a majority to answer.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use etcd_client::{EventType, GetOptions, KeyValue, WatchOptions, WatchResponse, WatchStream};
use futures_util::FutureExt as _;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::{Etcd, Failed, Servers};
use crate::control::config::{EtcdKeys, Origin};
use crate::control::discovery::{NodeSet, Sets, Trouble};

/// How often it is asked whether it is there.
const QUESTIONS: Duration = Duration::from_secs(2);
/// The keys that are read at once. A node takes some 200 bytes.
const PAGE: i64 = 1000;

/// What is kept of the keys.
pub(in crate::control) trait Keys: Send {
    /// All keys follow, from the start.
    fn begin(&mut self);
    /// A key holds this now.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// A key is gone.
    fn remove(&mut self, key: &[u8]);
    /// Whether some were left out since there are too many.
    fn overflowed(&self) -> bool;
    /// Whether there is room for keys that were left out: then all has to be read again.
    fn lacks_some(&self) -> bool;
    /// The nodes that they are.
    fn set(&mut self) -> NodeSet;
    /// When these change though no key does.
    fn due(&self) -> Option<Instant> {
        None
    }
}

/// Follows the keys under a prefix, through whichever endpoint answers.
pub(in crate::control) struct Follower {
    servers: Servers,
    prefix: String,
    /// Which endpoint comes next.
    next: usize,
}

impl Follower {
    /// One that was not connected yet. It begins at any endpoint, so that many gateways spread.
    pub(in crate::control) fn new(settings: &EtcdKeys) -> Self {
        let (servers, prefix) = (Servers::of(settings), settings.prefix.clone());
        Self { servers, prefix, next: fastrand::usize(..1 << 16) }
    }

    /// Follows them until the connection is lost; the next time it takes the next endpoint.
    pub(in crate::control) async fn follow(&mut self, keys: &mut impl Keys, sets: &Sets) -> Trouble {
        let endpoint = self.servers.endpoint(self.next);
        let Err(failed) = self.run(endpoint, keys, sets).await;
        let trouble = Trouble::new(format!("{endpoint}: {failed}"));
        self.next = self.next.wrapping_add(1);
        trouble
    }

    async fn run(&self, endpoint: &Origin, keys: &mut impl Keys, sets: &Sets) -> Result<Infallible, Failed> {
        let etcd = Etcd::connect(endpoint, &self.servers).await?;
        loop {
            keys.begin();
            let revision = etcd.read(&self.prefix, |pair| {
                keys.put(pair.key(), pair.value());
                !keys.overflowed()
            });
            let revision = revision.await?;
            sets.publish(keys.set());
            let watched = WatchOptions::new().with_prefix().with_start_revision(revision + 1).with_fragment();
            let stream = etcd.watch(&self.prefix, watched).await?;
            // It is read again when the watch fell behind what etcd still remembers.
            tokio::select! {
                reread = follow_changes(stream, keys, sets) => reread?,
                failed = self.ask_again_and_again(&etcd, sets) => return Err(failed),
            }
        }
    }

    /// Ends when there is no answer.
    async fn ask_again_and_again(&self, etcd: &Etcd, sets: &Sets) -> Failed {
        let mut questions = interval(QUESTIONS);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            questions.tick().await;
            match etcd.count(&self.prefix).await {
                Ok(_) => sets.heard(),
                Err(failed) => return failed,
            }
        }
    }
}

impl Etcd {
    /// Hands over all keys under a prefix as they are at one revision, which it answers; not all of them if that one wants no
    /// more.
    ///
    /// # Errors
    /// Whatever kept etcd from answering.
    pub(in crate::control) async fn read(
        &self,
        prefix: &str,
        mut hand_over: impl FnMut(&KeyValue) -> bool,
    ) -> Result<i64, Failed> {
        let (mut from, mut revision, mut page) = (prefix.as_bytes().to_vec(), 0, PAGE);
        loop {
            let options = GetOptions::new().with_range(end_of(prefix));
            let answer = self.get(from.clone(), options.with_limit(page).with_revision(revision)).await;
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
            let wants_more = answer.kvs().iter().fold(true, |_, pair| hand_over(pair));
            match answer.kvs().last() {
                Some(last) if answer.more() && wants_more => from = [last.key(), b"\0"].concat(),
                _ => return Ok(revision),
            }
        }
    }

    /// How many keys there are under a prefix.
    ///
    /// # Errors
    /// Whatever kept etcd from answering.
    pub(in crate::control) async fn count(&self, prefix: &str) -> Result<i64, Failed> {
        let options = GetOptions::new().with_range(end_of(prefix)).with_count_only();
        Ok(self.get(prefix, options).await?.count())
    }
}

/// Publishes all changes, those that arrive together at once. Ends well if all has to be read again.
async fn follow_changes(mut stream: WatchStream, keys: &mut impl Keys, sets: &Sets) -> Result<(), Failed> {
    loop {
        let mut message = tokio::select! {
            message = stream.message() => message.map_err(Failed::from)?,
            () = until(keys.due()) => {
                sets.publish(keys.set());
                continue;
            }
        };
        let mut changed = false;
        loop {
            let Some(response) = message else {
                return Err(Failed::Said("etcd ended the watch".to_owned()));
            };
            if response.canceled() {
                return ended(&response);
            }
            changed |= !response.events().is_empty();
            apply(&response, keys);
            match stream.message().now_or_never() {
                Some(next) => message = next.map_err(Failed::from)?,
                None => break,
            }
        }
        if keys.lacks_some() {
            return Ok(());
        }
        if changed {
            sets.publish(keys.set());
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A watch that lies behind the oldest revision that etcd remembers has to begin anew; any other end is a failure.
fn ended(response: &WatchResponse) -> Result<(), Failed> {
    if response.compact_revision() > 0 {
        return Ok(());
    }
    Err(Failed::Said(format!("etcd ended the watch: {}", response.cancel_reason())))
}

fn apply(response: &WatchResponse, keys: &mut impl Keys) {
    for event in response.events() {
        let Some(pair) = event.kv() else { continue };
        match event.event_type() {
            EventType::Put => keys.put(pair.key(), pair.value()),
            EventType::Delete => keys.remove(pair.key()),
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
