//! Bindings of clients to nodes. What keeps them is chosen once; the rules are the same for all that do.
//!
//! A client holds a token and nothing else. The first who binds a token wins: whoever comes later is told that one's node,
//! unless it names the node that it means to replace.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use super::{Now, StoreError};
use memory::Memory;

/// The longest id of a node that is kept, in bytes.
const LONGEST_ID: usize = 256;
/// The longest life of a session.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);

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

/// The sessions of all uses.
#[derive(Debug, Default)]
pub struct Sessions(Memory);

impl Sessions {
    /// Sessions in memory, up to so many; the least recently used make room.
    pub fn in_memory(most: u64) -> Self {
        Sessions(Memory::new(most))
    }

    /// Whether [`Sessions::get`], [`Sessions::bind`] and [`Sessions::forget`] may have to wait.
    pub fn waits(&self) -> bool {
        false
    }

    /// The id of the node that a token is bound to, as far as that is known without waiting.
    pub fn get_now(&self, of: &Owner<'_>, token: &str) -> Now<Option<Arc<str>>> {
        Now::Known(self.0.get(of.key, token))
    }

    /// The same; it waits if it has to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    #[expect(clippy::unused_async, reason = "stores elsewhere wait")]
    pub async fn get(&self, of: &Owner<'_>, token: &str) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.0.get(of.key, token))
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
        self.0.bind(of.key, old, node, life, replaces)
    }

    /// Binds a client to a node. An old token that is bound already keeps its node, unless `replaces` names that
    /// one; the life starts anew if the node is the one that was asked for. Without an old token, or with one that
    /// is not known, a new one is minted.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a node's id that is empty or too long, [`StoreError::Unavailable`]
    #[expect(clippy::unused_async, reason = "stores elsewhere wait")]
    pub async fn bind(
        &self,
        of: &Owner<'_>,
        old: Option<&str>,
        node: &str,
        life: Duration,
        replaces: Option<&str>,
    ) -> Result<Binding, StoreError> {
        self.0.bind(of.key, old, node, life, replaces)
    }

    /// Forgets a token, in a store that never waits.
    ///
    /// # Errors
    /// A store that waits is [`StoreError::Unavailable`] here.
    pub fn forget_now(&self, of: &Owner<'_>, token: &str) -> Result<(), StoreError> {
        self.0.forget(of.key, token);
        Ok(())
    }

    /// Forgets a token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    #[expect(clippy::unused_async, reason = "stores elsewhere wait")]
    pub async fn forget(&self, of: &Owner<'_>, token: &str) -> Result<(), StoreError> {
        self.0.forget(of.key, token);
        Ok(())
    }

    /// About how many sessions this process keeps.
    pub fn count(&self) -> u64 {
        self.0.count()
    }
}

/// Whether a node's id can be kept.
fn fits(node: &str) -> bool {
    !node.is_empty() && node.len() <= LONGEST_ID
}
