//! What a plugin ran into: every bound of a plugin has a name here, and each time that one held it is counted.
//!
//! A bound that holds is no fault by itself (some end the call, most only refuse), so these counts tell an owner why a
//! header or a log line is missing. A call counts on its own and hands over at its end, so nothing shared is
//! written unless a bound was met.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! caps {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// A bound that a plugin can run into.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cap { $($(#[$doc])* $variant,)+ }

        impl Cap {
            /// Each of them, in the order of their numbers.
            pub const ALL: [Cap; [$($text),+].len()] = [$(Cap::$variant),+];

            /// The word in metrics and the admin API.
            pub fn name(self) -> &'static str {
                match self { $(Cap::$variant => $text,)+ }
            }
        }
    };
}

caps! {
    /// CPU time of a call or of a start.
    Deadline = "deadline",
    /// Linear memory of an instance.
    Memory = "memory",
    /// Elements of an instance's tables.
    Table = "table",
    /// Instances, memories and tables that a plugin is made of.
    Parts = "parts",
    /// The stack of a call.
    Stack = "stack",
    /// Bytes that one call of an import hands over.
    ImportBytes = "import_bytes",
    /// Edits in a call.
    Edits = "edits",
    /// Bytes that a call's edits add.
    EditBytes = "edit_bytes",
    /// Bytes of one name, value or path.
    ValueBytes = "value_bytes",
    /// Fields of a message's head.
    HeadFields = "head_fields",
    /// A name, value, path or status that would break a message, or that needs a grant.
    Forbidden = "forbidden",
    /// Bytes of an answer's body.
    ReplyBody = "reply_body",
    /// Bytes of a note's text.
    Note = "note",
    /// Bytes of shared values, or a session that the store does not take.
    Store = "store",
    /// Names of metrics: too many, malformed, or the gateway's own.
    MetricNames = "metric_names",
    /// Log lines in a call or in a second.
    LogLines = "log_lines",
    /// Bytes of a log line, of which the rest is left out.
    LogLineBytes = "log_line_bytes",
}

/// What one call ran into.
#[derive(Debug, Default)]
pub(super) struct Tally {
    any: bool,
    counts: [u32; Cap::ALL.len()],
}

impl Tally {
    pub(super) fn hit(&mut self, cap: Cap) {
        self.any = true;
        let count = &mut self.counts[cap as usize];
        *count = count.saturating_add(1);
    }

    /// Adds to the use's counts and begins anew.
    pub(super) fn hand_over(&mut self, to: &Caps) {
        if self.any {
            for (count, sum) in self.counts.iter_mut().zip(&to.0) {
                sum.fetch_add(u64::from(std::mem::take(count)), Relaxed);
            }
            self.any = false;
        }
    }
}

/// How often a use ran into each.
#[derive(Debug, Default)]
pub(super) struct Caps([AtomicU64; Cap::ALL.len()]);

impl Caps {
    pub(super) fn get(&self, cap: Cap) -> u64 {
        self.0[cap as usize].load(Relaxed)
    }
}

/// The bound that ended a call with this error, if one did. `OutOfTime` is the host's own, so its caller knows it.
pub(super) fn behind(error: &wasmtime::Error) -> Option<Cap> {
    if let Some(wasmtime::Trap::StackOverflow) = error.downcast_ref() {
        return Some(Cap::Stack);
    }
    // wasmtime keeps these errors' types to itself; a test of each bound sees that the words stay.
    let text = error.root_cause().to_string();
    [("hostcall", Cap::ImportBytes), ("resource limit exceeded", Cap::Parts)]
        .into_iter()
        .find_map(|(words, cap)| text.contains(words).then_some(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_hands_over_what_it_counted_once() {
        let (mut tally, caps) = (Tally::default(), Caps::default());
        tally.hit(Cap::Edits);
        tally.hit(Cap::Edits);
        tally.hit(Cap::LogLines);
        tally.hand_over(&caps);
        tally.hand_over(&caps);
        assert_eq!([Cap::Edits, Cap::LogLines, Cap::Memory].map(|cap| caps.get(cap)), [2, 1, 0]);
    }

    #[test]
    fn names_tell_the_caps_apart() {
        let names: std::collections::BTreeSet<_> = Cap::ALL.map(Cap::name).into();
        assert_eq!(names.len(), Cap::ALL.len());
    }
}
