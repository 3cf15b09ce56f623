//! Lets each client, header value or route have so many requests in a time, and answers the others with 429.
//!
//! The counting is the store's: one question to `shared.throttle` for each request, which answers by the generic cell rate
//! algorithm (GCRA). So all workers count together, and with `shared = "cluster"` all gateways do. This plugin says who is
//! counted with whom, and what becomes of a request when there is no answer.

mod rate;
mod who;

use std::time::Duration;

use bascule_plugin::prelude::*;
use bascule_plugin::shared::Throttled;
use rate::{Pace, Rate};
use who::By;

/// The keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    rate: Rate,
    burst: Option<u32>,
    #[serde(default)]
    by: By,
    #[serde(default)]
    on_error: OnError,
    #[serde(default = "too_many_requests")]
    status: u16,
}

/// RFC 6585, 4.
fn too_many_requests() -> u16 {
    429
}

/// What becomes of a request when the store does not answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum OnError {
    /// It goes on, uncounted.
    #[default]
    Allow,
    /// It is answered with 503.
    Deny,
}

/// The store counts no further ahead.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The filter.
#[derive(Debug)]
pub struct RateLimit {
    pace: Pace,
    burst: u32,
    by: By,
    on_error: OnError,
    status: u16,
    /// The field that says what the limit is; it is the same in each refusal.
    policy: String,
}

impl Lifecycle for RateLimit {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let burst = config.burst.unwrap_or(config.rate.count());
        if burst == 0 {
            return Err("burst: write how many requests may come at once, 1 or more".into());
        }
        if config.rate.refills(burst) > YEAR {
            return Err(
                "burst: it takes more than a year to come back at this rate; write less, or a higher rate"
                    .into(),
            );
        }
        if !(400..=599).contains(&config.status) {
            return Err("status: write 400 to 599; what is refused is answered with it".into());
        }
        let policy = config.rate.policy();
        let pace = Pace::new(config.rate);
        Ok(Self { pace, burst, by: config.by, on_error: config.on_error, status: config.status, policy })
    }
}

impl Filter for RateLimit {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        let rate = shared::Rate::new(1, self.pace.interval()).burst(self.burst);
        match shared::throttle(&self.by.key(request), rate, 1) {
            Ok(Throttled::Allowed) => Verdict::Done,
            Ok(Throttled::Wait(wait)) => self.refuse(wait),
            Err(_) => self.without_an_answer(),
        }
    }
}

impl RateLimit {
    fn refuse(&self, wait: Duration) -> Verdict {
        metrics::counter("rate_limit_refused", 1);
        let seconds = whole_seconds(wait).to_string();
        Answer::new(self.status)
            .header("retry-after", &seconds)
            .header("ratelimit-policy", &self.policy)
            .header("ratelimit", ["\"default\";r=0;t=", &seconds].concat())
            .header("content-type", "text/plain")
            .body(["too many requests: try again in ", &seconds, " s\n"].concat())
            .into()
    }

    fn without_an_answer(&self) -> Verdict {
        metrics::counter("rate_limit_store_errors", 1);
        match self.on_error {
            OnError::Allow => Verdict::Done,
            OnError::Deny => Answer::new(503)
                .header("retry-after", "1")
                .header("content-type", "text/plain")
                .body("requests cannot be counted now: try again in 1 s\n")
                .into(),
        }
    }
}

/// Rounded up, since who comes a moment too early is refused again (RFC 9110, 10.2.3 knows no parts of seconds).
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

bascule_plugin::export!(RateLimit: lifecycle, filter);

#[cfg(test)]
mod tests;
