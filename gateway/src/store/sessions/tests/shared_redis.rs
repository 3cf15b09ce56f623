//! Sessions in a real Redis: the suite, and what several gateways and a Redis that fails make of it.

use std::collections::HashSet;

use test_servers::{Redis as Server, RedisCluster};

use super::*;
use crate::store::redis::State;
use crate::store::redis::stats::{Asked, Outcome};
use crate::store::redis::testing::{redis_at, redis_of, wait_for};

/// Long enough that nothing in a test is believed no longer, or short enough that it always is asked.
const LONG: Duration = Duration::from_secs(600);
const NEVER: Duration = Duration::ZERO;

fn sessions(redis: &Arc<Redis>, believed: Duration) -> Sessions {
    Sessions::in_redis(Arc::clone(redis), 1000, believed, FailMode::Move)
}

/// The sessions of two gateways that share a Redis.
fn two_gateways(server: &Server, believed: Duration) -> [Sessions; 2] {
    [sessions(&redis_at(&server.url()), believed), sessions(&redis_at(&server.url()), believed)]
}

async fn node(sessions: &Sessions, token: &str) -> Option<Arc<str>> {
    sessions.get(&OF, token).await.unwrap()
}

#[tokio::test]
async fn in_redis() {
    let Some(server) = Server::start() else { return };
    for believed in [NEVER, LONG] {
        suite(&sessions(&redis_at(&server.url()), believed), Token::Stays).await;
    }
}

#[tokio::test]
async fn in_a_redis_cluster() {
    let Some(cluster) = RedisCluster::start() else { return };
    let redis = redis_of(&cluster);
    wait_for("the cluster", || redis.state() == State::Up).await;
    for _ in 0..5 {
        // Tokens are random, so each time other members are asked.
        suite(&sessions(&redis, NEVER), Token::Stays).await;
    }
}

#[tokio::test]
async fn two_gateways_never_bind_one_session_to_two_nodes() {
    let Some(server) = Server::start() else { return };
    let [here, there] = two_gateways(&server, LONG);
    for _ in 0..100 {
        let token = here.bind(&OF, None, "start", HOUR, None).await.unwrap().token;
        assert_eq!(node(&there, &token).await.as_deref(), Some("start"));
        let (one, other) = tokio::join!(
            here.bind(&OF, Some(&token), "a", HOUR, Some("start")),
            there.bind(&OF, Some(&token), "b", HOUR, Some("start")),
        );
        assert_eq!(one.unwrap(), other.unwrap());
    }
}

#[tokio::test]
async fn neither_tokens_nor_their_hashes_alone_lead_from_redis_to_a_client() {
    let Some(server) = Server::start() else { return };
    let [here, _] = two_gateways(&server, LONG);
    let token = here.bind(&OF, None, "node-a", HOUR, None).await.unwrap().token;
    let key = server.ask(&["KEYS", "*"]);
    assert!(key.starts_with("bascule:s:sticky:") && !key.contains(&token), "{key}");
    assert_eq!(server.ask(&["GET", &key]), "node-a");
    let left: u64 = server.ask(&["PTTL", &key]).parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn who_asks_for_the_same_token_at_once_asks_once() {
    let Some(server) = Server::start() else { return };
    let [here, there] = two_gateways(&server, NEVER);
    let token = here.bind(&OF, None, "a", HOUR, None).await.unwrap().token;
    // Redis counts what it is asked.
    server.ask(&["CONFIG", "RESETSTAT"]);
    server.freeze();
    let asked: Vec<_> = (0..50).map(|_| there.get(&OF, &token)).collect();
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), async { server.thaw() });
    assert!(answers.into_iter().all(|node| node.unwrap().as_deref() == Some("a")));
    let stats = server.ask(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_get:calls=1,"), "{stats}");
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_what_gateways_know() {
    let Some(server) = Server::start() else { return };
    let [here, there] = two_gateways(&server, NEVER);
    let mut tokens = Vec::new();
    for index in 0..20 {
        let bound = here.bind(&OF, None, &format!("node-{}", index % 5), HOUR, None).await.unwrap();
        assert_eq!(node(&there, &bound.token).await.as_ref(), Some(&bound.node));
        tokens.push(bound);
    }
    let forgotten = tokens.pop().unwrap();
    here.forget(&OF, &forgotten.token).await.unwrap();
    server.ask(&["FLUSHALL"]);
    for (index, bound) in tokens.iter().enumerate() {
        // By a read, or by a write that was told another node.
        let back = if index % 2 == 0 {
            node(&there, &bound.token).await.unwrap()
        } else {
            there.bind(&OF, Some(&bound.token), "elsewhere", HOUR, None).await.unwrap().node
        };
        assert_eq!(back, bound.node);
    }
    let fresh = sessions(&redis_at(&server.url()), NEVER);
    for bound in &tokens {
        assert_eq!(node(&fresh, &bound.token).await.as_ref(), Some(&bound.node), "it is in Redis again");
    }
    assert_eq!(node(&here, &forgotten.token).await, None);
}

#[tokio::test]
async fn a_forgotten_session_is_forgotten_by_all() {
    let Some(server) = Server::start() else { return };
    let [here, there] = two_gateways(&server, NEVER);
    let token = here.bind(&OF, None, "a", HOUR, None).await.unwrap().token;
    assert!(node(&there, &token).await.is_some());
    here.forget(&OF, &token).await.unwrap();
    assert_eq!(node(&there, &token).await, None, "and it is not written back");
    assert_eq!(node(&here, &token).await, None);
}

#[tokio::test]
async fn while_redis_is_gone_what_is_known_goes_on_and_the_rest_is_told_at_once() {
    let Some(server) = Server::start() else { return };
    let redis = redis_at(&server.url());
    let sessions = sessions(&redis, NEVER);
    let bound = sessions.bind(&OF, None, "a", HOUR, None).await.unwrap();
    server.kill();
    // The first question finds that the connection is gone.
    assert_eq!(node(&sessions, &bound.token).await, Some(Arc::clone(&bound.node)));
    wait_for("the breaker", || redis.is_down()).await;
    assert_eq!(
        sessions.get_now(&OF, bound.token.as_bytes(), Instant::now()),
        Now::Known(Some(Arc::clone(&bound.node)))
    );
    let again = sessions.bind(&OF, Some(&bound.token), "b", HOUR, None).await.unwrap();
    assert_eq!(again, bound, "nobody is moved");
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(sessions.get(&OF, unknown).await, Err(StoreError::Unavailable));
    assert_eq!(sessions.bind(&OF, None, "a", HOUR, None).await, Err(StoreError::Unavailable));
    assert_eq!(sessions.near_cache().unwrap()[2].0, "stale");
    assert!(sessions.near_cache().unwrap()[2].1 >= 2);
    assert!(redis.stats().get(Asked::SessionGet, Outcome::Unavailable) >= 1);

    server.restart();
    wait_for("Redis", || redis.state() == State::Up).await;
    assert_eq!(node(&sessions, &bound.token).await, Some(bound.node));
    assert!(sessions.bind(&OF, None, "a", HOUR, None).await.is_ok());
}

#[tokio::test]
async fn a_life_is_renewed_without_asking_for_each_request() {
    let Some(server) = Server::start() else { return };
    let [here, _] = two_gateways(&server, LONG);
    let token = here.bind(&OF, None, "a", HOUR, None).await.unwrap().token;
    let key = server.ask(&["KEYS", "*"]);
    server.ask(&["PEXPIRE", &key, "100000"]);
    server.ask(&["CONFIG", "RESETSTAT"]);
    for _ in 0..10 {
        here.bind(&OF, Some(&token), "a", HOUR, None).await.unwrap();
    }
    assert!(
        !server.ask(&["INFO", "commandstats"]).contains("evalsha"),
        "what is known as renewed is not written"
    );
    let longer = 2 * HOUR;
    here.bind(&OF, Some(&token), "a", longer, None).await.unwrap();
    let left: u64 = server.ask(&["PTTL", &key]).parse().unwrap();
    assert!(left > 7_000_000, "{left}");
}

#[tokio::test]
async fn tokens_do_not_repeat() {
    let sessions = Sessions::in_memory(1000);
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        assert!(seen.insert(sessions.bind(&OF, None, "a", HOUR, None).await.unwrap().token));
    }
}

/// A number that Redis tells of itself.
pub(super) fn info(server: &Server, section: &str, name: &str) -> f64 {
    let info = server.ask(&["INFO", section]);
    let line = info.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().parse().unwrap()
}

/// The seconds that Redis computed so far.
pub(super) fn cpu(server: &Server) -> f64 {
    info(server, "cpu", "used_cpu_sys:") + info(server, "cpu", "used_cpu_user:")
}

/// The figures of decision 36: `cargo test -p bascule --lib -- --ignored --nocapture what_a_session_costs`.
#[tokio::test]
#[ignore = "a measurement"]
async fn what_a_session_costs() {
    const TIMES: u32 = 20_000;
    let Some(server) = Server::start() else { return };
    let [here, asking] = [LONG, NEVER].map(|believed| sessions(&redis_at(&server.url()), believed));
    let token = here.bind(&OF, None, "node-a", HOUR, None).await.unwrap().token;
    let began = Instant::now();
    for _ in 0..TIMES {
        assert!(matches!(here.get_now(&OF, token.as_bytes(), Instant::now()), Now::Known(Some(_))));
    }
    let hit = began.elapsed() / TIMES;
    let (before, began) = (cpu(&server), Instant::now());
    for _ in 0..TIMES {
        assert!(node(&asking, &token).await.is_some());
    }
    let (question, cpu) = (began.elapsed() / TIMES, (cpu(&server) - before) / f64::from(TIMES));
    #[expect(clippy::print_stdout, reason = "it is what the measurement is for")]
    {
        println!("a hit {hit:?}, a question {question:?}, of which Redis computes {:.1} us", cpu * 1e6);
    }
}
