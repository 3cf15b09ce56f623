//! What operators ask of a plugin's versions: go back, pin, unpin.
//!
//! All of it is a change of what is remembered of a file and then the same attempt that a changed file leads to. If the
//! attempt fails, what was remembered is as before.

use super::Builder;
use crate::control::attempt::Prepared;
use crate::control::command::{Act, Answer, Done, Refusal};
use crate::control::history::History;
use crate::plugin::Version;

/// Why a version is kept out that an operator rolled back.
const ASKED: &str = "an operator asked for it";

impl Builder {
    /// Does what is asked; answers new parts if there are, and what to tell.
    pub(in crate::control) fn obey(&mut self, plugin: &str, act: &Act) -> (Option<Prepared>, Answer) {
        let Some(file) = self.file_named(plugin) else {
            let uses: Vec<&str> = self.current.config.uses.keys().map(|name| name.as_str()).collect();
            let what = format!("there is no plugin \"{plugin}\"; there are {}", uses.join(", "));
            return (None, Err(Refusal::Unknown(what)));
        };
        let before = self.current.versions.get(&file).copied();
        let done = match act {
            Act::RollBack => self.roll_back(&file, ASKED),
            Act::Pin(wanted) => self.pin(&file, wanted.as_deref()),
            Act::Unpin => self.set_pin(&file, None),
        };
        self.remembered();
        match done {
            Ok(prepared) => {
                let done = self.done(act, file, before);
                (Some(prepared), Ok(done))
            }
            Err(why) => (None, Err(Refusal::Conflict(format!("{file}: {why}")))),
        }
    }

    fn done(&self, act: &Act, file: String, before: Option<Version>) -> Done {
        Done {
            act: match act {
                Act::RollBack => "rolled_back",
                Act::Pin(_) => "pinned",
                Act::Unpin => "unpinned",
            },
            uses: self.current.uses_of(&file).map(|used| used.spec.name.to_string()).collect(),
            before,
            serving: self.current.versions.get(&file).copied(),
            pinned: self.library.history(&file).and_then(History::pin),
            file,
        }
    }

    /// The file that a name means: a use's, or the file's own, with or without its ending and with dashes or not.
    fn file_named(&self, plugin: &str) -> Option<String> {
        let config = &self.current.config;
        if let Some(used) = config.uses.get(plugin).filter(|used| used.mentioned) {
            return Some(used.file.value.clone());
        }
        let stem = plugin.strip_suffix(".wasm").unwrap_or(plugin);
        let names = [format!("{stem}.wasm"), format!("{}.wasm", stem.replace('-', "_"))];
        names.into_iter().find(|name| self.current.versions.contains_key(name))
    }

    fn pin(&mut self, file: &str, wanted: Option<&str>) -> Result<Prepared, String> {
        let serving = self.current.versions.get(file).copied();
        let Some(prefix) = wanted else {
            let serving = serving.ok_or("nothing of it serves that could be pinned")?;
            return self.set_pin(file, Some(serving));
        };
        let newest = self.library.newest(file).filter(|newest| newest.module.is_ok());
        let mut known: Vec<Version> = newest.map(|newest| newest.version).into_iter().collect();
        known.extend(self.library.history(file).into_iter().flat_map(History::kept));
        known.sort_unstable();
        known.dedup();
        let fitting: Vec<Version> =
            known.iter().copied().filter(|one| one.hex().starts_with(prefix)).collect();
        match fitting.as_slice() {
            [one] => self.set_pin(file, Some(*one)),
            others => {
                let many = if others.is_empty() { "no" } else { "more than one" };
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                Err(format!("{many} version starts with \"{prefix}\"; known are {}", known.join(", ")))
            }
        }
    }

    fn set_pin(&mut self, file: &str, pin: Option<Version>) -> Result<Prepared, String> {
        let before = self.library.history(file).cloned().unwrap_or_default();
        self.library.change(file, |history| {
            history.set_pin(pin);
            // Who names a version wants it, whatever became of it before.
            pin.into_iter().for_each(|version| history.lift(version));
        });
        let prepared = match self.attempt_ruling() {
            Ok(prepared) if pin.is_none_or(|pin| prepared.versions.get(file) == Some(&pin)) => prepared,
            failed => {
                self.library.change(file, |history| *history = before);
                let why = failed.err().map(|errors| errors.line());
                return Err(
                    why.unwrap_or_else(|| "this version cannot serve now; the log says why".to_owned())
                );
            }
        };
        match pin {
            Some(version) => tracing::info!(file, version = %version, "plugin pinned"),
            None => tracing::info!(file, "plugin unpinned"),
        }
        Ok(self.hand_on(prepared))
    }
}
