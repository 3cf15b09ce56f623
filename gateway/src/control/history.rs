//! What is remembered of one plugin file beyond its present content: what served, what is kept out, and a pin.
//!
//! Pure: versions in, versions out. It is also what the state directory writes down, so it holds no bytes and no code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plugin::Version;

/// Versions of a file that are kept: the one that serves, and two to go back to.
const KEPT: usize = 3;

/// One file's past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct History {
    /// Versions that served, the newest first.
    good: Vec<Version>,
    /// Whether the first of them did not serve long enough yet to be trusted.
    unproven: bool,
    /// The only version that may serve.
    pin: Option<Version>,
    /// Versions that are kept out until the file changes, and why.
    barred: BTreeMap<Version, String>,
}

impl History {
    /// Versions that served and may again, the newest first.
    pub(super) fn good(&self) -> impl Iterator<Item = Version> {
        self.good.iter().copied().filter(|version| !self.barred.contains_key(version))
    }

    /// The version that served last.
    pub(super) fn serving(&self) -> Option<Version> {
        self.good.first().copied()
    }

    /// What a rollback would go back to.
    pub(super) fn earlier(&self) -> Option<Version> {
        let serving = self.serving();
        self.good().find(|version| Some(*version) != serving)
    }

    /// Whether the version that serves may still be bad.
    pub(super) fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// The only version that may serve.
    pub(super) fn pin(&self) -> Option<Version> {
        self.pin
    }

    /// Why this version is kept out.
    pub(super) fn bar(&self, version: Version) -> Option<&str> {
        self.barred.get(&version).map(String::as_str)
    }

    /// What to try, best first, if the file holds `newest`.
    pub(super) fn candidates(&self, newest: Option<Version>) -> Vec<Version> {
        let first = match self.pin {
            Some(pin) => Some(pin),
            None => newest.filter(|version| !self.barred.contains_key(version)),
        };
        let mut candidates: Vec<Version> = first.into_iter().collect();
        candidates.extend(self.good().filter(|version| Some(*version) != first));
        candidates
    }

    /// The file holds this now. Anything that is not barred itself is a change, and lifts what was barred.
    pub(super) fn saw(&mut self, version: Version) {
        if !self.barred.contains_key(&version) {
            self.barred.clear();
        }
    }

    /// This version serves now.
    pub(super) fn accept(&mut self, version: Version) {
        if self.serving() != Some(version) {
            self.good.retain(|earlier| *earlier != version);
            // Something to go back to is what makes a probation: a first version is as good as it gets.
            let has_earlier = self.good().next().is_some();
            self.unproven = has_earlier;
            self.good.insert(0, version);
            self.good.truncate(KEPT);
        }
    }

    /// The version that serves has served long enough.
    pub(super) fn prove(&mut self) {
        self.unproven = false;
    }

    /// The version that serves is kept out; an earlier one takes its place.
    pub(super) fn roll_back(&mut self, why: &str) {
        if let Some(bad) = self.serving() {
            self.barred.insert(bad, why.to_owned());
            self.unproven = false;
        }
    }

    /// Takes the word back: there was nothing to go back to.
    pub(super) fn lift(&mut self, version: Version) {
        self.barred.remove(&version);
    }

    /// An earlier version took over from one that was barred: it is no longer one of the good ones.
    pub(super) fn forget_barred(&mut self) {
        let barred = &self.barred;
        self.good.retain(|version| !barred.contains_key(version));
    }

    /// Pins a version, or lets the file rule again.
    pub(super) fn set_pin(&mut self, pin: Option<Version>) {
        self.pin = pin;
    }

    /// The versions whose bytes are worth keeping.
    pub(super) fn kept(&self) -> impl Iterator<Item = Version> {
        self.good.iter().copied().chain(self.pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::of(text.as_bytes())
    }

    #[test]
    fn the_newest_is_tried_first_and_then_what_served() {
        let (a, b, c) = (version("a"), version("b"), version("c"));
        let mut history = History::default();
        assert_eq!(history.candidates(Some(a)), [a]);
        history.accept(a);
        assert!(!history.is_unproven(), "there is nothing to go back to");
        history.accept(b);
        assert!(history.is_unproven());
        history.prove();
        assert_eq!(history.candidates(Some(c)), [c, b, a]);
        assert_eq!(history.candidates(None), [b, a]);
    }

    #[test]
    fn what_was_rolled_back_stays_out_until_the_file_changes() {
        let (a, b, c) = (version("a"), version("b"), version("c"));
        let mut history = History::default();
        history.accept(a);
        history.accept(b);
        history.roll_back("it failed");
        assert_eq!(history.candidates(Some(b)), [a]);
        history.accept(a);
        history.forget_barred();
        history.saw(b);
        assert_eq!((history.bar(b), history.earlier()), (Some("it failed"), None));
        history.saw(c);
        assert_eq!(history.candidates(Some(b)), [b, a], "the file changed in between");
    }

    #[test]
    fn a_pin_stands_above_the_file() {
        let (a, b) = (version("a"), version("b"));
        let mut history = History::default();
        history.accept(a);
        history.set_pin(Some(a));
        assert_eq!(history.candidates(Some(b)), [a]);
        history.set_pin(None);
        assert_eq!(history.candidates(Some(b)), [b, a]);
    }

    #[test]
    fn it_reads_what_it_writes() {
        let mut history = History::default();
        history.accept(version("a"));
        history.accept(version("b"));
        history.roll_back("it failed");
        history.set_pin(Some(version("a")));
        let text = serde_json::to_string(&history).expect("it is plain");
        assert_eq!(serde_json::from_str::<History>(&text).ok(), Some(history));
        assert!(serde_json::from_str::<History>("{\"good\": [\"12\"]}").is_err());
    }
}
