//! Time limits that stand in each other's way: a limit that is written and can never be reached is a mistake, since
//! whoever wrote it counts on it. A default gives way without a word.

use std::time::Duration;

use super::{Entry, Parse, Tables};
use crate::control::config::error::At;
use crate::control::config::file;
use crate::control::config::reading::Key;
use crate::control::config::resolved::{HedgeAfter, Route};
use crate::name::Name;

/// What a route has if it says nothing.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The limits that are written for one pool, in its own table or in the defaults.
pub(super) struct Written {
    pool: Name,
    connect: Option<At<Duration>>,
    first_byte: Option<At<Duration>>,
    attempt: Option<At<Duration>>,
    hedge: Option<At<Duration>>,
    between_bytes: Option<At<Duration>>,
}

impl Written {
    /// Those of each pool.
    pub(super) fn of(pools: &Tables<file::Pool>, defaults: &file::PoolDefaults) -> Vec<Written> {
        let written = |key: &Key<Duration>, default| key.clone().or(default).get();
        let of_pool = |entry: &Entry<file::Pool>| {
            let table = entry.table.as_ref()?;
            Some(Written {
                pool: entry.name.value.clone(),
                connect: written(&table.connect_timeout, &defaults.connect_timeout),
                first_byte: written(&table.first_byte_timeout, &defaults.first_byte_timeout),
                attempt: written(&table.attempt_timeout, &defaults.attempt_timeout),
                hedge: hedge(table.retry.clone().or(&defaults.retry)),
                between_bytes: written(&table.between_bytes_timeout, &defaults.between_bytes_timeout),
            })
        };
        pools.iter().filter_map(of_pool).collect()
    }
}

/// After which time a second attempt is made, if that is written as a time.
fn hedge(retry: Key<file::Retry>) -> Option<At<Duration>> {
    let At { value, place } = retry.get()?.value.hedge.get()?;
    match value {
        HedgeAfter::Time(value) => Some(At { value, place }),
        HedgeAfter::Percentile(_) => None,
    }
}

impl Parse {
    /// A route's `timeout` and `total_timeout`.
    pub(super) fn route_timeouts(
        &mut self,
        timeout: Key<Duration>,
        total: Key<Duration>,
    ) -> (Duration, Option<Duration>) {
        let total = total.get().map(|at| at.value);
        if let (Key::Is(timeout), Some(total)) = (&timeout, total) {
            self.outlasts("timeout", timeout, total, "the route's `total_timeout` ends");
        }
        (timeout.unless(TIMEOUT), total)
    }

    /// Notes each limit of a pool that another one always comes before.
    pub(super) fn reachable(&mut self, pools: &[Written], routes: &[Route]) {
        if !self.complete {
            return; // a route may stand in a file that could not be read
        }
        for pool in pools {
            let before_head = [
                ("connect_timeout", &pool.connect),
                ("first_byte_timeout", &pool.first_byte),
                ("hedge", &pool.hedge),
                ("attempt_timeout", &pool.attempt),
            ];
            if let Some(attempt) = &pool.attempt {
                let others = before_head.iter().filter(|(key, _)| *key != "attempt_timeout");
                for (key, limit) in others.filter_map(|(key, at)| Some((key, at.as_ref()?))) {
                    self.outlasts(key, limit, attempt.value, "the pool's `attempt_timeout` ends");
                }
            }
            // A filter may lead a request to any pool.
            let leads_here = |route: &&Route| route.pool.value == pool.pool || !route.filters.is_empty();
            let routes: Vec<_> = routes.iter().filter(leads_here).collect();
            if let Some(longest) = routes.iter().map(|route| route.timeout).max() {
                for (key, limit) in before_head.iter().filter_map(|(key, at)| Some((key, at.as_ref()?))) {
                    self.outlasts(key, limit, longest, "the `timeout` of each route to this pool ends");
                }
            }
            let totals: Option<Vec<_>> = routes.iter().map(|route| route.total_timeout).collect();
            let longest = totals.and_then(|totals| totals.into_iter().max());
            if let (Some(longest), Some(limit)) = (longest, &pool.between_bytes) {
                let who = "the `total_timeout` of each route to this pool ends";
                self.outlasts("between_bytes_timeout", limit, longest, who);
            }
        }
    }

    /// Notes a limit that is longer than one which ends no later; once, wherever it is inherited.
    fn outlasts(&mut self, key: &str, limit: &At<Duration>, other: Duration, who: &str) {
        if limit.value <= other {
            return;
        }
        let other = as_written(other);
        let what = format!("`{key}` can never be reached: {who} after {other}");
        if self.errors.iter().all(|error| !error.place().is_same_as(&limit.place)) {
            self.wrong(
                &limit.place,
                what,
                format!("write \"{other}\" or less, or make the other one longer"),
            );
        }
    }
}

/// A duration as the configuration has it.
fn as_written(duration: Duration) -> String {
    match duration.as_micros() {
        micros if micros % 1_000_000 == 0 => format!("{}s", micros / 1_000_000),
        micros if micros % 1_000 == 0 => format!("{}ms", micros / 1_000),
        micros => format!("{micros}us"),
    }
}
