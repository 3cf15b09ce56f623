//! Which functions an instruction belongs to, those that were inlined included: asked of addr2line.

use crate::tools;
use anyhow::{Context, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

/// The stack of inlined functions at each address, the innermost first.
pub(super) struct Frames(HashMap<u64, Vec<Frame>>);

/// A function, and the source file that it stands in.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    /// The last part of its name.
    pub(super) function: String,
    pub(super) file: String,
}

impl Frames {
    /// Looks addresses up in a program's line tables.
    ///
    /// # Errors
    /// When addr2line fails.
    pub(super) fn of(program: &Path, folder: &Path, addresses: impl Iterator<Item = u64>) -> Result<Frames> {
        // More than a command line holds.
        let list = folder.join("addresses");
        let sorted: BTreeSet<u64> = addresses.collect();
        std::fs::write(&list, sorted.iter().map(|address| format!("{address:#x}\n")).collect::<String>())?;
        let mut command = Command::new("addr2line");
        command.args(["--addresses", "--inlines", "--functions", "--demangle", "--exe"]).arg(program);
        let text = tools::output(command.arg(format!("@{}", list.display())))?;
        parse(&text).context("addr2line printed something unexpected")
    }

    /// Those of an address; none that are known of if it was not asked for.
    pub(super) fn at(&self, address: u64) -> &[Frame] {
        self.0.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether there is any function of this file.
    pub(super) fn any_in(&self, file: &str) -> bool {
        self.0.values().flatten().any(|frame| frame.file.ends_with(file))
    }
}

/// For each address a line, then two for each function: its name, and its place as FILE:LINE.
pub(super) fn parse(text: &str) -> Option<Frames> {
    let mut frames = HashMap::new();
    let mut lines = text.lines();
    let mut stack: &mut Vec<Frame> = &mut Vec::new();
    while let Some(line) = lines.next() {
        if let Some(digits) = line.strip_prefix("0x") {
            stack = frames.entry(u64::from_str_radix(digits, 16).ok()?).or_default();
        } else {
            let file = lines.next()?.rsplit_once(':')?.0.to_owned();
            stack.push(Frame { function: last_part(line).to_owned(), file });
        }
    }
    Some(Frames(frames))
}

/// `find` of `bascule::proxy::route::<impl bascule::proxy::exchange::Exchange>::find`.
fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_of_inlined_functions_is_read() {
        let printed = "0x00000000009cc500\ndrops\n/src/names.rs:63\nbascule::http::h1::parse::parse_request\n/src/parse.rs:25\n\
                       0x00000000009cc700\n??\n??:0\n";
        let frames = parse(printed).expect("addr2line's own output");
        let at = frames.at(0x9cc500);
        assert_eq!((at[0].function.as_str(), at[0].file.as_str()), ("drops", "/src/names.rs"));
        assert_eq!((at[1].function.as_str(), at[1].file.as_str()), ("parse_request", "/src/parse.rs"));
        assert!(frames.any_in("names.rs") && !frames.any_in("path.rs") && frames.at(1).is_empty());
    }
}
