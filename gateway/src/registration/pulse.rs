//! Whether the node is well, as its own health URL says it. Pure.

/// A state that turns to well at once, and back after so many failures in a row.
#[derive(Debug)]
pub(super) struct Pulse {
    is_well: bool,
    failures: u32,
    /// So many in a row.
    most: u32,
}

impl Pulse {
    /// Nobody was asked yet, so it is not well.
    pub(super) fn new(most: u32) -> Self {
        Self { is_well: false, failures: 0, most }
    }

    /// What it is now.
    pub(super) fn is_well(&self) -> bool {
        self.is_well
    }

    /// Notes an answer; says what it is now if that changed.
    pub(super) fn note(&mut self, is_good: bool) -> Option<bool> {
        self.failures = if is_good { 0 } else { self.failures.saturating_add(1) };
        let is_well = is_good || self.is_well && self.failures < self.most;
        let changed = is_well != self.is_well;
        self.is_well = is_well;
        changed.then_some(is_well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_answer_brings_it_in_and_only_so_many_bad_ones_take_it_out() {
        let mut pulse = Pulse::new(3);
        let said = [false, false, true, false, false, true, false, false, false, false, true];
        let turned = said.map(|good| pulse.note(good));
        let mut expected = [None; 11];
        (expected[2], expected[8], expected[10]) = (Some(true), Some(false), Some(true));
        assert_eq!(turned, expected);
    }
}
