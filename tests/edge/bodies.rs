//! A body that is longer than its route allows is a 413, and never a whole request for the node.

use super::origin::Origin;
use crate::support::TestGateway;

const ROUTES: &str = "
[route.small]
path = \"/small\"
pool = \"main\"
max_body = \"10B\"
[route.all]
pool = \"main\"
[pool.main]
nodes = [{nodes}]
";

#[test]
fn a_body_may_reach_the_limit_of_its_route_and_not_pass_it() {
    let origin = Origin::start();
    let gateway = TestGateway::with(ROUTES, &[&origin.node]);
    let chunked = |chunks: &str| format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    for (path, rest, status) in [
        ("/small", "Content-Length: 10\r\n\r\n0123456789".to_owned(), 200),
        ("/small", "Content-Length: 11\r\n\r\n0123456789a".to_owned(), 413),
        ("/small", "Content-Length: 18446744073709551615\r\n\r\n".to_owned(), 413),
        ("/small", chunked("A\r\n0123456789\r\n"), 200),
        ("/small", chunked("5\r\n01234\r\n5\r\n56789\r\n"), 200),
        ("/small", chunked("B\r\n0123456789a\r\n"), 413),
        ("/small", chunked("9\r\n012345678\r\n2\r\n9a\r\n"), 413),
        ("/large", "Content-Length: 11\r\n\r\n0123456789a".to_owned(), 200),
        ("/large", chunked("B\r\n0123456789a\r\n"), 200),
    ] {
        let mut client = gateway.client();
        let request = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\n{rest}");
        assert_eq!(client.send(&request).read_response().status, status, "{request}");
        let messages = origin.take().messages;
        assert!(messages.iter().all(Result::is_ok), "{request}: {messages:?}");
        assert_eq!(messages.len(), usize::from(status == 200), "{request}: {messages:?}");
    }
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "body_too_large")]), 4.0);
}
