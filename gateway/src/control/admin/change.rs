//! What changes something: `/plugins/NAME/rollback`, `/pin` and `/unpin`.
//!
//! It asks the builder thread and waits for its answer, which comes when the change is published. A page in the
//! operator's browser must not be able to ask: browsers say where a POST comes from, and that is refused.

use std::time::Duration;

use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Admin;
use crate::control::api::{Answer, JSON, PLAIN, full, is_of_a_page, text};
use crate::control::command::{Act, Command, Done, Refusal};
use crate::control::folder::Hint;

/// The builder thread may be compiling something large.
const PATIENCE: Duration = Duration::from_secs(90);

/// What may be asked of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Rollback,
    Pin,
    Unpin,
}

/// A change that a path names.
pub(super) struct Change<'a> {
    plugin: &'a str,
    verb: Verb,
}

/// What was done.
#[derive(Serialize)]
struct Report {
    outcome: &'static str,
    file: String,
    uses: Vec<String>,
    before: Option<String>,
    version: Option<String>,
    pinned: Option<String>,
}

impl<'a> Change<'a> {
    /// The change of `/plugins/NAME/VERB`; none if it is no such path.
    pub(super) fn named_by(path: &'a str) -> Option<Self> {
        let (plugin, verb) = path.strip_prefix("/plugins/")?.split_once('/')?;
        let verb = match verb {
            "rollback" => Verb::Rollback,
            "pin" => Verb::Pin,
            "unpin" => Verb::Unpin,
            _ => return None,
        };
        Some(Self { plugin, verb })
    }

    /// The methods that it takes.
    pub(super) fn methods(&self) -> &'static str {
        match self.verb {
            Verb::Rollback | Verb::Unpin => "POST",
            Verb::Pin => "POST, PUT, DELETE",
        }
    }

    /// Does it, and says what came of it.
    pub(super) async fn carry_out<B>(self, admin: &Admin, request: &Request<B>) -> Answer {
        if is_of_a_page(request) {
            return text(StatusCode::FORBIDDEN, "a web page may not ask for this; use curl\n");
        }
        let act = match self.act(request) {
            Ok(act) => act,
            Err(sentence) => return text(StatusCode::BAD_REQUEST, sentence),
        };
        let (answer, answered) = oneshot::channel();
        let command = Command { plugin: self.plugin.to_owned(), act, answer };
        // Without a builder the gateway is stopping, and nobody answers.
        let _stopping = admin.hints.send(Hint::Do(Box::new(command)));
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(done))) => full(StatusCode::OK, JSON, json(done)),
            Ok(Ok(Err(Refusal::Unknown(why)))) => full(StatusCode::NOT_FOUND, PLAIN, format!("{why}\n")),
            Ok(Ok(Err(Refusal::Conflict(why)))) => full(StatusCode::CONFLICT, PLAIN, format!("{why}\n")),
            Ok(Err(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n"),
            Err(_) => text(
                StatusCode::GATEWAY_TIMEOUT,
                "it is still being done; see /snapshot for what came of it\n",
            ),
        }
    }

    fn act<B>(&self, request: &Request<B>) -> Result<Act, &'static str> {
        let version =
            request.uri().query().map(|query| query.strip_prefix("version=").ok_or(QUERY)).transpose()?;
        match (self.verb, version) {
            (Verb::Pin, version) if request.method() != Method::DELETE => match version {
                None | Some("current") => Ok(Act::Pin(None)),
                Some(prefix) if is_prefix(prefix) => Ok(Act::Pin(Some(prefix.to_ascii_lowercase()))),
                Some(_) => Err(QUERY),
            },
            (_, Some(_)) => Err("only to pin takes a version\n"),
            (Verb::Rollback, None) => Ok(Act::RollBack),
            (Verb::Pin | Verb::Unpin, None) => Ok(Act::Unpin),
        }
    }
}

const QUERY: &str = "write ?version= and at least 6 hexadecimal digits of a version, or \"current\"\n";

/// Enough digits that nobody means another version.
fn is_prefix(text: &str) -> bool {
    (6..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn json(done: Done) -> String {
    let short = |version: crate::plugin::Version| version.to_string();
    let report = Report {
        outcome: done.act,
        file: done.file,
        uses: done.uses,
        before: done.before.map(short),
        version: done.serving.map(short),
        pinned: done.pinned.map(short),
    };
    serde_json::to_string_pretty(&report).expect("it is plain") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(method: Method, path: &str) -> Option<Result<Act, &'static str>> {
        let request = Request::builder().method(method).uri(path).body(()).expect("it is well-formed");
        Change::named_by(request.uri().path()).map(|change| change.act(&request))
    }

    #[test]
    fn paths_name_changes() {
        assert_eq!(act(Method::POST, "/plugins/a/rollback"), Some(Ok(Act::RollBack)));
        assert_eq!(act(Method::POST, "/plugins/a/unpin"), Some(Ok(Act::Unpin)));
        assert_eq!(act(Method::DELETE, "/plugins/a/pin"), Some(Ok(Act::Unpin)));
        assert_eq!(act(Method::PUT, "/plugins/a/pin"), Some(Ok(Act::Pin(None))));
        assert_eq!(act(Method::POST, "/plugins/a/pin?version=current"), Some(Ok(Act::Pin(None))));
        let pinned = Act::Pin(Some("abc123".to_owned()));
        assert_eq!(act(Method::POST, "/plugins/a/pin?version=ABC123"), Some(Ok(pinned)));
        for none in ["/plugins", "/plugins/a", "/plugins/a/rollback/b", "/plugins/a/burn"] {
            assert_eq!(act(Method::POST, none), None, "{none}");
        }
    }

    #[test]
    fn a_version_that_is_none_is_refused() {
        for wrong in ["version=abc", "version=zzzzzz", "versio=abc123", "version="] {
            assert_eq!(act(Method::POST, &format!("/plugins/a/pin?{wrong}")), Some(Err(QUERY)), "{wrong}");
        }
        assert!(act(Method::POST, "/plugins/a/rollback?version=abc123").is_some_and(|act| act.is_err()));
    }
}
