//! A route guards a path; no spelling of it leads around the guard, whatever the node behind makes of it.

use proptest::test_runner::{Config, TestRunner};

use crate::support::{TestGateway, TestNode};

const ROUTES: &str = "
[route.admin]
path = \"/admin\"
pool = \"guarded\"
[route.all]
pool = \"open\"
[pool.guarded]
nodes = [\"{node1}\"]
[pool.open]
nodes = [\"{node2}\"]
";

/// Ways to spell a path below /admin, and some that are none.
const SPELLINGS: [&str; 62] = [
    "/admin",
    "/admin/",
    "/admin/x",
    "//admin",
    "///admin//x",
    "/./admin",
    "/.//./admin",
    "/x/../admin",
    "/x/y/../../admin",
    "/x//../admin",
    "/x/%2e%2e/admin",
    "/x/%2E./admin",
    "/x/.%2e/admin",
    "/%2e/admin",
    "/%61dmin",
    "/%61%64%6d%69%6e",
    "/admi%6E",
    "/admin%2f",
    "/admin%2fx",
    "/%2fadmin",
    "/%2Fadmin",
    "/x%2f..%2fadmin",
    "/x/..%2fadmin",
    "/x%2f../admin",
    "/x/%2e%2e%2fadmin",
    "/x/..%5cadmin",
    "/x/..\\admin",
    "/\\admin",
    "\\admin",
    "/x\\..\\admin",
    "/%5cadmin",
    "/admin;",
    "/admin;x=y",
    "/admin;x/y",
    "/;/admin",
    "/;x=y/admin",
    "/x/..;/admin",
    "/x/..;y/admin",
    "/x/%2e%2e;/admin",
    "/.;/admin",
    "/x;y/../admin",
    "/admin/..;/admin",
    "/admin/../admin",
    "/admin/.",
    "/x/../admin/.",
    "/../admin",
    "/../../admin",
    "/%2e%2e/admin",
    "/admin%00",
    "/admin%00/x",
    "/%00/../admin",
    "/admin%",
    "/%c0%afadmin",
    "/x/%c0%ae%c0%ae/admin",
    "/x/%e0%80%ae%e0%80%ae/admin",
    "/%u002fadmin",
    "/admin?x",
    "/admin/?x",
    "/%61dmin?x",
    "/x?/../admin",
    "/adminx",
    "/x/admin",
];

/// What a kind of server does with a path before it looks what is there.
#[derive(Clone, Copy, Debug)]
struct Reader {
    unescapes: bool,
    cuts_parameters: bool,
    turns_backslashes: bool,
    merges_slashes: bool,
    ends_at_nul: bool,
}

impl Reader {
    /// All kinds that there are.
    fn all() -> impl Iterator<Item = Reader> {
        (0..32_u8).map(|bits| Reader {
            unescapes: bits & 1 > 0,
            cuts_parameters: bits & 2 > 0,
            turns_backslashes: bits & 4 > 0,
            merges_slashes: bits & 8 > 0,
            ends_at_nul: bits & 16 > 0,
        })
    }

    /// The path that it serves.
    fn reads(self, target: &str) -> String {
        let mut path = target.split('?').next().unwrap().to_owned();
        if self.cuts_parameters {
            let bare = path.split('/').map(|segment| segment.split(';').next().unwrap());
            path = bare.collect::<Vec<_>>().join("/");
        }
        if self.unescapes {
            path = unescaped(&path);
        }
        if self.turns_backslashes {
            path = path.replace('\\', "/");
        }
        if self.ends_at_nul {
            path = path.split('\0').next().unwrap().to_owned();
        }
        let mut segments: Vec<&str> = Vec::new();
        for segment in path.split('/').skip(1) {
            match segment {
                "" if self.merges_slashes => {}
                "." => {}
                ".." => drop(segments.pop()),
                _ => segments.push(segment),
            }
        }
        format!("/{}", segments.join("/"))
    }
}

/// Carelessly: an overlong character is what its bits say, and what is no escape stays.
fn unescaped(path: &str) -> String {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%');
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &rest[3..] } else { behind };
    }
    let text: String = out.iter().copied().map(char::from).collect();
    text.replace("\u{c0}\u{af}", "/").replace("\u{c0}\u{ae}", ".").replace("\u{e0}\u{80}\u{ae}", ".")
}

fn is_guarded(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Asks for a path, and sees that nobody was led around the guard; whether it was forwarded at all.
fn ask(gateway: &TestGateway, nodes: &[TestNode; 2], path: &str) -> bool {
    nodes.iter().for_each(TestNode::forget);
    let response = gateway.client().send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).read_response();
    if response.status != 200 {
        assert_eq!(response.status, 400, "{path}");
        assert_eq!((nodes[0].hits(), nodes[1].hits()), (0, 0), "{path} was refused and forwarded");
        return false;
    }
    let [guarded, open] = nodes;
    if open.hits() > 0 {
        let sent = open.last_request().path().to_owned();
        for reader in Reader::all() {
            let read = reader.reads(&sent);
            assert!(!is_guarded(&read), "{path} was sent as {sent}, which is {read} to {reader:?}");
        }
    } else {
        assert_eq!(guarded.hits(), 1, "{path}");
    }
    true
}

/// The same again with the path as a node got it: it was chosen on these very bytes, and they do not change any more.
fn ask_again(gateway: &TestGateway, nodes: &[TestNode; 2]) {
    let place = nodes.iter().position(|node| node.hits() > 0).unwrap();
    let sent = nodes[place].last_request().path().to_owned();
    assert!(ask(gateway, nodes, &sent));
    assert_eq!(nodes[place].last_request().path(), sent);
}

fn guarded() -> (TestGateway, [TestNode; 2]) {
    let nodes = [TestNode::answering("guarded"), TestNode::answering("open")];
    let gateway = TestGateway::with(ROUTES, &[&nodes[0], &nodes[1]]);
    (gateway, nodes)
}

#[test]
fn no_spelling_leads_around_a_guard() {
    let (gateway, nodes) = guarded();
    let mut forwarded = 0;
    for path in SPELLINGS {
        if ask(&gateway, &nodes, path) {
            forwarded += 1;
            ask_again(&gateway, &nodes);
        }
    }
    assert!(forwarded >= 25, "only {forwarded} were not refused");
    for (path, place) in
        [("/%61dmin", 0), ("/x/../admin/.", 0), ("/admin;x=y", 0), ("/x?/../admin", 1), ("/adminx", 1)]
    {
        assert!(ask(&gateway, &nodes, path));
        assert_eq!(nodes[place].hits(), 1, "{path}");
    }
}

#[test]
fn no_mix_of_what_confuses_leads_around_a_guard() {
    const PIECES: [&str; 20] = [
        "/", "/", "/", "admin", "%61dmin", "x", ".", "..", "%2e", "%2E%2e", ";", ";a=b", "%2f", "%5C", "\\",
        "%00", "%c0%af", "%252e", "//", "?",
    ];
    let (gateway, nodes) = guarded();
    let pieces = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..9);
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&pieces, |pieces| {
        let path = format!("/{}", pieces.concat());
        if ask(&gateway, &nodes, &path) {
            ask_again(&gateway, &nodes);
        }
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn where_paths_are_left_alone_the_node_gets_what_was_sent() {
    let nodes = [TestNode::answering("guarded"), TestNode::answering("open")];
    let text = format!("[gateway]\nworkers = 1\nnormalize_path = false\n{ROUTES}");
    let gateway = TestGateway::with(&text, &[&nodes[0], &nodes[1]]);
    for path in ["/x/../admin", "/%61dmin", "//admin", "/a%2fb"] {
        assert_eq!(gateway.get(path).text(), "open");
        assert_eq!(nodes[1].last_request().path(), path);
    }
}
