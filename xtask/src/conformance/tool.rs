//! Runs a tool and keeps what it said.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Longer than any of them takes here.
const SECONDS: &str = "400";

/// What became of a run.
pub(super) struct Ran {
    /// Whether it ended with status 0.
    pub(super) ok: bool,
    /// What it printed, errors last.
    pub(super) text: String,
}

impl Ran {
    pub(super) fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }

    /// Whether it went well and said all of these.
    pub(super) fn says(&self, parts: &[&str]) -> bool {
        self.ok && parts.iter().all(|part| self.has(part))
    }
}

/// Runs a tool, and hands it this input.
pub(super) fn run(program: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new("timeout");
    command.args([SECONDS, program]).args(arguments).env("LC_ALL", "C");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let output = piped.and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that reads nothing is no error.
            _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            Ran { ok: output.status.success(), text }
        }
        Err(error) => Ran { ok: false, text: format!("cannot start {program}: {error}") },
    }
}

/// The word of its output that looks like a version, behind the tool's name.
pub(super) fn version(program: &str, arguments: &[&str]) -> String {
    let text = run(program, arguments, "").text;
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let words = text.split(|c: char| c.is_whitespace() || c == '/' || c == ',');
    let word = words.map(|word| word.trim_start_matches('v')).find(is_version);
    word.map_or_else(|| program.to_owned(), |version| format!("{program} {version}"))
}
