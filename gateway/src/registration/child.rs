//! The command that is the node: started, signalled, and waited for.
//!
//! It has a process group of its own, so that Ctrl-C in a terminal reaches the companion alone: the node has to go on until
//! it is taken out. Signals go to all of the group, since a command is often a shell with the node below it.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::watch;
use tracing::warn;

/// A running command. Dropping it kills what is left of it.
pub(super) struct Node {
    child: Child,
    pid: Pid,
    over: watch::Receiver<bool>,
}

impl Node {
    /// Starts a program with its arguments.
    pub(super) fn start(words: &[String]) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program).args(arguments).process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        let (tell, over) = watch::channel(false);
        let wait = move || {
            // It is not reaped here: until that is done, its number can be no other's.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            tell.send_replace(true);
        };
        let mut node = Self { child, pid, over };
        if let Err(error) = thread::Builder::new().name("bascule-command".into()).spawn(wait) {
            node.signal(Signal::KILL);
            let _reaped = node.child.wait();
            return Err(error);
        }
        Ok(node)
    }

    /// The number of its process.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal to it and to what it started.
    pub(super) fn signal(&self, signal: Signal) {
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => warn!(pid = self.pid(), "the command cannot be signalled: {error}"),
        }
    }

    /// Waits for its end; the code to end with.
    pub(super) async fn ended(&mut self) -> u8 {
        // If the thread is gone, so is the command.
        let _gone = self.over.wait_for(|over| *over).await;
        self.child.wait().map_or(1, code)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::KILL);
            let _reaped = self.child.wait();
        }
    }
}

/// As a shell says it: a command that a signal ended has 128 and the signal's number.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(script: &str) -> Node {
        Node::start(&["sh", "-c", script].map(str::to_owned)).unwrap()
    }

    #[tokio::test]
    async fn its_exit_code_is_told() {
        assert_eq!(shell("exit 7").ended().await, 7);
        assert_eq!(shell("kill -9 $$").ended().await, 137);
    }

    #[tokio::test]
    async fn a_signal_reaches_what_a_shell_started() {
        let mut node = shell("sleep 600; exit 0");
        node.signal(Signal::TERM);
        assert_eq!(node.ended().await, 143);
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        let error = Node::start(&["/nowhere/at-all".to_owned()]).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
