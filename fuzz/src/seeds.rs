//! Where fuzzing begins: what the gateway's own tests send, read from their tables, so that nothing is copied; and in
//! fuzz/regressions what once broke a property.

use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/edge/cases.rs"]
mod cases;
#[path = "../../tests/edge/strict.rs"]
pub(crate) mod strict;

const REQUESTS: [&str; 6] = [
    include_str!("../../tests/edge/corpus/framing.txt"),
    include_str!("../../tests/edge/corpus/chunks.txt"),
    include_str!("../../tests/edge/corpus/syntax.txt"),
    include_str!("../../tests/edge/corpus/targets.txt"),
    include_str!("../../tests/edge/corpus/connection.txt"),
    include_str!("../../tests/edge/corpus/paths.txt"),
];
const RESPONSES: &str = include_str!("../../tests/edge/corpus/responses.txt");
/// Longer ones are about limits, and slow the fuzzer down.
const LONGEST: usize = 4096;

/// The seeds of a target.
///
/// # Panics
/// If the tests' tables are not where they were.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "request" => raw(&REQUESTS).map(|raw| [b"\0\x20", &raw[..]].concat()).collect(),
        "response" => raw(&[RESPONSES]).map(|raw| [b"\0\x20", &raw[..]].concat()).collect(),
        "path" => raw(&REQUESTS).filter_map(|raw| target_of(&raw)).collect(),
        "configuration" => files(&root().join("tests/golden"), "toml"),
        "http2" => raw(&REQUESTS).filter_map(|raw| in_lines(&raw)).collect(),
        "proxy_protocol" => HEADERS.iter().map(|header| header.to_vec()).collect(),
        _ => SESSIONS.iter().map(|text| text.as_bytes().to_vec()).collect(),
    };
    if target == "configuration" {
        seeds.extend(files(&root().join("config"), "toml"));
    }
    seeds.retain(|seed| seed.len() <= LONGEST);
    assert!(!seeds.is_empty(), "no seeds for {target}");
    seeds.extend(files(&root().join("fuzz/regressions").join(target), ""));
    seeds
}

/// Headers of the PROXY protocol, each followed by something else.
const HEADERS: [&[u8]; 6] = [
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\nGET",
    b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n\x16\x03",
    b"PROXY UNKNOWN and so on\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x04\xd2\x01\xbbGET",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01\0\x02\x04\0\x01x",
];

/// Forms of tokens and of Cookie's value.
const SESSIONS: [&str; 7] = [
    "AQIDBAUGBwgJCgsMDQ4PEA",
    "bascule=AQIDBAUGBwgJCgsMDQ4PEA; a=b",
    "a=b;bascule=\"quoted\"",
    "node-a",
    "kB: a node with a long name",
    "10.0.0.1:8080",
    "\u{1}\0\0\0\0\0\0\0\0\0\u{7f}\u{7f}\u{7f}\u{7f}node-a",
];

fn raw(tables: &[&'static str]) -> impl Iterator<Item = Vec<u8>> {
    tables.iter().flat_map(|table| cases::read(table)).map(|case| case.raw)
}

fn target_of(raw: &[u8]) -> Option<Vec<u8>> {
    raw.split(|byte| *byte == b' ').nth(1).map(<[u8]>::to_vec)
}

fn in_lines(raw: &[u8]) -> Option<Vec<u8>> {
    let end = raw.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head: Vec<u8> = raw[..end].iter().copied().filter(|byte| *byte != b'\r').collect();
    let text = String::from_utf8(head).ok()?;
    Some(format!("\0{}", text.replace(" HTTP/1.1\n", "\n").replace(" /", " http://a.test/")).into_bytes())
}

/// The files of a folder that end so, any if there is no ending; none if there is no folder.
fn files(folder: &Path, ending: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wanted: Vec<PathBuf> = entries
        .filter(|path| ending.is_empty() || path.extension().is_some_and(|end| end == ending))
        .collect();
    wanted.sort();
    wanted.iter().map(|path| fs::read(path).expect("a file that was just listed")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
