//! Load at a steady pace: requests begin when they are due, whether or not earlier ones are answered, as those of many
//! clients do. A latency counts from when its request was due, so a stall is seen by all that it delays.

use crate::client::Connection;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Kept connections, with a thread for each.
const CONNECTIONS: u64 = 32;

/// What came of the load.
#[derive(Debug, Default)]
pub(crate) struct Paced {
    /// Requests that were sent.
    pub(crate) requests: u64,
    /// Those that were not answered with 200, and why the first was not.
    pub(crate) failed: u64,
    pub(crate) trouble: Option<String>,
    /// Latencies of the unmarked requests in microseconds, ascending.
    pub(crate) plain: Vec<u64>,
    /// Latencies of the marked ones.
    pub(crate) marked: Vec<u64>,
}

impl Paced {
    fn join(mut self, other: Paced) -> Paced {
        self.requests += other.requests;
        self.failed += other.failed;
        self.trouble = self.trouble.or(other.trouble);
        self.plain.extend(other.plain);
        self.marked.extend(other.marked);
        self
    }
}

/// The latency below which this share of an ascending list lies; 0 for an empty one.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

/// Sends `a_second` requests to a port for so long, or until `stop` is set. `fields` names the fields of the request of
/// a number; one that has any is marked.
#[allow(clippy::disallowed_methods, reason = "a client waits until its next request is due")]
pub(crate) fn run(
    port: u16,
    a_second: u64,
    duration: Duration,
    stop: &AtomicBool,
    fields: impl Fn(u64) -> &'static [(&'static str, &'static str)] + Sync,
) -> Paced {
    let start = Instant::now() + Duration::from_millis(50);
    let due = |number: u64| start + Duration::from_nanos(number * 1_000_000_000 / a_second);
    let one = |first: u64| {
        let mut done = Paced::default();
        let mut connection = None;
        for number in (first..).step_by(CONNECTIONS as usize) {
            let due = due(number);
            if due >= start + duration || stop.load(Relaxed) {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let fields = fields(number);
            done.requests += 1;
            match answer(&mut connection, port, fields) {
                Ok(()) if fields.is_empty() => done.plain.push(due.elapsed().as_micros() as u64),
                Ok(()) => done.marked.push(due.elapsed().as_micros() as u64),
                Err(trouble) => {
                    done.failed += 1;
                    done.trouble.get_or_insert(trouble);
                    connection = None;
                }
            }
        }
        done
    };
    let one = &one;
    let mut all = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || one(first))).collect();
        let done = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        done.fold(Paced::default(), Paced::join)
    });
    all.plain.sort_unstable();
    all.marked.sort_unstable();
    all
}

fn answer(connection: &mut Option<Connection>, port: u16, fields: &[(&str, &str)]) -> Result<(), String> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(port).map_err(|error| format!("{error:#}"))?),
    };
    match open.get("/", fields) {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("answered with {}", answer.status)),
        Err(error) => Err(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_list() {
        let list: Vec<u64> = (1..=1000).collect();
        assert_eq!(
            (percentile(&list, 0.5), percentile(&list, 0.999), percentile(&list, 1.0)),
            (500, 999, 1000)
        );
        assert_eq!((percentile(&[7], 0.5), percentile(&[], 0.5)), (7, 0));
    }

    #[test]
    fn what_is_refused_counts_as_failed() {
        // Nobody listens on port 1.
        let done = run(1, 1000, Duration::from_millis(40), &AtomicBool::new(false), |_| &[]);
        assert!(done.requests > 0 && done.failed == done.requests && done.trouble.is_some(), "{done:?}");
    }
}
