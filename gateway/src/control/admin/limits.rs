//! What is limited, and how near the limits are, for /snapshot and /metrics.

use serde::Serialize;

use crate::snapshot::{Pool, Snapshot};
use crate::telemetry::{Exposition, Kind};
use crate::transport::room::Room;

/// A pool's limits as /snapshot shows them.
#[derive(Serialize)]
pub(super) struct LimitsRow {
    in_flight: u32,
    /// How many may be in flight now; none if that is not limited.
    limit: Option<u32>,
    in_flight_per_node: Option<u32>,
    adaptive: bool,
    waiting: u32,
    queue: u32,
}

impl LimitsRow {
    pub(super) fn of(pool: &Pool) -> Option<LimitsRow> {
        let limits = pool.limits.as_ref()?;
        Some(LimitsRow {
            in_flight: pool.gate.in_flight(),
            limit: limit(pool),
            in_flight_per_node: limits.per_node,
            adaptive: limits.adaptive.is_some(),
            waiting: pool.gate.waiting(),
            queue: limits.queue,
        })
    }
}

/// Clients' connections as /snapshot shows them.
#[derive(Serialize)]
pub(super) struct ConnectionsRow {
    open: u32,
    /// As far as descriptors go.
    limit: u32,
    short_of_memory: bool,
}

impl ConnectionsRow {
    pub(super) fn of(room: &Room) -> ConnectionsRow {
        ConnectionsRow { open: room.open(), limit: room.most(), short_of_memory: room.is_short_of_memory() }
    }
}

fn limit(pool: &Pool) -> Option<u32> {
    pool.limits.as_ref().map(|limits| limits.most(&pool.gate)).filter(|most| *most < u32::MAX)
}

pub(super) fn write(text: &mut Exposition, snapshot: &Snapshot) {
    let mut family = |name: &str, help: &str, read: &dyn Fn(&Pool) -> Option<u32>| {
        let mut family = text.family(name, Kind::Gauge, help);
        for pool in snapshot.pools.iter().filter(|pool| pool.limits.is_some()) {
            if let Some(value) = read(pool) {
                family.sample(&[("pool", pool.name.as_str())], value);
            }
        }
    };
    let help = "Requests in flight in a pool with limits.";
    family("bascule_pool_in_flight", help, &|pool| Some(pool.gate.in_flight()));
    let help = "Requests that wait in a pool's queue.";
    family("bascule_pool_waiting", help, &|pool| Some(pool.gate.waiting()));
    family("bascule_pool_limit", "How many requests of a pool may be in flight now.", &limit);
    let room = &snapshot.room;
    let help = "How many clients' connections there are descriptors for.";
    text.family("bascule_connections_limit", Kind::Gauge, help).sample(&[], room.most());
    let help = "1 while requests and connections are turned away for lack of memory.";
    text.family("bascule_short_of_memory", Kind::Gauge, help)
        .sample(&[], u8::from(room.is_short_of_memory()));
}
