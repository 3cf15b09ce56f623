#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::http::head::Method;

fn everywhere(path: &str) -> RouteMatch {
    RouteMatch {
        listeners: None,
        host: HostPattern::Any,
        path: PathPattern::Prefix(path.into()),
        methods: Vec::new(),
        headers: Vec::new(),
    }
}

fn on(host: &str, path: &str) -> RouteMatch {
    let host = match host.strip_prefix("*.") {
        Some(suffix) => HostPattern::Suffix(suffix.into()),
        None => HostPattern::Exact(host.into()),
    };
    RouteMatch { host, ..everywhere(path) }
}

fn table<const N: usize>(routes: [RouteMatch; N]) -> RouteTable<usize> {
    RouteTable::new(routes.into_iter().zip(0..).collect()).unwrap()
}

fn get(host: &str, path: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.add(b"Host", host.as_bytes());
    head.set_path(path.as_bytes());
    head
}

#[test]
fn a_prefix_is_cut_by_whole_segments() {
    let table = table([
        everywhere("/api"),
        everywhere("/api/v2/"),
        RouteMatch { path: PathPattern::Exact("/api".into()), ..everywhere("") },
    ]);
    for (path, expected) in [
        ("/api", Some(2)),
        ("/api?x=/api/v2/", Some(2)),
        ("/api/", Some(0)),
        ("/api/x", Some(0)),
        ("/apix", None),
        ("/", None),
        ("/api/v2", Some(1)),
        ("/api/v2/", Some(1)),
        ("/api/v2/x/y?z", Some(1)),
        ("/api/v22", Some(0)),
        ("/API", None),
    ] {
        assert_eq!(table.find(0, &get("x", path)).copied(), expected, "{path}");
    }
}

#[test]
fn the_narrowest_host_wins_and_wider_ones_follow() {
    let table = table([
        everywhere("/"),
        on("*.example.com", "/"),
        on("*.b.example.com", "/x"),
        on("a.b.Example.com.", "/x/y"),
    ]);
    for (host, path, expected) in [
        ("a.b.example.com", "/x/y", 3),
        ("A.B.EXAMPLE.COM.:8080", "/x/y/z", 3),
        ("a.b.example.com", "/x", 2),
        ("c.b.example.com", "/x/y", 2),
        ("a.b.example.com", "/", 1),
        ("b.example.com", "/x", 1),
        ("example.com", "/x", 0),
        ("notexample.com", "/x", 0),
        ("[::1]:80", "/x", 0),
        ("", "/x", 0),
    ] {
        assert_eq!(table.find(0, &get(host, path)).copied(), Some(expected), "{host} {path}");
    }
    let long = format!("{}.b.example.com", "a.".repeat(200));
    assert_eq!(table.find(0, &get(&long, "/x")), Some(&0), "no host has such a name");
    assert_eq!(table.find(0, &RequestHead::default()), Some(&0), "an HTTP/1.0 request may name no host");
}

#[test]
fn conditions_choose_among_routes_of_one_path_and_else_give_way() {
    let post = RouteMatch { methods: vec!["POST".into(), "PURGE".into()], ..everywhere("/api") };
    let beta = RouteMatch { headers: vec![("X-Beta".into(), "1".into())], ..everywhere("/api") };
    let both = RouteMatch { methods: vec!["POST".into()], ..beta.clone() };
    let inside = RouteMatch { listeners: Some(vec![7]), ..everywhere("/") };
    let table = table([everywhere("/"), post, beta, both, inside]);
    let find = |listener, method: &[u8], beta: &[u8]| {
        let mut head = get("x", "/api/x");
        let span = head.fields.store(method);
        head.method = Method::from_name(method, span);
        head.fields.add(b"x-beta", b"0");
        head.fields.add(b"x-BETA", beta);
        table.find(listener, &head).copied().unwrap()
    };
    assert_eq!(find(0, b"POST", b"1"), 3);
    assert_eq!(find(0, b"POST", b"2"), 1);
    assert_eq!(find(0, b"PURGE", b"1"), 1, "of equals the first that is configured");
    assert_eq!(find(0, b"GET", b"1"), 2);
    assert_eq!(find(0, b"GET", b"2"), 0, "no condition holds: a shorter prefix");
    assert_eq!(find(0, b"post", b"2"), 0, "methods are case-sensitive");
    assert_eq!(find(7, b"GET", b"2"), 4, "a route of this listener before one of all");
}

#[test]
fn two_routes_that_say_the_same_are_refused() {
    let conflict = |one: RouteMatch, other: RouteMatch| {
        let routes = vec![(everywhere("/other"), ()), (one, ()), (other, ())];
        RouteTable::new(routes).err()
    };
    let expected = Some(Conflict { first: 1, second: 2 });
    assert_eq!(conflict(everywhere("/api"), everywhere("/api/")), expected);
    assert_eq!(conflict(on("A.example", "/"), on("a.example.", "")), expected);
    let methods = |list: [&str; 2]| RouteMatch { methods: list.map(Into::into).into(), ..everywhere("/") };
    assert_eq!(conflict(methods(["GET", "POST"]), methods(["POST", "GET"])), expected);
    let header = |name: &str| RouteMatch { headers: vec![(name.into(), "1".into())], ..everywhere("/") };
    assert_eq!(conflict(header("x-beta"), header("X-Beta")), expected);
    assert_eq!(
        conflict(everywhere("/api"), RouteMatch { listeners: Some(vec![1]), ..everywhere("/api") }),
        None
    );
    assert_eq!(
        conflict(
            everywhere("/api"),
            RouteMatch { path: PathPattern::Exact("/api".into()), ..everywhere("/") }
        ),
        None
    );
}

/// The rules once more, as plainly as they can be said: the best of all routes that match.
fn naive(routes: &[RouteMatch], listener: u16, request: &RequestHead) -> Option<usize> {
    let host = String::from_utf8(request.authority().to_ascii_lowercase()).unwrap();
    let host = host.split(':').next().unwrap().trim_end_matches('.');
    let target = std::str::from_utf8(request.path()).unwrap();
    let path = target.split('?').next().unwrap();
    let rank = |(index, route): (usize, &RouteMatch)| {
        let by_host = match &route.host {
            HostPattern::Any => 0,
            HostPattern::Exact(own) => (host == &**own).then_some(1000)?,
            HostPattern::Suffix(suffix) => host.ends_with(&format!(".{suffix}")).then_some(suffix.len())?,
        };
        let by_path = match &route.path {
            PathPattern::Exact(own) => (path == &**own).then_some(1000)?,
            PathPattern::Prefix(own) => {
                let own = own.trim_end_matches('/');
                (own.is_empty() || path == own || path.starts_with(&format!("{own}/")))
                    .then_some(own.len())?
            }
        };
        let has = |(name, value): &(Box<str>, Box<str>)| request.fields.get(name) == Some(value.as_bytes());
        let holds = route.listeners.as_ref().is_none_or(|listeners| listeners.contains(&listener))
            && (route.methods.is_empty() || route.methods.contains(&request.method_name().into()))
            && route.headers.iter().all(has);
        let conditions = usize::from(!route.methods.is_empty()) + route.headers.len();
        let limited = route.listeners.is_some();
        holds.then_some((by_host, by_path, conditions, limited, std::cmp::Reverse(index)))
    };
    routes.iter().enumerate().filter_map(|(index, route)| rank((index, route))).max().map(|rank| rank.4.0)
}

fn a_route() -> impl Strategy<Value = RouteMatch> {
    let host = prop_oneof![
        Just(HostPattern::Any),
        "[ab](\\.[ab]){0,2}".prop_map(|host| HostPattern::Exact(host.into())),
        "[ab](\\.[ab]){0,2}".prop_map(|host| HostPattern::Suffix(host.into())),
    ];
    let path = prop_oneof![
        "(/[ab]{1,2}){0,3}/?".prop_map(|path| PathPattern::Prefix(path.into())),
        "(/[ab]{1,2}){0,3}/?".prop_map(|path| PathPattern::Exact(path.into())),
    ];
    let methods = prop::sample::subsequence(vec!["GET", "POST"], 0..=2);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..=2);
    let listeners = prop::option::weighted(0.2, prop::collection::vec(0..2_u16, 1..=2));
    (listeners, host, path, methods, headers).prop_map(|(listeners, host, path, methods, headers)| {
        RouteMatch {
            listeners,
            host,
            path,
            methods: methods.into_iter().map(Into::into).collect(),
            headers: headers.into_iter().map(|name| (name.into(), "1".into())).collect(),
        }
    })
}

proptest! {
    #[test]
    fn the_table_finds_what_the_plain_rules_find(
        routes in prop::collection::vec(a_route(), 0..40),
        requests in prop::collection::vec(
            ("[abAB](\\.[ab]){0,3}\\.?(:80)?", "(/[ab]{0,2}){0,4}/?(\\?/a)?", any::<[bool; 3]>(), 0..2_u16),
            1..40,
        ),
    ) {
        let mut routes = routes;
        let table = loop {
            match RouteTable::new(routes.iter().cloned().zip(0..).collect()) {
                Ok(table) => break table,
                Err(Conflict { second, .. }) => drop(routes.remove(second)),
            }
        };
        for (host, path, [post, a, b], listener) in requests {
            let mut head = get(&host, &path);
            head.method = if post { Method::Post } else { Method::Get };
            head.fields.add(b"X-A", if a { b"1" } else { b"0" });
            head.fields.add(b"X-B", if b { b"1" } else { b"0" });
            let expected = naive(&routes, listener, &head);
            prop_assert_eq!(table.find(listener, &head).copied(), expected, "{} {} {:?}", host, path, routes);
        }
    }
}
