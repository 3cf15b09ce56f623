//! Between the filters and the pick: whether pool and node have room for the request, now or after a while in the queue.
//!
//! A pool without limits costs one test. The numbers are counted for the whole gateway at the pool's gate and on the
//! nodes (docs/decisions/0027). Only a request's first attempt waits: it has its place in the pool from then on until its
//! last byte, and retries that waited for each other's nodes would hold up the queue that they are not in.

use std::future::poll_fn;
use std::task::{Context as Task, Poll};
use std::time::Instant;

use super::error::Error;
use super::exchange::Exchange;
use super::forward::poll_gone;
use super::timeouts::Limit;
use crate::node::candidates::Candidate;
use crate::node::gate::{Gate, Place, Waiting};
use crate::plugin::Outcome;
use crate::snapshot::PoolLimits;
use crate::telemetry::Refusal;

impl<'a> Exchange<'a> {
    /// The node for the next attempt, as an index of the selection. With limits there is room for the attempt in the
    /// pool and on the node, and it is counted there.
    pub(super) async fn pick_with_room(&mut self) -> Result<u32, Error> {
        let pool = self.view.pool(self.pool);
        let Some(limits) = &pool.limits else { return self.pick().await };
        if self.place.is_some() {
            return self.pick_below(limits.per_node).await?.ok_or(Error::NoNode);
        }
        if let Some(place) = pool.gate.enter(limits.most(&pool.gate)) {
            self.place = Some(place);
            if let Some(picked) = self.pick_below(limits.per_node).await? {
                return Ok(picked);
            }
            self.place = None;
        }
        // Boxed: most requests never wait, and shall not be larger for it.
        Box::pin(self.wait_in_queue(&pool.gate, limits)).await
    }

    /// Picks a node that has fewer in flight than this, and counts the attempt on it. None: all nodes are full.
    async fn pick_below(&mut self, per_node: Option<u32>) -> Result<Option<u32>, Error> {
        let Some(most) = per_node else { return self.pick().await.map(Some) };
        loop {
            let picked = self.pick().await?;
            let context = self.context_mut();
            let node = &context.selection.candidate(picked).ok_or(Error::NoNode)?.node;
            let now = if context.attempt == 1 { context.now } else { Instant::now() };
            let counted = node.begin_below(most, now);
            if counted.is_some() {
                self.in_flight_next = counted;
                return Ok(Some(picked));
            }
            // The policies are asked again, without the nodes that are full now.
            context.selection.next_attempt(picked);
            context.selection.leave_out_unless(|candidate| has_room(candidate, most));
            if context.selection.count() == 0 {
                return Ok(None);
            }
        }
    }

    async fn wait_in_queue(&mut self, gate: &'a Gate, limits: &PoolLimits) -> Result<u32, Error> {
        let view = self.view;
        let metrics = &view.pools[self.pool as usize].metrics;
        let since = Instant::now();
        let Some(waiting) = gate.wait(limits.queue) else {
            return Err(self.turn_away(Refusal::QueueFull, since));
        };
        self.timeouts.stop(&[Limit::Answer], &self.connection.deadline);
        self.timeouts.start(Limit::Queue, Some(limits.queue_timeout), &self.connection.deadline);
        let result = self.wait_for_node(&waiting, gate, limits).await;
        let now = Instant::now();
        metrics.queue.observe(now.duration_since(since));
        match result {
            // The time for the answer starts here: whoever waits has a limit of its own.
            Ok(_) => {
                self.timeouts.stop(&[Limit::Queue], &self.connection.deadline);
                let timeout = self.route.map(|route| route.timeout);
                self.timeouts.start(Limit::Answer, timeout, &self.connection.deadline);
            }
            Err(Error::Overloaded(refusal)) => return Err(self.turn_away(refusal, now)),
            Err(_) => {}
        }
        result
    }

    async fn wait_for_node(
        &mut self,
        waiting: &Waiting<'a>,
        gate: &'a Gate,
        limits: &PoolLimits,
    ) -> Result<u32, Error> {
        loop {
            self.context_mut().selection.start_over();
            let place = poll_fn(|cx| self.poll_place(cx, waiting, gate, limits)).await?;
            self.place = Some(place);
            self.context_mut().now = Instant::now();
            if let Some(picked) = self.pick_below(limits.per_node).await? {
                return Ok(picked);
            }
            // Another worker's retry was faster. This one is still the first in the queue.
            self.place = None;
        }
    }

    fn poll_place(
        &mut self,
        cx: &mut Task<'_>,
        waiting: &Waiting<'a>,
        gate: &'a Gate,
        limits: &PoolLimits,
    ) -> Poll<Result<Place<'a>, Error>> {
        let selection = &self.context().selection;
        // A pool without any candidate has nothing to wait for; the pick says so.
        let any_room = |most| selection.count() == 0 || selection.any(|candidate| has_room(candidate, most));
        let is_of_use = || limits.per_node.is_none_or(any_room);
        if let Poll::Ready(place) = waiting.poll_place(cx, limits.most(gate), is_of_use) {
            return Poll::Ready(Ok(place));
        }
        let client = &mut *self.connection;
        let (mut reader, _) = client.stream.split();
        if self.framing.keep_alive
            && poll_gone(cx, &mut reader, &mut client.buffer, &self.worker.buffers).is_ready()
        {
            return Poll::Ready(Err(Error::ClientGone));
        }
        client.deadline.poll_elapsed(cx).map(|()| Err(Error::late(self.timeouts.first(&client.deadline))))
    }

    /// While memory is short nothing new is begun, and connections end.
    pub(super) fn refuse_if_short(&mut self) -> Result<(), Error> {
        if !self.view.snapshot.room.is_short_of_memory() {
            return Ok(());
        }
        self.framing.keep_alive = false;
        Err(self.turn_away(Refusal::Memory, self.context().now))
    }

    fn turn_away(&self, refusal: Refusal, now: Instant) -> Error {
        self.view.pools[self.pool as usize].metrics.refuse(refusal);
        self.worker.notices.turned_away(&self.context().pool, refusal, now);
        Error::Overloaded(refusal)
    }

    /// Whether another attempt may begin on this node.
    pub(super) fn has_room_on(&self, candidate: &Candidate) -> bool {
        let limits = self.view.pool(self.pool).limits.as_ref();
        limits.and_then(|limits| limits.per_node).is_none_or(|most| has_room(candidate, most))
    }

    /// Feeds the pool's adaptive limit, if it has one, with what came of an attempt. What failed fast tells of no crowd.
    pub(super) fn learn(&self) {
        let pool = self.view.pool(self.pool);
        let Some(range) = pool.limits.as_ref().and_then(|limits| limits.adaptive) else { return };
        let Some(place) = &self.place else { return };
        let context = self.context();
        if let Outcome { status: Some(..500), .. } | Outcome { error: Some("timeout"), .. } = context.outcome
        {
            pool.gate.learn(context.outcome.latency, place.taken(), range, context.now);
        }
    }
}

fn has_room(candidate: &Candidate, most: u32) -> bool {
    candidate.node.live.in_flight() < most
}
