#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

/// What becomes of a path; the error for one that is refused.
fn made(path: &str) -> Result<String, Ambiguous> {
    let plain = plain(path.as_bytes(), false)?;
    Ok(plain.map_or_else(|| path.to_owned(), |plain| String::from_utf8(plain).unwrap()))
}

#[test]
fn what_means_the_same_becomes_the_same() {
    for (path, expected) in [
        ("/", "/"),
        ("*", "*"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/...", "/a/..."),
        ("/a.b/.c/..d/e..", "/a.b/.c/..d/e.."),
        ("//", "/"),
        ("//a", "/a"),
        ("/a//b///c//", "/a/b/c/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/./a/./b/.", "/a/b/"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c", "/c"),
        ("/a//../b", "/b"),
        ("/%61dmin", "/admin"),
        ("/%2e", "/"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/%7Euser/%2D%5f%2E", "/~user/-_."),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b%3b%3A%25", "/a%20b%3B%3A%25"),
        ("/a%252fb", "/a%252fb"),
        ("/%e9t%E9", "/%E9t%E9"),
        ("/a;b=c/d", "/a;b=c/d"),
        ("/a;..", "/a;.."),
    ] {
        assert_eq!(made(path).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn what_servers_read_in_different_ways_is_refused() {
    for path in [
        "/..",
        "/../a",
        "/a/../..",
        "/%2e%2e/a",
        "/a/../../b/c",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/..\\a",
        "/a%00",
        "/a%0d%0ab",
        "/a%7f",
        "/a%",
        "/a%4",
        "/a%g0",
        "/a%0x",
        "/a%u002f",
        "/%%36%31",
        "/a%c0%afb",
        "/%C0%AE%c0%ae/a",
        "/%c1%9c",
        "/%c1%1c",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%f8%80%80%80%af",
        "/%fc%80%80%80%80%af",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/.;/b",
        "/a/%2e%2e;/b",
    ] {
        assert_eq!(made(path), Err(Ambiguous), "{path}");
    }
}

#[test]
fn an_escaped_slash_may_be_kept_but_hides_no_dot_segment() {
    let kept = |path: &str| {
        plain(path.as_bytes(), true).map(|plain| plain.map(|plain| String::from_utf8(plain).unwrap()))
    };
    assert_eq!(kept("/@scope%2fname"), Ok(Some("/@scope%2Fname".to_owned())));
    assert_eq!(kept("/a%5cb"), Ok(Some("/a%5Cb".to_owned())));
    for path in ["/a%2f..%2fb", "/..%2fb", "/a/..%5Cb", "/a%2F%2e", "/a%2f..;x/b", "/%2f.."] {
        assert_eq!(kept(path), Err(Ambiguous), "{path}");
    }
}

/// Pieces of paths that confuse.
fn confusing() -> impl Strategy<Value = String> {
    const PIECES: [&str; 15] = [
        "/", "//", ".", "..", "%2e", "%2E%2e", "a", "%61", "b;c", ";", "%c3%a9", "%20", "%25", "%252f", "%2f",
    ];
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)
        .prop_map(|pieces| "/".to_owned() + &pieces.concat())
}

proptest! {
    #[test]
    fn a_plain_path_is_plain_for_ever_and_a_second_reader_finds_nothing_in_it(path in confusing(), keep: bool) {
        let Ok(plain_path) = plain(path.as_bytes(), keep) else { return Ok(()) };
        let plain_path = plain_path.unwrap_or_else(|| path.clone().into_bytes());
        prop_assert_eq!(plain(&plain_path, keep), Ok(None));
        // Another reader: it unescapes once, whatever stands there, and then looks for dot segments.
        let text = String::from_utf8(plain_path).unwrap();
        let bytes = text.replace("%2F", "/").replace("%2E", ".").replace("%61", "a");
        prop_assert!(bytes.split('/').all(|segment| segment != "." && segment != ".."), "{}", text);
        prop_assert!(!text.contains("//"), "{}", text);
    }
}
