//! One worker: a thread with its own runtime, sockets, idle connections, buffers and plugin instances.
//!
//! Workers share nothing that a request writes to but the nodes' live state. This module starts and stops; what
//! happens to a request is told in `exchange`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arc_swap::Cache;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, watch};

use super::accept::Listener;
use super::notices::Notices;
use super::timers::Timers;
use super::view::View;
use crate::plugin::{Context, Services};
use crate::snapshot::{Published, Snapshot};
use crate::telemetry::{Telemetry, WorkerMetrics};
use crate::transport::buffers::Buffers;
use crate::transport::deadline::{Deadlines, TICK};
use crate::transport::http2::SharedConnections;
use crate::transport::idle::IdleConnections;
use crate::transport::ports::Ports;

/// Contexts that are kept for later requests, as many as a busy worker serves at once.
const CONTEXTS_KEPT: usize = 256;
/// Ticks between two looks for idle connections that are too old: about a second.
const SWEEP_TICKS: u32 = 50;

/// What a worker's thread is started with.
pub struct Start {
    /// Counts from 0.
    pub index: usize,
    /// How many workers there are.
    pub count: usize,
    /// The sockets of the snapshot's listeners.
    pub ports: Arc<Ports>,
    /// Where control publishes.
    pub published: Published,
    /// Where this worker's counters are found.
    pub telemetry: Arc<Telemetry>,
    /// Becomes true when the gateway stops.
    pub stop: watch::Receiver<bool>,
    /// The stores that plugins ask.
    pub services: Arc<Services>,
}

/// What all connections of one worker share.
pub(super) struct Worker {
    /// Counts from 0.
    pub index: usize,
    /// How many workers there are, this one included: each has its share of what the whole gateway may do.
    pub workers: u32,
    published: RefCell<Cache<Published, Arc<Snapshot>>>,
    view: RefCell<Rc<View>>,
    telemetry: Arc<Telemetry>,
    // Boxed, since a plugin call lends the box and not the bytes.
    #[expect(clippy::vec_box, reason = "the box is what is lent")]
    contexts: RefCell<Vec<Box<Context>>>,
    date: RefCell<[u8; 29]>,
    draining: Cell<bool>,
    /// Connections that are open, and sockets that it accepts on; `closed` tells of each that is closed.
    pub(super) open: Cell<usize>,
    pub(super) accepting: Cell<usize>,
    pub(super) closed: Notify,
    /// Clients that are being told that there is no room for them.
    pub(super) told: Cell<usize>,
    timers: Timers,
    /// The sockets of all listeners.
    pub ports: Arc<Ports>,
    /// The listeners that are not retired.
    pub listeners: RefCell<Vec<Rc<Listener>>>,
    /// This worker's counters.
    pub metrics: Arc<WorkerMetrics>,
    /// Connections to nodes that wait for their next request.
    pub idle: IdleConnections,
    /// Connections to nodes that many requests share.
    pub shared: Rc<SharedConnections>,
    /// The clock and all deadlines.
    pub deadlines: Rc<Deadlines>,
    /// Free buffers.
    pub buffers: Buffers,
    /// What was logged of nodes.
    pub notices: Notices,
}

impl Worker {
    fn new(start: Start) -> Worker {
        let Start { index, count, ports, published, telemetry, .. } = start;
        let mut published = Cache::new(published);
        let view = View::new(published.load().clone(), None, index, &telemetry);
        Worker {
            index,
            workers: u32::try_from(count).unwrap_or(u32::MAX),
            published: RefCell::new(published),
            view: RefCell::new(Rc::new(view)),
            metrics: telemetry.worker(index),
            telemetry,
            contexts: RefCell::default(),
            date: RefCell::new(imf_fixdate(SystemTime::now())),
            draining: Cell::new(false),
            open: Cell::new(0),
            accepting: Cell::new(0),
            closed: Notify::new(),
            told: Cell::new(0),
            timers: Timers::default(),
            ports,
            listeners: RefCell::default(),
            idle: IdleConnections::default(),
            shared: Rc::default(),
            deadlines: Deadlines::new(),
            buffers: Buffers::default(),
            notices: Notices::default(),
        }
    }

    /// The newest view. Costs one load while nothing was published.
    pub(super) fn view(&self) -> Rc<View> {
        let mut published = self.published.borrow_mut();
        let newest = published.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(newest, &view.snapshot) {
            let next = Rc::new(View::new(newest.clone(), Some(&view), self.index, &self.telemetry));
            let before = std::mem::replace(&mut *view, next);
            let listeners = self.listeners.borrow();
            let gone = listeners.iter().filter(|listener| newest.listener_of(listener.id).is_none());
            gone.for_each(|listener| listener.retire(self, &before));
        }
        view.clone()
    }

    /// An empty context.
    pub(super) fn take_context(&self) -> Box<Context> {
        self.contexts.borrow_mut().pop().unwrap_or_else(|| Box::new(Context::new(Instant::now())))
    }

    /// Takes a context back; what it holds is forgotten.
    pub(super) fn put_context(&self, mut context: Box<Context>) {
        context.clear();
        let mut kept = self.contexts.borrow_mut();
        if kept.len() < CONTEXTS_KEPT {
            kept.push(context);
        }
    }

    /// The date of now for a response's Date field (RFC 9110, 5.6.7); it is up to a tick old.
    pub(super) fn date(&self) -> [u8; 29] {
        *self.date.borrow()
    }

    /// Whether the gateway stops.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    async fn tick(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for tick in 1_u32.. {
            interval.tick().await;
            let now = Instant::now();
            self.deadlines.tick(now);
            // Also drops the idle instances of replaced plugins and sees new listeners, even if no request comes.
            if let Err(error) = self.listen() {
                tracing::error!(worker = self.index, %error, "a listener is not served");
            }
            let view = self.view();
            self.timers.run(&view, self.index, now);
            // Clients come first: where descriptors are few, they take those of idle connections.
            self.idle.shrink_to(view.snapshot.room.idle() as usize / self.ports.workers());
            if tick % SWEEP_TICKS == 0 {
                *self.date.borrow_mut() = imf_fixdate(SystemTime::now());
                self.idle.sweep(now);
                self.shared.sweep(now);
                self.metrics.node_http2_connections.set(self.shared.len() as u64);
            }
        }
    }

    /// Ends when every connection is closed, or when the drain timeout is over.
    async fn drain(&self) {
        self.draining.set(true);
        self.idle.clear();
        self.shared.clear();
        for listener in self.listeners.borrow().iter() {
            listener.drain(self);
        }
        let timeout = self.view().snapshot.settings.drain_timeout;
        let all_closed = async {
            while self.open.get() + self.accepting.get() > 0 {
                self.closed.notified().await;
            }
        };
        if tokio::time::timeout(timeout, all_closed).await.is_err() {
            tracing::warn!(worker = self.index, connections = self.open.get(), "the drain timeout is over");
        }
    }
}

/// Runs a worker on this thread until it is told to stop and has drained.
///
/// # Errors
/// The runtime or a listener cannot be set up.
pub fn run(start: Start) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let mut stop = start.stop.clone();
        start.services.connect();
        let worker = Rc::new(Worker::new(start));
        worker.listen()?;
        let ticking = tokio::task::spawn_local(worker.clone().tick());
        // The sender is gone only if the gateway is: then it is time to stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
        worker.drain().await;
        ticking.abort();
        Ok(())
    })
}

fn imf_fixdate(now: SystemTime) -> [u8; 29] {
    let text = httpdate::fmt_http_date(now);
    text.as_bytes().try_into().expect("an IMF-fixdate has 29 bytes")
}
