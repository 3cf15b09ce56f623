//! The process of a server: started, killed, frozen, started again, and always ended with its value.

use rustix::process::{Pid, Signal};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start, or to end when it is asked to. A JVM on a machine that other tests keep busy is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a server is started on other ports if it ends at once: another process may have taken one.
const TRIES: usize = 5;

/// A server that runs, or that a test has ended for now. Dropping it ends it and deletes its data.
pub struct Server {
    launch: Launch,
    folder: TempDir,
    child: Mutex<Option<Child>>,
}

/// How a server is started, as often as wanted.
pub(crate) struct Launch {
    /// What people call it.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Asks it, in its own protocol, whether it serves.
    pub(crate) ready: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A server ended while it started; its log.
#[derive(Debug)]
pub(crate) struct Ended(String);

impl Server {
    /// Starts a server in a folder of its own and waits until it serves. `launch` chooses ports, puts files into the folder that
    /// it is given, and is asked again if the server ends at once. The server's data belong into the folder `data` there.
    ///
    /// # Panics
    /// If it does not come to serve; with its log.
    pub(crate) fn start<T>(mut launch: impl FnMut(&Path) -> (Launch, T)) -> (Server, T) {
        let mut last = None;
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a temporary folder");
            fs::create_dir(folder.path().join("data")).expect("a folder for the data");
            let (launch, about) = launch(folder.path());
            let server = Server { launch, folder, child: Mutex::default() };
            match server.run() {
                Ok(()) => return (server, about),
                Err(ended) => last = Some((server.launch.name, ended)),
            }
        }
        let (name, Ended(log)) = last.expect("it was tried");
        panic!("{name} does not start: {log}")
    }

    /// Starts the process and waits until it serves.
    fn run(&self) -> Result<(), Ended> {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log is opened");
        let mut command = Command::new(&self.launch.program);
        command.args(&self.launch.arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.launch.name));
        *self.lock() = Some(child);
        let start = Instant::now();
        while !(self.launch.ready)() {
            if !self.runs() {
                *self.lock() = None;
                return Err(Ended(self.log()));
            }
            assert!(start.elapsed() < PATIENCE, "{self:?} does not serve after {PATIENCE:?}: {}", self.log());
            pause();
        }
        // What answered might be another process on the same port, while this one is about to find that it is taken.
        if self.runs() { Ok(()) } else { Err(Ended(self.log())) }
    }

    /// Kills it (SIGKILL), as a loss of power would: it can finish nothing. Its port refuses from now on.
    pub fn kill(&self) {
        if let Some(mut child) = self.lock().take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub fn stop(&self) {
        self.signal(Signal::TERM);
        let start = Instant::now();
        while self.runs() {
            assert!(start.elapsed() < PATIENCE, "{self:?} does not end: {}", self.log());
            pause();
        }
        *self.lock() = None;
    }

    /// Stops it in its tracks (SIGSTOP): connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same ports, with the data that it had; one that runs is killed before.
    ///
    /// # Panics
    /// If it does not come to serve.
    pub fn restart(&self) {
        self.kill();
        self.run().unwrap_or_else(|Ended(log)| panic!("{self:?} does not start again: {log}"));
    }

    /// The same, but it has forgotten everything.
    pub fn restart_empty(&self) {
        self.kill();
        let data = self.folder.path().join("data");
        fs::remove_dir_all(&data).and_then(|()| fs::create_dir(&data)).expect("its data are ours");
        self.restart();
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let child = self.lock();
        let child = child.as_ref().expect("a server that runs");
        rustix::process::kill_process(Pid::from_child(child), signal).expect("it is ours");
    }

    fn runs(&self) -> bool {
        self.lock().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner) // it ends also when a test failed
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.launch.name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.lock().take() {
            _ = child.kill(); // it may have ended; a frozen one ends too
            _ = child.wait();
        }
    }
}

/// Waits until something about a server is so.
///
/// # Panics
/// If it does not become so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        pause();
    }
}

#[allow(clippy::disallowed_methods, reason = "a process can only be asked again; nothing tells us")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
