//! Files that are no plugins, or that want too much: none of them is ever taken.

use super::{heading, refusal, row, sentence_about, steady};
use crate::support::plugin_file;
use std::fs::{self, File};
use std::path::Path;

#[path = "../../../gateway/src/plugin/testing.rs"]
mod testing;

/// A name, what it is for people, and how it comes to be at a path.
type Case = (&'static str, &'static str, fn(&Path));

const CASES: [Case; 10] = [
    ("empty", "is empty", |path| fs::write(path, "").unwrap()),
    ("truncated", "is cut off in the middle", |path| {
        let whole = plugin_file("round_robin.wasm");
        fs::write(path, &whole[..whole.len() / 2]).unwrap();
    }),
    ("text", "is a text file", |path| fs::write(path, "# How to balance\n").unwrap()),
    ("random", "is random bytes", |path| fs::write(path, [0x8f_u8; 4096]).unwrap()),
    ("large", "is 200 MB", |path| File::create(path).unwrap().set_len(200_000_000).unwrap()),
    ("directory", "is a directory", |path| fs::create_dir(path).unwrap()),
    // Root reads whatever its mode says; a link to itself nobody can.
    ("unreadable", "cannot be read (a link to itself)", |path| {
        std::os::unix::fs::symlink(path, path).unwrap()
    }),
    ("other-module", "is a WebAssembly module of another kind", |path| {
        fs::write(path, wat::parse_str("(module (func (export \"run\")))").unwrap()).unwrap();
    }),
    ("greedy", "wants an import that nobody granted", |path| {
        let text = r#"(import "shared" "delete" (func $delete (param i32 i32 i32)))
            ;; ---
            (func (export "balancer#pick") (result i32)
                (call $delete (i32.const 0) (i32.const 0) (i32.const 64))
                (call $answer (i32.const 0) (i32.const 0)))"#;
        fs::write(path, testing::plugin(&["balancer"], text)).unwrap();
    }),
    ("networked", "wants a socket", |path| {
        let text = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
        fs::write(path, wat::parse_str(text).unwrap()).unwrap();
    }),
];

/// What is said of each file.
pub(super) fn table() -> String {
    let routes = CASES.map(|(name, ..)| {
        format!("[route.{name}]\npath = \"/{name}\"\npool = \"{name}\"\n[pool.{name}]\npolicy = \"{name}\"\nnodes = [{{nodes}}]\n")
    });
    let said = refusal(&routes.concat(), |plugins| {
        for (name, _, make) in CASES {
            make(&plugins.join(format!("{}.wasm", name.replace('-', "_"))));
        }
    });
    let mut text = heading(
        "Files",
        "None of them is taken, at the start or later; what ran before stays.",
        &["the file", "what the gateway says"],
    );
    for (name, people, _) in CASES {
        text += &row(&[people, &steady(sentence_about(name, &said))]);
    }
    text
}
