//! Heads of HTTP/2: what is taken is one request of HTTP/1.1 with that method, path and authority; what goes back says nothing
//! of a connection.

use http::{HeaderMap, Request};

use crate::http::BodyLength;
use crate::http::fields::Known;
use crate::http::h1::{Edge, HeadLimits, ResponseEncoding, parse_request};
use crate::http::h2 as heads;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::message::{is_end_to_end, list};
use crate::request::{OF_A_NODE, encode};

const LIMITS: HeadLimits = HeadLimits { max_bytes: 8192, max_fields: 100 };

/// Lines: `METHOD uri`, and fields. The first byte says whether a body follows, and how paths are read.
///
/// # Panics
/// If a property does not hold.
pub fn holds(data: &[u8]) {
    let [how, text @ ..] = data else { return };
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut first = lines.next().unwrap_or_default().splitn(2, |byte| *byte == b' ');
    let (method, uri) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        request = request.header(name, value);
    }
    // What the http crate does not take, h2 never hands over.
    let Ok(request) = request.body(()) else { return };
    let parts = request.into_parts().0;
    trailers_stay_as_they_are(&parts.headers);
    let edge = Edge { normalize_path: how & 1 == 0, ..Edge::default() };
    let mut head = RequestHead::default();
    let Ok(framing) = heads::take_request(&parts, how & 2 == 0, &mut head, &LIMITS, edge) else { return };

    assert_eq!(head.method_name(), parts.method.as_str());
    if let Some(authority) = parts.uri.authority() {
        assert_eq!(head.authority(), authority.as_str().as_bytes(), "another authority");
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    assert!(edge.normalize_path || head.path() == path.as_bytes(), "another path");
    assert!(!framing.upgrade && list(&head.fields, |known| known.is_hop_by_hop()).is_empty());

    let body = match framing.body {
        BodyLength::Known(length @ 0..=65_536) => vec![b'x'; length as usize],
        BodyLength::Known(_) => return,
        _ => Vec::new(),
    };
    let mut sent = encode(&head, &framing, &body);
    let shown = String::from_utf8_lossy(&sent).into_owned();
    let mut again = RequestHead::default();
    let read = parse_request(&mut sent, &mut again, &OF_A_NODE, edge);
    let read = read.unwrap_or_else(|error| panic!("{error:?}: {shown}")).expect("the whole head was sent");
    assert_eq!((again.path(), read.body), (head.path(), framing.body), "{shown}");
    assert_eq!(list(&again.fields, is_end_to_end), list(&head.fields, is_end_to_end), "{shown}");
    a_response_says_nothing_of_a_connection(&head);
}

/// A node may answer with the fields that a client sent.
fn a_response_says_nothing_of_a_connection(echo: &RequestHead) {
    let mut head = ResponseHead { status: 200, ..ResponseHead::default() };
    for (name, value) in list(&echo.fields, |_| true) {
        head.fields.add(&name, &value);
    }
    head.fields.add(b"Connection", b"close");
    let options = ResponseEncoding {
        body: BodyLength::Known(3),
        client_version: Version::Http11,
        keep_alive: true,
        head_request: false,
        upgrade: false,
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
        extra: &[],
    };
    let response = heads::response(&head, &options);
    let of_a_connection = |name: &str| Known::from_name(name.as_bytes()).is_hop_by_hop();
    assert!(!response.headers().keys().any(|name| of_a_connection(name.as_str())));
    assert_eq!(response.headers().get_all("content-length").iter().count(), 1);
}

/// None is changed or made up, and none that frames or routes a message gets through.
fn trailers_stay_as_they_are(map: &HeaderMap) {
    let back = heads::take_trailers(map).map(|fields| heads::trailers(&fields)).unwrap_or_default();
    for name in back.keys() {
        assert!(back.get_all(name).iter().eq(map.get_all(name)), "{name} changed on its way");
        let known = Known::from_name(name.as_str().as_bytes());
        assert!(is_end_to_end(known), "{name} passes as a trailer");
    }
    assert!(map.keys().all(|name| back.contains_key(name) || !name.as_str().starts_with("x-checksum")));
}
