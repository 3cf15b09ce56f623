//! A client through the policy and the filter, as the gateway calls them.

use std::time::Duration;

use bascule_plugin::testing::{Picked, PluginTest, TestRequest, json, request, response};

use super::StickySession;

fn sticky() -> PluginTest<StickySession> {
    PluginTest::configured(json!({ "ttl": "1h" })).expect("the configuration is right").nodes(["a", "b"])
}

fn visit() -> TestRequest {
    request("GET", "/")
}

/// The Set-Cookie line of a response that a node gave, if there is one.
fn served(test: &mut PluginTest<StickySession>, request: &TestRequest, node: &str) -> Option<String> {
    let seen = test.on_response(&request.clone().node(node), response(200));
    assert!(seen.answer.is_none());
    seen.response.get("set-cookie").map(str::to_owned)
}

fn token(line: &str) -> &str {
    line.strip_prefix("bascule-session=")
        .and_then(|rest| rest.split(';').next())
        .expect("it is a cookie line")
}

/// A client that node "a" has served once.
fn bound_to_a(test: &mut PluginTest<StickySession>) -> TestRequest {
    let line = served(test, &visit(), "a").expect("a first response sets the cookie");
    visit().cookie("bascule-session", token(&line))
}

#[test]
fn a_new_client_is_left_to_the_next_policy_and_bound_to_its_node() {
    let mut test = sticky();
    assert_eq!(test.pick(&visit()), Picked::Abstain);
    let line = served(&mut test, &visit(), "b").expect("it is bound");
    assert_eq!(test.session(token(&line)), Some("b"));
    let attributes = line.split_once(';').map(|(_, rest)| rest);
    assert_eq!(attributes, Some(" Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"));
}

#[test]
fn under_tls_the_cookie_is_secure() {
    let line = served(&mut sticky(), &visit().scheme("https"), "a").expect("it is bound");
    assert!(line.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{line}");
}

#[test]
fn a_bound_client_comes_back_to_its_node_without_another_cookie() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    for _ in 0..50 {
        let again = client.clone();
        assert_eq!(test.pick(&again), Picked::Node("a"));
        assert_eq!(served(&mut test, &again, "a"), None);
    }
    assert_eq!(test.session_count(), 1);
}

#[test]
fn a_draining_node_keeps_its_clients() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    test.change("a", |node| node.draining());
    assert_eq!(test.pick(&client), Picked::Node("a"));
}

#[test]
fn when_the_node_is_gone_the_client_is_bound_anew_under_its_token() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    test.remove("a");
    assert_eq!(test.pick(&client), Picked::Abstain);
    let line = served(&mut test, &client, "b").expect("it is bound anew");
    assert_eq!(client.get("cookie"), Some(["bascule-session=", token(&line)].concat().as_str()));
    assert_eq!(test.session(token(&line)), Some("b"));
}

#[test]
fn when_the_node_fails_the_one_that_answered_takes_over() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    assert_eq!(test.pick(&client), Picked::Node("a"));
    let retry = client.tried("a");
    assert_eq!(test.pick(&retry), Picked::Abstain);
    let line = served(&mut test, &retry, "b").expect("it is bound anew");
    assert_eq!(test.session(token(&line)), Some("b"));
}

#[test]
fn of_two_requests_that_bind_anew_at_once_the_first_wins() {
    let mut test = sticky().nodes(["c"]);
    let (one, other) = (bound_to_a(&mut test), request("GET", "/2"));
    let other = other.header("cookie", one.get("cookie").expect("it has one"));
    test.remove("a");
    assert_eq!(test.pick(&one), Picked::Abstain);
    assert_eq!(test.pick(&other), Picked::Abstain);
    let first = served(&mut test, &one, "b").expect("it is bound anew");
    let second = served(&mut test, &other, "c").expect("the cookie is set again");
    assert_eq!(token(&first), token(&second));
    assert_eq!(test.session(token(&first)), Some("b"));
}

#[test]
fn a_token_that_nobody_issued_is_not_adopted() {
    let mut test = sticky();
    let forged = visit().cookie("bascule-session", "let-me-choose");
    assert_eq!(test.pick(&forged), Picked::Abstain);
    let line = served(&mut test, &forged, "a").expect("it is bound");
    assert_ne!(token(&line), "let-me-choose");
}

#[test]
fn a_binding_ends_with_its_ttl() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    test.advance(Duration::from_secs(3599));
    assert_eq!(test.pick(&client.clone()), Picked::Node("a"));
    test.advance(Duration::from_secs(1));
    assert_eq!(test.pick(&client), Picked::Abstain);
}

#[test]
fn with_renew_each_visit_prolongs_it() {
    let config = json!({ "ttl": "1h", "renew": true });
    let mut test = PluginTest::configured(config).expect("the configuration is right").nodes(["a", "b"]);
    let client = bound_to_a(&mut test);
    for _ in 0..5 {
        test.advance(Duration::from_secs(3000));
        let again = client.clone();
        assert_eq!(test.pick(&again), Picked::Node("a"));
        assert!(served(&mut test, &again, "a").is_some());
    }
}

#[test]
fn an_answer_that_no_node_gave_sets_no_cookie() {
    let mut test = sticky();
    let seen = test.on_response(&visit(), response(503));
    assert_eq!(seen.response.get("set-cookie"), None);
    assert_eq!(test.session_count(), 0);
}

#[test]
fn the_applications_own_cookies_stay() {
    let mut test = sticky();
    let own = response(200).header("set-cookie", "cart=7");
    let seen = test.on_response(&visit().node("a"), own);
    assert_eq!(seen.response.all("set-cookie").len(), 2);
    assert_eq!(seen.response.get("set-cookie"), Some("cart=7"));
}

#[test]
fn without_its_store_it_serves_without_stickiness() {
    let mut test = sticky();
    let client = bound_to_a(&mut test);
    test.stores_down(true);
    assert_eq!(test.pick(&client), Picked::Abstain);
    assert_eq!(served(&mut test, &client, "b"), None);
    assert_eq!(test.counter("sticky_store_errors"), 2);
}

#[test]
fn wrong_keys_are_refused() {
    let error = |config| PluginTest::<StickySession>::configured(config).expect_err("it is wrong");
    assert_eq!(
        error(json!({ "cookie": "a;b" })),
        "cookie: `a;b` is no name of a cookie; write letters, digits, - and _"
    );
    assert_eq!(
        error(json!({ "ttl": 30 })),
        "ttl: invalid type: integer `30`, expected a duration such as \"30s\""
    );
    assert_eq!(
        error(json!({ "ttl": "30" })),
        "ttl: `30` is no duration; write a number with ms, s, m, h or d, such as \"30s\""
    );
    assert_eq!(error(json!({ "ttl": "10ms" })), "ttl: write 1s or more; a client is bound for so long");
    assert_eq!(
        error(json!({ "name": "x" })),
        "name: unknown key `name`, expected one of `cookie`, `ttl`, `renew`"
    );
}
