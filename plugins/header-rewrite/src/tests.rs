//! Messages through the filter, and configurations that it refuses.

use bascule_plugin::testing::{FilterTest, json, request, response};

use super::HeaderRewrite;

fn filter(config: impl ToString) -> FilterTest<HeaderRewrite> {
    FilterTest::configured(config).expect("the configuration is right")
}

#[test]
fn fields_are_removed_set_and_added_in_this_order() {
    let edits = json!({ "request": {
        "remove": ["X-Old"],
        "set": { "x-edge": "bascule", "x-old": "new" },
        "add": { "x-tag": "2" },
    }});
    let sent = request("GET", "/").header("x-old", "1").header("X-Edge", "forged").header("x-tag", "1");
    let seen = filter(edits).on_request(&sent);
    assert!(seen.answer.is_none());
    assert_eq!(seen.request.all("x-old"), ["new"]);
    assert_eq!(seen.request.all("x-edge"), ["bascule"]);
    assert_eq!(seen.request.all("x-tag"), ["1", "2"]);
}

#[test]
fn variables_of_a_request() {
    let edits = json!({ "request": { "set": {
        "x-all": "{client} {route} {pool} {request_id} {host} {method} {path} {scheme}",
        "x-brace": "{{client} is {client}",
    }}});
    let sent = request("PUT", "/a?b=c").host("shop.example:8443").scheme("https").from("192.0.2.9");
    let seen = filter(edits).on_request(&sent.route("all").pool("shop").id("r7"));
    assert_eq!(seen.request.get("x-all"), Some("192.0.2.9 all shop r7 shop.example PUT /a?b=c https"));
    assert_eq!(seen.request.get("x-brace"), Some("{client} is 192.0.2.9"));
}

#[test]
fn a_host_loses_only_its_port() {
    let edits = json!({ "request": { "set": { "x-host": "{host}" } } });
    for (authority, host) in
        [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("42", "42")]
    {
        let seen = filter(&edits).on_request(&request("GET", "/").host(authority));
        assert_eq!(seen.request.get("x-host"), Some(host), "{authority}");
    }
}

#[test]
fn responses_know_the_node() {
    let edits = json!({ "response": {
        "set": { "x-served-by": "{node} of {pool}" },
        "remove": ["server"],
    }});
    let given = response(200).header("server", "secret/1.2");
    let mut test = filter(edits);
    let seen = test.on_response(&request("GET", "/").node("n1").pool("shop"), given);
    assert_eq!(seen.response.get("x-served-by"), Some("n1 of shop"));
    assert_eq!(seen.response.get("server"), None);
    let own = test.on_response(&request("GET", "/").pool("shop"), response(503));
    assert_eq!(own.response.get("x-served-by"), Some(" of shop"), "no node answered");
}

#[test]
fn each_direction_has_its_own_edits() {
    let mut test = filter(json!({ "request": { "set": { "x-a": "1" } } }));
    let seen = test.on_response(&request("GET", "/").node("n"), response(200));
    assert_eq!(seen.response.get("x-a"), None);
}

#[test]
fn wrong_configurations_are_refused() {
    let error = |config| FilterTest::<HeaderRewrite>::configured(config).expect_err("it is wrong");
    assert_eq!(
        error(json!({ "request": { "set": { "x": "{user}" } } })),
        "request.set.x: there is no variable `{user}`; write client, route, pool, request_id, node, host, method, \
         path, scheme, or `{{` for a brace"
    );
    assert_eq!(
        error(json!({ "request": { "add": { "x": "{node}" } } })),
        "request.add.x: `{node}` is known only in responses; move the line to `response`"
    );
    assert_eq!(
        error(json!({ "response": { "set": { "x": "{pool" } } })),
        "response.set.x: a `{` has no `}` after it; write `{{` for a brace"
    );
    assert_eq!(
        error(json!({ "response": { "remove": ["Content-Length"] } })),
        "response.remove: `Content-Length` belongs to the connection, which the gateway keeps; take the line out"
    );
    assert_eq!(
        error(json!({ "request": { "set": { "x y": "1" } } })),
        "request.set.x y: `x y` is no header name; write letters, digits and -"
    );
    assert_eq!(
        error(json!({ "request": { "set": { "x": "a\r\nb: c" } } })),
        "request.set.x: a value has no line breaks and no NUL; write it on one line"
    );
    assert_eq!(
        error(json!({ "request": { "sets": {} } })),
        "request.sets: unknown key `sets`, expected one of `set`, `add`, `remove`"
    );
    assert_eq!(
        error(json!({ "request": { "set": { "x": 1 } } })),
        "request.set.x: invalid type: integer `1`, expected a string"
    );
    assert_eq!(
        error(json!({})),
        "nothing to rewrite; write for example: request = { set = { \"x-edge\" = \"1\" } }"
    );
}
