//! The life of a request, from top to bottom. Read [`Exchange::run`] first; each step of it is one file.
//!
//! ```text
//! head.rs     read the head            400, 408, 414, 431 …
//! route.rs    find the route           404
//! filters.rs  filters see the request  an answer of their own, another pool, 500
//! admission.rs room in the pool        503 if it is full and the queue does not help
//! pick.rs     policies pick a node     503
//! forward.rs  send it, await the head  502, 504
//! hedge.rs    a second attempt beside one that takes long, if the pool wants it
//! retry.rs    another node, if that does no harm
//! filters.rs  filters see the response, in reverse order
//! finish.rs   send the answer; the only place where an error becomes a status
//! ```

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::connection::{After, Connection};
use super::error::Error;
use super::filters::Places;
use super::node_connection::NodeResponse;
use super::pace::Pace;
use super::timeouts::Timeouts;
use super::transfer::Transfer;
use super::view::View;
use super::worker::Worker;
use crate::http::BodyLength;
use crate::http::h1::RequestFraming;
use crate::node::gate::Place;
use crate::node::live::InFlight;
use crate::plugin::Context;
use crate::snapshot::Route;

/// One request and its response.
pub(super) struct Exchange<'a> {
    pub worker: &'a Worker,
    pub view: &'a View,
    pub connection: &'a mut Connection,
    /// When the head was complete.
    pub started: Instant,
    pub framing: RequestFraming,
    /// What plugins see. It is lent to the plugin host for each call, and here at all other times.
    pub context: Option<Box<Context>>,
    pub route: Option<&'a Route>,
    /// Place of the pool in the snapshot.
    pub pool: u32,
    /// How many of the route's filters played on the request, and whether the pool's policies did.
    pub filtered: usize,
    pub policies_filtered: bool,
    /// Those among each of the two that need not see the response.
    pub filters_done: Places,
    pub policies_done: Places,
    /// Policies that need not see it as long as no other node is picked.
    pub policies_spared: Places,
    /// The name of the policy that picked.
    pub policy: &'a str,
    /// The node that was picked last, as an index of the selection, until it is left out of it.
    pub picked: Option<u32>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// The attempt that runs; it counts on its node until the exchange ends.
    pub in_flight: Option<InFlight>,
    /// The next attempt, if picking its node counted it there already.
    pub in_flight_next: Option<InFlight>,
    /// The request on its way to the node.
    pub upload: Option<Transfer>,
    /// Whether the client has a part of an answer, be it an informational one.
    pub begun: bool,
    /// The time limits that it is under.
    pub timeouts: Timeouts,
    /// What had moved when the client was looked at last.
    pub pace: Pace,
    /// Its place in a pool with limits. Given back last: who waits for it finds the node's free, too.
    pub place: Option<Place<'a>>,
}

/// What a client is answered.
pub(super) enum Answer {
    /// A node's response: its head is in the context, its body comes.
    Node(NodeResponse),
    /// What a plugin, or a redirect, left in the context's reply, with this status.
    Plugin(u16),
}

/// Serves one request of a connection.
pub(super) async fn serve(worker: &Rc<Worker>, connection: &mut Connection) -> After {
    let view = connection.listener.view(worker);
    let mut exchange = Exchange::new(worker, &view, connection);
    let after = exchange.run().await;
    exchange.put_back();
    after
}

impl<'a> Exchange<'a> {
    /// One that nothing is known of yet.
    pub(super) fn new(worker: &'a Worker, view: &'a View, connection: &'a mut Connection) -> Exchange<'a> {
        let context = worker.take_context();
        Exchange {
            worker,
            view,
            connection,
            // Until the head is there any time will do: the clock is read once more then.
            started: context.now,
            // What a head that is not to be understood announces, nobody knows.
            framing: RequestFraming {
                body: BodyLength::Unknown,
                keep_alive: false,
                expect_continue: false,
                upgrade: false,
            },
            context: Some(context),
            route: None,
            pool: 0,
            filtered: 0,
            policies_filtered: false,
            filters_done: Places::default(),
            policies_done: Places::default(),
            policies_spared: Places::default(),
            policy: "",
            picked: None,
            attempts: 0,
            in_flight: None,
            in_flight_next: None,
            upload: None,
            begun: false,
            timeouts: Timeouts::none(),
            pace: Pace::default(),
            place: None,
        }
    }

    /// Gives back what others can use.
    pub(super) fn put_back(self) {
        let Exchange { worker, context, upload, .. } = self;
        if let Some(context) = context {
            worker.put_context(context);
        }
        if let Some(upload) = upload {
            worker.buffers.put(upload.into_buffer());
        }
    }

    async fn run(&mut self) -> After {
        let result = match self.read_head().await {
            Ok(true) => self.answer().await,
            Ok(false) => return After::Gone,
            Err(error) => {
                let context = self.context_mut();
                (context.route, context.pool) = (Arc::default(), Arc::default());
                Err(error)
            }
        };
        self.finish(result).await
    }

    async fn answer(&mut self) -> Result<Answer, Error> {
        if let Some(proof) = self.prove() {
            return Ok(proof);
        }
        if let Some(elsewhere) = self.redirect() {
            return Ok(elsewhere);
        }
        self.find_route()?;
        self.refuse_if_short()?;
        self.view.sampler.note(self.context());
        if let Some(answer) = self.filter_request().await? {
            return Ok(answer);
        }
        self.view.pools[self.pool as usize].budget.borrow_mut().request(self.context().now);
        let mut failed = None;
        loop {
            match (self.begin_attempt().await, failed) {
                // Nobody is left to try: why the last one failed says more than that.
                (Err(Error::NoNode), Some(error)) => return Err(error),
                (picked, _) => picked?,
            }
            let result = self.attempt().await;
            self.learn();
            match self.settle(result) {
                ControlFlow::Break(result) => return result.map(Answer::Node),
                ControlFlow::Continue(error) => failed = error,
            }
        }
    }

    /// Picks the node of the next attempt.
    pub(super) async fn begin_attempt(&mut self) -> Result<(), Error> {
        self.attempts += 1;
        self.context_mut().attempt = self.attempts;
        self.picked = Some(self.pick_with_room().await?);
        Ok(())
    }

    /// What plugins see.
    pub(super) fn context(&self) -> &Context {
        self.context.as_ref().expect("only a plugin call takes the context, and it gives it back")
    }

    /// What plugins see, to be changed.
    pub(super) fn context_mut(&mut self) -> &mut Context {
        self.context.as_mut().expect("only a plugin call takes the context, and it gives it back")
    }
}
