//! Asks a running gateway what became of a plugin file: GET /snapshot of its admin API.
//!
//! A gateway that does not answer is no error: the file is in place, and it will find it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A gateway on this machine answers at once, or is not there.
const TIMEOUT: Duration = Duration::from_secs(2);
/// More than any snapshot has.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What the admin API answered.
pub(super) enum Answer {
    /// The snapshot.
    Snapshot(Value),
    /// None, for this reason: a sentence.
    Silent(String),
}

/// What the gateway knows of a version of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These uses run it; and what they did otherwise on recent requests, if the gateway tried that.
    Runs(Vec<String>, Option<String>),
    /// It does not take it, in its words.
    Refused(String),
    /// It has not looked yet, or says nothing of it.
    Nothing,
    /// It had no content of this file that it could take, when it looked last.
    Unavailable(String),
    /// No use of its configuration has this file.
    Unused,
}

impl News {
    /// In words for the one who saved.
    pub(super) fn told(self, file: &str) -> String {
        match self {
            Self::Runs(uses, replay) => {
                format!("The gateway runs it as {}.{}", uses.join(", "), replay.unwrap_or_default())
            }
            Self::Refused(why) | Self::Unavailable(why) => format!("The gateway does not take it: {why}"),
            Self::Nothing => "The gateway has not said anything of it yet: see its log.".to_owned(),
            Self::Unused => {
                let name = file.trim_end_matches(".wasm").replace('_', "-");
                format!(
                    "The gateway's configuration does not use it yet: write `policy = \"{name}\"` in a pool's table, or \
                     `filters = [\"{name}\"]` in a route's."
                )
            }
        }
    }
}

/// Asks for the snapshot.
pub(super) fn snapshot(admin: SocketAddr, token: Option<&str>) -> Answer {
    let (status, body) = match get(admin, token) {
        Ok(answer) => answer,
        Err(error) => {
            let words =
                format!("No gateway answers on {admin} ({error}): it will find the file when it runs.");
            return Answer::Silent(words);
        }
    };
    if status == 401 || status == 403 {
        let words = format!(
            "The gateway's admin API on {admin} wants a token: give its configuration with --config."
        );
        return Answer::Silent(words);
    }
    match serde_json::from_slice(&body) {
        Ok(snapshot) if status == 200 => Answer::Snapshot(snapshot),
        _ => Answer::Silent(format!(
            "What answers on {admin} is no gateway: name its admin address with --admin."
        )),
    }
}

/// Status and body of GET /snapshot.
///
/// # Errors
/// Nobody answers there, or what does so does not speak HTTP.
pub fn get(admin: SocketAddr, token: Option<&str>) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // HTTP/1.0: the answer ends with the connection, and is never chunked.
    write!(stream, "GET /snapshot HTTP/1.0\r\nHost: {admin}\r\n{token}\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "its answer is not HTTP");
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(&answer) {
        Ok(httparse::Status::Complete(length)) => length,
        _ => return Err(broken()),
    };
    let status = head.code.ok_or_else(broken)?;
    Ok((status, answer.split_off(length)))
}

/// What a snapshot says of a version of a file.
pub(super) fn news(snapshot: &Value, file: &str, version: &str) -> News {
    let plugins = snapshot["plugins"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = plugins.iter().filter(|row| row["file"] == file).collect();
    let runs: Vec<_> = rows.iter().filter(|row| row["version"] == version).collect();
    let uses: Vec<_> = runs.iter().filter_map(|row| Some(format!("\"{}\"", row["use"].as_str()?))).collect();
    if !uses.is_empty() {
        return News::Runs(uses, runs.iter().find_map(|row| replayed(&row["replay"])));
    }
    let refused = rows.iter().map(|row| &row["last"]).find(|last| last["version"] == version);
    match refused {
        Some(last) if last["outcome"] != "loaded" => {
            News::Refused(first_line(last["why"].as_str().or(last["outcome"].as_str())))
        }
        _ if rows.is_empty() => waiting(snapshot, file).map_or(News::Unused, News::Unavailable),
        _ => News::Nothing,
    }
}

/// What the gateway saw when it played recent requests to this version and to the one before.
fn replayed(replay: &Value) -> Option<String> {
    let (requests, differ) = (replay["requests"].as_u64()?, replay["differ"].as_u64()?);
    (requests > 0).then(|| format!(" Of {requests} recent requests, it decides otherwise on {differ}."))
}

/// Why a use of this file waits for one that can be taken, if one does.
fn waiting(snapshot: &Value, file: &str) -> Option<String> {
    let rows = snapshot["unavailable"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(row) = rows.iter().find(|row| row["file"] == file) {
        return Some(first_line(row["why"].as_str()));
    }
    let text = snapshot["configuration"]["error"]["text"].as_str()?;
    text.contains(file).then(|| first_line(Some(text)))
}

/// What follows the first line shows the configuration.
fn first_line(text: Option<&str>) -> String {
    text.and_then(|text| text.lines().next()).unwrap_or("see its log").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(plugins: Value) -> News {
        news(
            &json!({ "plugins": plugins, "configuration": { "error": null } }),
            "by_zone.wasm",
            "0123456789ab",
        )
    }

    #[test]
    fn a_version_runs_is_refused_is_awaited_or_is_not_used() {
        let row = |version: &str, last: Value| json!([{ "use": "by-zone", "file": "by_zone.wasm", "version": version, "last": last }]);
        assert_eq!(of(row("0123456789ab", json!(null))), News::Runs(vec!["\"by-zone\"".to_owned()], None));
        let mut replayed = row("0123456789ab", json!(null));
        replayed[0]["replay"] = json!({ "requests": 64, "differ": 3, "faults": 0 });
        let told = of(replayed).told("by_zone.wasm");
        assert_eq!(
            told,
            "The gateway runs it as \"by-zone\". Of 64 recent requests, it decides otherwise on 3."
        );
        let refused = json!({ "outcome": "refused", "version": "0123456789ab", "why": "it traps" });
        assert_eq!(of(row("older", refused)), News::Refused("it traps".to_owned()));
        let earlier = json!({ "outcome": "refused", "version": "another", "why": "it traps" });
        assert_eq!(of(row("older", earlier)), News::Nothing);
        assert_eq!(of(json!([{ "use": "a", "file": "a.wasm", "version": "0123456789ab" }])), News::Unused);
        assert!(News::Unused.told("by_zone.wasm").contains("`policy = \"by-zone\"`"));
    }

    #[test]
    fn a_configuration_that_waits_for_the_file_says_so() {
        let error =
            json!({ "configuration": { "error": { "text": "plugin \"by-zone\": by_zone.wasm: it traps" } } });
        let why = "plugin \"by-zone\": by_zone.wasm: it traps".to_owned();
        assert_eq!(news(&error, "by_zone.wasm", "0123456789ab"), News::Unavailable(why));
        let unavailable =
            json!({ "unavailable": [{ "use": "by-zone", "file": "by_zone.wasm", "why": "it traps" }] });
        let expected = News::Unavailable("it traps".to_owned());
        assert_eq!(news(&unavailable, "by_zone.wasm", "0123456789ab"), expected);
    }

    #[test]
    fn a_gateway_that_is_not_there_is_no_error() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let answer = snapshot(free.expect("a free port"), None);
        assert!(matches!(answer, Answer::Silent(why) if why.contains("it will find the file when it runs")));
    }
}
