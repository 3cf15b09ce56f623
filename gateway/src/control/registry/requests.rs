//! The registry's API: `PUT` and `DELETE /pools/NAME/nodes/ID`, and `GET /pools/NAME/nodes`.
//!
//! Whoever asks may send slowly, too much or nonsense: time and size are bounded, each refusal is counted and says what to
//! send, and the log names each mistake once.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::counts::Outcome;
use super::leases::{Change, Lease};
use super::{Refusal, Registry, entry};
use crate::control::api::{self, Answer, JSON, decoded, full, is_of_a_page, text};
use crate::name::Name;

/// What a node says of itself takes some hundred bytes; registries take this much at most.
const MOST_BODY: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// When to ask again while the store cannot be asked, in seconds.
const RETRY: HeaderValue = HeaderValue::from_static("1");

const THERE: &str = "there are /pools/NAME/nodes, and /pools/NAME/nodes/ID to PUT and to DELETE\n";

/// What came of a request, for the counters and for whoever sent it.
type Done = (Outcome, Answer);

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    pool: String,
    /// All of its nodes if there is none.
    node: Option<String>,
}

impl Asked {
    fn by(path: &str) -> Option<Self> {
        let (pool, rest) = path.strip_prefix("/pools/")?.split_once("/nodes")?;
        let node = match rest {
            "" | "/" => None,
            id => Some(decoded(id.strip_prefix('/')?).into_owned()),
        };
        Some(Self { pool: pool.to_owned(), node })
    }

    fn methods(&self) -> &'static str {
        if self.node.is_some() { "PUT, DELETE" } else { "GET, HEAD" }
    }
}

impl Registry {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (outcome, answer) = match self.carry_out(request).await {
            Ok(done) => done,
            Err(refused) => refused,
        };
        self.counts.note(outcome);
        answer
    }

    async fn carry_out(&self, request: Request<Incoming>) -> Result<Done, Done> {
        if !api::admits(self.settings.token.as_ref(), &request) {
            self.warn_once("", "somebody asks the registry without its token");
            return Err((Outcome::Unauthorized, api::unauthorized()));
        }
        let Some(asked) = Asked::by(request.uri().path()) else {
            return Err((Outcome::Unknown, text(StatusCode::NOT_FOUND, THERE)));
        };
        let methods = asked.methods();
        if !methods.split(", ").any(|method| method == request.method().as_str()) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {methods}\n"));
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            return Err((Outcome::Malformed, answer));
        }
        if is_of_a_page(&request) {
            let answer = text(StatusCode::FORBIDDEN, "a web page may not ask for this; use curl\n");
            return Err((Outcome::Malformed, answer));
        }
        let pool = self.pool(&asked.pool).map_err(|why| {
            self.warn_once(&asked.pool, &why);
            (Outcome::Unknown, text(StatusCode::NOT_FOUND, why + "\n"))
        })?;
        match asked.node {
            None => self.list(&pool).await,
            Some(node) if request.method() == Method::DELETE => self.take(&pool, &node).await,
            Some(node) => self.put(&pool, &node, request).await,
        }
    }

    /// The pool of this name, if its nodes register here; else a sentence.
    fn pool(&self, name: &str) -> Result<Name, String> {
        let pools = self.pools();
        let names: Vec<&str> = pools.iter().map(Name::as_str).collect();
        let others = if names.is_empty() { "no pool does".to_owned() } else { names.join(", ") };
        let why = || {
            format!("the pool {name:?} does not take its nodes from this registry; those that do: {others}")
        };
        pools.iter().find(|pool| pool.as_str() == name).cloned().ok_or_else(why)
    }

    async fn put(&self, pool: &Name, node: &str, request: Request<Incoming>) -> Result<Done, Done> {
        let whom = format!("{pool}/{node}");
        let body = read_body(request.into_body()).await.inspect_err(|(_, answer)| {
            self.warn_once(&whom, &format!("a registration is refused with {}", answer.status()));
        })?;
        let lease = id_of(node).and_then(|node| entry::read(node, &body)).map_err(|why| {
            self.warn_once(&whom, &why);
            (Outcome::Malformed, text(StatusCode::UNPROCESSABLE_ENTITY, why + "\n"))
        })?;
        let change = self.store.put(pool, &lease).await.map_err(|refusal| self.refused(&whom, refusal))?;
        self.named.is_well(&whom);
        tell(pool, &lease, change);
        let registered = json!({ "pool": pool.as_str(), "node": node, "ttl": entry::text(lease.ttl) });
        let (outcome, status) = match change {
            Change::New => (Outcome::Registered, StatusCode::CREATED),
            Change::Different => (Outcome::Changed, StatusCode::OK),
            Change::Renewed => (Outcome::Renewed, StatusCode::OK),
        };
        Ok((outcome, full(status, JSON, format!("{registered}\n"))))
    }

    async fn take(&self, pool: &Name, node: &str) -> Result<Done, Done> {
        let whom = format!("{pool}/{node}");
        if self.store.take(pool, node).await.map_err(|refusal| self.refused(&whom, refusal))? {
            info!(%pool, node, "the node took itself out of the registry");
            return Ok((Outcome::Left, text(StatusCode::NO_CONTENT, "")));
        }
        let why = format!("the pool {:?} has no node {node:?} here\n", pool.as_str());
        Err((Outcome::Unknown, text(StatusCode::NOT_FOUND, why)))
    }

    async fn list(&self, pool: &Name) -> Result<Done, Done> {
        let rows = self.store.rows(pool).await.map_err(|refusal| self.refused(pool.as_str(), refusal))?;
        let nodes: Vec<Value> = rows.iter().map(|(lease, left)| row(lease, *left)).collect();
        let listed = json!({ "pool": pool.as_str(), "nodes": nodes });
        Ok((Outcome::Listed, full(StatusCode::OK, JSON, format!("{listed}\n"))))
    }

    fn refused(&self, whom: &str, refusal: Refusal) -> Done {
        match refusal {
            Refusal::Full => {
                let most = self.settings.max_nodes;
                let why =
                    format!("the pool has {most} nodes in the registry, which is `max_nodes` in [registry]");
                self.warn_once(whom, &why);
                (Outcome::Full, text(StatusCode::INSUFFICIENT_STORAGE, why + "\n"))
            }
            Refusal::Unavailable(why) => {
                let mut answer =
                    text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}; try again in a second\n"));
                answer.headers_mut().insert(RETRY_AFTER, RETRY);
                (Outcome::Unavailable, answer)
            }
        }
    }

    fn warn_once(&self, whom: &str, why: &str) {
        if self.named.is_news(whom, why) {
            warn!(whom, "the registry refuses: {why}");
        }
    }
}

fn tell(pool: &Name, lease: &Lease, change: Change) {
    let (node, address) = (&lease.node.id, &lease.node.address);
    match change {
        Change::New => info!(%pool, node, %address, ttl = entry::text(lease.ttl), "a node registered"),
        Change::Different => info!(%pool, node, %address, "a node says something else of itself"),
        Change::Renewed => {}
    }
}

/// An id that every store can keep as the last segment of a key.
fn id_of(node: &str) -> Result<&str, String> {
    let is_fine = !node.is_empty() && !node.contains('/');
    is_fine
        .then_some(node)
        .ok_or_else(|| format!("{node:?} is no id of a node: it has no slash, and is not empty"))
}

async fn read_body(body: Incoming) -> Result<Vec<u8>, Done> {
    let whole = Limited::new(body, MOST_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err((
            Outcome::TooLarge,
            text(StatusCode::PAYLOAD_TOO_LARGE, "a registration has 64 KiB at most\n"),
        )),
        Ok(Err(_)) => {
            Err((Outcome::Malformed, text(StatusCode::BAD_REQUEST, "the body did not come whole\n")))
        }
        Err(_) => Err((Outcome::Malformed, text(StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n"))),
    }
}

/// A lease as it would be sent, and what is left of it.
fn row(lease: &Lease, left: Duration) -> Value {
    let mut row = entry::json(lease);
    row["left_ms"] = (left.as_millis() as u64).into();
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_pools_and_nodes() {
        let asked = |pool: &str, node: Option<&str>| {
            Some(Asked { pool: pool.to_owned(), node: node.map(str::to_owned) })
        };
        assert_eq!(Asked::by("/pools/api/nodes"), asked("api", None));
        assert_eq!(Asked::by("/pools/api/nodes/"), asked("api", None));
        assert_eq!(Asked::by("/pools/api/nodes/10.0.0.1:80"), asked("api", Some("10.0.0.1:80")));
        assert_eq!(Asked::by("/pools/api/nodes/a%20b"), asked("api", Some("a b")));
        for none in ["/", "/pools/api", "/pools/api/nodesx", "/pools/api/node/a"] {
            assert_eq!(Asked::by(none), None, "{none}");
        }
    }

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(id_of("10.0.0.1:80"), Ok("10.0.0.1:80"));
        assert!(id_of("a/b").is_err() && id_of("").is_err());
    }
}
