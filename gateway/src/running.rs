//! `bascule run`: the gateway from its first to its last moment, and what signals do meanwhile.
//!
//! SIGTERM and SIGINT end it, SIGHUP makes it look at its configuration now, SIGUSR2 lets another process take its place.

use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bascule::control::config::LogFormat;
use bascule::gateway::handover::{Predecessor, Successor, UpgradeError};
use bascule::gateway::pid_file::PidFile;
use bascule::gateway::{Gateway, activation, notify};
use bascule::telemetry;
use bascule::transport::ports::Handed;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::{Failure, demo, load};

/// How often a new gateway looks whether all that it waits for is there.
const LOOK: Duration = Duration::from_millis(20);

/// Runs until a signal ends it, or another process takes its place.
pub(crate) fn run(path: PathBuf, with_demo: bool) -> Result<(), Failure> {
    // Before any thread is started: it changes the environment.
    let activated = activation::sockets().context("what the service manager passed is of no use")?;
    // Before anything takes time: a signal that nobody listens for would end the process.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    let mut signals = runtime.block_on(async { Signals::listen() }).context("cannot listen for signals")?;
    let config = load(&path)?;
    let log = config.gateway.log;
    telemetry::init(log.format == LogFormat::Json, log.level.as_str())
        .map_err(|error| Failure::Input(error.to_string()))?;
    let (predecessor, sockets) = inherit(activated)?;
    let nodes = if with_demo { Some(demo::start()?) } else { None };
    let pid_file = config.gateway.pid_file.clone();
    let gateway = Gateway::start_on(config, Some(path), sockets).map_err(|error| {
        if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Running(error.into()) }
    })?;
    if let Some(predecessor) = predecessor {
        runtime.block_on(take_over(&gateway, predecessor))?;
    }
    gateway.announce();
    let pid_file = pid_file.map(|path| {
        let written = PidFile::write(&path);
        written.with_context(|| format!("cannot write the pid file {}", path.display()))
    });
    let pid_file = pid_file.transpose()?;
    notify::ready("serving");
    match runtime.block_on(live(&gateway, &mut signals)) {
        End::Stop => stop(gateway, runtime, signals),
        End::Replaced { pid, taken } => {
            notify::replaced_by(pid);
            info!(pid, "another process took over; this one ends what is in flight");
            end_at_once_on_a_signal(runtime, signals);
            gateway.give_way(&taken);
        }
    }
    drop(pid_file);
    drop(nodes);
    Ok(())
}

/// The sockets of the gateway that started this one, or else those of the service manager.
fn inherit(activated: Vec<Handed>) -> anyhow::Result<(Option<Predecessor>, Vec<Handed>)> {
    let inherited = Predecessor::of_this_process().context("nothing was handed over")?;
    Ok(inherited.map_or((None, activated), |(predecessor, sockets)| (Some(predecessor), sockets)))
}

/// Waits until this gateway could be alone, and then until it is.
async fn take_over(gateway: &Gateway, predecessor: Predecessor) -> anyhow::Result<()> {
    // The other one waits for it, and knows how long.
    while !gateway.is_ready() {
        tokio::time::sleep(LOOK).await;
    }
    predecessor.take_over(gateway.inherited()).context("this gateway does not take over")?;
    info!("this process is the gateway now");
    Ok(())
}

/// What may be sent to the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    upgrade: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for one that ends the process.
    async fn end(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// How the life of a gateway ends.
enum End {
    /// A signal said so.
    Stop,
    /// This process serves in its place, with the ports of these numbers.
    Replaced { pid: u32, taken: Vec<u32> },
}

async fn live(gateway: &Gateway, signals: &mut Signals) -> End {
    let mut reload = None;
    let mut upgrade: Option<Upgrade> = None;
    let mut heartbeat = notify::watchdog().map(tokio::time::interval);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return End::Stop,
            _ = signals.interrupt.recv() => return End::Stop,
            _ = signals.reload.recv() => {
                info!("told to look at the configuration now");
                notify::reloading();
                reload = Some(gateway.reload());
            }
            _ = answer(reload.as_mut()) => {
                reload = None;
                tell_of_reload(gateway);
            }
            _ = signals.upgrade.recv() => {
                if upgrade.is_some() {
                    warn!("another process is being started already");
                    continue;
                }
                match begin_upgrade(gateway) {
                    Ok(begun) => upgrade = Some(begun),
                    Err(why) => gateway.upgrade_failed(format!("{why:#}")),
                }
            }
            outcome = answer(upgrade.as_mut().map(|begun| &mut begun.outcome)) => {
                upgrade = None;
                match outcome.map(end_upgrade) {
                    Some(Ok(end)) => return end,
                    Some(Err(why)) => gateway.upgrade_failed(why.to_string()),
                    None => {}
                }
            }
            () = beat(&mut heartbeat) => if gateway.is_whole() { notify::alive() },
        }
    }
}

/// Waits for an answer; for ever, if none is awaited.
async fn answer<T>(awaited: Option<&mut oneshot::Receiver<T>>) -> Option<T> {
    match awaited {
        Some(receiver) => receiver.await.ok(),
        None => std::future::pending().await,
    }
}

async fn beat(heartbeat: &mut Option<tokio::time::Interval>) {
    match heartbeat {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

fn tell_of_reload(gateway: &Gateway) {
    match gateway.configuration_error() {
        // It was logged when it was found.
        Some(error) => notify::ready(&format!("the configuration is refused: {error}")),
        None => notify::ready("serving"),
    }
}

/// A process was started to take over. If this is dropped before it can, that process is ended.
struct Upgrade {
    outcome: oneshot::Receiver<Result<Successor, UpgradeError>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        self.outcome.close();
        // A panic there was logged, and leaves nothing to do here.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Starts this program again, with the same arguments: whatever its path leads to now.
fn begin_upgrade(gateway: &Gateway) -> anyhow::Result<Upgrade> {
    if std::process::id() == 1 {
        bail!(
            "the first process of a container cannot be replaced, since all ends with it: start a new container"
        );
    }
    let mut words = std::env::args_os();
    let mut program = Command::new(words.next().context("the program does not know its own name")?);
    program.args(words);
    let sockets = gateway.sockets().context("the sockets cannot be handed over")?;
    let timeout = gateway.settings().upgrade_timeout;
    let (tell, outcome) = oneshot::channel();
    let wait = move || {
        let started = Successor::start(program, &sockets);
        let came = started.and_then(|started| started.ready_within(timeout, || !tell.is_closed()));
        // If nobody waits any more, this gateway stops, and what was started is ended.
        drop(tell.send(came));
    };
    let thread = thread::Builder::new().name("bascule-upgrade".into()).spawn(wait).context("no thread")?;
    info!("a new process is started to take over");
    Ok(Upgrade { outcome, thread: Some(thread) })
}

fn end_upgrade(outcome: Result<Successor, UpgradeError>) -> Result<End, UpgradeError> {
    let successor = outcome?;
    let pid = successor.pid();
    Ok(End::Replaced { pid, taken: successor.go()? })
}

fn stop(gateway: Gateway, runtime: Runtime, mut signals: Signals) {
    notify::stopping();
    info!("stopping; a second signal stops at once");
    gateway.announce_stop();
    if let Some(delay) = gateway.settings().shutdown_delay {
        runtime.block_on(async {
            tokio::select! { () = tokio::time::sleep(delay) => {}, () = signals.end() => end_at_once() }
        });
    }
    end_at_once_on_a_signal(runtime, signals);
    gateway.stop();
}

fn end_at_once_on_a_signal(runtime: Runtime, mut signals: Signals) {
    let wait = move || {
        runtime.block_on(signals.end());
        end_at_once();
    };
    if let Err(error) = thread::Builder::new().name("bascule-signals".into()).spawn(wait) {
        warn!(%error, "a second signal will not be noticed");
    }
}

#[expect(clippy::disallowed_methods, reason = "the second signal asks for exactly that: no drain, at once")]
fn end_at_once() {
    std::process::exit(1);
}
