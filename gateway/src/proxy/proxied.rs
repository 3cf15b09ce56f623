//! Before anything else on a connection that a proxy passes on: the PROXY header that tells whose it is.
//!
//! It is demanded of the peers that the listener names, and never looked for from others: what those send is a request, if
//! it is anything. From here on the connection is the client's that was told: in limits, logs, fields and plugins alike.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::debug;

use super::accept::Listener;
use super::worker::Worker;
use crate::telemetry::{NoRoom, ProxyHeader, Refused};
use crate::transport::deadline::Elapsed;
use crate::transport::proxy_protocol::{Ends, Header, Malformed, Unread, read};
use crate::transport::room::Entered;

/// A connection before its first byte.
pub(super) struct Arrival {
    pub tcp: TcpStream,
    /// The client.
    pub peer: SocketAddr,
    /// What it connected to, if that is another address than the socket's.
    pub reached: Option<SocketAddr>,
}

impl Worker {
    /// Reads the header of a connection, and counts that as its client's. None if it is closed: its header is none, or the
    /// client has as many connections as it may.
    pub(super) async fn hear(
        self: &Rc<Self>,
        arrival: Arrival,
        listener: &Rc<Listener>,
        entered: &mut Entered,
    ) -> Option<Arrival> {
        let Arrival { mut tcp, peer, .. } = arrival;
        let view = listener.view(self);
        let deadline = self.deadlines.deadline(listener.id.number());
        deadline.set(view.snapshot.settings.head_timeout);
        let heard = deadline.race(read(&mut tcp)).await;
        let (outcome, refused) = counted(&heard);
        self.metrics.proxy_header(outcome);
        if let Some(what) = refused {
            self.metrics.refused(what);
        }
        let spec = view.snapshot.listener(listener.id)?;
        let ends = match heard {
            Ok(Ok(header)) => header.ends,
            Ok(Err(Unread::Malformed(why))) => {
                self.notices.no_header(&spec.name, peer, &why, Instant::now());
                return None;
            }
            // Whoever only looks whether the port is open is no news.
            Ok(Err(error)) => {
                debug!(%peer, %error, "a connection ends early");
                return None;
            }
            Err(Elapsed) => {
                self.notices.no_header(&spec.name, peer, &"none came in time", Instant::now());
                return None;
            }
        };
        let reached = ends.map(|Ends { server, .. }| server);
        let arrival = Arrival { tcp, peer: ends.map_or(peer, |ends| ends.client), reached };
        if entered.belongs_to(&spec.door, spec.limits, arrival.peer.ip()) {
            return Some(arrival);
        }
        self.note_no_room(&spec.name, NoRoom::Client);
        if spec.can_tell() {
            self.turn_away(arrival, listener.clone());
        }
        None
    }
}

/// What came of a header, and what the front door refused by it.
fn counted(heard: &Result<Result<Header, Unread>, Elapsed>) -> (ProxyHeader, Option<Refused>) {
    match heard {
        Ok(Ok(header)) if header.ends.is_some() => (ProxyHeader::Told, None),
        Ok(Ok(_)) => (ProxyHeader::Unknown, None),
        Ok(Err(Unread::Malformed(Malformed::Missing))) => {
            (ProxyHeader::Refused, Some(Refused::ProxyHeaderMissing))
        }
        Ok(Err(Unread::Malformed(_))) => (ProxyHeader::Refused, Some(Refused::ProxyHeaderMalformed)),
        Ok(Err(Unread::Gone(_))) => (ProxyHeader::Gone, None),
        Err(Elapsed) => (ProxyHeader::Late, Some(Refused::SlowProxyHeader)),
    }
}
