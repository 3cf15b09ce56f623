//! What /snapshot and /metrics tell of the stores.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plugin::Services;
use crate::store::redis::stats::{Asked, BUCKETS, Outcome};
use crate::store::redis::{Redis, State};
use crate::telemetry::{Exposition, Kind};

/// `stores` in /snapshot.
#[derive(Serialize)]
pub(super) struct StoresRow {
    sessions: SessionsRow,
    /// None without a `[redis]`.
    redis: Option<RedisRow>,
}

#[derive(Serialize)]
struct SessionsRow {
    store: &'static str,
    /// How many this process keeps or knows.
    kept: u64,
    near_cache: Option<BTreeMap<&'static str, u64>>,
    bad_cookies: Option<BTreeMap<&'static str, u64>>,
}

#[derive(Serialize)]
struct RedisRow {
    state: &'static str,
    /// How often it came to that it is not asked.
    outages: u64,
    /// Members of a cluster that are not asked.
    absent_members: usize,
    /// Questions by what was asked and how it went; those that never were are left out.
    questions: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

impl StoresRow {
    pub(super) fn of(services: &Services) -> Self {
        let sessions = &services.sessions;
        Self {
            sessions: SessionsRow {
                store: sessions.store_name(),
                kept: sessions.count(),
                near_cache: sessions.near_cache().map(BTreeMap::from),
                bad_cookies: sessions.bad_cookies().map(BTreeMap::from),
            },
            redis: services.redis.as_deref().map(RedisRow::of),
        }
    }
}

impl RedisRow {
    fn of(redis: &Redis) -> Self {
        let stats = redis.stats();
        let outcomes = |asked: Asked| {
            let counts = Outcome::ALL.map(|outcome| (outcome.name(), stats.get(asked, outcome)));
            counts.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>()
        };
        let questions = Asked::ALL.into_iter().map(|asked| (asked.name(), outcomes(asked)));
        Self {
            state: redis.state().name(),
            outages: redis.outages(),
            absent_members: redis.absent_members(),
            questions: questions.filter(|(_, outcomes)| !outcomes.is_empty()).collect(),
        }
    }
}

/// Writes the families of the stores.
pub(super) fn write(text: &mut Exposition, services: &Services) {
    let sessions = &services.sessions;
    let help = "Bindings of clients to nodes that are kept, or known of those in Redis.";
    text.family("bascule_sessions", Kind::Gauge, help).sample(&[], sessions.count());
    if let Some(counts) = sessions.near_cache() {
        let help = "Sessions that were looked for in what is known of Redis', by what came of it.";
        let mut family = text.family("bascule_sessions_near_cache_total", Kind::Counter, help);
        for (result, count) in counts {
            family.sample(&[("result", result)], count);
        }
    }
    if let Some(counts) = sessions.bad_cookies() {
        let help = "Cookies that are as good as none, by what is wrong with them.";
        let mut family = text.family("bascule_sessions_bad_cookies_total", Kind::Counter, help);
        for (why, count) in counts {
            family.sample(&[("why", why)], count);
        }
    }
    if let Some(redis) = &services.redis {
        write_redis(text, redis);
    }
}

fn write_redis(text: &mut Exposition, redis: &Redis) {
    let stats = redis.stats();
    let help = "1 while Redis is asked, 0 while a worker cannot, or not yet.";
    text.family("bascule_redis_up", Kind::Gauge, help).sample(&[], u8::from(redis.state() == State::Up));
    let help = "How often it came to that Redis is not asked.";
    text.family("bascule_redis_outages_total", Kind::Counter, help).sample(&[], redis.outages());
    let help = "Members of a Redis Cluster that a worker does not ask, since they do not answer.";
    text.family("bascule_redis_absent_members", Kind::Gauge, help).sample(&[], redis.absent_members());
    let help = "Questions to Redis, by what was asked and how it went.";
    let mut family = text.family("bascule_redis_questions_total", Kind::Counter, help);
    for asked in Asked::ALL {
        for outcome in Outcome::ALL {
            let labels = [("asked", asked.name()), ("outcome", outcome.name())];
            family.sample(&labels, stats.get(asked, outcome));
        }
    }
    let (buckets, sum) = stats.answers();
    let help = "How long Redis' answers took, as workers see it.";
    text.family("bascule_redis_answer_seconds", Kind::Histogram, help).histogram(
        &[],
        &BUCKETS,
        &buckets,
        sum,
    );
}
