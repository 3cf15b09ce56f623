//! The doubles behave as the gateway does where a plugin can tell: a plugin that passes here should pass there.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bascule_plugin::prelude::*;
use bascule_plugin::shared::{Rate, Throttled};
use bascule_plugin::testing::{FilterTest, Picked, PluginTest, PolicyTest, Routed, json, request, response};

const SECOND: Duration = Duration::from_secs(1);

/// A policy that does what a test writes down.
struct Does<F>(F);

impl<F: FnMut(&Request, &Nodes) -> Choice> Balancer for Does<F> {
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
        self.0(request, nodes)
    }
}

fn policy<F: FnMut(&Request, &Nodes) -> Choice>(pick: F) -> PolicyTest<Does<F>> {
    PolicyTest::new(Does(pick))
}

#[test]
fn tried_nodes_are_no_candidates_and_draining_ones_are_only_found() {
    let find = |request: &Request, nodes: &Nodes| {
        assert_eq!(nodes.count(), 2);
        assert!(nodes.all().iter().all(|node| node.id() != "leaving"));
        assert_eq!(nodes.find("tried"), None);
        assert_eq!(request.attempt(), 2);
        nodes.find("leaving").into()
    };
    let mut test = policy(find).nodes(["a", "tried", "b"]).node("leaving", |node| node.draining());
    assert_eq!(test.pick(&request("GET", "/").tried("tried")), Picked::Node("leaving"));
}

#[test]
fn an_index_that_no_node_has_is_told_apart() {
    let mut test = policy(|_, _| Choice::Node(7)).nodes(["a"]);
    assert_eq!(test.pick(&request("GET", "/")), Picked::OutOfRange(7));
}

#[test]
fn two_random_draws_by_weight_and_never_a_pair_of_twins() {
    let draw = |_: &Request, nodes: &Nodes| {
        let pair: Vec<_> = nodes.two_random().iter().collect();
        assert!(nodes.count() == 1 || pair[0] != pair[1]);
        pair[0].into()
    };
    let mut test = policy(draw).node("light", |node| node).node("heavy", |node| node.weight(3)).seed(1);
    let heavy = (0..4000).filter(|_| test.pick(&request("GET", "/")) == Picked::Node("heavy")).count();
    assert!((2850..3150).contains(&heavy), "{heavy} of 4,000");
    test.remove("heavy");
    assert_eq!(test.pick(&request("GET", "/")), Picked::Node("light"));
}

#[test]
fn a_sample_has_no_node_twice() {
    let sample = |_: &Request, nodes: &Nodes| {
        let mut drawn: Vec<_> = nodes.sample(8).iter().map(|node| node.index()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 8);
        Choice::Abstain
    };
    let mut test = policy(sample).nodes((0..20).map(|id| id.to_string()));
    (0..100).for_each(|_| assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain));
}

#[test]
fn the_ring_follows_weights() {
    let mut test = policy(|request, nodes| nodes.by_hash(request.path()).into())
        .node("light", |node| node)
        .node("heavy", |node| node.weight(3));
    let path = |id| request("GET", &format!("/{id}"));
    let heavy = (0..4000).filter(|id| test.pick(&path(*id)) == Picked::Node("heavy")).count();
    assert!((2850..3150).contains(&heavy), "{heavy} of 4,000");
}

#[test]
fn the_same_seed_is_the_same_chance() {
    let draws = |seed| {
        let mut test = policy(|_, _| Choice::Reject(random::below(1000) as u16)).seed(seed);
        (0..10).map(|_| test.pick(&request("GET", "/"))).collect::<Vec<_>>()
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}

#[test]
fn kept_nodes_signals_and_labels() {
    let zone = |_: &Request, nodes: &Nodes| {
        let all = nodes.all();
        nodes.keep(all.iter().filter(|node| node.zone().as_deref() == Some("b")));
        let node = nodes.find("b1").unwrap();
        assert_eq!(node.label("version").as_deref(), Some("2"));
        assert_eq!(node.signal("load"), None);
        node.set_signal("load", 0.5, SECOND);
        assert_eq!(node.signal("load"), Some(0.5));
        Choice::Abstain
    };
    let mut test = policy(zone)
        .node("a1", |node| node.zone("a"))
        .node("b1", |node| node.zone("b").label("version", "2"));
    test.pick(&request("GET", "/"));
    assert_eq!(test.kept(), Some(&["b1".to_owned()][..]));
    test.advance(SECOND);
    test.pick(&request("GET", "/"));
}

#[test]
fn sessions_expire_and_the_first_binding_wins() {
    let bind = |request: &Request, _: &Nodes| {
        let text = |value: Option<Value>| value.map(|value| value.to_text().into_owned());
        let (token, node) = (text(request.cookie("t")), text(request.header("node")).unwrap());
        let replaces = text(request.header("replaces"));
        let bound = sessions::bind(token.as_deref(), &node, SECOND, replaces.as_deref()).unwrap();
        request.set_note_text(&bound.token).unwrap();
        log::info(format!("{} {}", bound.token, bound.node));
        Choice::Abstain
    };
    let mut test = policy(bind);
    let to = |node| request("GET", "/").header("node", node);
    test.pick(&to("a").cookie("t", "guessed"));
    let token = test.log()[0].split(' ').nth(1).unwrap().to_owned();
    assert_ne!(token, "guessed", "a token that nobody issued is not adopted");
    test.pick(&to("b").cookie("t", &token));
    test.pick(&to("c").cookie("t", &token).header("replaces", "b"));
    assert_eq!(test.session(&token), Some("a"), "it is bound, and to none that is replaced");
    test.pick(&to("c").cookie("t", &token).header("replaces", "a"));
    assert_eq!(test.session(&token), Some("c"));
    test.advance(SECOND);
    assert_eq!(test.session_count(), 0);
}

#[test]
fn shared_numbers_live_from_their_first_addition() {
    let count = |_: &Request, _: &Nodes| match shared::add("n", 2, SECOND) {
        Ok(sum) => Choice::Reject(sum as u16),
        Err(_) => Choice::Abstain,
    };
    let mut test = policy(count);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(2));
    test.advance(SECOND / 2);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(4));
    assert_eq!(test.shared("n"), Some(&b"4"[..]));
    test.advance(SECOND / 2);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(2));
    test.stores_down(true);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
}

#[test]
fn an_allowance_refills_steadily() {
    let rate = Rate::new(10, SECOND).burst(3);
    let ask = move |_: &Request, _: &Nodes| match shared::throttle("client", rate, 1) {
        Ok(Throttled::Allowed) => Choice::Abstain,
        Ok(Throttled::Wait(wait)) => Choice::Reject(200 + wait.as_millis() as u16),
        Err(_) => Choice::Reject(503),
    };
    let mut test = policy(ask);
    let mut picks = |count| (0..count).map(|_| test.pick(&request("GET", "/"))).collect::<Vec<_>>();
    let abstain = Picked::Abstain;
    assert_eq!(picks(4), [abstain, abstain, abstain, Picked::Reject(300)]);
    test.advance(SECOND / 20);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(250));
    test.advance(SECOND / 20);
    assert_eq!(test.pick(&request("GET", "/")), abstain);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(300));
    test.stores_down(true);
    assert_eq!(test.pick(&request("GET", "/")), Picked::Reject(503));
}

#[test]
fn what_costs_more_than_there_ever_is_is_refused() {
    let rate = Rate::new(10, SECOND).burst(3);
    let ask = move |_: &Request, _: &Nodes| match shared::throttle("client", rate, 4) {
        Err(StoreError::Refused) => Choice::Reject(413),
        _ => Choice::Abstain,
    };
    assert_eq!(policy(ask).pick(&request("GET", "/")), Picked::Reject(413));
}

/// Plays every role.
struct Everything {
    seen: u64,
}

impl Lifecycle for Everything {
    type Config = NoConfig;

    fn configure(_config: NoConfig) -> Result<Self, String> {
        Ok(Self { seen: 0 })
    }
}

impl Router for Everything {
    fn route(&mut self, request: &Request) -> Decision {
        request.set_note(7);
        match request.path().as_str() {
            Some("/away") => Decision::Redirect { status: 308, location: "/here".into() },
            Some("/beta") => Decision::Pool("beta".into()),
            Some("/no") => Answer::new(403).header("x-why", "no").body("no").into(),
            _ => Decision::GoOn,
        }
    }
}

impl Filter for Everything {
    fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
        assert_eq!(request.note(), 7, "the note lives as long as the request");
        request.set_path("/edited").unwrap();
        request.add_header("x-a", "2").unwrap();
        request.set_header("x-a", "a\r\nb: c").unwrap_err();
        request.set_header("Content-Length", "1").unwrap_err();
        Verdict::GoOn
    }

    fn on_response(&mut self, request: &Request, response: &mut ResponseMut) -> Verdict {
        if response.status() == 500 {
            return Answer::new(503).body("later").into();
        }
        response.set_header("x-node", request.node().unwrap_or_default()).unwrap();
        response.set_status(99).unwrap_err();
        Verdict::GoOn
    }
}

impl Observer for Everything {
    fn on_complete(&mut self, _request: &Request, outcome: &Outcome) {
        self.seen += 1;
        metrics::histogram("latency", outcome.latency().as_secs_f64());
        metrics::counter(if outcome.error().is_some() { "failed" } else { "fine" }, 1);
        metrics::gauge("seen", self.seen as f64);
    }
}

impl Timer for Everything {
    fn schedule(&mut self) -> Schedule {
        Schedule { period: SECOND, scope: Scope::OneWorker }
    }

    fn tick(&mut self) {
        self.seen = 0;
    }
}

bascule_plugin::export!(Everything: lifecycle, router, filter, observer, timer);

#[test]
fn a_router_and_filter_through_a_request() {
    let mut test = FilterTest::<Everything>::configured(json!({})).unwrap();
    let sent = request("GET", "/").header("x-a", "1");
    assert!(matches!(test.route(&sent), Routed::GoOn));
    let seen = test.on_request(&sent);
    assert_eq!((seen.request.path().as_str(), seen.request.all("X-A")), ("/edited", vec!["1", "2"]));
    let served = test.on_response(&sent.node("a"), response(200));
    assert_eq!(served.response.get("x-node"), Some("a"));
    let failed = test.on_response(&request("GET", "/"), response(500));
    assert_eq!(failed.answer.map(|answer| (answer.status, answer.body)), Some((503, b"later".to_vec())));
}

#[test]
fn a_routers_decisions() {
    let mut test = PluginTest::new(Everything { seen: 0 });
    assert_eq!(test.route(&request("GET", "/beta")).pool(), Some("beta"));
    let Routed::Redirect { status: 308, location } = test.route(&request("GET", "/away")) else { panic!() };
    assert_eq!(location, "/here");
    let Routed::Answer(answer) = test.route(&request("GET", "/no")) else { panic!() };
    assert_eq!((answer.status, answer.get("x-why")), (403, Some("no")));
    assert!(matches!(test.route(&request("GET", "/")), Routed::GoOn));
}

#[test]
fn an_observer_and_timer() {
    let mut test = PluginTest::new(Everything { seen: 0 });
    let sent = request("GET", "/").node("a");
    test.responded(&sent, 200, SECOND);
    test.failed(&sent, "reset", SECOND * 2);
    assert_eq!((test.counter("fine"), test.counter("failed")), (1, 1));
    assert_eq!((test.gauge("seen"), test.histogram("latency")), (Some(2.0), &[1.0, 2.0][..]));
    assert_eq!(test.schedule().period, SECOND);
    test.tick();
    assert_eq!(test.plugin().seen, 0);
}

#[test]
fn keys_that_are_not_there_are_refused() {
    let error = FilterTest::<Everything>::configured(json!({ "a": 1 })).err().unwrap();
    assert_eq!(error, "a: unknown key `a`, there are no fields");
}

#[test]
fn cookies_are_read_as_the_gateway_reads_them() {
    let read = |request: &Request, _: &Nodes| {
        assert_eq!(request.cookie("b").unwrap(), "2");
        assert_eq!(request.cookie("quoted").unwrap(), "x y");
        assert_eq!(request.cookie("B"), None);
        Choice::Abstain
    };
    let cookies = "a=1; b=2;quoted=\"x y\"";
    assert_eq!(policy(read).pick(&request("GET", "/").header("Cookie", cookies)), Picked::Abstain);
}
