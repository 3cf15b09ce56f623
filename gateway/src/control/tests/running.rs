//! The control path as it runs: threads, watches and the admin API over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::*;
use crate::control::{Control, Event, Phase};
use crate::snapshot::Published;
use crate::telemetry::Telemetry;

const NATIVE: &str = "[route.all]\npool = \"api\"\n[pool.api]\nnodes = [\"127.0.0.1:1\"]\n";

fn start(site: &Site) -> (Control, Published) {
    let config = config::load(&site.path()).unwrap();
    let telemetry = Arc::new(Telemetry::new());
    Control::start(Some(site.path()), config, ENGINE.clone(), Arc::default(), ports(), telemetry).unwrap()
}

/// The whole response to a request without a body.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1"))
}

/// Asks until the answer is right; the first snapshots are a matter of milliseconds, so twenty seconds are patience.
fn until(address: SocketAddr, path: &str, right: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = get(address, path);
        if right(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{path} still answers {answer}");
    }
}

#[test]
fn the_admin_api_tells_how_far_the_gateway_is() {
    let site = Site::new(NATIVE);
    let (control, _) = start(&site);
    let admin = control.admin_address();
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 503 "));
    control.set_phase(Phase::Serving);
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200 "));
    control.set_phase(Phase::Draining);
    assert!(get(admin, "/readyz").contains("the gateway is stopping"));
    control.stop();
    assert!(TcpStream::connect(admin).is_err());
}

#[test]
fn a_configuration_takes_over_while_it_runs_and_a_bad_one_shows() {
    let site = Site::new(NATIVE);
    let (control, published) = start(&site);
    let admin = control.admin_address();
    assert_eq!(published.load().number, 1);
    site.write(&NATIVE.replace("127.0.0.1:1", "127.0.0.1:7"));
    until(admin, "/snapshot", |text| text.contains("127.0.0.1:7"));
    assert_eq!(published.load().number, 2);
    site.write("[route.all]\npool = \"nowhere\"");
    let text = until(admin, "/snapshot", |text| text.contains("nowhere"));
    assert!(text.contains("127.0.0.1:7") && text.contains("\"number\": 2"), "{text}");
    assert!(get(admin, "/metrics").contains("\nbascule_configuration_ok 0\n"));
    site.write(NATIVE);
    control.events().try_send(Event::Look).ok().unwrap();
    until(admin, "/metrics", |text| text.contains("\nbascule_configuration_ok 1\n"));
    control.stop();
}

#[test]
fn a_plugin_takes_over_while_it_runs() {
    let site = Site::new(&format!("{NATIVE}policy = \"picker\"\n"));
    site.ship("least_connections.wasm", "picker.wasm");
    let (control, published) = start(&site);
    let before = published.load().uses[0].module.version;
    site.put("picker.wasm", &newer(shipped("least_connections.wasm")));
    let text = until(control.admin_address(), "/snapshot", |text| text.contains("\"generation\": 2"));
    assert_ne!(published.load().uses[0].module.version, before);
    assert!(text.contains("\"outcome\": \"loaded\""), "{text}");
    control.stop();
}

#[test]
fn every_line_of_metrics_parses() {
    let site = Site::new(NATIVE);
    let (control, _) = start(&site);
    let response = get(control.admin_address(), "/metrics");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    let mut families = std::collections::BTreeSet::new();
    for line in body.lines() {
        match line.strip_prefix("# ") {
            Some(comment) => {
                let (kind, rest) = comment.split_once(' ').unwrap();
                let name = rest.split(' ').next().unwrap();
                assert!(kind != "TYPE" || families.insert(name), "{name} stands there twice");
            }
            None => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = series.split('{').next().unwrap();
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                assert!(
                    families.contains(name) || family.is_some_and(|name| families.contains(name)),
                    "{line}"
                );
                assert_eq!(series.contains('{'), series.ends_with("\"}"), "{line}");
            }
        }
    }
    assert!(families.contains("bascule_node_attempts_total") && families.contains("bascule_errors_total"));
    control.stop();
}

#[test]
fn what_the_admin_api_refuses() {
    let token = "[admin]\naddress = \"127.0.0.1:0\"\ntoken = \"s3cret\"\n[listener.public]\naddress = \"127.0.0.1:0\"\n";
    let site = Site::new("");
    replace(&site.path(), format!("{NATIVE}{token}").as_bytes());
    let (control, _) = start(&site);
    let admin = control.admin_address();
    let status = |request: &str| ask(admin, request)[9..12].to_owned();
    assert_eq!(status("GET /nothing HTTP/1.1"), "404");
    assert_eq!(status("POST /healthz HTTP/1.1"), "405");
    assert_eq!(status("GET /healthz HTTP/1.1"), "200");
    assert_eq!(status("GET /metrics HTTP/1.1"), "401");
    assert_eq!(status("GET /snapshot HTTP/1.1\r\nAuthorization: Bearer s3cres"), "401");
    assert_eq!(status("GET /snapshot HTTP/1.1\r\nAuthorization: bearer s3cret"), "200");
    let head = ask(admin, "HEAD /metrics HTTP/1.1\r\nAuthorization: Bearer s3cret");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    control.stop();
}
