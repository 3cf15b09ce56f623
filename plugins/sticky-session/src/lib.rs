//! A client stays with the node that first served it, by a cookie of the gateway's own.
//!
//! It stands before another policy. As a balancer it picks the node that a client is bound to, and has no opinion on
//! anybody else; the next policy picks then. As a filter it sees which node answered, binds the client to it and
//! sets the cookie. The cookie holds a token that says nothing and cannot be guessed; the binding is the host's.
//!
//! A client that comes back to its node costs one call, `pick`: the filter does without the others.

mod cookie;

use std::time::Duration;

use bascule_plugin::prelude::*;
use bascule_plugin::sessions::Place;
use cookie::Cookie;

/// The keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    cookie: String,
    #[serde(deserialize_with = "bascule_plugin::duration::read")]
    ttl: Duration,
    renew: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { cookie: "bascule-session".into(), ttl: Duration::from_secs(24 * 3600), renew: false }
    }
}

/// The policy and filter.
#[derive(Debug)]
pub struct StickySession {
    cookie: Cookie,
    ttl: Duration,
    renew: bool,
}

impl Lifecycle for StickySession {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.ttl < Duration::from_secs(1) {
            return Err("ttl: write 1s or more; a client is bound for so long".into());
        }
        let cookie = Cookie::new(&config.cookie, config.ttl)?;
        spare::on_request();
        if !config.renew {
            // Where the bound node answers there is nothing to do.
            spare::on_response_where_bound();
        }
        Ok(Self { cookie, ttl: config.ttl, renew: config.renew })
    }
}

impl Balancer for StickySession {
    fn pick(&mut self, request: &Request, _nodes: &Nodes) -> Choice {
        let Some(bound) = stored(sessions::bound_by_cookie(self.cookie.name())).flatten() else {
            return Choice::Abstain;
        };
        match bound {
            Place::Candidate(node) => {
                if self.renew {
                    remember(request, &node.id());
                }
                node.into()
            }
            Place::Elsewhere(id) => {
                remember(request, &id);
                Choice::Abstain
            }
        }
    }
}

impl Filter for StickySession {
    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        // An answer of the gateway's own says nothing about where the client belongs.
        let Some(node) = request.node() else {
            return Verdict::GoOn;
        };
        let honoured = request.note() == fingerprint(&node);
        if honoured && !self.renew {
            return Verdict::GoOn;
        }
        let token = self.token(request);
        // Only a binding that this request could not use is replaced: if another request of the same client has
        // bound it anew meanwhile, that one wins.
        let stale = match &token {
            Some(token) if !honoured && request.note() != 0 => {
                stored(sessions::get(token)).flatten().filter(|bound| fingerprint(bound) == request.note())
            }
            _ => None,
        };
        if let Some(binding) = stored(sessions::bind(token.as_deref(), &node, self.ttl, stale.as_deref())) {
            let line = self.cookie.line(&binding.token, request.scheme() == "https");
            if let Err(why) = response.add_header("set-cookie", line) {
                log::warn(why.0);
            }
        }
        Verdict::GoOn
    }
}

impl StickySession {
    /// The client's token, if it sent one that the store could have made.
    fn token(&self, request: &Request) -> Option<String> {
        let value = request.cookie(self.cookie.name())?;
        value.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
    }
}

/// Notes for `on_response` where the client was bound to: it has to know whether the answer came from there.
fn remember(request: &Request, bound: &str) {
    request.set_note(fingerprint(bound));
}

/// What the store said; where it said nothing, the client is served without stickiness, and a counter says so.
fn stored<T>(answer: Result<T, StoreError>) -> Option<T> {
    if answer.is_err() {
        metrics::counter("sticky_store_errors", 1);
    }
    answer.ok()
}

/// A node's id as a number for the request's note, never 0 (FNV-1a).
fn fingerprint(id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash | 1
}

bascule_plugin::export!(StickySession: lifecycle, balancer, filter);

#[cfg(test)]
mod tests;
