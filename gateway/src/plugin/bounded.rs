//! Compiles within bounds of size and time, whatever the file is.
//!
//! A compilation cannot be stopped from outside. So what may be compiled at all is bounded by the size of its code (see
//! `classify`: about a minute at the worst that was found, on the machine where it was measured), and the work is done on a thread of its own: when its time is over the file is refused, and what the thread still
//! makes is dropped. While such a thread goes on no other file is compiled, so that there is never more than one. The
//! thread also keeps a panic of the compiler from taking the control path with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::engine::Engine;
use super::fault::LoadError;
use super::module::Module;

/// How long a compilation may take: some hundred times what a policy needs, and ten times what an interpreter with its
/// standard library needs on a busy machine.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);
/// The compiler recurses over what it compiles; a main thread's stack is known to do.
const COMPILER_STACK: usize = 8 << 20;

/// Whether a compilation goes on whose time is over.
#[derive(Debug, Default)]
pub(super) struct Overdue(AtomicBool);

/// Ends what is overdue when a compilation ends in any way.
struct Ended(Arc<Engine>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.overdue.0.store(false, SeqCst);
    }
}

impl Engine {
    /// [`Engine::compile`] on a thread of its own, for at most `timeout`. The thread has the caller's priority.
    ///
    /// # Errors
    /// Why the file is refused; also if its time is over.
    pub fn compile_within(self: &Arc<Self>, content: &[u8], timeout: Duration) -> Result<Module, LoadError> {
        if self.overdue.0.load(SeqCst) {
            return refuse(
                "an earlier file is still being compiled though its time is over; put this one here again later",
            );
        }
        // Without room: what is sent was taken, or nobody waits any more.
        let (done, result) = sync_channel(0);
        let (engine, content) = (Arc::clone(self), content.to_vec());
        let compiler = thread::Builder::new().name("bascule-compiler".into()).stack_size(COMPILER_STACK);
        let started = compiler.spawn(move || {
            let ended = Ended(engine);
            let _overdue = done.send(ended.0.compile(&content));
        });
        if let Err(error) = started {
            return refuse(&format!("it cannot be compiled now: {error}; put it here again later"));
        }
        match result.recv_timeout(timeout) {
            Ok(compiled) => compiled,
            Err(RecvTimeoutError::Timeout) => {
                self.overdue.0.store(true, SeqCst);
                let seconds = timeout.as_secs_f64();
                refuse(&format!(
                    "it was not compiled within {seconds} s; make it smaller, or split its largest functions"
                ))
            }
            Err(RecvTimeoutError::Disconnected) => refuse(
                "the compiler failed on it, which is a fault of the compiler; build it with other settings",
            ),
        }
    }
}

fn refuse(sentence: &str) -> Result<Module, LoadError> {
    Err(LoadError::Refused(sentence.to_owned()))
}
