//! What operators see.

use crate::support::{TestClient, TestGateway, TestNode, wait_until};

#[test]
fn a_running_gateway_is_alive_and_ready() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::before(&[&node]);
    assert_eq!(gateway.admin("/healthz").status, 200);
    assert_eq!(gateway.admin("/readyz").status, 200);
}

#[test]
fn what_is_not_there_is_404_and_what_only_reads_takes_no_post() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::before(&[&node]);
    assert_eq!(gateway.admin("/nothing").status, 404);
    let mut client = TestClient::connect(gateway.admin_address());
    assert_eq!(client.post("/metrics", "").status, 405);
}

#[test]
fn the_admin_api_is_not_on_the_listeners() {
    let node = TestNode::answering("the node's own");
    let gateway = TestGateway::before(&[&node]);
    for path in ["/healthz", "/readyz", "/metrics", "/snapshot"] {
        assert_eq!(gateway.get(path).text(), "the node's own");
    }
}

#[test]
fn metrics_are_prometheus_text_and_count_requests() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::before(&[&node]);
    let mut client = gateway.client();
    for _ in 0..7 {
        client.post("/", "12345");
    }
    client.get("/");
    let count = |name: &str| gateway.metric(name, &[("route", "all")]);
    wait_until("all are counted", || count("bascule_requests_total") == 8.0);
    assert_eq!(gateway.metric("bascule_requests_total", &[("route", "all"), ("status", "2xx")]), 8.0);
    assert_eq!(count("bascule_request_duration_seconds_count"), 8.0);
    assert_eq!(count("bascule_request_body_bytes_total"), 35.0);
    assert_eq!(count("bascule_response_body_bytes_total"), 32.0);
    assert_eq!(gateway.metric("bascule_connections_open", &[]), 1.0);
    assert_eq!(gateway.metric("bascule_node_attempts_total", &[("pool", "main")]), 8.0);
    assert_eq!(gateway.metric("bascule_node_in_flight", &[]), 0.0);

    let response = gateway.admin("/metrics");
    assert!(
        response.header("content-type").is_some_and(|value| value.starts_with("text/plain; version=0.0.4"))
    );
    let text = response.text();
    for line in text.lines() {
        let is_comment = line.starts_with("# HELP bascule_") || line.starts_with("# TYPE ");
        let is_sample = line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(is_comment || is_sample || line.starts_with("# HELP "), "not a line of the format: {line:?}");
    }
    let mut types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "each family is declared once");
}

#[test]
fn requests_in_flight_are_seen() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.read_to_end();
    });
    let gateway = TestGateway::before(&[&node]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("it is in flight", || gateway.metric("bascule_node_in_flight", &[]) == 1.0);
    assert_eq!(gateway.snapshot()["pools"][0]["nodes"][0]["in_flight"], 1);
    drop(client);
    wait_until("it is not any more", || gateway.metric("bascule_node_in_flight", &[]) == 0.0);
}

#[test]
fn the_snapshot_shows_the_tables() {
    let node = TestNode::answering("fine");
    let text = "[plugin.edge]\nfile = \"header_rewrite.wasm\"\nconfig = { request = { set = { x-secret = \"hidden\" } } }\n\
                [route.shop]\npath = \"/shop\"\nfilters = [\"edge\"]\npool = \"main\"\n\
                [pool.main]\npolicy = \"round-robin\"\n\
                nodes = [{ id = \"first\", address = \"{node1}\", weight = 3, zone = \"a\", labels = { version = \"2\" } }]";
    let gateway = TestGateway::with(text, &[&node]);
    gateway.get("/shop");
    let snapshot = gateway.snapshot();
    assert_eq!(snapshot["listeners"][0]["name"], "public");
    assert_eq!(snapshot["routes"][0]["name"], "shop");
    assert_eq!(snapshot["routes"][0]["filters"][0], "edge");
    let pool = &snapshot["pools"][0];
    assert_eq!((&pool["name"], &pool["policy"][0]), (&"main".into(), &"round-robin".into()));
    let row = &pool["nodes"][0];
    assert_eq!((&row["id"], &row["zone"], &row["weight"]), (&"first".into(), &"a".into(), &3.into()));
    assert_eq!(row["attempts"], 1);
    assert!(row["latency_us"].as_u64().is_some_and(|micros| micros > 0), "{row}");
    let uses: Vec<_> = snapshot["plugins"].as_array().unwrap().iter().map(|row| row["use"].clone()).collect();
    assert_eq!(uses, ["edge", "round-robin"]);
    assert_eq!(snapshot["plugins"][0]["last"]["outcome"], "loaded");
    assert!(!snapshot.to_string().contains("hidden"), "a plugin's configuration may hold secrets");
}

#[test]
fn a_token_keeps_strangers_out() {
    let node = TestNode::answering("fine");
    let text = "[admin]\naddress = \"127.0.0.1:0\"\ntoken = \"a-long-secret\"\n\
                [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let mut client = TestClient::connect(gateway.admin_address());
    for path in ["/metrics", "/snapshot"] {
        for wrong in
            ["", "Authorization: Bearer a-long-secre\r\n", "Authorization: Bearer a-long-secret2\r\n"]
        {
            let response = client.get_with(path, wrong);
            assert_eq!(
                (response.status, response.header("www-authenticate")),
                (401, Some("Bearer")),
                "{wrong}"
            );
        }
        assert_eq!(client.get_with(path, "Authorization: Bearer a-long-secret\r\n").status, 200);
    }
    assert_eq!(client.get("/healthz").status, 200, "probes have no token");
}

#[test]
fn a_gateway_that_stops_ends_what_is_in_flight_and_takes_nothing_new() {
    let node = TestNode::answering("fine").with_delay(std::time::Duration::from_millis(300));
    let gateway = TestGateway::before(&[&node]);
    let (address, mut client) = (gateway.address(), gateway.client());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("it is in flight", || node.hits() == 1);
    gateway.stop();
    assert_eq!(client.read_response().text(), "fine");
    client.expect_close();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}
