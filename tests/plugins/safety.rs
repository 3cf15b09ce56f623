//! Produces the tables of docs/plugins-safety.md: what each misbehaviour comes to in each role, as it was seen.
//!
//! The test fails when the document says something else than what happens; `BASCULE_BLESS=1` writes it anew.

mod files;
mod roles;

use crate::support::{TestGateway, TestNode};
use std::path::{Path, PathBuf};
use std::{env, fs};

const BEGIN: &str = "<!-- What follows is written by tests/plugins/safety.rs. -->\n";

#[test]
fn the_document_says_what_happens() {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugins-safety.md");
    let document = fs::read_to_string(&path).expect("the document");
    let (by_hand, written) = document.split_once(BEGIN).expect("the line behind which the tables stand");
    let seen = format!("{}{}{}", roles::tables(), roles::configure(), files::table());
    if env::var_os("BASCULE_BLESS").is_some() {
        fs::write(&path, format!("{by_hand}{BEGIN}{seen}")).expect("the document is written");
        return;
    }
    let differ: Vec<String> = seen
        .lines()
        .filter(|line| !written.lines().any(|said| said == *line))
        .map(|line| format!("seen, and not said: {line}"))
        .chain(
            written
                .lines()
                .filter(|line| !seen.lines().any(|seen| seen == *line))
                .map(|line| format!("said, and not seen: {line}")),
        )
        .collect();
    assert!(differ.is_empty(), "docs/plugins-safety.md:\n{}", differ.join("\n"));
    assert_eq!(seen, written, "the same lines in another order");
}

/// A row of a table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A heading, what stands below it, and the head of a table.
fn heading(title: &str, text: &str, columns: &[&str]) -> String {
    format!("\n## {title}\n\n{text}\n\n{}{}", row(columns), row(&vec!["---"; columns.len()]))
}

/// Words of a log without what changes from one build to the next: lines, columns, lengths, names of functions.
fn steady(words: &str) -> String {
    let (words, after) = match words.split_once(".rs:") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
            (format!("{before}.rs"), format!(": {}", after.trim_start()))
        }
        None => (words.to_owned(), String::new()),
    };
    let words = words + &after;
    let words = match words.split_once("after ") {
        Some((before, after)) if after.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{before}after … {}", after.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
        }
        _ => words,
    };
    // Where in the plugin it happened: function names, if the file has them.
    let is_function = |name: &str| !name.contains(' ') && !name.starts_with('[');
    match words.rsplit_once(" in ") {
        Some((what, names)) if names.split(" < ").all(is_function) => what.to_owned(),
        _ => words,
    }
}

/// The sentence about a use in what a gateway says that cannot load it, without the place in a temporary folder.
fn sentence_about<'a>(name: &str, said: &'a str) -> &'a str {
    let about = format!("plugin \"{name}\"");
    let line = said.lines().find(|line| line.contains(&about));
    let line = line.unwrap_or_else(|| panic!("nothing about {name} in:\n{said}"));
    let said = line.rsplit_once(&about).map_or(line, |(_, rest)| rest.trim_start_matches([':', ' ']));
    let said = said.strip_prefix("cannot be loaded: ").unwrap_or(said);
    said.strip_prefix('/').and_then(|rest| Some(rest.split_once(": ")?.1)).unwrap_or(said)
}

/// What a gateway says that lacks a plugin.
fn refusal(text: &str, prepare: impl FnOnce(&Path)) -> String {
    let node = TestNode::answering("a");
    let said = TestGateway::refused_with(text, &[&node], prepare);
    assert_eq!(node.connections(), 0);
    said
}
