//! Whether a new connection is let in; and what those are told for whom there is no room.
//!
//! They get a 503 with Retry-After rather than a closed connection, which a client could not tell from a broken gateway,
//! and which a load balancer would count against it. That takes a moment (see `connection::linger`), so only so many at
//! once are told; all others are closed at once. Either way the listening socket is emptied: a connection that waited in
//! its queue would wait for nothing.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use super::accept::Listener;
use super::connection::{self, Connection};
use super::proxied::Arrival;
use super::worker::Worker;
use crate::name::Name;
use crate::snapshot::{ListenerSpec, Snapshot};
use crate::telemetry::NoRoom;
use crate::transport::room::Entered;

/// So many at once are told, on each worker. Chosen: they fit the reserve of descriptors of a few workers.
const MOST_TOLD: usize = 32;
/// How long a client may take to read it.
const TELLING: std::time::Duration = std::time::Duration::from_secs(1);

impl Worker {
    /// Counts a connection, for as long as the answer is kept; none if there is no room for it.
    pub(super) fn let_in(
        &self,
        snapshot: &Snapshot,
        listener: &ListenerSpec,
        peer: IpAddr,
    ) -> Option<Entered> {
        let entered = if listener.hears(peer) {
            snapshot.room.enter_unknown(&listener.door, listener.limits)
        } else {
            snapshot.room.enter(&listener.door, listener.limits, peer)
        };
        entered.map_err(|why| self.note_no_room(&listener.name, why)).ok()
    }

    /// Counts and logs that a connection is turned away.
    pub(super) fn note_no_room(&self, listener: &Name, why: NoRoom) {
        self.metrics.no_room(why);
        self.notices.no_room(listener, why, Instant::now());
    }

    /// Tells a client that there is no room, if not too many are being told.
    pub(super) fn turn_away(self: &Rc<Self>, arrival: Arrival, listener: Rc<Listener>) {
        if self.told.get() >= MOST_TOLD {
            return;
        }
        let mut connection = Connection::plain(self, arrival, listener);
        self.told.set(self.told.get() + 1);
        let worker = self.clone();
        tokio::task::spawn_local(async move {
            connection.deadline.set(TELLING);
            let (_, mut writer) = connection.stream.split();
            let seconds = fastrand::u32(1..=3);
            let answer = format!(
                "HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
            if matches!(connection.deadline.race(writer.write_all(answer.as_bytes())).await, Ok(Ok(()))) {
                connection::linger(&worker, connection).await;
            }
            worker.told.set(worker.told.get() - 1);
        });
    }
}
