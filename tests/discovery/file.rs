//! A file tells the nodes.

use super::*;

#[test]
fn nodes_come_change_and_leave_under_load_and_no_request_fails() {
    let all = [TestNode::answering("a"), TestNode::answering("b"), TestNode::answering("c")];
    let [a, b, c] = all.each_ref().map(|node| node.address());
    let file = NodesFile::new("nodes.toml", &format!("nodes = [{{ id = \"a\", address = \"{a}\" }}]"));
    let gateway = TestGateway::with(&configuration(&file.discovery("")), &[]);
    wait_for_nodes(&gateway, &[("a", 1)]);
    let load = Load::on(gateway.address());
    file.put(&format!(
        "nodes = [{{ id = \"a\", address = \"{a}\" }}, {{ id = \"b\", address = \"{b}\", weight = 3 }}, \
         {{ id = \"c\", address = \"{c}\" }}]"
    ));
    wait_for_nodes(&gateway, &[("a", 1), ("b", 3), ("c", 1)]);
    wait_until("the new nodes serve", || all[1].hits() > 20 && all[2].hits() > 5);
    file.put(&format!("nodes = [{{ id = \"b\", address = \"{b}\", weight = 2 }}]"));
    wait_for_nodes(&gateway, &[("b", 2)]);
    // What was picked before may still be on its way; then nothing comes any more.
    wait_until("requests in flight ended", || {
        let before = (all[0].hits(), all[2].hits(), all[1].hits());
        wait_until("b serves", || all[1].hits() > before.2 + 50);
        (all[0].hits(), all[2].hits()) == (before.0, before.1)
    });
    // One that moves is the same node: what is known of it stays.
    let attempts = pool(&gateway)["nodes"][0]["attempts"].as_u64().unwrap();
    file.put(&format!("nodes = [{{ id = \"b\", address = \"{a}\", labels = {{ moved = \"yes\" }} }}]"));
    wait_until("it moved", || pool(&gateway)["nodes"][0]["labels"]["moved"] == "yes");
    assert!(pool(&gateway)["nodes"][0]["attempts"].as_u64().unwrap() >= attempts);
    assert!(load.stop() > 100);
}

#[test]
fn a_file_that_is_wrong_or_gone_takes_no_node_out() {
    let a = TestNode::answering("a");
    let good = format!("[{{\"id\": \"a\", \"address\": \"{}\"}}]", a.address());
    let file = NodesFile::new("nodes.json", &good);
    let gateway = TestGateway::with(&configuration(&file.discovery(", empty = \"0s\"")), &[]);
    wait_for_nodes(&gateway, &[("a", 1)]);
    let load = Load::on(gateway.address());
    let bad = |why: &str| {
        let why = why.to_owned();
        wait_until("it is named", || {
            let entries = pool(&gateway)["discovery"]["bad_entries"].to_string();
            entries.contains(&why)
        });
        assert_eq!(nodes(&gateway), [("a".to_owned(), 1)]);
    };
    file.put("<html>");
    bad("no JSON");
    fs::remove_file(file.path()).unwrap();
    bad("cannot be read");
    file.put(&format!("[{{\"id\": \"a\", \"address\": \"{}\"}}, {{\"address\": \"a:0\"}}]", a.address()));
    bad("0 is no port");
    assert_eq!(gateway.metric("bascule_discovery_bad_entries_total", &[("pool", "main")]), 3.0);
    assert_eq!(gateway.metric("bascule_discovery_up", &[("pool", "main")]), 1.0);
    load.stop();
    // An empty list is another matter.
    file.put("[]");
    wait_for_nodes(&gateway, &[]);
    assert_eq!(gateway.get("/").status, 503);
}

#[test]
fn a_gateway_without_any_node_starts_and_is_ready_when_the_file_answers() {
    let a = TestNode::answering("a");
    let file = NodesFile::new("nodes.toml", "nodes = []");
    let gateway = TestGateway::with(&configuration(&file.discovery("")), &[]);
    wait_until("the file answered", || gateway.admin("/readyz").status == 200);
    assert_eq!(gateway.get("/").status, 503);
    file.put(&format!("nodes = [\"{}\"]", a.address()));
    wait_until("it serves", || gateway.get("/").status == 200);
    assert_eq!(pool(&gateway)["discovery"]["nodes"], 1);
    assert_eq!(gateway.metric("bascule_discovery_nodes", &[]), 1.0);
}

#[test]
fn nodes_that_are_written_down_stand_beside_those_that_are_found() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let found = format!("nodes = [\"{}\", {{ id = \"written\", address = \"127.0.0.1:9\" }}]", b.address());
    let file = NodesFile::new("nodes.toml", &found);
    let written = "nodes = [{ id = \"written\", address = \"{node1}\" }]";
    let gateway = TestGateway::with(&configuration(&format!("{written}\n{}", file.discovery(""))), &[&a]);
    let id = b.address().to_string();
    wait_for_nodes(&gateway, &[("written", 1), (&id, 1)]);
    let hidden = &pool(&gateway)["discovery"]["bad_entries"][0];
    assert_eq!(
        (&hidden["key"], hidden["why"].as_str().unwrap().contains("this id")),
        (&"written".into(), true)
    );
    // A reload leaves what was found in place, and takes a node that is hidden no more.
    let text = configuration(&format!("attempts = 2\n{}", file.discovery(""))).replace("attempts = 1\n", "");
    gateway.rewrite_configuration(&text, &[]);
    wait_for_nodes(&gateway, &[(&id, 1), ("written", 1)]);
    assert_eq!(pool(&gateway)["discovery"]["unused"], 0);
}

#[test]
fn operators_drain_nodes_that_were_found() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let text = |weight: u32| {
        let [a, b] = [&a, &b].map(|node| node.address());
        format!(
            "nodes = [{{ id = \"a\", address = \"{a}\" }}, {{ id = \"b\", address = \"{b}\", weight = {weight} }}]"
        )
    };
    let file = NodesFile::new("nodes.toml", &text(1));
    let gateway = TestGateway::with(&configuration(&file.discovery("")), &[]);
    wait_for_nodes(&gateway, &[("a", 1), ("b", 1)]);
    assert_eq!(gateway.admin_send("POST", "/pools/main/nodes/a/drain", "").status, 200);
    assert!((0..10).all(|_| gateway.get("/").text() == "b"));
    file.put(&text(5));
    wait_for_nodes(&gateway, &[("a", 0), ("b", 5)]);
    assert_eq!(pool(&gateway)["nodes"][0]["state"], "draining", "another change leaves it drained");
    file.put(&text(5).replace("id = \"b\"", "drain = true, id = \"b\""));
    wait_for_nodes(&gateway, &[("a", 0), ("b", 0)]);
}

#[test]
fn a_gateway_that_starts_while_nobody_answers_has_the_nodes_known_last() {
    let (a, state) = (TestNode::answering("a"), tempfile::tempdir().unwrap());
    let file =
        NodesFile::new("nodes.toml", &format!("nodes = [{{ id = \"a\", address = \"{}\" }}]", a.address()));
    let plugins = format!("[plugins]\ndirectory = \"plugins\"\nstate_directory = {:?}\n", state.path());
    let text = format!("{plugins}{}", configuration(&file.discovery("")));
    let gateway = TestGateway::with(&text, &[]);
    wait_for_nodes(&gateway, &[("a", 1)]);
    wait_until("they are kept", || state.path().join("nodes/main.json").exists());
    gateway.stop();
    fs::remove_file(file.path()).unwrap();
    let gateway = TestGateway::with(&text, &[]);
    assert_eq!(gateway.get("/").text(), "a");
    assert_eq!(gateway.admin("/readyz").status, 200);
    wait_until("the file is missed", || pool(&gateway)["discovery"]["unused"] == 1);
    assert_eq!(nodes(&gateway), [("a".to_owned(), 1)]);
    file.put("nodes = [\"127.0.0.1:9\"]");
    wait_for_nodes(&gateway, &[("127.0.0.1:9", 1)]);
}

#[test]
fn host_names_are_looked_up_and_one_that_is_not_found_is_named() {
    let a = TestNode::answering("a");
    let port = a.address().port();
    let found = format!("nodes = [\"localhost:{port}\", \"nowhere.invalid:80\"]");
    let file = NodesFile::new("nodes.toml", &found);
    let gateway = TestGateway::with(&configuration(&file.discovery("")), &[]);
    wait_for_nodes(&gateway, &[(&format!("localhost:{port}"), 1)]);
    assert_eq!(
        pool(&gateway)["nodes"][0]["address"].as_str().unwrap().rsplit(':').next(),
        Some(&*port.to_string())
    );
    wait_until("the other is named", || {
        let entries = pool(&gateway)["discovery"]["bad_entries"].to_string();
        entries.contains("nowhere.invalid") && entries.contains("cannot be looked up")
    });
}
