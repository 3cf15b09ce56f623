//! A pool's retries.

use super::{KIB, MIB, Parse};
use crate::control::config::file;
use crate::control::config::reading::Key;
use crate::control::config::resolved::Retry;

impl Parse {
    pub(super) fn retry(&mut self, table: Key<file::Retry>) -> Retry {
        let table = table.unless(file::Retry::default());
        let defaults = Retry::default();
        Retry {
            on: match table.on.get() {
                Some(list) => super::items(Some(list.value.items)).into_iter().collect(),
                None => defaults.on,
            },
            budget: table.budget.get().map_or(defaults.budget, |at| at.value.0),
            floor: table.floor.get().map_or(defaults.floor, |at| at.value.0),
            buffer: self.size(table.buffer, 64 * KIB, (1, "1B", 16 * MIB, "16MiB")),
            hedge: table.hedge.get().map(|at| at.value),
        }
    }
}
