//! Requests through the filter, and configurations that it refuses.

use std::time::Duration;

use bascule_plugin::testing::{FilterTest, JsonValue, TestRequest, TestResponse, json, request};

use super::RateLimit;

fn filter(config: JsonValue) -> FilterTest<RateLimit> {
    FilterTest::configured(config).expect("the configuration is right")
}

/// The refusal, if it is one.
fn refused(test: &mut FilterTest<RateLimit>, request: &TestRequest) -> Option<TestResponse> {
    test.on_request(request).answer
}

/// How many of so many requests at one moment go on.
fn allowed(test: &mut FilterTest<RateLimit>, request: &TestRequest, of: usize) -> usize {
    (0..of).filter(|_| refused(test, request).is_none()).count()
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let mut test = filter(json!({ "rate": "10/s", "burst": 3 }));
    let get = request("GET", "/");
    assert_eq!(allowed(&mut test, &get, 10), 3);
    test.advance(Duration::from_millis(99));
    assert_eq!(allowed(&mut test, &get, 10), 0);
    test.advance(Duration::from_millis(1));
    assert_eq!(allowed(&mut test, &get, 10), 1);
    test.advance(Duration::from_secs(60));
    assert_eq!(allowed(&mut test, &get, 10), 3, "what was not used is not saved up beyond the burst");
    assert_eq!(test.counter("rate_limit_refused"), 7 + 10 + 9 + 7);
}

#[test]
fn a_rate_is_also_its_burst() {
    let mut test = filter(json!({ "rate": "60/m" }));
    assert_eq!(allowed(&mut test, &request("GET", "/"), 100), 60);
}

#[test]
fn a_steady_load_above_the_rate_is_cut_to_it() {
    let mut test = filter(json!({ "rate": "3000/s", "burst": 1 }));
    let get = request("GET", "/");
    let mut passed = 0;
    for _ in 0..100_000 {
        test.advance(Duration::from_micros(100));
        passed += allowed(&mut test, &get, 1);
    }
    // Ten seconds; requests come each 100 us, so each waits up to that long for its turn: 2,500 a second.
    assert_eq!(passed, 25_000);
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let mut test = filter(json!({ "rate": "6/m", "burst": 1 }));
    let get = request("GET", "/");
    assert!(refused(&mut test, &get).is_none());
    test.advance(Duration::from_millis(3100));
    let answer = refused(&mut test, &get).expect("6.9 s too early");
    assert_eq!((answer.status, answer.get("retry-after")), (429, Some("7")));
    assert_eq!(answer.get("ratelimit-policy"), Some("\"default\";q=6;w=60"));
    assert_eq!(answer.get("ratelimit"), Some("\"default\";r=0;t=7"));
    assert_eq!(String::from_utf8_lossy(&answer.body), "too many requests: try again in 7 s\n");
}

#[test]
fn another_status_may_be_the_answer() {
    let mut test = filter(json!({ "rate": "1/h", "status": 503 }));
    let get = request("GET", "/");
    assert!(refused(&mut test, &get).is_none());
    assert_eq!(refused(&mut test, &get).map(|answer| answer.status), Some(503));
}

/// Whether two requests are counted together.
fn together(by: &str, first: &TestRequest, second: &TestRequest) -> bool {
    let mut test = filter(json!({ "rate": "1/h", "by": by }));
    assert!(refused(&mut test, first).is_none());
    refused(&mut test, second).is_some()
}

#[test]
fn clients_are_told_apart_by_their_networks() {
    let from = |address: &str| request("GET", "/").from(address);
    assert!(together("client", &from("192.0.2.1"), &from("192.0.2.1")));
    assert!(!together("client", &from("192.0.2.1"), &from("192.0.2.2")));
    assert!(together("client", &from("2001:db8::1"), &from("2001:db8:0:0:ffff::2")), "one /64");
    assert!(!together("client", &from("2001:db8:0:1::1"), &from("2001:db8:0:2::1")));
    assert!(!together("client", &from("::ffff:192.0.2.1"), &from("::ffff:192.0.2.2")));
}

#[test]
fn a_header_tells_clients_apart_and_without_it_the_address_does() {
    let with = |key: &str| request("GET", "/").header("X-Key", key);
    assert!(together("header:x-key", &with("a"), &with("a").from("198.51.100.7")));
    assert!(!together("header:x-key", &with("a"), &with("b")));
    let without = request("GET", "/");
    assert!(together("header:x-key", &without, &with("")));
    assert!(!together("header:x-key", &without, &without.clone().from("198.51.100.7")));
    assert!(!together("header:x-key", &without, &with("192.0.2.1")), "no header passes for an address");
}

#[test]
fn routes_are_counted_each_and_all_together() {
    let on = |route: &str| request("GET", "/").route(route);
    assert!(!together("route", &on("a"), &on("b")));
    assert!(together("route", &on("a"), &on("a").from("198.51.100.7")));
    assert!(together("all", &on("a"), &on("b").from("198.51.100.7")));
}

#[test]
fn without_the_store_requests_go_on_or_not_as_is_configured() {
    let get = request("GET", "/");
    for (config, status) in [
        (json!({ "rate": "1/h" }), None),
        (json!({ "rate": "1/h", "on_error": "allow" }), None),
        (json!({ "rate": "1/h", "on_error": "deny" }), Some(503)),
    ] {
        let mut test = filter(config);
        test.stores_down(true);
        for _ in 0..2 {
            assert_eq!(refused(&mut test, &get).map(|answer| answer.status), status);
        }
        assert_eq!(test.counter("rate_limit_store_errors"), 2);
        test.stores_down(false);
        assert!(refused(&mut test, &get).is_none(), "nothing was counted meanwhile");
        assert!(refused(&mut test, &get).is_some(), "and now it is");
    }
}

#[test]
fn wrong_configurations_are_refused() {
    let error = |config| FilterTest::<RateLimit>::configured(config).expect_err("it is wrong");
    assert_eq!(error(json!({})), "missing key `rate`");
    assert_eq!(
        error(json!({ "rate": "fast" })),
        "rate: `fast` is no rate; write a number, 1 or more, for s, m, h or d, such as \"100/s\""
    );
    assert_eq!(
        error(json!({ "rate": 100 })),
        "rate: invalid type: integer `100`, expected a rate such as \"100/s\""
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "burst": 0 })),
        "burst: write how many requests may come at once, 1 or more"
    );
    assert_eq!(
        error(json!({ "rate": "1/d", "burst": 400 })),
        "burst: it takes more than a year to come back at this rate; write less, or a higher rate"
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "by": "cookie" })),
        "by: `cookie` is none of \"client\", \"header:NAME\", \"route\" and \"all\""
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "by": "header:x y" })),
        "by: `header:x y` is none of \"client\", \"header:NAME\", \"route\" and \"all\""
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "on_error": "wait" })),
        "on_error: unknown variant `wait`, expected `allow` or `deny`"
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "status": 200 })),
        "status: write 400 to 599; what is refused is answered with it"
    );
    assert_eq!(
        error(json!({ "rate": "1/s", "limit": 1 })),
        "limit: unknown key `limit`, expected one of `rate`, `burst`, `by`, `on_error`, `status`"
    );
}
