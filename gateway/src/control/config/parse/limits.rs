//! What pools, listeners and the process take at once: the numbers have to agree with each other.

use std::num::NonZeroU32;
use std::time::Duration;

use super::health::unless_off;
use super::{Parse, number};
use crate::control::config::error::At;
use crate::control::config::file;
use crate::control::config::reading::{Key, Number, OrOff};
use crate::control::config::resolved::{AdaptiveRange, MinRate, PoolLimits};
use crate::control::config::text::Size;
use crate::control::config::value::AdaptiveWish;

/// Chosen: a short crowd is let through, and a long one is turned away by `queue_timeout` at the latest.
const QUEUE: u32 = 100;
/// Long enough for a moment's crowd, and well below what people and programs wait for an answer.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Where an adaptive limit stops to grow by itself. Chosen: more than one gateway's pools take.
const MOST: u32 = 1000;

/// A client that sends or takes less in [`MIN_RATE_SPAN`] trickles on purpose: 512 bytes a second is a fifth of what GPRS
/// made of a poor line, and the rate that Apache's reqtimeout asks for.
const MIN_RATE_BYTES: Size = Size::bytes(10 * 1024);
/// As Apache's reqtimeout: longer than a phone takes from one cell to the next.
const MIN_RATE_SPAN: Duration = Duration::from_secs(20);

/// Requests on one connection. Chosen: a new connection for so many costs nothing that could be measured, and
/// clients spread anew over workers and gateways.
const REQUESTS: u32 = 10_000;

/// A gateway with some plugins and no connection takes less.
const LEAST_MEMORY: u64 = 64 << 20;

impl Parse {
    /// The limits of a pool; none if they limit nothing, which is noted.
    pub(super) fn pool_limits(&mut self, table: At<file::PoolLimits>) -> Option<PoolLimits> {
        let At { value: limits, place } = table;
        let is_adaptive =
            !matches!(&limits.adaptive, Key::Absent | Key::Is(At { value: AdaptiveWish::Off, .. }));
        if limits.in_flight.is_absent() && limits.in_flight_per_node.is_absent() && !is_adaptive {
            let write = "add `in_flight = 1000`, `in_flight_per_node = 100` or `adaptive = true`";
            self.wrong(&place, "nothing is limited here", write);
            return None;
        }
        if let (Key::Is(At { value: Number(0), .. }), Key::Is(timeout)) =
            (&limits.queue, &limits.queue_timeout)
        {
            self.wrong(&timeout.place, "nobody waits where `queue` is 0", "leave one of the two out");
        }
        let in_flight = limits.in_flight.get().and_then(|at| NonZeroU32::new(at.value.0));
        Some(PoolLimits {
            in_flight,
            in_flight_per_node: self.at_most(limits.in_flight_per_node, in_flight, "in_flight"),
            adaptive: match limits.adaptive {
                Key::Is(At { value: AdaptiveWish::On(range), .. }) => Some(self.adaptive(range, in_flight)),
                _ => None,
            },
            queue: limits.queue.get().map_or(QUEUE, |at| at.value.0),
            queue_timeout: limits.queue_timeout.unless(QUEUE_TIMEOUT),
        })
    }

    fn adaptive(&mut self, range: file::AdaptiveRange, in_flight: Option<NonZeroU32>) -> AdaptiveRange {
        let most = in_flight.map_or(MOST, NonZeroU32::get);
        let max = self.at_most(range.max, in_flight, "in_flight").unwrap_or(number(None, most));
        if let Key::Is(At { value: Number(min), place }) = &range.min
            && *min > max.get()
        {
            let write = format!("write {max} at most, which is what the limit may grow to");
            self.wrong(place, "the least is more than the most", write);
        }
        AdaptiveRange { min: number(range.min.get().map(|at| at.value.0), 1).min(max), max }
    }

    /// How many connections a listener takes, and from each client.
    pub(super) fn connections(
        &mut self,
        connections: Key<Number<1, 10_000_000>>,
        per_client: Key<Number<1, 1_000_000>>,
    ) -> (Option<NonZeroU32>, Option<NonZeroU32>) {
        let connections = connections.get().and_then(|at| NonZeroU32::new(at.value.0));
        (connections, self.at_most(per_client, connections, "connections"))
    }

    /// How many requests a client may make on one connection.
    pub(super) fn requests(key: Key<Number<1, 1_000_000_000>>) -> NonZeroU32 {
        number(key.get().map(|at| at.value.0), REQUESTS)
    }

    /// The pace of a client that is not too slow.
    pub(super) fn min_rate(key: Key<OrOff<file::MinRate>>) -> Option<MinRate> {
        let default = MinRate { bytes: MIN_RATE_BYTES, per: MIN_RATE_SPAN };
        let read = |table: file::MinRate| {
            Some(MinRate { bytes: table.bytes.unless(MIN_RATE_BYTES), per: table.per.unless(MIN_RATE_SPAN) })
        };
        unless_off(key, read, Some(default))
    }

    /// The mark of resident memory. Less than the gateway takes without any request would turn all of them away.
    pub(super) fn memory(&mut self, mark: Key<Size>) -> Option<Size> {
        let At { value: mark, place } = mark.get()?;
        if mark.get() < LEAST_MEMORY {
            self.wrong(&place, "the gateway alone takes more", "write \"64MiB\" or more");
        }
        Some(mark)
    }

    /// A limit that never holds, since the whole takes less, is a slip.
    fn at_most(
        &mut self,
        key: Key<Number<1, 1_000_000>>,
        whole: Option<NonZeroU32>,
        name: &str,
    ) -> Option<NonZeroU32> {
        let At { value: Number(limit), place } = key.get()?;
        if let Some(most) = whole.filter(|most| limit > most.get()) {
            let write = format!("write {most} at most, which is `{name}`, or leave one of the two out");
            self.wrong(&place, format!("{limit} is never reached"), write);
        }
        NonZeroU32::new(limit)
    }
}
