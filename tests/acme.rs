//! Certificates that the gateway gets by itself, from a real ACME server.

use crate::support::{
    Authority, NameServer, TestClient, TestGateway, TestNode, TlsClients, TlsWish, wait_until,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;
use test_servers::{Certificates, Pebble, PebbleWish, free_port};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longer than any test.
const HOUR: u32 = 3600;

/// An ACME server, the names that it believes are here, and what the gateway keeps.
struct Site {
    pebble: Pebble,
    names: NameServer,
    certificates: Certificates,
    http: u16,
    tls: u16,
    state: TempDir,
    node: TestNode,
}

impl Site {
    /// None if there is no such server on this machine.
    #[track_caller]
    fn new(seconds: u32) -> Option<Site> {
        let (certificates, names) = (Certificates::make(), NameServer::start());
        names.addresses("shop.test", &[LOCAL]);
        let (http, tls) = (free_port(), free_port());
        let wish = PebbleWish { names: names.address(), http, tls, seconds };
        let pebble = Pebble::start(&certificates, wish)?;
        let (state, node) = (tempfile::tempdir().unwrap(), TestNode::answering("hello"));
        Some(Site { pebble, names, certificates, http, tls, state, node })
    }

    /// A gateway's configuration, with these keys for `acme`. What is in the clear is sent to HTTPS.
    fn text(&self, keys: &str) -> String {
        format!(
            "[plugins]\nstate_directory = {:?}\ndirectory = \"plugins\"\n\
             [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n\
             [listener.plain]\naddress = \"127.0.0.1:{}\"\nredirect = \"https\"\n\
             [listener.public]\naddress = \"127.0.0.1:{}\"\n[listener.public.tls.acme]\n\
             directory = {:?}\nca = {:?}\ncontact = \"mailto:admin@shop.test\"\n{keys}\n",
            self.state.path(),
            self.http,
            self.tls,
            self.pebble.directory(),
            self.certificates.authority(),
        )
    }

    fn gateway(&self, keys: &str) -> TestGateway {
        TestGateway::with(&self.text(keys), &[&self.node])
    }

    /// Clients that believe what the server issues now.
    fn client(&self) -> TlsClients {
        let authority = fs::read(self.certificates.authority()).unwrap();
        let server = TlsWish::believing(CertificateDer::from_pem_slice(&authority).unwrap()).build();
        let answer = server.get(self.pebble.management(), "localhost", "/roots/0").unwrap();
        let start = answer.find("-----BEGIN").unwrap();
        TlsWish::believing(CertificateDer::from_pem_slice(&answer.as_bytes()[start..]).unwrap()).build()
    }

    /// The files that the gateway keeps.
    fn kept(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.state.path().join("acme")).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect()
    }
}

fn row(gateway: &TestGateway) -> serde_json::Value {
    let snapshot = gateway.snapshot();
    let listeners = snapshot["listeners"].as_array().unwrap().clone();
    listeners.into_iter().find(|row| row["name"] == "public").unwrap()["tls"].clone()
}

fn is_ready(gateway: &TestGateway) -> bool {
    gateway.admin("/readyz").status == 200
}

fn error(gateway: &TestGateway) -> String {
    row(gateway)["acme"]["error"]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_certificate_is_got_by_either_challenge() {
    for (challenge, proofs) in [("tls-alpn-01", 1.0), ("http-01", 0.0)] {
        let Some(site) = Site::new(HOUR) else { return };
        let gateway = site.gateway(&format!("names = \"shop.test\"\nchallenge = {challenge:?}"));
        wait_until("there is a certificate", || is_ready(&gateway));
        let answer = site.client().get(gateway.address(), "shop.test", "/").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
        assert_eq!(row(&gateway)["certificates"][0]["names"], json!(["shop.test"]));
        assert_eq!(row(&gateway)["acme"]["obtained"], 1);
        let orders = [("listener", "public"), ("outcome", "obtained")];
        assert_eq!(gateway.metric("bascule_acme_orders_total", &orders), 1.0);
        let proved = gateway.metric("bascule_tls_handshakes_total", &[("outcome", "acme")]);
        // Pebble may look at a name from several places.
        assert!(proved >= proofs && (proved > 0.0) == (proofs > 0.0), "{challenge}: {proved}");

        assert_eq!(site.kept().len(), 2, "an account and a certificate");
        for file in site.kept() {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        let folder = fs::metadata(site.state.path().join("acme")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        // Nothing is left of the proof, and other tokens go where everything goes.
        let mut plain = TestClient::connect(gateway.listener("plain"));
        assert_eq!(plain.get("/.well-known/acme-challenge/other").status, 308);
    }
}

#[test]
fn it_is_renewed_in_time_and_clients_notice_nothing() {
    let Some(site) = Site::new(24) else { return };
    let gateway = site.gateway("names = \"shop.test\"");
    wait_until("there is a certificate", || is_ready(&gateway));
    let client = site.client();
    let shown = || client.connect(gateway.address(), "shop.test").unwrap().certificate();
    let first = shown();
    // Each look is a handshake that has to succeed: the certificate before is shown until the next is there.
    wait_until("another one is shown", || shown() != first);
    assert!(client.get(gateway.address(), "shop.test", "/").unwrap().ends_with("hello"));
}

#[test]
fn without_the_server_a_gateway_starts_and_says_what_it_lacks() {
    let Some(site) = Site::new(HOUR) else { return };
    site.pebble.kill();
    let gateway = site.gateway("names = \"shop.test\"");
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("the listener \"public\" has no certificate yet"), "{}", ready.text());
    wait_until("the failure is told", || error(&gateway).contains("cannot be asked"));
    let nobody = Authority::new().client().build();
    assert!(nobody.connect(gateway.address(), "shop.test").is_err());
    let mut plain = TestClient::connect(gateway.listener("plain"));
    assert_eq!(plain.get("/").status, 308, "the others serve");
    site.pebble.restart();
    wait_until("there is a certificate", || is_ready(&gateway));
    assert!(site.client().get(gateway.address(), "shop.test", "/").unwrap().ends_with("hello"));
    assert_eq!(row(&gateway)["acme"]["error"], json!(null));
}

#[test]
fn a_restart_keeps_the_certificate_and_the_account() {
    let Some(site) = Site::new(HOUR) else { return };
    let keys = "names = \"shop.test\"";
    let gateway = site.gateway(keys);
    wait_until("there is a certificate", || is_ready(&gateway));
    let client = site.client();
    let first = client.connect(gateway.address(), "shop.test").unwrap().certificate();
    gateway.stop();
    site.pebble.kill();
    let gateway = site.gateway(keys);
    assert!(is_ready(&gateway), "{}", gateway.admin("/readyz").text());
    assert_eq!(client.connect(gateway.address(), "shop.test").unwrap().certificate(), first);
    wait_until("it was looked at", || !row(&gateway)["acme"]["next"].is_null());
    assert_eq!(row(&gateway)["acme"]["failed"], 0, "it is not due");
    gateway.stop();
    // What cannot be read is ordered anew.
    let kept = site.state.path().join("acme/public.pem");
    fs::write(&kept, "-----BEGIN CERTIFICATE-----\n").unwrap();
    site.pebble.restart();
    let gateway = site.gateway(keys);
    wait_until("there is a certificate", || is_ready(&gateway));
    assert!(site.client().get(gateway.address(), "shop.test", "/").unwrap().ends_with("hello"));
}

#[test]
fn other_names_are_ordered_also_at_a_server_that_forgot_the_account() {
    let Some(site) = Site::new(HOUR) else { return };
    let gateway = site.gateway("names = \"shop.test\"");
    wait_until("there is a certificate", || is_ready(&gateway));
    site.pebble.restart();
    site.names.addresses("www.shop.test", &[LOCAL]);
    let both = site.text("names = [\"shop.test\", \"www.shop.test\"]");
    gateway.rewrite_configuration(&both, &[&site.node]);
    wait_until("there is another one", || {
        row(&gateway)["certificates"][0]["names"].as_array().unwrap().len() == 2
    });
    let client = site.client();
    for name in ["shop.test", "www.shop.test"] {
        assert!(client.get(gateway.address(), name, "/").unwrap().ends_with("hello"), "{name}");
    }
}

#[test]
fn a_name_that_is_not_here_is_told_and_the_certificate_before_stays() {
    let Some(site) = Site::new(HOUR) else { return };
    let gateway = site.gateway("names = \"shop.test\"");
    wait_until("there is a certificate", || is_ready(&gateway));
    let both = site.text("names = [\"shop.test\", \"elsewhere.test\"]");
    gateway.rewrite_configuration(&both, &[&site.node]);
    wait_until("the failure is told", || error(&gateway).starts_with("elsewhere.test was not proved: "));
    assert!(is_ready(&gateway));
    assert!(site.client().get(gateway.address(), "shop.test", "/").unwrap().ends_with("hello"));
    let failed = [("listener", "public"), ("outcome", "failed")];
    assert_eq!(gateway.metric("bascule_acme_orders_total", &failed), 1.0);
    let next = row(&gateway)["acme"]["next"].as_f64().unwrap();
    let told = row(&gateway)["acme"]["error"]["at"].as_f64().unwrap();
    assert!(next - told > 200.0, "a server that said no is not asked again soon: {}", next - told);
}
