//! Prometheus' text format, version 0.0.4: families of samples with escaped labels.
//!
//! It writes what it is given: which numbers there are is known elsewhere.

use std::fmt::{Display, Write};

use super::counters::LATENCY_BUCKETS;

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// The text of one scrape.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The content type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a family. Each name must be opened once, with all its samples together, as the format wants.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        put(&mut self.0, format_args!("# HELP {name} {help}\n# TYPE {name} {word}\n"));
        Family { text: &mut self.0, name }
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// An open family.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    /// Writes one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, &value);
    }

    /// Writes a latency histogram: each bucket alone (the last one has no bound), and the sum in microseconds.
    pub fn latencies(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[u64; LATENCY_BUCKETS.len() + 1],
        sum: u64,
    ) {
        self.histogram(labels, &LATENCY_BUCKETS, buckets, sum);
    }

    /// Writes a histogram with these upper bounds in microseconds, one fewer than there are buckets.
    pub fn histogram(&mut self, labels: &[(&str, &str)], bounds: &[u64], buckets: &[u64], sum: u64) {
        let mut so_far = 0;
        for (index, count) in buckets.iter().enumerate() {
            so_far += count;
            let bound = bounds.get(index).map_or("+Inf".to_owned(), |micros| seconds(*micros).to_string());
            self.line("_bucket", &[labels, &[("le", &bound)]].concat(), &so_far);
        }
        self.line("_sum", labels, &seconds(sum));
        self.line("_count", labels, &so_far);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: &dyn Display) {
        put(self.text, format_args!("{}{suffix}", self.name));
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            put(self.text, format_args!("{opening}{label}=\"{}\"", escaped(text)));
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        put(self.text, format_args!("{closing} {value}\n"));
    }
}

/// A label's value in its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::new();
        text.family("x_total", Kind::Counter, "one\nline").sample(&[("a", "q\"b\\s\nn"), ("b", "")], 3);
        assert_eq!(
            text.into_text(),
            "# HELP x_total one\\nline\n# TYPE x_total counter\nx_total{a=\"q\\\"b\\\\s\\nn\",b=\"\"} 3\n"
        );
    }

    #[test]
    fn buckets_are_added_up() {
        let mut text = Exposition::new();
        let mut buckets = [0; LATENCY_BUCKETS.len() + 1];
        (buckets[0], buckets[1], buckets[13]) = (2, 1, 4);
        text.family("t_seconds", Kind::Histogram, "h").latencies(&[("route", "r")], &buckets, 2_500_000);
        let text = text.into_text();
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} in {text}");
        has("t_seconds_bucket{route=\"r\",le=\"0.001\"} 2");
        has("t_seconds_bucket{route=\"r\",le=\"0.0025\"} 3");
        has("t_seconds_bucket{route=\"r\",le=\"10\"} 3");
        has("t_seconds_bucket{route=\"r\",le=\"+Inf\"} 7");
        has("t_seconds_sum{route=\"r\"} 2.5");
        has("t_seconds_count{route=\"r\"} 7");
    }
}
