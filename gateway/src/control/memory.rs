//! Watches the memory of the process, so that the gateway turns requests away before the machine swaps or ends it.
//!
//! Each second it compares what is resident with the mark in the configuration. Above it the gateway begins nothing new.
//! That cannot simply last until less is resident: an allocator keeps most of what it ever got, so the mark, once passed, could
//! shut the gateway for good. What counts is that memory is free again, wherever: when half of the connections are
//! gone, so is about half of what they held, and new ones use that again. From then on only more than that is too much.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::snapshot::Published;
use crate::telemetry::resident_memory;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Tells the workers each second how things stand; it ends with its runtime.
pub(super) async fn watch(published: Published) {
    let mut interval = tokio::time::interval(EVERY);
    let mut guard = Guard::default();
    loop {
        interval.tick().await;
        let snapshot = published.load_full();
        let mark = snapshot.settings.memory;
        let (Some(resident), room) = (resident_memory(), Arc::clone(&snapshot.room)) else { continue };
        let was_short = room.is_short_of_memory();
        let is_short = guard.look(resident, mark, room.open());
        room.set_short_of_memory(is_short);
        match (was_short, is_short) {
            (false, true) => {
                warn!(resident, mark, "memory is short: requests and connections are turned away")
            }
            (true, false) => info!(resident, mark, "memory is free again"),
            _ => {}
        }
    }
}

/// The decision, without a clock and without the system.
#[derive(Debug, Default)]
struct Guard {
    /// How many connections were open when memory became short.
    short_since: Option<u32>,
    /// What was resident when half of them were gone: the allocator has that, and some of it is free.
    kept: u64,
}

impl Guard {
    /// Whether memory is short.
    fn look(&mut self, resident: u64, mark: Option<u64>, open: u32) -> bool {
        let Some(mark) = mark else {
            *self = Guard::default();
            return false;
        };
        // A little below, or it would be short each other second.
        if resident < mark - mark / 16 {
            *self = Guard::default();
        } else if let Some(before) = self.short_since {
            if open <= before / 2 {
                *self = Guard { short_since: None, kept: resident };
            }
        } else if resident >= mark.max(self.kept + mark / 32) {
            self.short_since = Some(open);
        }
        self.short_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u64 = 1600;

    #[test]
    fn it_is_short_from_the_mark_until_well_below_it() {
        let mut guard = Guard::default();
        let looks = [(1599, false), (1600, true), (1599, true), (1501, true), (1499, false), (1599, false)];
        for (resident, is_short) in looks {
            assert_eq!(guard.look(resident, Some(MARK), 100), is_short, "{resident}");
        }
        assert!(!Guard::default().look(u64::MAX, None, 100), "no mark, no watch");
    }

    #[test]
    fn memory_that_the_allocator_keeps_does_not_shut_the_gateway_for_good() {
        let mut guard = Guard::default();
        assert!(guard.look(2000, Some(MARK), 100));
        assert!(guard.look(2000, Some(MARK), 51));
        assert!(
            !guard.look(2000, Some(MARK), 50),
            "half of them are gone, though all of it is resident still"
        );
        assert!(!guard.look(2040, Some(MARK), 100), "they come again, and use what is there");
        assert!(guard.look(2050, Some(MARK), 100), "now it grows");
        assert!(!guard.look(1400, Some(MARK), 100));
        assert!(guard.look(1600, Some(MARK), 100), "the mark counts anew");
    }

    #[test]
    fn a_gateway_that_is_too_large_without_clients_serves_all_the_same() {
        let mut guard = Guard::default();
        assert!(guard.look(2000, Some(MARK), 0));
        assert!(!guard.look(2000, Some(MARK), 0), "there is nobody whose leaving would help");
    }
}
