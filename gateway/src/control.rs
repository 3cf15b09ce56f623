//! The control path: configuration, plugins and the admin API; it makes the snapshots that requests read.
//!
//! Three threads and none of the workers': `bascule-control` runs the one task that publishes, the nodes' checks, and the
//! admin API;
//! `bascule-builder` reads, compiles and tries, at low priority; one more belongs to the watch on folders. The request
//! path knows nothing of all this: the two meet in `snapshot` and `node`.

mod acme;
mod addresses;
mod admin;
mod api;
mod attempt;
mod build;
mod certificates;
mod client_tls;
mod command;
pub mod config;
mod discovery;
pub mod etcd;
mod folder;
mod health;
mod history;
pub(crate) mod http_client;
mod library;
mod listening;
mod members;
mod memory;
mod pem;
mod prepare;
mod probation;
mod registry;
mod sources;
mod status;
mod store;
mod uses;
mod writer;
pub mod zookeeper;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tracing::{info, warn};

pub use admin::Phase;
pub use certificates::check_certificates;
pub(crate) use discovery::Announced;
pub use prepare::check_plugins;
pub use uses::use_spec;
pub use writer::Event;

use acme::Acmes;
use admin::Admin;
use attempt::Prepared;
use command::Command;
use config::{Config, Errors};
use discovery::{Board, Discoveries, Found};
use folder::{Ask, Hint, Watch};
use health::{Checks, Health};
use prepare::Builder;
use registry::Door;
use status::Status;
use writer::{Shared, Writer, lock};

use crate::plugin::{Engine, Services};
use crate::snapshot::Published;
use crate::telemetry::Telemetry;
use crate::transport::ports::{Owner, Ports};
use crate::transport::room::{Room, raise_descriptors};

/// Events that wait for the writer. Whoever finds it full may drop a hint: the next look sees the same.
const EVENTS: usize = 1024;
/// The builder thread's niceness. A compilation takes a core for some 50 ms and must not take it from a worker; yet on
/// a machine whose cores are all busy a plugin still has to be there within a second. At 5 it gets a quarter of a
/// core then, at 10 a tenth.
const NICENESS: i32 = 5;
/// How long callers of the admin API may take to get their last answer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The running control path.
pub struct Control {
    /// What the admin API reads; all that is asked of the control path is there.
    admin: Arc<Admin>,
    admin_address: SocketAddr,
    /// Dropping it ends the control path, too.
    stop: oneshot::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

/// Why the control path did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong, or a plugin does not take it.
    #[error("{0}")]
    Configuration(Errors),
    /// A listener's address is not to be had.
    #[error("{0}")]
    Listen(Errors),
    /// The admin API's address is not to be had.
    #[error("the admin API cannot listen on {address}: {error}; name a free address in [admin]")]
    Admin {
        /// The address in the configuration.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The registry's address is not to be had.
    #[error("the registry cannot listen on {address}: {error}; name a free address in [registry]")]
    Registry {
        /// The address in the configuration.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no thread or event loop.
    #[error("the control path cannot start: {0}")]
    System(#[from] io::Error),
}

impl Control {
    /// Opens the listeners, makes and publishes the first snapshot, then watches the configuration file and the folder of
    /// plugins. Without a path only the folder is watched. It blocks until the first snapshot is there.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        path: Option<PathBuf>,
        config: Config,
        engine: Arc<Engine>,
        services: Arc<Services>,
        ports: Arc<Ports>,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Self, Published), StartError> {
        // Before all that takes time.
        let own = Own::open(&config, &ports, &services)?;
        let admin_address = own.admin.local_addr()?;
        let token = config.admin.token.clone();
        let status = Arc::<Status>::default();
        let builder = Builder::start(path, config, engine.clone(), services.clone(), ports, status.clone())
            .map_err(StartError::Configuration)?;
        let (events, received) = channel(EVENTS);
        let (hints, hinted) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let watch = Watch::new(hints.clone());
        let board = Arc::new(Board::new(Instant::now()));
        let registry = own.door.as_ref().map(|door| Arc::clone(&door.registry));
        let first = builder.current().clone();
        let discoveries =
            Discoveries::new(events.clone(), Arc::clone(&board), registry.clone(), &first.config);
        let writer = first_writer(first, discoveries, status, hints.clone(), events.clone());
        let published = Arc::clone(&writer.published);
        let admin = Arc::new(Admin {
            published: Arc::clone(&published),
            status: Arc::clone(&writer.status),
            telemetry,
            services,
            phase: Arc::default(),
            token,
            hints,
            events: events.clone(),
            health: Arc::clone(&writer.health),
            board,
            registry,
            engine,
            // The gateway that is replaced answers until this one is ready.
            waits: own.waits,
        });
        let threads = vec![
            run_control(writer, received, stopped, Arc::clone(&admin), own)?,
            run_builder(builder, hinted, watch, events)?,
        ];
        info!(admin = %admin_address, "control path started");
        Ok((Self { admin, admin_address, stop, threads }, published))
    }

    /// Where to send events. Use `try_send` from a worker, which must not wait.
    pub fn events(&self) -> Sender<Event> {
        self.admin.events.clone()
    }

    /// Where the admin API listens: the configured address, with the port that the system chose for port 0.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Where nodes register, if they do: likewise.
    pub fn registry_address(&self) -> Option<SocketAddr> {
        self.admin.registry.as_ref().map(|registry| registry.address())
    }

    /// Tells /readyz how far the gateway is. It starts as [`Phase::Starting`].
    pub fn set_phase(&self, phase: Phase) {
        self.admin.phase.set(phase);
    }

    /// Whether /readyz would say so if the listeners accept.
    pub fn is_ready(&self) -> bool {
        let now = Instant::now();
        lock(&self.admin.health).is_checked(now)
            && self.admin.board.waits_for(&self.admin.published.load(), now).is_none()
            && self.admin.status.read().unavailable.is_empty()
            && admin::without_certificate(&self.admin.published.load()).is_none()
    }

    /// Looks at the configuration and the plugins now, and tells when what came of it is in force.
    pub fn reload(&self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        // If the builder is gone, so is the sender, and whoever waits is told that.
        drop(self.admin.hints.send(Hint::Reload(tell)));
        told
    }

    /// What is wrong with the configuration as it is written now: its first line.
    pub fn configuration_error(&self) -> Option<String> {
        let outcomes = self.admin.status.read();
        outcomes.error.as_ref().and_then(|(_, text)| text.lines().next()).map(str::to_owned)
    }

    /// Notes that another process should have taken over and did not.
    pub fn upgrade_failed(&self, why: String) {
        self.admin.status.upgrade_failed(why);
    }

    /// Ends the control path, and waits for its threads; at most for a compilation that is under way.
    pub fn stop(self) {
        drop(self.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                warn!("a thread of the control path had panicked");
            }
        }
    }
}

/// Half of the file descriptors are for clients.
fn limit_connections(room: &Room) {
    let descriptors = raise_descriptors();
    room.fit(descriptors);
    info!(descriptors, connections = room.most(), "clients' connections are limited by file descriptors");
}

/// The sockets of the control path itself.
struct Own {
    admin: std::net::TcpListener,
    /// Whether the admin API's is another gateway's, which answers there until this one serves.
    waits: bool,
    /// Where nodes register, if they do.
    door: Option<Door>,
}

impl Own {
    /// Opens them, and those of the listeners.
    fn open(config: &Config, ports: &Ports, services: &Services) -> Result<Self, StartError> {
        listening::open(config, ports).map_err(StartError::Listen)?;
        let address = config.admin.address.value;
        let (admin, waits) =
            ports.open_own(Owner::Admin, address).map_err(|error| StartError::Admin { address, error })?;
        let door = Door::open(config.registry.as_ref(), ports, services.redis.as_ref())?;
        Ok(Self { admin, waits, door })
    }
}

/// The writer, which has published the first snapshot.
fn first_writer(
    first: Prepared,
    discoveries: Discoveries,
    status: Arc<Status>,
    hints: mpsc::Sender<Hint>,
    events: Sender<Event>,
) -> Writer {
    writer::note(&status, &first);
    let (published, health) = first_snapshot(&first, discoveries.found(), Instant::now());
    limit_connections(&published.load().room);
    let challenges = Arc::clone(&first.secured.challenges);
    Writer {
        acmes: Acmes::new(challenges, Arc::clone(&status), hints.clone()),
        published,
        status,
        hints,
        current: first,
        health,
        checks: Checks::new(events),
        discoveries,
    }
}

/// What is published first, and the health of its nodes.
fn first_snapshot(first: &Prepared, found: &Found, now: Instant) -> (Published, Shared) {
    let mut health = Health::new(now);
    let snapshot = health.follow(build::snapshot(first, found, None), &first.config, now);
    (Arc::new(ArcSwap::from_pointee(snapshot)), Arc::new(Mutex::new(health)))
}

/// The writer and the admin API, on one thread; the API ends with the writer.
fn run_control(
    writer: Writer,
    events: Receiver<Event>,
    stopped: oneshot::Receiver<()>,
    admin: Arc<Admin>,
    own: Own,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("bascule-control".into()).spawn(move || {
        // Checks of nodes are local to it: a stream is not for two threads.
        let local = LocalSet::new();
        let running = local.run_until(async {
            let (end, ended) = watch::channel(());
            let phase = Arc::clone(&admin.phase);
            let services = Arc::clone(&admin.services);
            let api = tokio::spawn(admin::serve(own.admin, admin, ended.clone()));
            let registry = tokio::spawn(async move {
                if let Some(door) = own.door {
                    door.serve(&phase, ended).await;
                }
            });
            tokio::spawn(memory::watch(Arc::clone(&writer.published)));
            services.connect();
            writer.run(events, stopped).await;
            // It answers what it was asked.
            drop(end);
            let last = async { tokio::join!(api, registry) };
            let _late = tokio::time::timeout(LAST_ANSWERS, last).await;
        });
        runtime.block_on(running);
    })
}

fn run_builder(
    mut builder: Builder,
    hints: mpsc::Receiver<Hint>,
    watch: Watch,
    events: Sender<Event>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("bascule-builder".into()).spawn(move || {
        // On Linux this is the calling thread's alone. Without it compilations are merely louder.
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            warn!("the builder thread runs at normal priority: {error}");
        }
        // If the writer is gone, the hint to stop is on its way.
        let hand_on = |prepared: Option<Prepared>| {
            let event = prepared.map(|prepared| Event::Prepared(Box::new(prepared)));
            let _stopping = event.map(|event| events.blocking_send(event));
        };
        // It comes behind all that it tells of. Whoever asked may have gone.
        let then = |tell| drop(events.blocking_send(Event::Then(tell)));
        let mut waiting = Vec::new();
        folder::run(&hints, watch, |ask| {
            match ask {
                Some(Ask::Do(command)) => {
                    let Command { plugin, act, answer } = *command;
                    let (prepared, done) = builder.obey(&plugin, &act);
                    hand_on(prepared);
                    then(Box::new(move || drop(answer.send(done))));
                }
                Some(Ask::Reload(answer)) => waiting.push(answer),
                None => {}
            }
            let (prepared, next) = builder.look();
            hand_on(prepared);
            // While a file is being written, nothing came of it yet.
            if !next.soon {
                for answer in mem::take(&mut waiting) {
                    then(Box::new(move || _ = answer.send(())));
                }
            }
            next
        });
    })
}

#[cfg(test)]
mod tests;
