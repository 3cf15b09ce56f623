//! Wiring: starts control and the workers, and stops them. What they do is told in their own modules.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::control::config::{Config, Workers};
use crate::control::{self, Control, Phase};
use crate::name::Name;
use crate::plugin::engine::Engine;
use crate::plugin::services::Services;
use crate::proxy::worker;
use crate::telemetry::Telemetry;
use crate::transport::listen::{claim, listen};

/// A worker's stack: room for the largest wasm stack (512 KiB) and for the host below and above it.
const WORKER_STACK: usize = 4 << 20;

/// A running gateway.
pub struct Gateway {
    control: Control,
    workers: Vec<JoinHandle<io::Result<()>>>,
    stop: watch::Sender<bool>,
    addresses: Vec<(Name, SocketAddr)>,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, a plugin or the admin API.
    #[error(transparent)]
    Control(#[from] control::StartError),
    /// A listener's address is not to be had.
    #[error("the listener {name} cannot listen on {address}: {error}; {advice}")]
    Listen {
        /// The listener.
        name: Name,
        /// Its address in the configuration.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// What to do.
        advice: String,
    },
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
        let sockets = bind(&config, count)?;
        let state = config.plugins.state_directory.as_ref();
        let engine = match state {
            Some(state) => Engine::with_code(&state.join("compiled")),
            None => Engine::new(),
        };
        let engine = engine.map_err(|error| StartError::System(error.to_string()))?;
        let services = Arc::new(Services::new(config.sessions.capacity.get()));
        let telemetry = Arc::new(Telemetry::new());
        let addresses = sockets.iter().map(|(name, of_workers)| {
            let address =
                of_workers[0].local_addr().map_err(|error| StartError::System(error.to_string()))?;
            Ok((name.clone(), address))
        });
        let addresses = addresses.collect::<Result<Vec<_>, StartError>>()?;
        let (control, published) =
            Control::start(path, config, Arc::new(engine), services, Arc::clone(&telemetry))?;

        let (stop, stopped) = watch::channel(false);
        let mut by_worker: Vec<Vec<TcpListener>> = (0..count).map(|_| Vec::new()).collect();
        for (_, of_workers) in sockets {
            for (listeners, socket) in by_worker.iter_mut().zip(of_workers) {
                listeners.push(socket);
            }
        }
        let mut workers = Vec::with_capacity(count);
        for (index, listeners) in by_worker.into_iter().enumerate() {
            let start = worker::Start {
                index,
                count,
                listeners,
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
        for (name, address) in &addresses {
            tracing::info!(listener = %name, %address, workers = count, "accepting");
        }
        Ok(Gateway { control, workers, stop, addresses })
    }

    /// Where a listener accepts: with the port that the system chose for port 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| name.as_str() == listener).map(|(_, address)| *address)
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

/// A socket for each listener and worker, by the listeners' names in order, which is the snapshot's order too.
fn bind(config: &Config, workers: usize) -> Result<Vec<(Name, Vec<TcpListener>)>, StartError> {
    let listeners = config.listeners.iter().map(|(name, listener)| {
        let wanted = listener.address.value;
        let fail = |error: io::Error| StartError::Listen {
            name: name.clone(),
            address: wanted,
            advice: advice(&error, wanted),
            error,
        };
        if wanted.port() != 0 {
            // With SO_REUSEPORT two gateways would share the address without a word.
            claim(wanted).map_err(fail)?;
        }
        let first = listen(wanted).map_err(fail)?;
        let address = first.local_addr().map_err(fail)?;
        let others = (1..workers).map(|_| listen(address).map_err(fail));
        let sockets = std::iter::once(Ok(first)).chain(others).collect::<Result<_, _>>()?;
        Ok((name.clone(), sockets))
    });
    listeners.collect()
}

fn advice(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("see who does with `ss -ltnp 'sport = :{}'`", address.port()),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; name a higher port".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "name an address of this machine, or 0.0.0.0 for all of them".into()
        }
        _ => "name another address under [listener]".into(),
    }
}
