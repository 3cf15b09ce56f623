//! The chance of a simulation, the same for a seed in each run.

use crate::random;

/// How much there is to do for a request. It is drawn when the request arrives, so that all policies meet the same requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Exponentially distributed, with a mean of 1.
    pub(super) amount: f64,
    /// Even, from 0 to 1: says which kind it is of.
    pub(super) kind: f64,
}

/// A sequence of draws.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        random::next(&mut self.0)
    }

    pub(super) fn work(&mut self) -> Work {
        Work { amount: self.exponential(), kind: self.share() }
    }

    /// Above 0 and below 1, evenly.
    fn share(&mut self) -> f64 {
        // The middle of one of 2^53 equal parts.
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Exponentially distributed, with a mean of 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -self.share().ln()
    }
}
