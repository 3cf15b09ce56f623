//! A policy and a filter that fault all the time, under a steady load: what clients notice.
//!
//! Every 10th request makes the plugin trap, every 100th makes it loop until its deadline. Quarantine is off, or the
//! plugin would soon be asked no more. Nobody may fail, and the others may not wait.

use super::paced::{self, Paced, percentile};
use super::servers::Ground;
use super::table::Table;
use crate::plugins;
use anyhow::Result;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Requests a second.
const PACE: u64 = 2_000;

/// Two uses of the hostile guest, one that traps and one that loops; each only on requests with its field.
fn uses(role: &str) -> String {
    let table = |name: &str, mischief: &str, field: &str| {
        format!(
            "[plugin.{name}]\nfile = \"hostile.wasm\"\nquarantine = \"off\"\non_fault = \"skip\"\n\
             config = {{ {role} = \"{mischief}\", when = \"{field}\" }}\n"
        )
    };
    table("trapper", "trap", "x-trap") + &table("looper", "loop", "x-loop")
}

fn fields(number: u64) -> &'static [(&'static str, &'static str)] {
    match number {
        _ if number.is_multiple_of(100) => &[("x-trap", "1"), ("x-loop", "1")],
        _ if number.is_multiple_of(10) => &[("x-trap", "1")],
        _ => &[],
    }
}

/// Measures a faulting policy, a faulting filter, and no plugin at all for comparison.
///
/// # Errors
/// When a server does not start.
pub(crate) fn measure(ground: &Ground, seconds: u32) -> Result<Table> {
    plugins::guests()?;
    let both = r#"["trapper", "looper"]"#;
    let cases = [
        ("no plugin", String::new(), String::new(), String::new()),
        ("policy", uses("pick"), format!("policy = {both}"), String::new()),
        ("filter, on_fault = \"skip\"", uses("on_request"), String::new(), format!("filters = {both}")),
    ];
    let mut table = Table {
        title: format!(
            "{PACE} requests a second; every 10th makes the plugin trap, every 100th makes it loop"
        ),
        head: vec!["plugin", "requests", "failed", "p50 us", "p99 us", "p99.9 us", "p99.9 of faulting ones"],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    for (name, uses, policy, filters) in cases {
        eprintln!("{}: {name}", table.title);
        let server = ground.bascule_with(&plugins::guests_folder(), &uses, &policy, &filters)?;
        let never = AtomicBool::new(false);
        // The first calls on a cold machine are no one's measure.
        paced::run(server.port, PACE, Duration::from_secs(2), &never, |_| &[]);
        let Paced { requests, failed, trouble, plain, marked } =
            paced::run(server.port, PACE, Duration::from_secs(seconds.into()), &never, fields);
        let mut row = vec![name.to_owned(), requests.to_string(), failed.to_string()];
        row.extend([0.5, 0.99, 0.999].map(|share| percentile(&plain, share).to_string()));
        row.push(percentile(&marked, 0.999).to_string());
        table.rows.push(row);
        table.remarks.extend(trouble.map(|trouble| format!("{name}: {trouble}")));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_ten_traps_and_one_of_a_hundred_loops() {
        let count = |field| (0..1000).filter(|&n| fields(n).iter().any(|(name, _)| *name == field)).count();
        assert_eq!((count("x-trap"), count("x-loop")), (100, 10));
    }
}
