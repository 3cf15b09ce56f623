//! Wiring: starts control and the workers, stops them, and hands their sockets to another process. What they do is told in
//! their own modules.

pub mod activation;
pub mod handover;
pub mod notify;
pub mod pid_file;
mod stores;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::control::config::{Config, Workers};
use crate::control::{self, Control, Phase};
use crate::plugin::engine::Engine;
use crate::proxy::worker;
use crate::snapshot::{ListenerSpec, Published, Settings};
use crate::telemetry::Telemetry;
use crate::transport::ports::{Handed, Ports};

/// A worker's stack: room for the largest wasm stack (512 KiB) and for the host below and above it.
const WORKER_STACK: usize = 4 << 20;

/// A running gateway.
pub struct Gateway {
    control: Control,
    workers: Vec<JoinHandle<io::Result<()>>>,
    stop: watch::Sender<bool>,
    published: Published,
    ports: Arc<Ports>,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, a plugin, a listener or the admin API.
    #[error(transparent)]
    Control(#[from] control::StartError),
    /// The system gave no thread, or plugins cannot run on it.
    #[error("the gateway cannot start: {0}")]
    System(String),
}

impl StartError {
    /// Whether the input was wrong, rather than the system in the way.
    pub fn is_input(&self) -> bool {
        matches!(self, StartError::Control(control::StartError::Configuration(_)))
    }
}

impl Gateway {
    /// Starts everything; when it returns the plugins are loaded and the listeners accept.
    ///
    /// `path` is the configuration's file, to be watched; without it only the plugins are.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub fn start(config: Config, path: Option<PathBuf>) -> Result<Gateway, StartError> {
        let gateway = Gateway::start_on(config, path, Vec::new())?;
        gateway.announce();
        Ok(gateway)
    }

    /// The same, on sockets that another process opened, where the configuration wants them; /readyz does not say so before
    /// [`Gateway::announce`].
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub fn start_on(
        config: Config,
        path: Option<PathBuf>,
        inherited: Vec<Handed>,
    ) -> Result<Gateway, StartError> {
        let count = worker_count(config.gateway.workers);
        let state = config.plugins.state_directory.as_ref();
        let engine = match state {
            Some(state) => Engine::with_code(&state.join("compiled")),
            None => Engine::new(),
        };
        let engine = engine.map_err(|error| StartError::System(error.to_string()))?;
        let services = Arc::new(stores::open(&config)?);
        let telemetry = Arc::new(Telemetry::new());
        let ports = Arc::new(Ports::new(count, inherited));
        let (control, published) = Control::start(
            path,
            config,
            Arc::new(engine),
            Arc::clone(&services),
            Arc::clone(&ports),
            Arc::clone(&telemetry),
        )?;

        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let start = worker::Start {
                index,
                count,
                ports: Arc::clone(&ports),
                published: Arc::clone(&published),
                telemetry: Arc::clone(&telemetry),
                stop: stopped.clone(),
                services: Arc::clone(&services),
            };
            let thread =
                thread::Builder::new().name(format!("bascule-worker-{index}")).stack_size(WORKER_STACK);
            let thread = thread.spawn(move || worker::run(start));
            workers.push(thread.map_err(|error| StartError::System(error.to_string()))?);
        }
        for ListenerSpec { name, address, .. } in published.load().listeners.iter() {
            tracing::info!(listener = %name, %address, workers = count, "accepting");
        }
        for address in ports.drop_inherited() {
            tracing::warn!(%address, "no listener of the configuration has this socket that was passed on");
        }
        Ok(Gateway { control, workers, stop, published, ports })
    }

    /// Where a listener accepts: with the port that the system chose for port 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        let snapshot = self.published.load();
        let found = snapshot.listeners.iter().find(|found| found.name.as_str() == listener);
        found.map(|found| found.address)
    }

    /// Where the admin API listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.control.admin_address()
    }

    /// Where nodes register, if they do.
    pub fn registry_address(&self) -> Option<SocketAddr> {
        self.control.registry_address()
    }

    /// What concerns the whole gateway and may change while it runs.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.published.load().settings)
    }

    /// Looks at the configuration now; tells when what came of it is in force.
    pub fn reload(&self) -> oneshot::Receiver<()> {
        self.control.reload()
    }

    /// What is wrong with the configuration as it is written now.
    pub fn configuration_error(&self) -> Option<String> {
        self.control.configuration_error()
    }

    /// Whether it lacks nothing that it needs to take traffic.
    pub fn is_ready(&self) -> bool {
        self.control.is_ready()
    }

    /// Whether all of its workers live.
    pub fn is_whole(&self) -> bool {
        !self.workers.iter().any(JoinHandle::is_finished)
    }

    /// Its sockets, for a process that shall take over.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn sockets(&self) -> io::Result<Vec<Handed>> {
        self.ports.hand_out()
    }

    /// The numbers of the ports that it has from the process before.
    pub fn inherited(&self) -> Vec<u32> {
        self.ports.adopted()
    }

    /// Notes that no other process took over, for this reason.
    pub fn upgrade_failed(&self, why: String) {
        self.control.upgrade_failed(why);
    }

    /// Says on /readyz that it serves.
    pub fn announce(&self) {
        self.control.set_phase(Phase::Serving);
    }

    /// Says on /readyz that it stops, and goes on serving.
    pub fn announce_stop(&self) {
        self.control.set_phase(Phase::Draining);
    }

    /// Stops: no new connection, requests in flight end within the drain timeout.
    pub fn stop(self) {
        self.announce_stop();
        let Gateway { control, workers, stop, .. } = self;
        end(workers, &stop);
        control.stop();
    }

    /// The same since another process serves the ports of these numbers. The admin API and the state directory are that
    /// one's, too, so control ends first.
    pub fn give_way(self, taken: &[u32]) {
        let Gateway { control, workers, stop, ports, .. } = self;
        ports.give(taken);
        control.stop();
        end(workers, &stop);
    }
}

/// Ends the workers and waits for them.
fn end(workers: Vec<JoinHandle<io::Result<()>>>, stop: &watch::Sender<bool>) {
    // Those that ended already need no word.
    let _ = stop.send(true);
    for worker in workers {
        match worker.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a worker could not start"),
            Err(_) => tracing::error!("a worker had panicked"),
        }
    }
}

fn worker_count(workers: Workers) -> usize {
    match workers {
        Workers::Auto => thread::available_parallelism().map_or(1, usize::from),
        Workers::Count(count) => count.get(),
    }
}
