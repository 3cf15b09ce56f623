//! What /snapshot and /metrics tell of certificates: until when they are good, and what became of their files.

use super::{gateway, text};
use crate::support::{Authority, TestGateway, TestNode, wait_until};
use serde_json::json;
use std::fs;

/// 2 January 2030, in Unix time.
const END: f64 = 1_893_542_400.0;

#[test]
fn the_end_of_each_certificate_is_told() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let pairs = [
        authority.issue("other", &["other.test"]),
        authority.issue_until("site", &["site.test"], (2030, 1, 2)),
    ];
    authority.issue_until("client", &["client.test"], (2030, 1, 2));
    let shown = |end: &str| authority.folder().join(format!("client.{end}"));
    let pool = format!(
        "[pool.secure]\nnodes = [\"127.0.0.1:1\"]\ntls = {{ ca = {:?}, certificate = {:?}, key = {:?} }}\n",
        authority.file(),
        shown("pem"),
        shown("key")
    );
    let text = pool + &text(&format!("certificates = [{}]", pairs.join(", ")));
    let gateway = TestGateway::with(&text, &[&node]);
    let listener = [("listener", "public"), ("certificate", "site.test")];
    assert_eq!(gateway.metric("bascule_listener_certificate_expiry_seconds", &listener), END);
    let pool = [("pool", "secure"), ("certificate", "client.test")];
    assert_eq!(gateway.metric("bascule_pool_certificate_expiry_seconds", &pool), END);
    let snapshot = gateway.snapshot();
    let tls = &snapshot["listeners"][0]["tls"];
    assert_eq!(tls["certificates"][1]["names"], json!(["site.test"]));
    assert_eq!(tls["certificates"][1]["not_after"], END);
    assert_eq!(snapshot["pools"][1]["tls"]["certificates"][0]["not_after"], END);
    assert_eq!(snapshot["pools"][0]["tls"], json!(null));
    assert!(tls["loaded"].as_f64().is_some_and(|at| at > END - 1e9), "{tls}");
}

#[test]
fn a_misfit_is_told_until_it_fits_again() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}"), &[&node]);
    let refused = || gateway.snapshot()["listeners"][0]["tls"]["refused"].clone();
    let count = || gateway.metric("bascule_certificates_refused", &[]);
    assert_eq!((refused(), count()), (json!(null), 0.0));
    let good = fs::read(authority.folder().join("site.key")).unwrap();
    authority.issue("stranger", &["site.test"]);
    let bad = fs::read(authority.folder().join("stranger.key")).unwrap();
    fs::write(authority.folder().join("site.key"), &bad).unwrap();
    wait_until("the misfit is told", || !refused().is_null());
    assert!(refused()["text"].as_str().unwrap().contains("do not fit"), "{}", refused());
    assert_eq!(count(), 1.0);
    fs::write(authority.folder().join("site.key"), &good).unwrap();
    wait_until("it fits again", || refused().is_null());
}

#[test]
fn a_file_of_authorities_that_has_none_is_refused() {
    let authority = Authority::new();
    authority.issue("client", &["client.test"]);
    let key = authority.folder().join("client.key");
    let text = format!(
        "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"127.0.0.1:1\"]\ntls = {{ ca = {key:?} }}\n"
    );
    let error = TestGateway::refused(&text, &[]);
    assert!(error.contains("there is no certificate in ") && error.contains("client.key"), "{error}");
}
