//! What was checked and what came of it, for the terminal and for docs/conformance.md.

use std::fmt::Write as _;

/// One expectation.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: String,
    /// Why it is not met.
    held: Result<(), String>,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, held: Result<(), String>) -> Check {
        Check { name: name.into(), held }
    }

    /// An expectation that is met or not, with what was seen instead.
    pub(super) fn that(name: &str, is_so: bool, seen: &str) -> Check {
        Check::new(name, if is_so { Ok(()) } else { Err(last_words(seen)) })
    }
}

/// The end of what a tool printed, on one line.
pub(super) fn last_words(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skipped = words.chars().count().saturating_sub(300);
    words.chars().skip(skipped).collect()
}

/// What one tool found.
pub(super) struct Part {
    /// The word on the command line.
    pub(super) name: &'static str,
    /// The tool, with its version.
    pub(super) tool: String,
    pub(super) outcome: Outcome,
}

/// Whether a part was played.
pub(super) enum Outcome {
    /// The checks of the gateway, and those of others for comparison.
    Played { ours: Vec<Check>, others: Vec<(String, Vec<Check>)> },
    /// What is missing for it.
    Skipped(String),
}

impl Part {
    /// One that was not played for want of a program.
    pub(super) fn without(name: &'static str, program: &str) -> Part {
        Part { name, tool: program.to_owned(), outcome: Outcome::Skipped(format!("there is no {program}")) }
    }

    /// The expectations that the gateway does not meet.
    pub(super) fn failures(&self) -> usize {
        match &self.outcome {
            Outcome::Played { ours, .. } => ours.len() - met(ours),
            Outcome::Skipped(_) => 0,
        }
    }

    /// For the terminal.
    pub(super) fn print(&self) {
        println!("==> {} ({})", self.name, self.tool);
        match &self.outcome {
            Outcome::Skipped(why) => println!("skipped: {why}"),
            Outcome::Played { ours, others } => {
                for (server, checks) in others {
                    println!("{server}: {} of {}", met(checks), checks.len());
                }
                for check in ours {
                    if let Err(why) = &check.held {
                        println!("NOT MET: {}: {why}", check.name);
                    }
                }
                println!("bascule: {} of {}", met(ours), ours.len());
            }
        }
    }

    /// For the document: a row of the table, and what is not met.
    fn row(&self) -> String {
        match &self.outcome {
            Outcome::Skipped(why) => format!("| {} | {} | skipped: {why} | |\n", self.name, self.tool),
            Outcome::Played { ours, others } => {
                let others: Vec<String> = others
                    .iter()
                    .map(|(name, checks)| format!("{name} {} of {}", met(checks), checks.len()))
                    .collect();
                let ours = format!("{} of {}", met(ours), ours.len());
                format!("| {} | {} | {ours} | {} |\n", self.name, self.tool, others.join(", "))
            }
        }
    }
}

fn met(checks: &[Check]) -> usize {
    checks.iter().filter(|check| check.held.is_ok()).count()
}

/// The generated part of docs/conformance.md.
pub(super) fn document(parts: &[Part], date: &str) -> String {
    let mut text = format!(
        "## Results of {date}\n\n| part | tool | bascule | others, for comparison |\n|---|---|---|---|\n"
    );
    text.extend(parts.iter().map(Part::row));
    for part in parts {
        let Outcome::Played { ours, others } = &part.outcome else { continue };
        _ = write!(text, "\n### {}\n\n", part.name);
        let all =
            std::iter::once(("bascule", ours)).chain(others.iter().map(|(name, checks)| (&**name, checks)));
        for (name, checks) in all {
            for check in checks.iter().filter(|check| check.held.is_err()) {
                _ = writeln!(text, "- {name} does not meet: {}", check.name);
            }
        }
        // What others do not meet is told for comparison; the names of 147 cases are h2spec's to list.
        if others.is_empty() {
            text.extend(
                ours.iter().filter(|check| check.held.is_ok()).map(|check| format!("- {}\n", check.name)),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_met_counts_and_is_named() {
        let ours = vec![Check::that("a", true, ""), Check::that("b", false, "x\n y")];
        let others = vec![("nginx 1".to_owned(), vec![Check::that("a", false, "")])];
        let part =
            Part { name: "http2", tool: "frames".to_owned(), outcome: Outcome::Played { ours, others } };
        assert_eq!(part.failures(), 1);
        let text = document(&[part], "2026-01-02");
        assert!(text.contains("| http2 | frames | 1 of 2 | nginx 1 0 of 1 |"), "{text}");
        assert!(
            text.contains("- bascule does not meet: b") && text.contains("- nginx 1 does not meet: a"),
            "{text}"
        );
    }
}
