//! Which functions are the edge's checks, and what they cost.

use super::callgrind::Profile;
use super::frames::{Frame, Frames};

/// Functions that do one thing.
pub(super) struct Check {
    pub(super) title: &'static str,
    /// Files below gateway/src, and functions in them; all of a file where none is named.
    functions: &'static [(&'static str, &'static [&'static str])],
    /// Whether it is one of the edge's, and not what any codec has to do.
    pub(super) counts: bool,
}

/// An instruction that stands in several belongs to the first one.
pub(super) const CHECKS: [Check; 7] = [
    Check {
        title: "beside: which method it is",
        functions: &[("http/head.rs", &["from_name"])],
        counts: false,
    },
    Check { title: "names with underscores", functions: &[("http/h1/names.rs", &[])], counts: true },
    Check {
        title: "the path's plain form",
        functions: &[("http/path.rs", &[]), ("http/head.rs", &["normalize_path"])],
        counts: true,
    },
    Check {
        title: "method, target and Host",
        functions: &[
            ("http/h1/target.rs", &[]),
            ("http/h1/framing.rs", &["check_host"]),
            ("http/h1/parse.rs", &["known_method"]),
        ],
        counts: true,
    },
    Check {
        title: "pace, certificates' fields, challenges, redirects, SNI against Host, room in memory",
        functions: &[
            ("proxy/pace.rs", &[]),
            ("http/fields.rs", &["is_of_certificate"]),
            ("proxy/challenge.rs", &["prove"]),
            ("proxy/route.rs", &["redirect", "refuse_misdirected"]),
            ("proxy/admission.rs", &["refuse_if_short"]),
        ],
        counts: true,
    },
    Check {
        title: "beside: framing (Content-Length, Transfer-Encoding, Connection)",
        functions: &[("http/h1/framing.rs", &[])],
        counts: false,
    },
    Check {
        title: "beside: the head's end, with bare LF and the number of lines",
        functions: &[("http/h1/scan.rs", &[])],
        counts: false,
    },
];

impl Check {
    fn has(&self, frame: &Frame) -> bool {
        let in_file =
            |file: &str| frame.file.strip_suffix(file).is_some_and(|root| root.ends_with("gateway/src/"));
        self.functions.iter().any(|(file, functions)| {
            in_file(file) && (functions.is_empty() || functions.contains(&frame.function.as_str()))
        })
    }
}

/// The instructions of each check: its own, and those of what it calls.
pub(super) fn costs(profile: &Profile, frames: &Frames) -> [u64; CHECKS.len()] {
    let check_at = |address: u64| {
        let stack = frames.at(address);
        CHECKS.iter().position(|check| stack.iter().any(|frame| check.has(frame)))
    };
    let mut costs = [0; CHECKS.len()];
    for (address, cost) in &profile.own {
        if let Some(check) = check_at(*address) {
            costs[check] += cost;
        }
    }
    for call in &profile.calls {
        // A check that is a function of its own has instructions, which were counted by themselves.
        let calls_check = call.to.is_some_and(|to| check_at(to).is_some());
        if let (Some(check), false) = (check_at(call.from), calls_check) {
            costs[check] += call.cost;
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::super::callgrind::Call;
    use super::super::frames;
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_check_costs_what_is_inlined_into_it_and_what_it_calls() {
        let frames = frames::parse(
            "0x1\nmemchr\n/std.rs:1\ndrops\n/x/gateway/src/http/h1/names.rs:1\nparse\n/x/gateway/src/http/h1/parse.rs:1\n\
             0x2\nparse\n/x/gateway/src/http/h1/parse.rs:1\n0x3\nvalid_authority\n/x/gateway/src/http/h1/target.rs:1\n",
        )
        .expect("as addr2line prints it");
        let profile = Profile {
            total: 100,
            own: HashMap::from([(1, 5), (2, 7), (3, 11)]),
            calls: vec![
                Call { from: 1, to: None, cost: 20 },
                Call { from: 2, to: Some(3), cost: 11 },
                Call { from: 1, to: Some(3), cost: 11 },
            ],
        };
        assert_eq!(costs(&profile, &frames), [0, 25, 0, 11, 0, 0, 0]);
    }
}
