//! What holds of values wherever they are kept: one suite, played to this process and to a real Redis.
#![allow(clippy::unwrap_used)]

use test_servers::{Redis as Server, RedisCluster};

use super::*;
use crate::store::redis::testing::{redis_at, redis_of};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR_US: u64 = 3_600_000_000;

async fn suite(shared: &Shared, scope: Scope) {
    let [one, other] = ["one", "other"].map(|name| shared.space(&name.into(), scope));
    let now = Instant::now();
    values_are_there_until_they_are_deleted(&one, now).await;
    uses_do_not_see_each_other(&one, &other, now).await;
    numbers_are_added_exactly(&one, now).await;
    what_is_too_long_is_refused(&one, now).await;
    an_allowance_is_used_up_and_says_when_there_is_more(&one, now).await;
    what_can_never_be_allowed_is_refused(&one, now).await;
}

async fn values_are_there_until_they_are_deleted(space: &Space, now: Instant) {
    assert_eq!(space.get("a", now).await, Ok(None));
    space.set("a", b"\x00any\xffbytes", MINUTE, now).await.unwrap();
    assert_eq!(space.get("a", now).await.unwrap().as_deref(), Some(&b"\x00any\xffbytes"[..]));
    space.delete("a").await.unwrap();
    assert_eq!(space.get("a", now).await, Ok(None));
    space.set("a", b"1", Duration::MAX, now).await.unwrap();
    space.set("a", b"2", Duration::ZERO, now).await.unwrap();
    assert_eq!(space.get("a", now).await, Ok(None), "it has no life");
}

async fn uses_do_not_see_each_other(one: &Space, other: &Space, now: Instant) {
    one.set("mine", b"1", MINUTE, now).await.unwrap();
    assert_eq!(other.get("mine", now).await, Ok(None));
    let pace = Pace { interval: HOUR_US, burst: 1 };
    assert_eq!(one.throttle("both", pace, 1, now).await, Ok(0));
    assert_eq!(other.throttle("both", pace, 1, now).await, Ok(0));
}

async fn numbers_are_added_exactly(space: &Space, now: Instant) {
    assert_eq!(space.add("n", 2, MINUTE, now).await, Ok(2));
    assert_eq!(space.add("n", -5, MINUTE, now).await, Ok(-3));
    assert_eq!(space.get("n", now).await.unwrap().as_deref(), Some(&b"-3"[..]));
    // More than a double holds.
    assert_eq!(space.add("big", i64::MAX - 1, MINUTE, now).await, Ok(i64::MAX - 1));
    assert_eq!(space.add("big", 1, MINUTE, now).await, Ok(i64::MAX));
    assert_eq!(space.add("big", 1, MINUTE, now).await, Err(StoreError::Refused));
    space.set("text", b"x", MINUTE, now).await.unwrap();
    assert_eq!(space.add("text", 1, MINUTE, now).await, Err(StoreError::Refused));
    assert_eq!(space.add("no life", 7, Duration::ZERO, now).await, Ok(7));
    assert_eq!(space.get("no life", now).await, Ok(None));
}

async fn what_is_too_long_is_refused(space: &Space, now: Instant) {
    let (key, value) = ("k".repeat(LONGEST_KEY + 1), vec![0; QUOTA]);
    assert_eq!(space.set(&key, b"", MINUTE, now).await, Err(StoreError::Refused));
    assert_eq!(space.add(&key, 1, MINUTE, now).await, Err(StoreError::Refused));
    assert_eq!(space.set("k", &value, MINUTE, now).await, Err(StoreError::Refused));
    let pace = Pace { interval: HOUR_US, burst: 1 };
    assert_eq!(space.throttle(&key, pace, 1, now).await, Err(StoreError::Refused));
}

async fn an_allowance_is_used_up_and_says_when_there_is_more(space: &Space, now: Instant) {
    let pace = Pace { interval: HOUR_US, burst: 5 };
    // Hours, so that it does not matter how long the test takes.
    let in_hours = |hours: u64, wait: Result<u64, StoreError>| {
        let wait = wait.unwrap();
        assert!(wait <= hours * HOUR_US && wait > hours * HOUR_US - HOUR_US / 4, "{wait}");
    };
    assert_eq!(space.throttle("t", pace, 1, now).await, Ok(0));
    assert_eq!(space.throttle("t", pace, 3, now).await, Ok(0));
    in_hours(1, space.throttle("t", pace, 2, now).await);
    in_hours(4, space.throttle("t", pace, 5, now).await);
    assert_eq!(space.throttle("t", pace, 1, now).await, Ok(0), "what was refused took nothing");
    in_hours(1, space.throttle("t", pace, 1, now).await);
    assert_eq!(space.throttle("t", pace, 0, now).await, Ok(0), "nothing costs nothing");
    assert_eq!(space.throttle("another", pace, 5, now).await, Ok(0));
    let free = Pace { interval: 0, burst: 5 };
    for _ in 0..10 {
        assert_eq!(space.throttle("free", free, 5, now).await, Ok(0));
    }
}

async fn what_can_never_be_allowed_is_refused(space: &Space, now: Instant) {
    let pace = |interval, burst| Pace { interval, burst };
    for (pace, cost) in [(pace(1, 2), 3), (pace(1, 0), 1), (pace(u64::MAX, 2), 1), (pace(HOUR_US, 9000), 1)] {
        assert_eq!(space.throttle("never", pace, cost, now).await, Err(StoreError::Refused), "{pace:?}");
    }
}

#[tokio::test]
async fn in_this_process() {
    suite(&Shared::default(), Scope::Gateway).await;
}

#[tokio::test]
async fn in_redis() {
    let Some(server) = Server::start() else { return };
    suite(&Shared::new(Some(redis_at(&server.url()))), Scope::Cluster).await;
    // All that has a life has it in Redis, too: nothing stays for good.
    for key in server.ask(&["KEYS", "*"]).lines() {
        assert_ne!(server.ask(&["PTTL", key]), "-1", "{key}");
    }
}

#[tokio::test]
async fn in_a_redis_cluster() {
    let Some(cluster) = RedisCluster::start() else { return };
    suite(&Shared::new(Some(redis_of(&cluster))), Scope::Cluster).await;
}

#[tokio::test]
async fn gateways_count_together() {
    let Some(server) = Server::start() else { return };
    let gateways =
        [(); 3].map(|()| Shared::new(Some(redis_at(&server.url()))).space(&"one".into(), Scope::Cluster));
    let (now, pace) = (Instant::now(), Pace { interval: HOUR_US, burst: 100 });
    let mut allowed = 0;
    for round in 1..=50 {
        for (index, gateway) in gateways.iter().enumerate() {
            let sum = gateway.add("n", 1, MINUTE, now).await.unwrap();
            assert_eq!(sum, (round - 1) * 3 + index as i64 + 1);
            allowed += u32::from(gateway.throttle("t", pace, 1, now).await == Ok(0));
        }
    }
    assert_eq!(allowed, 100);
}

#[test]
fn a_trial_without_redis_keeps_to_itself() {
    let space = Shared::default().space(&"one".into(), Scope::Cluster);
    assert!(space.local().is_some());
}
