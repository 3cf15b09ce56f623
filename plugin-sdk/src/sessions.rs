//! Bindings of clients to nodes. They need the grant "sessions", which is given by default.

use std::time::Duration;

use crate::host::sessions as host;
use crate::nodes::millis;
use crate::{Node, StoreError};

/// A token and the node that it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What the client shows; it cannot be guessed.
    pub token: String,
    /// The stable id of the node.
    pub node: String,
}

/// Where a client is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A node that can be picked.
    Candidate(Node),
    /// The node with this stable id, which cannot be picked now: it is no candidate, or this is another attempt, since the
    /// first failed.
    Elsewhere(String),
}

/// Where the client is bound to whose token this cookie holds: [`get`] of the cookie's value and
/// [`Nodes::find`](crate::Nodes::find) in one call to the gateway. None if there is no such cookie, or its value is no token
/// that is bound.
pub fn bound_by_cookie(cookie: &str) -> Result<Option<Place>, StoreError> {
    Ok(host::bound_by_cookie(cookie)?.map(|place| match place {
        host::Place::Candidate(index) => Place::Candidate(Node::at(index)),
        host::Place::Elsewhere(id) => Place::Elsewhere(id),
    }))
}

/// The id of the node that a token is bound to.
pub fn get(token: &str) -> Result<Option<String>, StoreError> {
    Ok(host::get(token)?)
}

/// Binds a client to a node for `ttl`, and answers the token and the node that won: an `old` token that is
/// bound already keeps its node, unless that is the one which `replaces` names. Without an old token, or with
/// one that the store does not know, the host mints one.
pub fn bind(
    old: Option<&str>,
    node: &str,
    ttl: Duration,
    replaces: Option<&str>,
) -> Result<Binding, StoreError> {
    let host::Binding { token, node } = host::bind(old, node, millis(ttl), replaces)?;
    Ok(Binding { token, node })
}

/// Unbinds a token.
pub fn forget(token: &str) -> Result<(), StoreError> {
    Ok(host::forget(token)?)
}
