//! What plugins and nodes are told of clients' certificates, and that nobody else can say it.

use super::ALL;
use crate::support::{Authority, Http2Node, TestClient, TestGateway, TestNode, TlsClients, wait_until};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A gateway that asks for certificates, and tells of them if `keys` say so; the filter lets in who is the shop.
fn asking(authority: &Authority, keys: &str, node: &TestNode) -> TestGateway {
    asking_before(authority, keys, ALL, &[node])
}

/// The same with this route and pool.
fn asking_before(authority: &Authority, keys: &str, route: &str, nodes: &[&TestNode]) -> TestGateway {
    let site = authority.issue("site", &["site.test"]);
    let tls = format!("certificates = {site}\nclient_ca = {:?}\n{keys}\n", authority.file());
    let used = "[plugin.known-client]\nconfig = { uris = [\"spiffe://example/shop\"] }\n";
    let plain = "[listener.plain]\naddress = \"127.0.0.1:0\"\n[route.plain]\nlisteners = [\"plain\"]\npool = \"main\"\n";
    let route = route.replace("[route.all]", "[route.all]\nfilters = [\"known-client\"]");
    let text = format!(
        "{route}{plain}{used}[listener.public]\naddress = \"127.0.0.1:0\"\n[listener.public.tls]\n{tls}"
    );
    TestGateway::with(&text, nodes)
}

/// What a client writes who would like to be somebody else.
const CLAIM: &str = "Client-Cert: :Zm9yZ2Vk:\r\nCLIENT-CERT-CHAIN: :Zm9yZ2Vk:\r\nClient_Cert: :Zm9yZ2Vk:\r\n";

#[test]
fn plugins_decide_on_clients_certificates() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let gateway = asking(&authority, "client_certificate = \"optional\"", &node);
    authority.issue_client("shop", "shop, west", "spiffe://example/shop");
    authority.issue_client("other", "shop, west", "spiffe://example/other");
    let ask = |client: &TlsClients| {
        let request = format!("GET / HTTP/1.1\r\nHost: site.test\r\n{CLAIM}Connection: close\r\n\r\n");
        let mut connection = client.connect(gateway.address(), "site.test").unwrap();
        let resumed = connection.is_resumed();
        (connection.ask(&request).unwrap()[..12].to_owned(), resumed)
    };
    let showing = |stem: &str| authority.client().showing(&authority.folder().join(stem)).build();
    assert_eq!(ask(&authority.client().build()).0, "HTTP/1.1 403");
    assert_eq!(ask(&showing("other")).0, "HTTP/1.1 403");
    let shop = showing("shop");
    // A resumed session shows nothing anew, and is still the same client's.
    for resumed in [false, true] {
        assert_eq!(ask(&shop), ("HTTP/1.1 200".to_owned(), resumed));
        let asked = node.last_request();
        assert_eq!(asked.header("x-client"), Some(r"CN=shop\, west"));
        assert_eq!(asked.header("x-client-fingerprint").map(str::len), Some(64));
        assert_eq!(asked.header("x-client-claimed"), Some("false"));
        assert_eq!((asked.header("client-cert"), asked.header("client-cert-chain")), (None, None));
    }
    assert_eq!(node.hits(), 2);
}

#[test]
fn nodes_are_told_of_clients_certificates() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let gateway = asking(&authority, "client_certificate_field = true", &node);
    authority.issue_client("shop", "shop", "spiffe://example/shop");
    let der = CertificateDer::from_pem_file(authority.folder().join("shop.pem")).unwrap();
    let field = format!(":{}:", BASE64_STANDARD.encode(&der));
    let client = authority.client().showing(&authority.folder().join("shop")).speaking(&["h2", "http/1.1"]);
    let client = client.build();
    let mut connection = client.connect(gateway.address(), "site.test").unwrap();
    assert_eq!(connection.protocol(), Some(&b"h2"[..]));
    connection.exchange(&http2_request(&[("client-cert", ":Zm9yZ2Vk:")]), 1).unwrap();
    wait_until("the node was asked", || node.hits() == 1);
    assert_eq!(node.last_request().head.headers("client-cert"), [field.as_str()]);

    let old = authority.client().showing(&authority.folder().join("shop")).build();
    let request = format!("GET / HTTP/1.1\r\nHost: site.test\r\n{CLAIM}Connection: close\r\n\r\n");
    old.connect(gateway.address(), "site.test").unwrap().ask(&request).unwrap();
    let asked = node.last_request();
    assert_eq!(asked.head.headers("client-cert"), [field.as_str()]);
    assert_eq!((asked.header("client-cert-chain"), asked.header("client_cert")), (None, None));
    // Where nobody is asked for a certificate, nobody has one.
    let mut plain = TestClient::connect(gateway.listener("plain"));
    assert_eq!(plain.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{CLAIM}\r\n")).read_response().status, 200);
    assert_eq!(node.last_request().header("client-cert"), None);
}

#[test]
fn nodes_of_http_2_are_told_of_clients_certificates() {
    let (authority, node) = (Authority::new(), Http2Node::answering("hello"));
    let route = ALL.replace("{nodes}", &format!("\"{}\"", node.address())) + "protocol = \"http2\"\n";
    let gateway = asking_before(&authority, "client_certificate_field = true", &route, &[]);
    authority.issue_client("shop", "shop", "spiffe://example/shop");
    let der = CertificateDer::from_pem_file(authority.folder().join("shop.pem")).unwrap();
    let field = format!(":{}:", BASE64_STANDARD.encode(&der));
    let showing = || authority.client().showing(&authority.folder().join("shop"));

    let request = format!("GET / HTTP/1.1\r\nHost: site.test\r\n{CLAIM}Connection: close\r\n\r\n");
    let mut old = showing().build().connect(gateway.address(), "site.test").unwrap();
    assert!(old.ask(&request).unwrap().starts_with("HTTP/1.1 200"));
    let mut new = showing().speaking(&["h2"]).build().connect(gateway.address(), "site.test").unwrap();
    new.exchange(&http2_request(&[("client-cert", ":Zm9yZ2Vk:")]), 1).unwrap();
    wait_until("the node was asked twice", || node.hits() == 2);
    // Where nobody is asked for a certificate, nobody has one.
    let mut plain = TestClient::connect(gateway.listener("plain"));
    assert_eq!(plain.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{CLAIM}\r\n")).read_response().status, 200);

    let told = |name: &str| -> Vec<Vec<String>> {
        let values = |head: &http::HeaderMap| {
            head.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        node.heads().iter().map(|(_, head)| values(&head.headers)).collect()
    };
    assert_eq!(told("client-cert"), [vec![field.clone()], vec![field], vec![]]);
    assert_eq!((told("client-cert-chain"), told("client_cert")), (vec![vec![]; 3], vec![vec![]; 3]));
}

/// The start of a connection of HTTP/2 with one GET that has these fields (RFC 9113, 3.4 and 6; RFC 7541, 6.2.2).
fn http2_request(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut literal = |name: &str, value: &str| {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    };
    for (name, value) in
        [(":method", "GET"), (":scheme", "https"), (":authority", "site.test"), (":path", "/")]
    {
        literal(name, value);
    }
    fields.iter().for_each(|(name, value)| literal(name, value));
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&[0, 0, block.len() as u8, 1, 0x05, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    bytes
}
