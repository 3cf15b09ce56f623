//! Nodes in Consul: the instances of a service whose checks all pass.
//!
//! Its health endpoint is asked by blocking queries: with the index of the answer before, Consul holds the next one back until
//! something changed or `WAIT` is over. So a change is told at once, and a server that stopped is noticed soon after `WAIT`.
//! An instance in maintenance has a check that fails, and so is none. Why ids and zones are what they are: docs/decisions/0033.

mod instances;

use std::convert::Infallible;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Bytes;
use hyper::header::HeaderName;
use hyper::{Method, StatusCode};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::board::shortened;
use super::provider::{Provider, Sets, Trouble};
use crate::control::config::{ConsulDiscovery, Secret};
use crate::control::http_client::{Answer, HttpClient, encoded};

/// How long Consul may hold an answer back: as long as a server that stopped without a word passes for one that has no news.
const WAIT: Duration = Duration::from_secs(10);
/// When it is given up: Consul takes up to a sixteenth longer than it was told, and a busy machine a bit more.
const LIMIT: Duration = Duration::from_secs(15);
/// The shortest time between two answers, as fast as snapshots are made.
const PACE: Duration = Duration::from_millis(20);
/// The longest, where answers come at once and tell nothing new: it keeps a promise of 250 ms for the next change.
const LONGEST_PACE: Duration = Duration::from_millis(160);

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

/// A service in Consul.
pub(super) struct Consul {
    wanted: ConsulDiscovery,
    target: String,
}

impl Consul {
    pub(super) fn new(wanted: ConsulDiscovery) -> Self {
        let mut target = format!("/v1/health/service/{}?passing=1", encoded(&wanted.service));
        for tag in &wanted.tags {
            target += &format!("&tag={}", encoded(tag));
        }
        if let Some(datacenter) = &wanted.datacenter {
            target += &format!("&dc={}", encoded(datacenter));
        }
        Self { wanted, target }
    }

    async fn follow_until_lost(&self, sets: &Sets) -> Result<Infallible, Trouble> {
        let client = HttpClient::new(&self.wanted.address, self.wanted.tls.as_ref());
        let token = self.wanted.token.as_ref().map(Secret::reveal);
        let client = match token {
            Some(token) => client.and_then(|client| client.with_secret(TOKEN, token)),
            None => client,
        };
        let mut client = client.map_err(Trouble::new)?;
        let (mut index, mut pace, mut last) = (0, PACE, None);
        loop {
            let asked = Instant::now();
            let target = format!("{}&wait={}s&index={index}", self.target, WAIT.as_secs());
            let answer = client.ask(Method::GET, &target, Bytes::new(), LIMIT).await;
            let answer = answer.map_err(|error| Trouble::new(error.to_string()))?;
            let told = index_of(&answer)?;
            // Ten thousand instances take so long to read that checks of nodes would wait for it.
            let set = spawn_blocking(move || instances::read(&answer.body))
                .await
                .unwrap_or_else(|error| Err(error.to_string()));
            let set = set.map_err(Trouble::new)?;
            let is_new = last.as_ref() != Some(&set);
            if is_new {
                sets.publish(set.clone());
                last = Some(set);
            } else {
                sets.heard();
            }
            index = next_index(index, told);
            pace = next_pace(pace, is_new);
            // Nothing is waited for if Consul made us wait already.
            sleep(pace.saturating_sub(asked.elapsed())).await;
        }
    }
}

impl Provider for Consul {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        async move {
            match self.follow_until_lost(sets).await {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            }
        }
        .boxed()
    }
}

/// The index of an answer, if it is one of Consul's and good.
fn index_of(answer: &Answer) -> Result<u64, Trouble> {
    if answer.status != StatusCode::OK {
        let text = String::from_utf8_lossy(&answer.body);
        let first = text.lines().next().unwrap_or_default().trim();
        let what = match answer.status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Consul refuses the token",
            _ => "Consul refuses",
        };
        return Err(Trouble::new(shortened(&format!("{what}: {}: {first}", answer.status))));
    }
    let index = answer.headers.get(&INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
    index.ok_or_else(|| Trouble::new("what answers is not Consul: it sends no X-Consul-Index"))
}

/// The index to ask with next. One that goes backwards belongs to a server that was set up anew: everything is asked for then.
/// With 0, Consul would never wait.
fn next_index(before: u64, told: u64) -> u64 {
    if told < before { 0 } else { told.max(1) }
}

/// How far answers are apart at least. One that tells nothing new was asked for in vain, and so may the next be.
fn next_pace(before: Duration, is_new: bool) -> Duration {
    if is_new { PACE } else { (before * 2).min(LONGEST_PACE) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_index_that_goes_backwards_begins_anew() {
        let indices = [(0, 7, 7), (7, 7, 7), (7, 9, 9), (9, 3, 0), (0, 3, 3), (0, 0, 1), (1, 0, 0)];
        for (before, told, next) in indices {
            assert_eq!(next_index(before, told), next, "{before}, {told}");
        }
    }

    #[test]
    fn a_server_that_never_waits_is_asked_six_times_a_second() {
        let mut pace = PACE;
        let paces = std::iter::repeat_with(|| {
            pace = next_pace(pace, false);
            pace.as_millis()
        });
        assert_eq!(paces.take(4).collect::<Vec<_>>(), [40, 80, 160, 160]);
        assert_eq!(next_pace(LONGEST_PACE, true), PACE);
    }

    #[test]
    fn what_is_asked_for_is_encoded() {
        let consul = Consul::new(ConsulDiscovery {
            address: "http://127.0.0.1:8500".parse().unwrap(),
            service: "api v2/x".to_owned(),
            tags: vec!["a&b".to_owned(), "c".to_owned()],
            datacenter: Some("dc 1".to_owned()),
            token: None,
            tls: None,
        });
        assert_eq!(consul.target, "/v1/health/service/api%20v2%2Fx?passing=1&tag=a%26b&tag=c&dc=dc%201");
    }
}
