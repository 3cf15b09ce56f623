//! What one gateway sees of one node, by the gateway's own formulas.
//!
//! They are those of gateway/src/node/average.rs and live/waits.rs, without atomics, and to the same rounding; a test of the
//! gateway feeds both the same attempts and compares what they say.

use std::time::Duration;

/// So many requests in flight have their age watched.
const WATCHED: usize = 12;
/// After so many milliseconds a sample counts 1/e of what it did.
const TIME_CONSTANT: f32 = 10_000.0;
/// The same for samples of the service time.
const SERVICE_TIME_CONSTANT: f32 = 2_000.0;
/// One attempt in the fixed point of the error rate.
const ONE: u32 = 1 << 10;
/// The error rate is aged in steps of so many milliseconds.
const TICK: u32 = 100;

/// What a gateway sees of a node: counts, moving averages, the age of what is in flight.
///
/// Times count from the start of the simulation, and are kept to the millisecond as in the gateway.
#[derive(Clone, Debug, Default)]
pub struct View {
    in_flight: u32,
    latency: Average,
    service: Average,
    attempts: u32,
    failures: u32,
    aged: u32,
    /// When watched requests started; 0 is a free slot.
    starts: [u32; WATCHED],
}

/// A value and when it was fed last; a value of 0 is unknown.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    value: f32,
    time: u32,
}

/// An attempt in flight, as the view that began it knows it.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    started: Duration,
    others: u32,
    slot: Option<u8>,
}

impl View {
    /// Counts an attempt that starts now.
    pub fn begin(&mut self, now: Duration) -> Flight {
        let others = self.in_flight;
        self.in_flight += 1;
        let slot = (0..WATCHED).map(|step| (others as usize + step) % WATCHED);
        let slot = slot.into_iter().find(|slot| self.starts[*slot] == 0);
        if let Some(slot) = slot {
            self.starts[slot] = millis(now).max(1);
        }
        Flight { started: now, others, slot: slot.map(|slot| slot as u8) }
    }

    /// Learns how an attempt went that ends now.
    pub fn end(&mut self, flight: Flight, now: Duration, failed: bool) {
        self.in_flight -= 1;
        if let Some(slot) = flight.slot {
            self.starts[usize::from(slot)] = 0;
        }
        let micros = (now.saturating_sub(flight.started)).as_micros().clamp(1, u128::from(u32::MAX)) as f32;
        let now = millis(now);
        self.count(failed, now);
        self.feed_service(micros / (flight.others as f32 + 1.0), failed, now);
        self.feed_latency(micros, failed, now);
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Peak-sensitive moving average of the latency, in microseconds; 0 if unknown.
    pub fn latency(&self, now: Duration) -> u32 {
        self.latency.faded(millis(now))
    }

    /// Moving average of the time that one request takes, queues aside, in microseconds; 0 if unknown.
    pub fn service(&self, now: Duration) -> u32 {
        self.service.faded(millis(now))
    }

    /// Moving average of the share of attempts that failed, in thousandths.
    pub fn error_rate(&self, now: Duration) -> u32 {
        if self.failures == 0 {
            return 0;
        }
        let left = kept(age(millis(now), self.aged), TIME_CONSTANT);
        let (attempts, failures) = (self.attempts as f32 * left, self.failures as f32 * left);
        (failures * 1000.0 / (attempts + ONE as f32)) as u32
    }

    /// Age of the oldest request in flight, in microseconds.
    pub fn oldest(&self, now: Duration) -> u32 {
        if self.in_flight == 0 {
            return 0;
        }
        let now = millis(now);
        let ages = self.starts.iter().map(|start| if *start == 0 { 0 } else { age(now, *start) });
        ages.max().unwrap_or(0).saturating_mul(1000)
    }

    fn count(&mut self, failed: bool, now: u32) {
        let elapsed = age(now, self.aged);
        if elapsed >= TICK {
            let left = kept(elapsed, TIME_CONSTANT);
            self.attempts = (self.attempts as f32 * left) as u32;
            self.failures = (self.failures as f32 * left) as u32;
            self.aged = now;
        }
        self.attempts += ONE;
        self.failures += if failed { ONE } else { 0 };
    }

    fn feed_latency(&mut self, sample: f32, failed: bool, now: u32) {
        let Average { value, time } = self.latency;
        if failed && value == 0.0 {
            return;
        }
        let elapsed = age(now, time);
        if sample >= value {
            self.latency = Average { value: sample, time: now };
        } else if elapsed > 0 {
            let kept = kept(elapsed, TIME_CONSTANT);
            let value = if failed { value } else { value * kept + sample * (1.0 - kept) };
            self.latency = Average { value: value.max(1.0), time: now };
        }
    }

    fn feed_service(&mut self, sample: f32, failed: bool, now: u32) {
        let sample = sample.max(1.0);
        let Average { value, time } = self.service;
        let elapsed = age(now, time);
        if value == 0.0 {
            if !failed {
                self.service = Average { value: sample, time: now };
            }
        } else if elapsed > 0 && !(failed && sample < value) {
            let kept = kept(elapsed, SERVICE_TIME_CONSTANT);
            self.service = Average { value: value * kept + sample * (1.0 - kept), time: now };
        }
    }
}

impl Average {
    fn faded(self, now: u32) -> u32 {
        if self.value == 0.0 {
            return 0;
        }
        ((self.value * kept(age(now, self.time), TIME_CONSTANT)) as u32).max(1)
    }
}

fn millis(time: Duration) -> u32 {
    time.as_millis() as u32
}

fn age(now: u32, then: u32) -> u32 {
    now.saturating_sub(then)
}

/// What is left of a sample after so many milliseconds.
fn kept(millis: u32, time_constant: f32) -> f32 {
    if millis == 0 { 1.0 } else { (-(millis as f32) / time_constant).exp() }
}
