//! What a real Redis does to those who ask it: it hangs, goes, comes back, moves, and turns the gateway away.
#![allow(clippy::unwrap_used)]

use std::fs;

use ::redis::cmd;
use test_servers::{Certificates, Redis as Server, RedisCluster, RedisSentinel};

use super::lane::QUEUE;
use super::testing::{redis_at, redis_of, server, spec, start, wait_for};
use super::*;

fn command(words: &[&str]) -> Question {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    Question::command(command)
}

async fn ask(redis: &Redis, words: &[&str]) -> Result<Value, StoreError> {
    redis.ask(Asked::SharedGet, command(words)).await
}

fn count(redis: &Redis, outcome: Outcome) -> u64 {
    redis.stats().get(Asked::SharedGet, outcome)
}

async fn is(redis: &Redis, state: State) {
    wait_for(state.name(), || redis.state() == state).await;
}

/// Asks until there is an answer: Redis is somewhere else, or not there yet.
async fn ask_until(redis: &Redis, words: &[&str]) -> Value {
    let asked = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Ok(value) = ask(redis, words).await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    asked.await.expect("an answer in the end")
}

#[tokio::test]
async fn a_redis_that_hangs_costs_five_questions_their_time_and_the_others_nothing() {
    let Some(server) = Server::start() else { return };
    let redis = start(Spec { timeout: Duration::from_millis(100), ..spec(&server.url()) });
    ask_until(&redis, &["SET", "key", "value"]).await;
    let answered = count(&redis, Outcome::Answered);
    server.freeze();
    for _ in 0..5 {
        assert_eq!(ask(&redis, &["GET", "key"]).await, Err(StoreError::Unavailable));
    }
    is(&redis, State::Down).await;
    assert_eq!(count(&redis, Outcome::Late), 5);
    for _ in 0..1000 {
        assert_eq!(ask(&redis, &["GET", "key"]).await, Err(StoreError::Unavailable));
    }
    assert_eq!((count(&redis, Outcome::Late), count(&redis, Outcome::Unavailable)), (5, 1000));
    server.thaw();
    is(&redis, State::Up).await;
    assert_eq!(ask_until(&redis, &["GET", "key"]).await, Value::BulkString(b"value".to_vec()));
    assert_eq!((count(&redis, Outcome::Answered), redis.outages()), (answered + 1, 1));
}

#[tokio::test]
async fn what_waits_for_a_redis_that_hangs_is_bounded() {
    let Some(server) = Server::start() else { return };
    let redis = start(Spec { timeout: Duration::from_secs(1), ..spec(&server.url()) });
    ask_until(&redis, &["PING"]).await;
    server.freeze();
    let many = (0..4 * QUEUE).map(|_| ask(&redis, &["PING"]));
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.into_iter().all(|answer| answer == Err(StoreError::Unavailable)));
    assert!(count(&redis, Outcome::Unavailable) >= 2 * QUEUE as u64, "there was no room for them");
}

#[tokio::test]
async fn a_connection_that_was_quiet_is_tried_before_anybody_asks() {
    let Some(server) = Server::start() else { return };
    let redis = redis_at(&server.url());
    ask_until(&redis, &["PING"]).await;
    server.freeze();
    is(&redis, State::Down).await;
    assert_eq!((count(&redis, Outcome::Late), redis.outages()), (0, 1));
}

#[tokio::test]
async fn each_event_loop_has_a_connection_of_its_own() {
    let Some(server) = Server::start() else { return };
    let redis = redis_at(&server.url());
    let connections =
        || server.ask(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("cmd=ping")).count();
    ask_until(&redis, &["PING"]).await;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(ask_until(&redis, &["PING"]));
            assert_eq!((connections(), redis.state()), (2, State::Up));
        });
    });
    wait_for("the other event loop's to go with it", || connections() == 1).await;
    assert_eq!(redis.state(), State::Up);
    drop(redis);
    wait_for("the last one to go", || connections() == 0).await;
}

#[tokio::test]
async fn a_gateway_starts_without_redis_and_finds_it_later() {
    let Some(server) = Server::start() else { return };
    server.kill();
    let redis = redis_at(&server.url());
    assert_eq!(ask(&redis, &["PING"]).await, Err(StoreError::Unavailable));
    is(&redis, State::Down).await;
    server.restart();
    is(&redis, State::Up).await;
    assert!(ask(&redis, &["PING"]).await.is_ok());
    assert_eq!(redis.outages(), 1, "however often it was tried");
}

#[tokio::test]
async fn scripts_are_known_again_after_a_restart() {
    static ECHO: std::sync::LazyLock<::redis::Script> =
        std::sync::LazyLock::new(|| ::redis::Script::new("return ARGV[1]"));
    let Some(server) = Server::start() else { return };
    let redis = redis_at(&server.url());
    let echo = || Question::script(&ECHO, "key".into(), vec![b"hello".to_vec()]);
    for _ in 0..2 {
        assert_eq!(redis.ask(Asked::Throttle, echo()).await, Ok(Value::BulkString(b"hello".to_vec())));
        server.ask(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn the_new_master_is_found_through_the_sentinels() {
    let Some(group) = RedisSentinel::start() else { return };
    let servers = group.urls().iter().map(|url| server(url)).collect();
    let mode = Mode::Sentinel(group.master_name().into());
    let redis = start(Spec { servers, mode, ..spec(&group.urls()[0]) });
    ask_until(&redis, &["SET", "key", "value"]).await;
    wait_for("the replica to know it", || group.first_replica().ask(&["GET", "key"]) == "value").await;
    group.first_master().kill();
    let written = ask_until(&redis, &["SET", "key", "new"]).await;
    assert_eq!(written, Value::Okay);
    assert_eq!(group.first_replica().ask(&["GET", "key"]), "new");
}

#[tokio::test]
async fn a_cluster_serves_what_its_other_members_hold() {
    let Some(cluster) = RedisCluster::start() else { return };
    let redis = redis_of(&cluster);
    // "foo" is of slot 12182, so the third one's; "hello" of 866, the first one's.
    for key in ["foo", "hello"] {
        assert_eq!(ask_until(&redis, &["SET", key, "value"]).await, Value::Okay);
    }
    cluster.masters()[2].kill();
    for _ in 0..10 {
        assert_eq!(ask(&redis, &["GET", "foo"]).await, Err(StoreError::Unavailable));
        for _ in 0..3 {
            assert_eq!(ask(&redis, &["GET", "hello"]).await, Ok(Value::BulkString(b"value".to_vec())));
        }
    }
    assert_eq!(redis.outages(), 0);
    cluster.masters()[2].restart();
    assert_eq!(ask_until(&redis, &["GET", "foo"]).await, Value::BulkString(b"value".to_vec()));
}

#[tokio::test]
async fn a_member_that_hangs_costs_its_own_keys_five_questions_and_the_others_nothing() {
    let Some(cluster) = RedisCluster::start() else { return };
    let servers = cluster.urls().iter().map(|url| server(url)).collect();
    let timeout = Duration::from_millis(500);
    let redis = start(Spec { servers, mode: Mode::Cluster, timeout, ..spec(&cluster.urls()[0]) });
    for key in ["foo", "hello"] {
        assert_eq!(ask_until(&redis, &["SET", key, "value"]).await, Value::Okay);
    }
    // The client's own time for an answer may be over first.
    let lost = || count(&redis, Outcome::Late) + count(&redis, Outcome::Failed);
    let before = lost();
    cluster.masters()[2].freeze();
    for _ in 0..5 {
        assert_eq!(ask(&redis, &["GET", "foo"]).await, Err(StoreError::Unavailable));
        assert_eq!(ask(&redis, &["GET", "hello"]).await, Ok(Value::BulkString(b"value".to_vec())));
    }
    assert_eq!((lost(), redis.absent_members()), (before + 5, 1));
    let turned_away = count(&redis, Outcome::Unavailable);
    for _ in 0..500 {
        assert_eq!(ask(&redis, &["GET", "foo"]).await, Err(StoreError::Unavailable));
        assert_eq!(ask(&redis, &["GET", "hello"]).await, Ok(Value::BulkString(b"value".to_vec())));
    }
    assert_eq!(count(&redis, Outcome::Unavailable), turned_away + 500);
    assert_eq!((redis.state(), redis.outages()), (State::Up, 0));
    cluster.masters()[2].thaw();
    wait_for("it is asked again", || redis.absent_members() == 0).await;
    assert_eq!(ask_until(&redis, &["GET", "foo"]).await, Value::BulkString(b"value".to_vec()));
}

#[tokio::test]
async fn tls_is_spoken_to_a_server_that_the_authority_knows() {
    let certificates = Certificates::make();
    let Some(server) = Server::start_with_tls(&certificates) else { return };
    let read = |path: std::path::PathBuf| fs::read(path).unwrap();
    let tls = |ca: Option<Vec<u8>>| Tls {
        ca,
        identity: Some((read(certificates.client()), Password(read(certificates.client_key())))),
    };
    let address = server.tls_address();
    let with = |tls: Tls| Spec {
        servers: vec![(address.ip().to_string(), address.port())],
        tls: Some(tls),
        ..spec(&server.url())
    };
    let redis = start(with(tls(Some(read(certificates.authority())))));
    ask_until(&redis, &["PING"]).await;
    // A stranger's authority, and no certificate of one's own.
    let stranger = Certificates::make();
    let nobody = Tls { ca: Some(read(certificates.authority())), identity: None };
    for wrong in [tls(Some(read(stranger.authority()))), nobody] {
        let redis = start(with(wrong));
        is(&redis, State::Down).await;
        assert_eq!(ask(&redis, &["PING"]).await, Err(StoreError::Unavailable));
    }
    let bad = Redis::new(with(Tls { ca: Some(b"no certificate".to_vec()), identity: None }));
    assert!(bad.is_err());
}

#[tokio::test]
async fn a_user_needs_its_password() {
    let Some(server) = Server::start_with_user("bascule", "right") else { return };
    let with = |password: &str| {
        let (user, password) = (Some("bascule".to_owned()), Some(Password(password.into())));
        start(Spec { user, password, ..spec(&server.url()) })
    };
    ask_until(&with("right"), &["PING"]).await;
    let redis = with("wrong");
    is(&redis, State::Down).await;
    assert_eq!(ask(&redis, &["PING"]).await, Err(StoreError::Unavailable));
    assert_eq!(redis.outages(), 1);
    // As soon as the password is right on the other side, all is well.
    server.ask(&["ACL", "SETUSER", "bascule", ">wrong"]);
    is(&redis, State::Up).await;
}

#[tokio::test]
async fn what_a_user_may_not_do_fails_and_the_rest_goes_on() {
    let Some(server) = Server::start() else { return };
    server.ask(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get", "+ping"]);
    let (user, password) = (Some("reader".to_owned()), Some(Password(b"secret".to_vec())));
    let redis = start(Spec { user, password, ..spec(&server.url()) });
    ask_until(&redis, &["GET", "key"]).await;
    for _ in 0..100 {
        assert_eq!(ask(&redis, &["SET", "key", "value"]).await, Err(StoreError::Unavailable));
    }
    assert_eq!(ask(&redis, &["GET", "key"]).await, Ok(Value::Nil));
    assert_eq!((count(&redis, Outcome::Failed), redis.outages()), (100, 0));
}

#[test]
fn passwords_are_not_shown() {
    let spec = Spec { password: Some(Password(b"hunter2".to_vec())), ..spec("redis://127.0.0.1:1") };
    assert!(!format!("{spec:?}").contains("hunter2"));
}
