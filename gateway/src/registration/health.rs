//! Asks the node's health URL, again and again.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::pulse::Pulse;
use super::settings::Health;
use crate::control::http_client::HttpClient;

/// How long an answer may take; never longer than the time from one question to the next.
const ANSWER: Duration = Duration::from_secs(2);

/// Asks for ever, and tells whenever the node turns.
pub(super) async fn ask(health: Health, mut client: HttpClient, tell: &watch::Sender<bool>) {
    let limit = ANSWER.min(health.interval);
    let mut pulse = Pulse::new(health.failures);
    let mut due = tokio::time::interval(health.interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let answer = client.ask(Method::GET, &health.url.path, Bytes::new(), limit).await;
        let why = match answer {
            Ok(answer) if answer.status.is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status)),
            Err(error) => Some(error.to_string()),
        };
        match (pulse.note(why.is_none()), why) {
            (Some(true), _) => info!(health = %health.url, "the node is well"),
            (Some(false), Some(why)) => warn!(health = %health.url, "the node is not well: {why}"),
            _ => continue,
        }
        tell.send_replace(pulse.is_well());
    }
}
