//! rate-limit, in one gateway and in several that count together.

use crate::support::{TestClient, TestGateway, TestNode, wait_until};
use test_servers::Redis;

/// A gateway with these lines in [plugin.limit], and these tables beside.
fn gateway(lines: &str, tables: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[plugin.limit]\nfile = \"rate_limit.wasm\"\ngrants = [\"shared\"]\n{lines}\n[route.all]\nfilters = [\"limit\"]\n\
         pool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n{tables}"
    );
    TestGateway::with(&text, &[node])
}

/// The statuses of so many requests with this key.
fn statuses(client: &mut TestClient, key: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| client.get_with("/", &format!("X-Key: {key}\r\n")).status).collect()
}

#[test]
fn what_is_beyond_the_limit_reaches_no_node() {
    let node = TestNode::answering("fine");
    let gateway = gateway("config = { rate = \"3/h\", by = \"header:x-key\" }", "", &node);
    let mut client = gateway.client();
    assert_eq!(statuses(&mut client, "a", 5), [200, 200, 200, 429, 429]);
    assert_eq!(statuses(&mut client, "b", 1), [200], "each key has an allowance of its own");
    assert_eq!(node.hits(), 4);

    let refusal = client.get_with("/", "X-Key: a\r\n");
    assert_eq!(refusal.header("ratelimit-policy"), Some("\"default\";q=3;w=3600"));
    let wait: u64 = refusal.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=1200).contains(&wait), "a third of an hour at most: {wait}");
    assert_eq!(refusal.header("ratelimit"), Some(&*format!("\"default\";r=0;t={wait}")));
    assert_eq!(gateway.metric("bascule_plugin_rate_limit_refused", &[("use", "limit")]), 3.0);
}

#[test]
fn several_gateways_count_together() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("fine");
    let lines = "shared = \"cluster\"\nconfig = { rate = \"5/h\", by = \"all\" }";
    let tables = format!("[redis]\nservers = [\"{}\"]", redis.url());
    let gateways = [(); 3].map(|()| gateway(lines, &tables, &node));
    let mut clients = gateways.each_ref().map(TestGateway::client);
    let round = |clients: &mut [TestClient; 3]| clients.each_mut().map(|client| client.get("/").status);
    assert_eq!(round(&mut clients), [200, 200, 200]);
    assert_eq!(round(&mut clients), [200, 200, 429]);
    assert_eq!(round(&mut clients), [429, 429, 429]);
}

#[test]
fn without_redis_requests_go_on_or_not_as_is_configured() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("fine");
    let tables = format!("[redis]\nservers = [\"{}\"]", redis.url());
    let with = |on_error: &str| {
        let config = format!("config = {{ rate = \"1/h\", by = \"all\", on_error = \"{on_error}\" }}");
        gateway(&format!("shared = \"cluster\"\n{config}"), &tables, &node)
    };
    let (open, closed) = (with("allow"), with("deny"));
    assert_eq!([open.get("/").status, open.get("/").status], [200, 429]);
    redis.kill();
    assert_eq!((open.get("/").status, closed.get("/").status), (200, 503));
    assert_eq!(closed.get("/").header("retry-after"), Some("1"));
    redis.restart();
    wait_until("requests are counted again", || closed.get("/").status == 429);
}
