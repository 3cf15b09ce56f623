//! Which requests are of gRPC, and what times and statuses mean.

use super::*;

fn with(name: &str, value: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.add(name.as_bytes(), value.as_bytes());
    head
}

#[test]
fn a_request_of_grpc_is_known_by_its_content_type() {
    for value in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=x"] {
        assert!(is_grpc(&with("Content-Type", value)), "{value}");
    }
    for value in ["application/grpc-web", "application/grp", "application/json", ""] {
        assert!(!is_grpc(&with("content-type", value)), "{value}");
    }
}

#[test]
fn a_timeout_is_up_to_eight_digits_and_a_unit() {
    for (value, time) in [
        ("1H", Some(Duration::from_secs(3600))),
        ("2M", Some(Duration::from_secs(120))),
        ("3S", Some(Duration::from_secs(3))),
        ("99999999m", Some(Duration::from_millis(99_999_999))),
        ("5u", Some(Duration::from_micros(5))),
        ("0n", Some(Duration::ZERO)),
        ("100000000m", None),
        ("S", None),
        ("", None),
        ("-1S", None),
        ("1.5S", None),
        ("1s", None),
    ] {
        assert_eq!(timeout(&with(TIMEOUT, value)), time, "{value:?}");
    }
}

#[test]
fn what_is_left_is_written_as_finely_as_eight_digits_allow() {
    for (left, value) in [
        (Duration::ZERO, "1n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_millis(100), "100000u"),
        (Duration::from_secs(15), "15000000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(1_000_000), "1000000S"),
        (Duration::from_secs(u64::MAX), "99999999H"),
    ] {
        assert_eq!(timeout_value(left), value);
        let read = timeout(&with(TIMEOUT, value));
        assert!(left > Duration::from_secs(1 << 32) || read >= Some(left), "never less than is left");
    }
}

#[test]
fn an_error_is_told_by_its_code_and_words() {
    let told = |status| {
        let mut fields = Fields::default();
        tell(Code::of_status(status), status, &mut fields);
        let text = |name| String::from_utf8_lossy(fields.get(name).unwrap_or_default()).into_owned();
        (text(STATUS), text(MESSAGE))
    };
    assert_eq!(told(502), ("14".to_owned(), "Bad Gateway".to_owned()));
    assert_eq!(told(404).0, "12");
    assert_eq!(told(500).0, "2");
    assert_eq!(message("100 %\n\u{e4}"), "100 %25%0A%C3%A4");
}
