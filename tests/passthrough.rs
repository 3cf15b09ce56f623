//! TCP that is passed on as it is, by the name in its TLS greeting.

use crate::support::{Authority, TestClient, TestGateway, TestNode, TlsClients, wait_until};
use std::net::SocketAddr;

/// A gateway that passes TCP through, with these keys and tables.
fn passing(listener: &str, tables: &str, nodes: &[&TestNode]) -> TestGateway {
    let text =
        format!("[listener.public]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\n{listener}\n{tables}");
    TestGateway::with(&text, nodes)
}

/// A route of that listener, and its pool.
fn route(name: &str, host: &str, nodes: &str) -> String {
    format!(
        "[route.{name}]\nlisteners = [\"public\"]\nhost = \"{host}\"\npool = \"{name}\"\n\
         [pool.{name}]\nnodes = [{nodes}]\n"
    )
}

/// A server under TLS: a gateway of its own before a node.
fn tls_server(authority: &Authority, listener: &str, stem: &str, name: &str, node: &TestNode) -> TestGateway {
    let site = authority.issue(stem, &[name]);
    let text = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\ntls = {{ certificates = {site} }}\n\
         [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, &[node])
}

fn quoted(address: SocketAddr) -> String {
    format!("\"{address}\"")
}

/// A node that says these bytes for each byte that it gets, and ends when the client does.
fn echoing() -> TestNode {
    TestNode::scripted(|connection| {
        loop {
            match connection.read_bytes(1) {
                byte if byte.is_empty() => return,
                byte => drop(connection.send(byte)),
            }
        }
    })
}

/// What a client of TLS says first when it asks for this name.
fn greeting(clients: &TlsClients, name: &str) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| clients.connect(address, name).is_err());
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 5];
        std::io::Read::read_exact(&mut stream, &mut bytes).unwrap();
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        bytes.resize(5 + length, 0);
        std::io::Read::read_exact(&mut stream, &mut bytes[5..]).unwrap();
        drop(stream);
        assert!(client.join().unwrap(), "nobody answered it");
        bytes
    })
}

#[test]
fn the_name_in_the_greeting_picks_the_node_which_shows_its_own_certificate() {
    let authority = Authority::new();
    let (one, two) = (TestNode::answering("one"), TestNode::answering("two"));
    let first = tls_server(&authority, "", "one", "one.test", &one);
    let second = tls_server(&authority, "", "two", "a.two.test", &two);
    let tables = route("one", "one.test", &quoted(first.address()))
        + &route("two", "*.two.test", &quoted(second.address()));
    let gateway = passing("", &tables, &[]);
    let client = authority.client().build();
    assert!(client.get(gateway.address(), "one.test", "/").unwrap().ends_with("one"));
    assert!(client.get(gateway.address(), "a.two.test", "/").unwrap().ends_with("two"));
    let shown = client.connect(gateway.address(), "one.test").unwrap().certificate();
    assert_eq!(shown, client.connect(first.address(), "one.test").unwrap().certificate());
    assert!(client.connect(gateway.address(), "other.test").is_err(), "no route is for it");
    gateway_counts(&gateway, "no_route", 1.0);
    gateway.client().send("GET / HTTP/1.1\r\n\r\n").expect_close();
    gateway_counts(&gateway, "no_route", 2.0);
    assert_eq!(refused(&gateway, ["greeting_unrouted", "greeting_nameless"]), [1.0, 1.0]);
    assert_eq!(gateway.snapshot()["listeners"][0]["protocol"], "tcp");
    wait_until("the connections are counted", || {
        gateway.metric("bascule_passed_connections_total", &[("route", "one")]) == 2.0
            && gateway.metric("bascule_response_body_bytes_total", &[("route", "two")]) > 0.0
    });
    wait_until("nothing is in flight", || gateway.metric("bascule_node_in_flight", &[]) == 0.0);
}

fn gateway_counts(gateway: &TestGateway, kind: &str, count: f64) {
    wait_until("the error is counted", || gateway.metric("bascule_errors_total", &[("kind", kind)]) == count);
}

fn refused(gateway: &TestGateway, kinds: [&str; 2]) -> [f64; 2] {
    kinds.map(|kind| gateway.metric("bascule_refused_total", &[("kind", kind)]))
}

#[test]
fn what_names_nothing_or_is_no_tls_takes_the_route_for_all() {
    let (authority, node, other) = (Authority::new(), TestNode::answering("named"), echoing());
    let named = tls_server(&authority, "", "one", "one.test", &node);
    let tables = route("one", "one.test", &quoted(named.address())) + &route("rest", "*", "{nodes}");
    let gateway = passing("", &tables, &[&other]);
    for bytes in
        [&b"plain text"[..], b"\x16 that is no record", &greeting(&authority.client().build(), "two.test")]
    {
        let mut client = gateway.client();
        client.send(bytes);
        assert_eq!(client.read_bytes(bytes.len()), bytes, "not a byte is lost or added");
        client.half_close().expect_close();
    }
    assert!(authority.client().build().get(gateway.address(), "one.test", "/").unwrap().ends_with("named"));
}

#[test]
fn a_greeting_may_come_in_pieces() {
    let (authority, named, other) = (Authority::new(), echoing(), TestNode::answering(""));
    let tables = route("one", "one.test", "\"{node1}\"") + &route("rest", "*", "\"{node2}\"");
    let gateway = passing("", &tables, &[&named, &other]);
    let whole = greeting(&authority.client().build(), "one.test");
    // Each byte in a packet of its own; then in records of 50 bytes.
    let record = |piece: &[u8]| [&[22, 3, 1, 0, piece.len() as u8], piece].concat();
    let records: Vec<u8> = whole[5..].chunks(50).flat_map(record).collect();
    for bytes in [whole, records] {
        let mut client = gateway.client();
        for byte in &bytes {
            client.send([*byte]);
        }
        assert_eq!(client.read_bytes(bytes.len()), bytes);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_greeting_that_is_too_long_or_too_slow_is_not_waited_for() {
    let node = echoing();
    let limits = "[gateway]\nworkers = 1\nlimits = { head_timeout = \"1s\" }\n";
    let tables = route("one", "one.test", "{nodes}") + limits;
    let gateway = passing("", &tables, &[&node]);
    let mut client = gateway.client();
    // A megabyte in records, of which the first says that 60,000 bytes belong to the greeting.
    let message = [&[1, 0, 0xea, 0x60][..], &[0; 1 << 20]].concat();
    for piece in message.chunks(16_000) {
        let length = (piece.len() as u16).to_be_bytes();
        if !client.try_send(&[&[22, 3, 1], &length[..], piece].concat()) {
            break;
        }
    }
    client.read_to_end();
    gateway_counts(&gateway, "head_too_large", 1.0);
    gateway.client().send([22, 3, 1, 1]).expect_close();
    gateway_counts(&gateway, "client_timeout", 1.0);
    assert_eq!(refused(&gateway, ["greeting_too_long", "slow_greeting"]), [1.0, 1.0]);
    assert_eq!(node.connections(), 0);
}

#[test]
fn a_server_may_speak_first() {
    let node = TestNode::scripted(|connection| {
        connection.send("220 hello\r\n");
        assert_eq!(connection.read_bytes(4), b"QUIT");
        connection.send("221 bye\r\n");
    });
    let gateway = passing("", &route("rest", "*", "{nodes}"), &[&node]);
    let mut client = gateway.client();
    assert_eq!(client.read_bytes(11), b"220 hello\r\n");
    client.send("QUIT");
    assert_eq!(client.read_to_end(), b"221 bye\r\n");
}

#[test]
fn a_node_that_cannot_be_reached_gives_way_to_the_next() {
    let (down, up) = (TestNode::stopped(), echoing());
    let gateway = passing("", &route("rest", "*", "{nodes}"), &[&down, &up]);
    for _ in 0..4 {
        let mut client = gateway.client();
        client.send("x");
        assert_eq!(client.read_bytes(1), b"x");
    }
    assert!(gateway.metric("bascule_retries_total", &[("reason", "connect")]) >= 1.0);
    up.stop();
    gateway.client().expect_close();
    gateway_counts(&gateway, "connect", 1.0);
}

#[test]
fn a_side_that_is_done_may_still_listen() {
    let node = TestNode::scripted(|connection| {
        let all = connection.read_to_end();
        connection.send(format!("{} bytes", all.len()));
    });
    let gateway = passing("", &route("rest", "*", "{nodes}"), &[&node]);
    let mut client = gateway.client();
    client.send(vec![b'x'; 300_000]).half_close();
    assert_eq!(client.read_to_end(), b"300000 bytes");
}

#[test]
fn one_that_says_nothing_for_too_long_is_closed() {
    let node = echoing();
    let tables = route("rest", "*", "{nodes}") + "between_bytes_timeout = \"300ms\"\n";
    let gateway = passing("", &tables, &[&node]);
    gateway.client().expect_close();
    wait_until("the node is free of it", || node.connections() == 1 && node.open_connections() == 0);
}

#[test]
fn the_client_is_told_on_both_sides() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let heard = "proxy_protocol = [\"127.0.0.1\"]";
    let server = tls_server(&authority, heard, "one", "one.test", &node);
    let tables = route("one", "one.test", &quoted(server.address())) + "proxy_protocol = \"v2\"\n";
    let gateway = passing(heard, &tables, &[]);
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
    let client = authority.client().build();
    let mut client = client.connect_behind(header, gateway.address(), "one.test").unwrap();
    client.ask("GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(node.last_request().header("x-forwarded-for"), Some("192.0.2.1"));
}

#[test]
fn http_and_tcp_listeners_have_routes_of_their_own() {
    let (http, tcp) = (TestNode::answering("http"), echoing());
    let tables = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node1}\"]\n\
                  [listener.web]\naddress = \"127.0.0.1:0\"\n"
        .to_owned()
        + &route("rest", "*", "\"{node2}\"");
    let gateway = passing("connections = 1", &tables, &[&http, &tcp]);
    assert_eq!(TestClient::connect(gateway.listener("web")).get("/").text(), "http");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\n");
    assert_eq!(client.read_bytes(16), b"GET / HTTP/1.1\r\n");
    gateway.client().expect_close(); // there is no room, and no way to say so
    assert_eq!(gateway.metric("bascule_connections_refused_total", &[("reason", "listener")]), 1.0);
}

#[test]
fn a_drain_waits_for_connections_and_then_ends_them() {
    let node = echoing();
    let tables = route("rest", "*", "{nodes}");
    let text = format!(
        "[gateway]\nworkers = 1\ndrain_timeout = \"3s\"\n\
         [listener.public]\naddress = \"127.0.0.1:0\"\nprotocol = \"tcp\"\n{tables}"
    );
    let gateway = TestGateway::with(&text, &[&node]);
    let mut client = gateway.client();
    client.send("a");
    assert_eq!(client.read_bytes(1), b"a");
    let stopping = std::thread::spawn(move || gateway.stop());
    client.send("b");
    assert_eq!(client.read_bytes(1), b"b", "it goes on while it drains");
    client.expect_close();
    stopping.join().unwrap();
}
