//! Gateways that share a Redis, of which any may die, and the Redis, too.

use super::{Visitor, cookie, files, nodes, stay, sticky, visitors};
use crate::support::{GatewayProcess, TestClient, TestGateway, TestNode, wait_until};
use rustix::process::Signal;
use test_servers::Redis;

/// A busy machine must not make a Redis that is well look as if it was not.
const PATIENT: &str = "5s";
const MANY: usize = 300;

fn text(redis: &Redis, timeout: &str, sessions: &str) -> String {
    let url = redis.url();
    let redis = format!("[redis]\nservers = [\"{url}\"]\ntimeout = \"{timeout}\"");
    sticky(&format!("{redis}\n[sessions]\nstore = \"redis\"\n{sessions}"))
}

fn gateway(redis: &Redis, sessions: &str, nodes: &[TestNode]) -> TestGateway {
    TestGateway::with(&text(redis, PATIENT, sessions), &nodes.iter().collect::<Vec<_>>())
}

fn is_up(gateway: &TestGateway) -> bool {
    gateway.metric("bascule_redis_up", &[]) == 1.0
}

fn wait_for_redis(gateway: &TestGateway) {
    wait_until("Redis is asked", || is_up(gateway));
}

#[test]
fn every_session_stays_when_a_gateway_is_killed() {
    let Some(redis) = Redis::start() else { return };
    let nodes = nodes(5);
    let files = files();
    let files: Vec<_> = files.iter().map(|(name, content)| (*name, &content[..])).collect();
    let process = || {
        let nodes: Vec<_> = nodes.iter().collect();
        GatewayProcess::with_files(&text(&redis, PATIENT, ""), &nodes, &files)
    };
    let (here, there) = (process(), process());
    let visitors = visitors(&mut TestClient::connect(here.address()), MANY);
    let mut client = TestClient::connect(there.address());
    assert_eq!(stay(&visitors[..MANY / 2], &mut client), MANY / 2);
    here.signal(Signal::KILL);
    assert_eq!(stay(&visitors, &mut client), MANY);
}

#[test]
fn two_gateways_bind_one_client_to_one_node() {
    let Some(redis) = Redis::start() else { return };
    let nodes = nodes(5);
    let [here, there] = [(); 2].map(|()| gateway(&redis, "near_cache = \"1ms\"", &nodes));
    let visitors = visitors(&mut here.client(), 50);
    // The node of some of them is lost, and both gateways have to move those at the same time.
    nodes[0].stop();
    let ends = |gateway: &TestGateway| {
        let mut client = gateway.client();
        visitors.iter().map(|visitor| visitor.visits(&mut client).text()).collect::<Vec<_>>()
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| ends(&here));
        let other = ends(&there);
        (one.join().unwrap(), other)
    });
    // Whoever was first, from now on all agree.
    let settled = ends(&here);
    assert_eq!(settled, ends(&there));
    for (visitor, (settled, seen)) in visitors.iter().zip(settled.iter().zip(one.iter().zip(&other))) {
        if visitor.node == "node-0" {
            assert!(settled == seen.0 || settled == seen.1, "{settled} of {seen:?}");
        } else {
            assert_eq!(settled, &visitor.node);
        }
    }
}

#[test]
fn redis_may_go_and_come_back_empty() {
    let Some(redis) = Redis::start() else { return };
    let nodes = nodes(5);
    let [here, there] = [(); 2].map(|()| gateway(&redis, "near_cache = \"1ms\"", &nodes));
    let visitors = visitors(&mut here.client(), MANY);
    assert_eq!(stay(&visitors, &mut there.client()), MANY);

    redis.kill();
    for gateway in [&here, &there] {
        assert_eq!(stay(&visitors, &mut gateway.client()), MANY, "what is known goes on");
        assert!(!is_up(gateway));
        let newcomer = gateway.get("/");
        assert_eq!((newcomer.status, cookie(&newcomer)), (200, None), "it is served, and not bound");
        assert!(gateway.metric("bascule_sessions_near_cache_total", &[("result", "stale")]) >= MANY as f64);
    }

    redis.restart_empty();
    wait_for_redis(&here);
    assert_eq!(stay(&visitors, &mut here.client()), MANY);
    let fresh = gateway(&redis, "", &nodes);
    assert_eq!(stay(&visitors, &mut fresh.client()), MANY, "Redis knows all of them again");
    wait_for_redis(&there);
    assert!(Visitor::first(&mut there.client()).stays(&mut fresh.client()));
}

#[test]
fn a_redis_that_hangs_delays_five_requests_and_fails_none() {
    let Some(redis) = Redis::start() else { return };
    let nodes = nodes(3);
    let text = text(&redis, "200ms", "near_cache = \"1ms\"");
    let gateway = TestGateway::with(&text, &nodes.iter().collect::<Vec<_>>());
    wait_for_redis(&gateway);
    let mut client = gateway.client();
    let visitors = visitors(&mut client, 50);
    redis.freeze();
    assert_eq!(stay(&visitors, &mut client), 50);
    let late =
        gateway.metric("bascule_redis_questions_total", &[("asked", "session_get"), ("outcome", "late")]);
    assert_eq!(late, 5.0);
    assert_eq!(gateway.snapshot()["stores"]["redis"]["state"], "down");
    redis.thaw();
    wait_for_redis(&gateway);
    assert_eq!(stay(&visitors, &mut client), 50);
}

#[test]
fn a_wrong_password_is_named_once_and_harmless() {
    let Some(redis) = Redis::start_with_user("bascule", "right") else { return };
    let nodes = nodes(2);
    let login = "user = \"bascule\"\npassword = \"hunter2\"\n[sessions]";
    let text = text(&redis, PATIENT, "").replace("[sessions]", login);
    let files = files();
    let files: Vec<_> = files.iter().map(|(name, content)| (*name, &content[..])).collect();
    let gateway = GatewayProcess::with_files(&text, &nodes.iter().collect::<Vec<_>>(), &files);
    // Redis' own log of those whom it turned away, as names and values in lines.
    let tried = || {
        let log = redis.ask(&["ACL", "LOG"]);
        let count = log.lines().skip_while(|line| *line != "count").nth(1);
        count.and_then(|count| count.parse::<u32>().ok())
    };
    wait_until("it has tried several times", || tried().is_some_and(|count| count >= 3));
    let mut client = gateway.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    let lines = gateway.logged("Redis cannot be asked");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WRONGPASS") || lines[0].contains("uthentication"), "{lines:?}");
    assert!(gateway.logged("hunter2").is_empty());
}

#[test]
fn bound_clients_may_be_turned_away_rather_than_moved() {
    let Some(redis) = Redis::start() else { return };
    let nodes = nodes(3);
    let refuse = "fail_mode = \"refuse\"";
    let [here, there] = [(); 2].map(|()| gateway(&redis, refuse, &nodes));
    wait_for_redis(&there);
    let visitor = Visitor::first(&mut here.client());
    redis.kill();
    assert!(visitor.stays(&mut here.client()), "here it is known");
    assert_eq!(visitor.visits(&mut there.client()).status, 503);
    assert_eq!(there.get("/").status, 200, "who is not bound cannot be moved");
    redis.restart();
    wait_for_redis(&there);
    assert!(visitor.stays(&mut there.client()));
}
