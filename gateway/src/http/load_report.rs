//! Load reports of nodes, as gRPC's and Envoy's ORCA has them in response fields.
//!
//! `endpoint-load-metrics` holds a word for its form and then a list of pairs (`TEXT`) or an object (`JSON`). The form `BIN` and
//! the field `endpoint-load-metrics-bin` hold a protocol buffer, which is not read here. A report comes from a node, and
//! nodes make mistakes: its length and the number of its metrics are bounded, and what is no number is left out.

use serde_json::Value;

/// The field that holds a report.
pub const FIELD: &str = "endpoint-load-metrics";
/// The one that holds a report as a protocol buffer.
pub const BINARY_FIELD: &str = "endpoint-load-metrics-bin";

/// A longer report is not read. ORCA's own numbers take some 100 bytes.
const LONGEST: usize = 4096;
/// So many numbers of a report are read; the others are left out.
const MOST: usize = 16;

/// A report that cannot be read: another form, not as its form says, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Hands each number of a report to `each`, with its name: `orca.cpu_utilization`, or `orca.named.queue` for the key
/// `queue` of `named_metrics`.
///
/// # Errors
/// [`Unreadable`]; then no number was handed on.
pub fn read(report: &[u8], mut each: impl FnMut(&str, f64)) -> Result<(), Unreadable> {
    if report.len() > LONGEST {
        return Err(Unreadable);
    }
    let text = std::str::from_utf8(report).map_err(|_| Unreadable)?;
    let (form, body) = text.trim().split_once(' ').ok_or(Unreadable)?;
    let mut left = MOST;
    let mut each = |name: &str, value: f64| {
        if left > 0 && value.is_finite() && !name.is_empty() {
            left -= 1;
            each(&signal_name(name), value);
        }
    };
    match form {
        "TEXT" => read_text(body, &mut each),
        "JSON" => read_json(body, &mut each)?,
        _ => return Err(Unreadable),
    }
    Ok(())
}

fn read_text(body: &str, each: &mut impl FnMut(&str, f64)) {
    let pairs = body.split(',').filter_map(|pair| pair.split_once('='));
    for (name, value) in pairs {
        if let Ok(value) = value.trim().parse() {
            each(name.trim(), value);
        }
    }
}

fn read_json(body: &str, each: &mut impl FnMut(&str, f64)) -> Result<(), Unreadable> {
    let Ok(Value::Object(report)) = serde_json::from_str(body) else { return Err(Unreadable) };
    for (name, value) in &report {
        match value {
            Value::Number(number) => each(name, number.as_f64().unwrap_or(f64::NAN)),
            Value::Object(group) => {
                for (key, value) in group {
                    each(&format!("{name}.{key}"), value.as_f64().unwrap_or(f64::NAN));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name under which policies know a number. ORCA's own names are written in both of JSON's ways by those who print
/// protocol buffers: `cpuUtilization` is `cpu_utilization`. Names that nodes give are kept as they are.
fn signal_name(name: &str) -> String {
    let (group, key) = name.split_once('.').map_or((name, None), |(group, key)| (group, Some(key)));
    let mut signal = String::from("orca.");
    for letter in group.chars() {
        if letter.is_ascii_uppercase() {
            signal.push('_');
        }
        signal.push(letter.to_ascii_lowercase());
    }
    match key {
        Some(key) if signal == "orca.named_metrics" => format!("orca.named.{key}"),
        Some(key) => format!("{signal}.{key}"),
        None => signal,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbers(report: &str) -> Result<Vec<(String, f64)>, Unreadable> {
        let mut numbers = Vec::new();
        read(report.as_bytes(), |name, value| numbers.push((name.to_owned(), value)))?;
        numbers.sort_by(|one, two| one.0.cmp(&two.0));
        Ok(numbers)
    }

    #[test]
    fn both_forms_say_the_same() {
        let expected = [
            ("orca.cpu_utilization", 0.3),
            ("orca.eps", 1.0),
            ("orca.mem_utilization", 0.8),
            ("orca.named.queue", 3.0),
            ("orca.request_cost.Db", 0.5),
            ("orca.rps_fractional", 10.0),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        for report in [
            "TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10, eps=1,named_metrics.queue=3, request_cost.Db=5e-1",
            "JSON {\"cpu_utilization\": 0.3, \"mem_utilization\": 0.8, \"rps_fractional\": 10.0, \"eps\": 1, \
             \"named_metrics\": {\"queue\": 3}, \"request_cost\": {\"Db\": 0.5}}",
            " JSON {\"cpuUtilization\":0.3,\"memUtilization\":0.8,\"rpsFractional\":10,\"eps\":1,\"namedMetrics\":{\"queue\":3},\"requestCost\":{\"Db\":0.5}}",
        ] {
            assert_eq!(numbers(report).unwrap(), expected, "{report}");
        }
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        for report in [
            "TEXT a=1,b=,c,=2,d=x,e=NaN,f=inf,,",
            "JSON {\"a\":1,\"b\":null,\"c\":\"2\",\"d\":[1],\"e\":{\"f\":true}}",
        ] {
            assert_eq!(numbers(report).unwrap(), [("orca.a".to_owned(), 1.0)], "{report}");
        }
        assert_eq!(numbers("TEXT  ").map(|numbers| numbers.len()), Err(Unreadable));
        assert_eq!(numbers("JSON {}").map(|numbers| numbers.len()), Ok(0));
    }

    #[test]
    fn other_forms_and_nonsense_are_unreadable() {
        let deep = format!("JSON {}", "[".repeat(3000));
        let long = format!("TEXT a=1{}", " ".repeat(LONGEST));
        for report in
            ["", "TEXT", "BIN AAAA", "text a=1", "{\"a\":1}", "JSON [1]", "JSON {\"a\":1", &deep, &long]
        {
            assert_eq!(numbers(report), Err(Unreadable), "{report}");
        }
        assert_eq!(read(b"TEXT a=\xff", |_, _| panic!("nothing is handed on")), Err(Unreadable));
    }

    #[test]
    fn a_report_has_so_many_numbers_at_most() {
        let pairs: Vec<_> = (0..100).map(|number| format!("m{number}=1")).collect();
        assert_eq!(numbers(&format!("TEXT {}", pairs.join(","))).unwrap().len(), MOST);
    }
}
