//! Hedging: a second attempt beside one that takes long, for pools that want it (`retry.hedge`). The first answer counts.
//!
//! Only for requests that may be seen twice and have no body: all of such a request is its head, which both attempts write
//! from the same bytes. The two are alike ("lanes"), and while both run, one that fails is no failure of the request.
//! Nothing here runs for a pool that does not hedge. See docs/decisions/0026.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};

use super::error::Error;
use super::exchange::Exchange;
use super::forward::poll_gone;
use super::node_connection::{NodeConnection, NodeResponse, poll_response};
use super::retry::EJECTION_LOOK;
use super::timeouts::Limit;
use crate::http::BodyLength;
use crate::http::h1::ResponseFraming;
use crate::node::live::InFlight;
use crate::snapshot::retry::Hedge;
use crate::telemetry::{HedgeOutcome, RetryReason};

mod pace;

pub(super) use pace::Pace;

/// One of the two attempts.
struct Lane<'a> {
    in_flight: InFlight,
    /// Which attempt of the request it is.
    attempt: u32,
    /// Who picked its node.
    policy: &'a str,
    link: Link,
    /// How much of the request went out on it.
    written: usize,
}

/// How far a lane's connection is.
enum Link {
    Opening(Pin<Box<dyn Future<Output = Result<NodeConnection, Error>>>>),
    Open(NodeConnection),
}

/// What happens in a race.
enum Event {
    /// The first attempt was alone for long enough.
    Due,
    /// The lane of this place has an answer, or none to come.
    Ended(usize, Result<ResponseFraming, Error>),
}

impl<'a> Exchange<'a> {
    /// Whether a second attempt may come to stand beside this one.
    pub(super) fn may_hedge(&self) -> bool {
        self.view.pool(self.pool).retry.hedge.is_some()
            && self.attempts == 1
            && self.framing.body == BodyLength::Empty
            && !self.framing.upgrade
            && self.context().request.method.is_idempotent()
    }

    /// The first attempt, and a second one if that is not answered in time. The one that ended it all is in flight still.
    pub(super) async fn race(&mut self, first: InFlight) -> (InFlight, Result<NodeResponse, Error>) {
        self.start_upload();
        let mut lanes = vec![self.lane(first)];
        let after = self.hedge_after();
        self.timeouts.start(Limit::Hedge, after, &self.connection.deadline);
        let look = self.may_leave_node().then_some(EJECTION_LOOK);
        self.timeouts.start(Limit::Ejected, look, &self.connection.deadline);
        let mut seen = 0;
        loop {
            let (place, result) = match poll_fn(|cx| self.poll_race(cx, &mut lanes)).await {
                Event::Ended(place, result) => (place, result),
                Event::Due => {
                    // A look is no limit of the pick, which may wait.
                    self.timeouts.stop(&[Limit::Hedge, Limit::Ejected], &self.connection.deadline);
                    lanes.extend(self.second_lane().await);
                    self.timeouts.start(Limit::Ejected, look, &self.connection.deadline);
                    continue;
                }
            };
            let lane = lanes.swap_remove(place);
            seen = lane.written.max(seen);
            // Whoever answered may be owed the rest; else it matters whether any node saw something.
            self.turn_to(&lane, if result.is_ok() { lane.written } else { seen });
            if lanes.is_empty() || self.is_decisive(&result) {
                if let Some(took) = self.time_of_first(&lane, &lanes, &result, after) {
                    self.view.pools[self.pool as usize].pace.borrow_mut().answered(took);
                }
                return self.end_race(lane, lanes, result).await;
            }
            self.drop_out(lane, result).await;
        }
    }

    /// After which time the second attempt begins; none while that is not known.
    fn hedge_after(&self) -> Option<Duration> {
        match self.view.pool(self.pool).retry.hedge? {
            Hedge::After(after) => Some(after),
            Hedge::Percentile(share) => self.view.pools[self.pool as usize].pace.borrow().percentile(share),
        }
    }

    /// The second attempt, if there is a node and a budget for it.
    async fn second_lane(&mut self) -> Option<Lane<'a>> {
        self.context_mut().now = Instant::now();
        if !self.has_another_node() {
            self.count_hedge(HedgeOutcome::NoNode);
            return None;
        }
        if !self.withdraw_retry() {
            self.count_hedge(HedgeOutcome::Budget);
            return None;
        }
        self.leave_out_picked();
        if let Ok(()) = self.begin_attempt().await
            && let Ok(in_flight) = self.count_attempt()
        {
            return Some(self.lane(in_flight));
        }
        // Others were faster, or a policy does not want it.
        self.attempts -= 1;
        self.count_hedge(HedgeOutcome::NoNode);
        None
    }

    fn lane(&mut self, in_flight: InFlight) -> Lane<'a> {
        let link = match self.take_idle(in_flight.node().spec.address) {
            Some(connection) => Link::Open(connection),
            None => self.dial(&in_flight),
        };
        Lane { in_flight, attempt: self.attempts, policy: self.policy, link, written: 0 }
    }

    fn dial(&mut self, in_flight: &InFlight) -> Link {
        let limit = self.view.pool(self.pool).connect_timeout;
        self.timeouts.start(Limit::Connect, Some(limit), &self.connection.deadline);
        let address = in_flight.node().spec.address;
        match self.shared_opening(address) {
            Ok(None) => Link::Opening(Box::pin(self.opening(address).open())),
            Ok(Some(opening)) => Link::Opening(Box::pin(opening.open_beside())),
            Err(error) => Link::Opening(Box::pin(std::future::ready(Err(error)))),
        }
    }

    fn poll_race(&mut self, cx: &mut Task<'_>, lanes: &mut [Lane<'_>]) -> Poll<Event> {
        for (place, lane) in lanes.iter_mut().enumerate() {
            if let Poll::Ready(result) = self.poll_lane(cx, lane) {
                return Poll::Ready(Event::Ended(place, result));
            }
        }
        let client = &mut *self.connection;
        let (mut reader, _) = client.stream.split();
        if self.framing.keep_alive
            && poll_gone(cx, &mut reader, &mut client.buffer, &self.worker.buffers).is_ready()
        {
            return Poll::Ready(Event::Ended(0, Err(Error::ClientGone)));
        }
        loop {
            ready!(self.connection.deadline.poll_elapsed(cx));
            let limit = self.timeouts.first(&self.connection.deadline);
            if limit == Limit::Hedge {
                return Poll::Ready(Event::Due);
            }
            let may_end = limit != Limit::Ejected || lanes.len() > 1 || self.can_leave_node();
            match lanes.iter().position(|lane| lane.is_under(limit)) {
                Some(place) if may_end => {
                    return Poll::Ready(Event::Ended(place, Err(Error::Late(limit))));
                }
                // Whoever it was for is past it, or nobody's time to leave has come yet.
                _ => {
                    let again = (limit == Limit::Ejected).then_some(EJECTION_LOOK);
                    self.timeouts.start(limit, again, &self.connection.deadline);
                }
            }
        }
    }

    fn poll_lane(&mut self, cx: &mut Task<'_>, lane: &mut Lane<'_>) -> Poll<Result<ResponseFraming, Error>> {
        loop {
            match &mut lane.link {
                Link::Opening(opening) => {
                    let connection = ready!(opening.as_mut().poll(cx))?;
                    self.head_went_out(&connection);
                    if connection.stream.as_http2().is_some() {
                        self.await_first_byte();
                    }
                    lane.link = Link::Open(connection);
                }
                Link::Open(connection) => {
                    match ready!(self.poll_connection(cx, connection, &mut lane.written)) {
                        Err(Error::NodeClosed)
                            if connection.was_idle() && self.may_write_again(lane.written) =>
                        {
                            lane.written = 0;
                            lane.link = self.dial(&lane.in_flight);
                        }
                        result => return Poll::Ready(result),
                    }
                }
            }
        }
    }

    /// Writes what is left of the request, and reads the head of the answer into the context.
    fn poll_connection(
        &mut self,
        cx: &mut Task<'_>,
        connection: &mut NodeConnection,
        written: &mut usize,
    ) -> Poll<Result<ResponseFraming, Error>> {
        let request = self.upload.as_mut().expect("a race begins with it").bodiless();
        if *written < request.len() {
            let (_, mut writer) = connection.stream.split();
            // A node may have answered before it stopped to listen: what it sent decides.
            let _ = writer.poll_write(cx, [request, b"", b""], written);
            if *written == request.len() {
                self.await_first_byte();
            }
        }
        let context = self.context.as_mut().expect("no plugin is being called");
        poll_response(cx, connection, context, &self.worker.buffers)
    }

    /// The same as `may_resend` of `resend.rs`, for a request of which so much went out.
    fn may_write_again(&self, written: usize) -> bool {
        if written == 0 {
            return true;
        }
        let is_granted = self.withdraw_retry();
        if is_granted {
            self.view.pools[self.pool as usize].metrics.retry(RetryReason::Reused);
        }
        is_granted
    }

    /// From here on the request's attempt is this one, and so many of its bytes went out.
    fn turn_to(&mut self, lane: &Lane<'a>, seen: usize) {
        self.policy = lane.policy;
        let context = self.context_mut();
        context.attempt = lane.attempt;
        context.node = Some(lane.in_flight.node().clone());
        if let Some(upload) = &mut self.upload {
            upload.went_out(seen);
        }
    }

    /// Whether the other lane need not be waited for. An answer that would be tried again does not count yet.
    fn is_decisive(&self, result: &Result<ResponseFraming, Error>) -> bool {
        match result {
            Ok(_) => !self.view.pool(self.pool).retry.covers_status(self.context().response.status),
            Err(error) => matches!(error, Error::ClientGone),
        }
    }

    /// One lane failed, and the other goes on.
    async fn drop_out(&mut self, mut lane: Lane<'a>, result: Result<ResponseFraming, Error>) {
        let error = result.as_ref().err();
        self.tell(&mut lane.in_flight, error).await;
        self.note_failure(error);
        if lane.is_second() {
            self.count_hedge(HedgeOutcome::Failed);
        }
        if let (Link::Open(connection), Ok(framing)) = (lane.link, result) {
            self.discard(NodeResponse { connection, framing });
        }
    }

    /// What the pace learns: how long the first attempt took. Of one that was overtaken, all that is known is that it took
    /// longer than the second had to wait for.
    fn time_of_first(
        &self,
        ended: &Lane<'_>,
        others: &[Lane<'_>],
        result: &Result<ResponseFraming, Error>,
        after: Option<Duration>,
    ) -> Option<Duration> {
        match result {
            Ok(_) if !ended.is_second() && self.is_decisive(result) => {
                Some(ended.in_flight.started().elapsed())
            }
            Ok(_) if !others.is_empty() => after,
            _ => None,
        }
    }

    /// One lane has the answer, or nobody waits for one, or it is the last that failed.
    async fn end_race(
        &mut self,
        lane: Lane<'a>,
        others: Vec<Lane<'a>>,
        result: Result<ResponseFraming, Error>,
    ) -> (InFlight, Result<NodeResponse, Error>) {
        match &result {
            Err(error) if lane.is_second() && others.is_empty() && !matches!(error, Error::ClientGone) => {
                self.count_hedge(HedgeOutcome::Failed);
            }
            Ok(_) if lane.is_second() => self.count_hedge(HedgeOutcome::Won),
            _ if lane.is_second() || !others.is_empty() => self.count_hedge(HedgeOutcome::Lost),
            _ => {}
        }
        for other in others {
            other.give_up(result.is_ok());
        }
        let ended = [Limit::Connect, Limit::FirstByte, Limit::Hedge, Limit::Ejected];
        self.timeouts.stop(&ended, &self.connection.deadline);
        let result = match (lane.link, result) {
            (Link::Open(connection), Ok(framing)) => self.follow(connection, framing, &lane.in_flight).await,
            (Link::Opening(_), Ok(_)) => Err(Error::NodeClosed),
            (_, Err(error)) => Err(error),
        };
        (lane.in_flight, result)
    }

    /// Goes on as any attempt does whose head is there: it may not be the last one.
    async fn follow(
        &mut self,
        mut connection: NodeConnection,
        mut framing: ResponseFraming,
        attempt: &InFlight,
    ) -> Result<NodeResponse, Error> {
        if !self.is_final(&mut connection).await? {
            framing = self.await_head(&mut connection, attempt).await?;
        }
        Ok(NodeResponse { connection, framing })
    }

    fn count_hedge(&self, outcome: HedgeOutcome) {
        self.view.pools[self.pool as usize].metrics.hedge(outcome);
    }
}

impl Lane<'_> {
    /// Whether it is the hedge.
    fn is_second(&self) -> bool {
        self.attempt > 1
    }

    /// Whether this limit is over for this lane as well, when it is.
    fn is_under(&self, limit: Limit) -> bool {
        match (limit, &self.link) {
            (Limit::Connect, link) => matches!(link, Link::Opening(_)),
            (Limit::FirstByte, Link::Open(connection)) => connection.buffer.is_empty(),
            (Limit::FirstByte, Link::Opening(_)) => false,
            (Limit::Ejected, _) => self.in_flight.is_forsaken(),
            _ => true,
        }
    }

    /// Ends it so that its node sees at once that nobody waits any more, and does not pass for fast if it was overtaken.
    fn give_up(self, overtaken: bool) {
        if overtaken {
            self.in_flight.overtaken(Instant::now());
        }
        if let Link::Open(connection) = self.link {
            connection.stream.reset();
        }
    }
}
