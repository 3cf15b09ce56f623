//! Compiles all plugins at once, at the start: nothing serves yet that a busy core could hold up.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::plugin::{COMPILE_TIMEOUT, Engine, LoadError, Module, Version};

/// What came of compiling contents, by version.
pub(super) type Ahead = BTreeMap<Version, Result<Arc<Module>, LoadError>>;

/// Compiles these, as many at a time as there are cores.
pub(super) fn compile(engine: &Arc<Engine>, contents: BTreeMap<Version, Vec<u8>>) -> Ahead {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(contents.len());
    let waiting = Mutex::new(contents.into_iter());
    let made = Mutex::new(Ahead::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((version, content)) = next() {
                    let module = engine.compile_within(&content, COMPILE_TIMEOUT).map(Arc::new);
                    made.lock().unwrap_or_else(PoisonError::into_inner).insert(version, module);
                }
            });
        }
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner)
}
