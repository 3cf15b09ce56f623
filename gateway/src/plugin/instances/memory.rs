//! What a running instance holds, for those who measure plugins.

use super::Instances;

impl Instances {
    /// Bytes of linear memory that the instance has now; none if it does not run.
    pub fn memory(&self) -> Option<usize> {
        let running = self.running.try_borrow().ok()?;
        Some(running.as_ref()?.store.data().limiter.memory_used())
    }

    /// Instances of the waiting lane that are in no call.
    pub fn idle_count(&self) -> usize {
        self.idle.count()
    }
}
