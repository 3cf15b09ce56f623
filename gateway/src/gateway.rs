//! Wiring: starts control and the workers, and stops them. What they do is told in their own modules.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::control::config::{Config, Workers};
use crate::control::{self, Control, Phase};
use crate::plugin::engine::Engine;
use crate::plugin::services::Services;
use crate::proxy::worker;
use crate::snapshot::{ListenerSpec, Published};
use crate::telemetry::Telemetry;
use crate::transport::ports::Ports;

/// A worker's stack: room for the largest wasm stack (512 KiB) and for the host below and above it.
const WORKER_STACK: usize = 4 << 20;

/// A running gateway.
pub struct Gateway {
    control: Control,
    workers: Vec<JoinHandle<io::Result<()>>>,
    stop: watch::Sender<bool>,
    published: Published,
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
        let count = worker_count(config.gateway.workers);
        let state = config.plugins.state_directory.as_ref();
        let engine = match state {
            Some(state) => Engine::with_code(&state.join("compiled")),
            None => Engine::new(),
        };
        let engine = engine.map_err(|error| StartError::System(error.to_string()))?;
        let services = Arc::new(Services::new(config.sessions.capacity.get()));
        let telemetry = Arc::new(Telemetry::new());
        let ports = Arc::new(Ports::new(count));
        let (control, published) = Control::start(
            path,
            config,
            Arc::new(engine),
            services,
            Arc::clone(&ports),
            Arc::clone(&telemetry),
        )?;

        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let start = worker::Start {
                index,
                ports: Arc::clone(&ports),
                published: Arc::clone(&published),
                telemetry: Arc::clone(&telemetry),
                stop: stopped.clone(),
            };
            let thread =
                thread::Builder::new().name(format!("bascule-worker-{index}")).stack_size(WORKER_STACK);
            let thread = thread.spawn(move || worker::run(start));
            workers.push(thread.map_err(|error| StartError::System(error.to_string()))?);
        }
        control.set_phase(Phase::Serving);
        for ListenerSpec { name, address, .. } in published.load().listeners.iter() {
            tracing::info!(listener = %name, %address, workers = count, "accepting");
        }
        Ok(Gateway { control, workers, stop, published })
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

    /// Stops: no new connection, requests in flight end within the drain timeout.
    pub fn stop(self) {
        self.control.set_phase(Phase::Draining);
        // Workers that ended already need no word.
        let _ = self.stop.send(true);
        for worker in self.workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a worker could not start"),
                Err(_) => tracing::error!("a worker had panicked"),
            }
        }
        self.control.stop();
    }
}

fn worker_count(workers: Workers) -> usize {
    match workers {
        Workers::Auto => thread::available_parallelism().map_or(1, usize::from),
        Workers::Count(count) => count.get(),
    }
}
