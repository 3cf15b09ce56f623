//! Nodes that tests write down.

use std::time::Duration;

/// A node of the test: `|node| node.in_flight(3).weight(2).zone("b")`. It starts idle, unknown, with weight 1.
#[derive(Clone, Debug)]
pub struct TestNode {
    pub(crate) id: String,
    pub(crate) in_flight: u32,
    pub(crate) latency: u32,
    pub(crate) weight: u32,
    pub(crate) error_rate: u32,
    pub(crate) oldest: u32,
    pub(crate) zone: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) draining: bool,
}

impl TestNode {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            in_flight: 0,
            latency: 0,
            weight: 1000,
            error_rate: 0,
            oldest: 0,
            zone: None,
            labels: Vec::new(),
            draining: false,
        }
    }

    /// With so many requests in flight.
    pub fn in_flight(mut self, requests: u32) -> Self {
        self.in_flight = requests;
        self
    }

    /// With this latency to the response head.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = micros(latency);
        self
    }

    /// With this weight, as configuration writes it: 1, 2, 0.5.
    pub fn weight(mut self, weight: impl Into<f64>) -> Self {
        self.weight = (weight.into() * 1000.0).round() as u32;
        self
    }

    /// With this share of failed attempts, 0.0 to 1.0.
    pub fn error_rate(mut self, share: f64) -> Self {
        self.error_rate = (share * 1000.0).round() as u32;
        self
    }

    /// With an oldest request in flight of this age.
    pub fn oldest(mut self, age: Duration) -> Self {
        self.oldest = micros(age);
        self
    }

    /// In this zone.
    pub fn zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// With a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Draining: no candidate, but `find` reaches it.
    pub fn draining(mut self) -> Self {
        self.draining = true;
        self
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
