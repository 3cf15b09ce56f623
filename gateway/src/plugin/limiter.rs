//! Caps what an instance may hold: linear memory, tables, and how many of each.

use wasmtime::ResourceLimiter;

/// A component is a handful of core instances: the plugin, the WASI adapter, and the shims between them.
const MOST_INSTANCES: usize = 16;
const MOST_MEMORIES: usize = 4;
const MOST_TABLES: usize = 16;
/// Function pointers; a large Rust plugin has some hundreds.
const MOST_ELEMENTS: usize = 20_000;

/// Counts what one instance holds.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_left: usize,
    elements_left: usize,
    /// Whether it asked for more memory than it may have: tells a trap that follows from other traps.
    pub(super) refused: bool,
}

impl Limiter {
    /// An instance that may hold so many bytes of linear memory.
    pub(super) fn new(memory: usize) -> Limiter {
        Limiter { memory_left: memory, elements_left: MOST_ELEMENTS, refused: false }
    }

    /// Bytes of linear memory that it may still take.
    pub(super) fn memory_left(&self) -> usize {
        self.memory_left
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = wanted.saturating_sub(now);
        let granted = more <= self.memory_left;
        if granted {
            self.memory_left -= more;
        }
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = wanted.saturating_sub(now);
        let granted = more <= self.elements_left;
        if granted {
            self.elements_left -= more;
        }
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
    fn the_cap_is_for_all_memories_together() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refused);
        assert!(limiter.memory_growing(60, 100, None).unwrap());
    }
}
