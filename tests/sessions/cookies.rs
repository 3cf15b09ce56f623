//! The clients keep their sessions themselves, and signatures vouch for them.

use super::{Visitor, cookie, nodes, stay, sticky, visitors};
use crate::support::{TestGateway, TestNode};

const OLD: &str = "\"the first key that ever was, 32 bytes\"";
const NEW: &str = "\"the key that took its place, 32 bytes\"";

fn gateway(keys: &[&str], nodes: &[TestNode]) -> TestGateway {
    let sessions = format!("[sessions]\nstore = \"cookie\"\nkeys = [{}]", keys.join(", "));
    TestGateway::with(&sticky(&sessions), &nodes.iter().collect::<Vec<_>>())
}

#[test]
fn any_gateway_with_the_key_honours_a_cookie_and_keys_can_be_changed() {
    let nodes = nodes(5);
    let here = gateway(&[OLD], &nodes);
    let visitors = visitors(&mut here.client(), 100);
    drop(here);
    let there = gateway(&[NEW, OLD], &nodes);
    assert_eq!(stay(&visitors, &mut there.client()), 100);
    assert_eq!(there.snapshot()["stores"]["sessions"]["store"], "cookie");
    let renewed = Visitor::first(&mut there.client());
    let after = gateway(&[NEW], &nodes);
    assert!(renewed.stays(&mut after.client()));
}

#[test]
fn a_cookie_that_is_not_ours_is_as_good_as_none_and_is_counted() {
    let nodes = nodes(3);
    let gateway = gateway(&[NEW], &nodes);
    let mut client = gateway.client();
    let visitor = Visitor::first(&mut client);
    let mut forged = visitor.clone();
    let last = forged.cookie.pop().unwrap();
    forged.cookie.push(if last == 'A' { 'Q' } else { 'A' });
    let response = forged.visits(&mut client);
    assert_eq!(response.status, 200);
    assert!(cookie(&response).is_some_and(|anew| anew != forged.cookie), "it is bound anew");
    let bad = |why| gateway.metric("bascule_sessions_bad_cookies_total", &[("why", why)]);
    assert!(bad("forged") >= 1.0);
    assert_eq!((bad("ended"), bad("foreign")), (0.0, 0.0));
    assert!(visitor.stays(&mut client));
}
