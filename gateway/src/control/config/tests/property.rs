//! Whatever stands in a file, there is an answer, and each error says where.

use std::path::Path;

use proptest::prelude::*;

use super::Invented;
use crate::control::config::{Errors, load_from};

/// Each error begins with a place in one of the files, and the place exists.
fn places_exist(errors: &Errors, text: &str) -> Result<(), TestCaseError> {
    for error in errors.iter() {
        let shown = error.to_string();
        let rest = shown.strip_prefix("bascule.toml:");
        prop_assert!(rest.is_some(), "{shown}");
        let mut parts = rest.unwrap_or_default().splitn(3, ':');
        let mut number = || parts.next().and_then(|number| number.parse::<usize>().ok());
        let (line, column) = (number(), number());
        prop_assert!(
            line.is_some_and(|line| (1..=text.matches('\n').count() + 1).contains(&line)),
            "{shown}"
        );
        prop_assert!(
            column.is_some_and(|column| (1..=text.chars().count() + 1).contains(&column)),
            "{shown}"
        );
    }
    prop_assert!(errors.count() > 0);
    Ok(())
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let outside = Invented::default().file("bascule.toml", bytes);
    match load_from(Path::new("bascule.toml"), &outside) {
        Ok(config) => prop_assert!(!config.listeners.is_empty()),
        Err(errors) => places_exist(&errors, &String::from_utf8_lossy(bytes))?,
    }
    Ok(())
}

/// Pieces (a regular expression is a strategy) that a configuration is made of, so that some of the texts get past the TOML.
fn piece() -> impl Strategy<Value = String> {
    let words = "include|gateway|sessions|admin|plugins|plugin|listener|route|pool|defaults|a|b|Ä|limits|address|nodes";
    let keys = "host|path|path_exact|methods|headers|filters|timeout|policy|weight|labels|config|env|file|grants|token";
    let values =
        r#""a"|"b"|"127\.0\.0\.1:1"|"/x"|"1s"|"\*"|"9MiB"|0|1|-1|1\.5|true|1979-05-27|inf|"""|\[\]|\{\}|"ä""#;
    let marks = r"[\[\]{}=,.\n\n\n #'\x22\r\t]";
    prop_oneof![words, keys, values, marks]
}

/// Lines that are mostly well-formed, with a few values that fit and many that do not.
fn lines() -> impl Strategy<Value = String> {
    let header =
        r"\[(pool|route|listener|plugin)\.[ab]\]|\[(gateway|admin|sessions|plugins|defaults\.(pool|route))\]";
    let key = "nodes|policy|host|path|path_exact|methods|headers|filters|pool|timeout|address|token|workers|config|limits";
    let value = r#""a"|"/x"|"1s"|"127\.0\.0\.1:1"|\["a", "a"\]|\["127\.0\.0\.1:1", 1\]|\{ a = "b" \}|\{ env = "X" \}|[01]|1\.5"#;
    let pair = (key, value).prop_map(|(key, value)| format!("{key} = {value}"));
    let line = prop_oneof![header, pair];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes)?;
    }

    #[test]
    fn any_text(text in any::<String>()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(piece(), 0..40)) {
        check(pieces.concat().as_bytes())?;
    }

    #[test]
    fn any_lines(text in lines()) {
        check(text.as_bytes())?;
    }
}
