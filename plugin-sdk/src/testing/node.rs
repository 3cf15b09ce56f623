//! Nodes that tests write down.

use std::time::Duration;

use super::host::nodes::{Estimate, Load};
use super::simulation::View;

/// A node of the test: `|node| node.in_flight(3).weight(2).zone("b")`. It starts idle, unknown, with weight 1.
#[derive(Clone, Debug)]
pub struct TestNode {
    pub(crate) id: String,
    pub(crate) in_flight: u32,
    pub(crate) latency: u32,
    pub(crate) service: u32,
    pub(crate) weight: u32,
    pub(crate) error_rate: u32,
    pub(crate) oldest: u32,
    pub(crate) zone: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) draining: bool,
    /// In a simulation: what the gateway sees of it, in place of the figures above.
    pub(crate) view: Option<View>,
}

impl TestNode {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            in_flight: 0,
            latency: 0,
            service: 0,
            weight: 1000,
            error_rate: 0,
            oldest: 0,
            zone: None,
            labels: Vec::new(),
            draining: false,
            view: None,
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

    /// With this time for one request, queues aside.
    pub fn service(mut self, time: Duration) -> Self {
        self.service = micros(time);
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

    /// What the host says of it as a candidate with this index.
    pub(crate) fn load(&self, index: u32, now: Duration) -> Load {
        let Self { in_flight, latency, weight, error_rate, oldest, .. } = *self;
        match &self.view {
            None => Load { node: index, in_flight, latency, weight, error_rate, oldest },
            Some(view) => Load {
                node: index,
                in_flight: view.in_flight(),
                latency: view.latency(now),
                weight,
                error_rate: view.error_rate(now),
                oldest: view.oldest(now),
            },
        }
    }

    /// The same with its service time.
    pub(crate) fn estimate(&self, index: u32, now: Duration) -> Estimate {
        let service = self.view.as_ref().map_or(self.service, |view| view.service(now));
        Estimate { load: self.load(index, now), service }
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
