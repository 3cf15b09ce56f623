//! Caps what an instance may hold: linear memory, tables, and how many of each.

use wasmtime::ResourceLimiter;

/// A component is a handful of core instances: the plugin, the WASI adapter, and the shims between them.
const MOST_INSTANCES: usize = 16;
const MOST_MEMORIES: usize = 4;
const MOST_TABLES: usize = 16;

/// Counts what one instance holds.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: usize,
    memory_left: usize,
    elements_left: usize,
    /// Whether it asked for more memory than it may have: tells a trap that follows from other traps.
    pub(super) refused_memory: bool,
    /// Whether it asked for more elements than it may have.
    pub(super) refused_elements: bool,
}

impl Limiter {
    /// An instance that may hold so many bytes of linear memory and so many elements of tables.
    pub(super) fn new(memory: usize, elements: usize) -> Limiter {
        Limiter {
            memory,
            memory_left: memory,
            elements_left: elements,
            refused_memory: false,
            refused_elements: false,
        }
    }

    /// Bytes of linear memory that it holds.
    pub(super) fn memory_used(&self) -> usize {
        self.memory - self.memory_left
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = wanted.saturating_sub(now);
        let granted = more <= self.memory_left;
        if granted {
            self.memory_left -= more;
        }
        self.refused_memory |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = wanted.saturating_sub(now);
        let granted = more <= self.elements_left;
        if granted {
            self.elements_left -= more;
        }
        self.refused_elements |= !granted;
        Ok(granted)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_caps_are_for_all_memories_and_all_tables_together() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refused_memory && !limiter.refused_elements);
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.memory_used(), 100);
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.table_growing(0, 1, None).unwrap());
        assert!(limiter.refused_elements);
    }
}
