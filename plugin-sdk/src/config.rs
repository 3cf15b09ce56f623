//! From the configuration as JSON text to a plugin's own type, with errors that name the key.

use serde::de::DeserializeOwned;

/// Parses a configuration. An error begins with the path of the key that is wrong, where it is known.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = [" at line ", &error.line().to_string(), " column ", &error.column().to_string()].concat();
    let said = said.strip_suffix(&place).unwrap_or(&said);
    // People write keys, serde speaks of fields.
    let said = said.replacen("unknown field", "unknown key", 1).replacen("missing field", "missing key", 1);
    // An error without a place comes from within an untagged or flattened type.
    let path = if error.line() == 0 { String::new() } else { path_at(text, offset(text, error)) };
    if path.is_empty() { said } else { [path.as_str(), ": ", &said].concat() }
}

/// How many bytes serde_json had read when it failed: its lines count from 1, its columns are bytes.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum();
    (before + error.column()).min(text.len())
}

/// A table or list that is open at some place of the text.
enum Open {
    Table { key: Option<String>, in_value: bool },
    List { index: usize },
}

/// The path of the key at `end`: `request.set` or `rules[2].percent`. The text up to there is valid JSON.
fn path_at(text: &str, end: usize) -> String {
    let bytes = &text.as_bytes()[..end];
    let mut open = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => open.push(Open::Table { key: None, in_value: false }),
            b'[' => open.push(Open::List { index: 0 }),
            b'}' | b']' => drop(open.pop()),
            b':' => {
                if let Some(Open::Table { in_value, .. }) = open.last_mut() {
                    *in_value = true;
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Table { key, in_value }) => (*key, *in_value) = (None, false),
                Some(Open::List { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                let close = string_end(bytes, at);
                if let Some(Open::Table { key, in_value: false }) = open.last_mut() {
                    *key = serde_json::from_slice(&bytes[at..close]).ok();
                }
                at = close - 1;
            }
            _ => {}
        }
        at += 1;
    }
    joined(&open)
}

/// The end of the string that starts at `start`, behind its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn joined(open: &[Open]) -> String {
    let mut path = String::new();
    for level in open {
        match level {
            Open::Table { key: Some(key), .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Open::Table { key: None, .. } => {}
            Open::List { index } => path.push_str(&["[", &index.to_string(), "]"].concat()),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are of interest")]
    struct Config {
        #[serde(default)]
        rules: Vec<Rule>,
        deep: Option<Deep>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are of interest")]
    struct Rule {
        pool: String,
        percent: Option<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are of interest")]
    struct Deep {
        er: Option<Box<Config>>,
    }

    fn error(text: &str) -> String {
        parse::<Config>(text).expect_err("the text is wrong")
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert_eq!(error(r#"{"rule": []}"#), "rule: unknown key `rule`, expected `rules` or `deep`");
    }

    #[test]
    fn a_wrong_type_names_the_path() {
        let text = r#"{"rules": [{"pool": "a, \"b\" {"}, {"pool": "b", "percent": "ten"}]}"#;
        assert_eq!(error(text), r#"rules[1].percent: invalid type: string "ten", expected u8"#);
    }

    #[test]
    fn a_missing_key_names_its_table() {
        assert_eq!(error(r#"{"rules": [{"percent": 3}]}"#), "rules[0]: missing key `pool`");
    }

    #[test]
    fn lines_count() {
        let text = "{\n  \"deep\": {\n    \"er\": { \"rules\": [ { \"pool\": 7 } ] }\n  }\n}";
        assert_eq!(error(text), "deep.er.rules[0].pool: invalid type: integer `7`, expected a string");
    }

    #[test]
    fn a_table_in_place_of_a_list() {
        assert_eq!(error(r#"{"deep": {}, "rules": {}}"#), "rules: invalid type: map, expected a sequence");
    }
}
