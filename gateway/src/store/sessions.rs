//! Bindings of clients to nodes. What keeps them is chosen once; the rules are the same for all that do.
//!
//! A client holds a token and nothing else. The first who binds a token wins: whoever comes later is told that one's node,
//! unless it names the node that it means to replace.

mod cookie;
mod memory;
mod near;
mod recent;
mod remote;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use cookie::Bad;
use cookie::Cookies;
use memory::Memory;
use recent::{Held, State};
use remote::Remote;

use super::redis::Redis;
use super::{Now, StoreError};

/// The longest id of a node that is kept, in bytes.
const LONGEST_ID: usize = 256;
/// The longest life of a session.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);

/// A use and the bits of one of its tokens.
type Key = (u32, u128);
/// How keys are hashed. A client can choose none that is kept: they are minted here, at random.
type KeyHash = foldhash::fast::FixedState;

/// Whose sessions are meant: each use has its own.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The use's number in this process.
    pub key: u32,
    /// The use's name, which is the same in all gateways.
    pub name: &'a str,
    /// The pool of the request.
    pub pool: &'a str,
}

/// A client's token and the node that it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The token.
    pub token: String,
    /// The node's stable id.
    pub node: Arc<str>,
}

/// What a client that holds a token meets while nobody can say where it belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailMode {
    /// Another node may serve it.
    #[default]
    Move,
    /// It is turned away.
    Refuse,
}

/// The sessions of all uses.
#[derive(Debug, Default)]
pub struct Sessions {
    store: Store,
    fail_mode: FailMode,
    state: State,
}

#[derive(Debug)]
enum Store {
    Memory(Memory),
    Redis(Box<Remote>),
    Cookie(Cookies),
}

impl Default for Store {
    fn default() -> Self {
        Store::Memory(Memory::default())
    }
}

/// What a bind asks for: the old token, the node, the life and the node that is replaced.
type Wish<'a> = (Option<&'a str>, &'a str, Duration, Option<&'a str>);

impl Sessions {
    /// Sessions in memory, up to so many; the least recently used make room.
    pub fn in_memory(most: u64) -> Self {
        Sessions::of(Store::Memory(Memory::new(most)), FailMode::Move)
    }

    /// Sessions in Redis, of which up to `most` are known here, too, and believed for so long without asking.
    pub fn in_redis(redis: Arc<Redis>, most: u64, believed: Duration, fail_mode: FailMode) -> Self {
        Sessions::of(Store::Redis(Box::new(Remote::new(redis, most, believed))), fail_mode)
    }

    /// Sessions in the clients' tokens: the first key signs, all verify.
    ///
    /// # Panics
    /// If there is no key.
    pub fn in_cookies<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Sessions::of(Store::Cookie(Cookies::new(keys)), FailMode::Move)
    }

    fn of(store: Store, fail_mode: FailMode) -> Self {
        Sessions { store, fail_mode, state: State::default() }
    }

    /// Whether [`Sessions::get`], [`Sessions::bind`] and [`Sessions::forget`] may have to wait.
    pub fn waits(&self) -> bool {
        matches!(self.store, Store::Redis(_))
    }

    /// What a client that holds a token meets if [`Sessions::get`] is [`StoreError::Unavailable`].
    pub fn fail_mode(&self) -> FailMode {
        self.fail_mode
    }

    /// The id of the node that a token is bound to, as far as that is known without waiting.
    pub fn get_now(&self, of: &Owner<'_>, token: &[u8], now: Instant) -> Now<Option<Arc<str>>> {
        let (state, user) = (&self.state, of.key);
        match &self.store {
            Store::Cookie(cookies) => Now::Known(cookies.get(of, token, SystemTime::now())),
            Store::Memory(memory) => {
                state.recall(user, token, now, || {}, || Now::Known(memory.get(user, token)))
            }
            Store::Redis(remote) => {
                state.recall(user, token, now, || remote.near().hit(), || remote.get_now(user, token, now))
            }
        }
    }

    /// The same; it waits if it has to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn get(&self, of: &Owner<'_>, token: &str) -> Result<Option<Arc<str>>, StoreError> {
        match &self.store {
            Store::Redis(remote) => remote.get(of, token, Instant::now()).await,
            _ => match self.get_now(of, token.as_bytes(), Instant::now()) {
                Now::Known(node) => Ok(node),
                Now::Ask => Err(StoreError::Unavailable),
            },
        }
    }

    /// Binds a client to a node, in a store that never waits. See [`Sessions::bind`].
    ///
    /// # Errors
    /// As there; a store that waits is [`StoreError::Unavailable`] here.
    pub fn bind_now(
        &self,
        of: &Owner<'_>,
        old: Option<&str>,
        node: &str,
        life: Duration,
        replaces: Option<&str>,
    ) -> Result<Binding, StoreError> {
        let bound = match &self.store {
            Store::Memory(memory) => memory.bind(of.key, old, node, life, replaces),
            Store::Cookie(cookies) => cookies.bind(of, old, node, life, replaces, SystemTime::now()),
            Store::Redis(_) => Err(StoreError::Unavailable),
        };
        self.note_move(replaces);
        bound
    }

    /// Binds a client to a node. An old token that is bound already keeps its node, unless `replaces` names that
    /// one; the life starts anew if the node is the one that was asked for. Without an old token, or with one that
    /// is not known, a new one is minted.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a node's id that is empty or too long, [`StoreError::Unavailable`]
    pub async fn bind(
        &self,
        of: &Owner<'_>,
        old: Option<&str>,
        node: &str,
        life: Duration,
        replaces: Option<&str>,
    ) -> Result<Binding, StoreError> {
        match &self.store {
            Store::Redis(remote) => {
                let bound = remote.bind(of, (old, node, life, replaces), Instant::now()).await;
                self.note_move(replaces);
                bound
            }
            _ => self.bind_now(of, old, node, life, replaces),
        }
    }

    /// A client may be bound to another node now.
    fn note_move(&self, replaces: Option<&str>) {
        if replaces.is_some() {
            self.state.change();
        }
    }

    /// Forgets a token, in a store that never waits. A client keeps its own cookie.
    ///
    /// # Errors
    /// A store that waits is [`StoreError::Unavailable`] here.
    pub fn forget_now(&self, of: &Owner<'_>, token: &str) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory(memory) => memory.forget(of.key, token),
            Store::Cookie(_) => {}
            Store::Redis(_) => return Err(StoreError::Unavailable),
        }
        self.state.change();
        Ok(())
    }

    /// Forgets a token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget(&self, of: &Owner<'_>, token: &str) -> Result<(), StoreError> {
        match &self.store {
            Store::Redis(remote) => {
                let forgotten = remote.forget(of, token).await;
                self.state.change();
                forgotten
            }
            _ => self.forget_now(of, token),
        }
    }

    /// About how many sessions this process keeps, or knows of those that are kept elsewhere.
    pub fn count(&self) -> u64 {
        match &self.store {
            Store::Memory(memory) => memory.count(),
            Store::Redis(remote) => remote.near().count(),
            Store::Cookie(_) => 0,
        }
    }

    /// The store's word in the configuration.
    pub fn store_name(&self) -> &'static str {
        match &self.store {
            Store::Memory(_) => "memory",
            Store::Redis(_) => "redis",
            Store::Cookie(_) => "cookie",
        }
    }

    /// How often the near cache answered (`hit`), did not (`miss`), and answered for a store that could not be asked
    /// (`stale`); none without such a cache.
    pub fn near_cache(&self) -> Option<[(&'static str, u64); 3]> {
        let Store::Redis(remote) = &self.store else { return None };
        let [hits, misses, stale] = remote.near().counts();
        Some([("hit", hits), ("miss", misses), ("stale", stale)])
    }

    /// How many cookies were bad, and how; none for other stores.
    pub fn bad_cookies(&self) -> Option<[(&'static str, u64); 3]> {
        let Store::Cookie(cookies) = &self.store else { return None };
        Some(Bad::ALL.map(|bad| (bad.name(), cookies.bad(bad))))
    }
}

/// Whether a node's id can be kept.
fn fits(node: &str) -> bool {
    !node.is_empty() && node.len() <= LONGEST_ID
}

#[cfg(test)]
mod tests;
