//! Reads the table of cases.

use super::wire::Frame;
use anyhow::{Context, Result, bail};

/// One case of the table.
pub(super) struct Case {
    pub(super) section: &'static str,
    pub(super) title: &'static str,
    pub(super) steps: Vec<Step>,
    /// Any of these is right.
    pub(super) must: Vec<Answer>,
}

/// What is done.
pub(super) enum Step {
    /// A frame; its payload becomes this much longer than the server allows, if anything is said here.
    Send(Frame, Option<usize>),
    /// Bytes without a greeting.
    Raw(Vec<u8>),
    /// Go on when this came.
    Await(Answer),
    /// Open one more stream than the server allows.
    TooManyStreams,
}

/// What comes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// The server's own SETTINGS.
    Greeting,
    /// The acknowledgement of SETTINGS.
    Settings,
    /// The acknowledgement of the PING that was sent last.
    Ping,
    /// A response's head, with status 200 if that is wanted.
    Head { stream: u32, ok: bool },
    /// A DATA frame of this length.
    Data { stream: u32, length: usize },
    /// The end of a stream.
    End(u32),
    /// The connection ends, for one of these reasons if any is told.
    Error(Vec<u32>),
    /// The stream or the connection ends, likewise.
    Reset(Vec<u32>),
    /// GOAWAY.
    GoAway,
    /// The connection ends.
    Closed,
}

/// The error codes (RFC 9113, 7) that cases name.
const CODES: [(&str, u32); 7] = [
    ("PROTOCOL_ERROR", 1),
    ("FLOW_CONTROL_ERROR", 3),
    ("STREAM_CLOSED", 5),
    ("FRAME_SIZE_ERROR", 6),
    ("REFUSED_STREAM", 7),
    ("CANCEL", 8),
    ("COMPRESSION_ERROR", 9),
];

/// The frames (RFC 9113, 6), each at the place of its type.
const KINDS: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

/// The name of a frame's type.
pub(super) fn kind_name(kind: u8) -> &'static str {
    KINDS.get(usize::from(kind)).copied().unwrap_or("a frame of an unknown type")
}

/// All cases.
///
/// # Errors
/// When a line of the table says something that is not known.
pub(super) fn all() -> Result<Vec<Case>> {
    let lines = include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| case(line).with_context(|| format!("in the table of cases: {line}"))).collect()
}

fn case(line: &'static str) -> Result<Case> {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let [section, title, steps, must] = parts[..] else { bail!("a case has four parts") };
    let steps = steps.split("; ").filter(|step| !step.is_empty()).map(step).collect::<Result<_>>()?;
    let must = must.split(" or ").map(answer).collect::<Result<_>>()?;
    Ok(Case { section, title, steps, must })
}

/// One step, as the table writes it.
///
/// # Errors
/// When it is none.
pub(super) fn step(text: &str) -> Result<Step> {
    if text == "too many streams" {
        return Ok(Step::TooManyStreams);
    }
    let (first, rest) = text.split_once(' ').context("a step has two words")?;
    match first {
        "await" => Ok(Step::Await(answer(rest)?)),
        "RAW" => Ok(Step::Raw(payload(rest)?.0)),
        kind => {
            let (stream, rest) = rest.split_once(' ').context("a frame has a stream and a payload")?;
            let (flags, rest) = flags(rest)?;
            let (payload, beyond) = payload(rest)?;
            let kind = match KINDS.iter().position(|name| *name == kind) {
                Some(kind) => kind as u8,
                None => number(kind)? as u8,
            };
            Ok(Step::Send(Frame { kind, flags, stream: number(stream)?, payload }, beyond))
        }
    }
}

fn answer(text: &str) -> Result<Answer> {
    let words: Vec<&str> = text.split(' ').collect();
    let codes = |names: &[&str]| names.iter().map(|name| code(name)).collect::<Result<Vec<u32>>>();
    Ok(match words[..] {
        ["greeting"] => Answer::Greeting,
        ["settings"] => Answer::Settings,
        ["ping"] => Answer::Ping,
        ["200", stream] => Answer::Head { stream: number(stream)?, ok: true },
        ["head", stream] => Answer::Head { stream: number(stream)?, ok: false },
        ["data", stream, length] => {
            Answer::Data { stream: number(stream)?, length: number(length)? as usize }
        }
        ["end", stream] => Answer::End(number(stream)?),
        ["error", ref names @ ..] => Answer::Error(codes(names)?),
        ["reset", ref names @ ..] => Answer::Reset(codes(names)?),
        ["goaway"] => Answer::GoAway,
        ["closed"] => Answer::Closed,
        _ => bail!("there is no answer `{text}`"),
    })
}

fn code(name: &str) -> Result<u32> {
    let known = CODES.iter().find(|(known, _)| *known == name);
    known.map(|(_, code)| *code).with_context(|| format!("there is no code {name}"))
}

/// The flags at the front, and what follows them.
fn flags(mut text: &str) -> Result<(u8, &str)> {
    let mut flags = 0;
    while let Some(flag) = text.strip_prefix('+') {
        let (flag, rest) = flag.split_once(' ').context("a payload follows the flags")?;
        flags |= match flag {
            "ES" | "ACK" => 0x1,
            "EH" => 0x4,
            "PAD" => 0x8,
            "PRI" => 0x20,
            other => number(other)? as u8,
        };
        text = rest;
    }
    Ok((flags, text))
}

/// The bytes, and by how many they go beyond what the server allows.
fn payload(mut text: &str) -> Result<(Vec<u8>, Option<usize>)> {
    let (mut bytes, mut beyond) = (Vec::new(), None);
    while !text.is_empty() {
        let end = match text.as_bytes()[0] {
            b'"' => text[1..].find('"').context("a text ends with a quote")? + 2,
            b'{' => text.find('}').context("a list of fields ends with a brace")? + 1,
            _ => text.find(' ').unwrap_or(text.len()),
        };
        let (item, rest) = text.split_at(end);
        text = rest.trim_start();
        if let Some(quoted) = item.strip_prefix('"') {
            let quoted =
                quoted.trim_end_matches('"').replace("\\0", "\0").replace("\\r", "\r").replace("\\n", "\n");
            bytes.extend_from_slice(quoted.as_bytes());
        } else if let Some(list) = item.strip_prefix('{') {
            fields(list.trim_end_matches('}'), &mut bytes);
        } else if let Some(count) = item.strip_prefix("zero*MAX+") {
            beyond = Some(number(count)? as usize);
        } else if let Some(count) = item.strip_prefix("zero*") {
            bytes.resize(bytes.len() + number(count)? as usize, 0);
        } else if let Some(setting) = item.strip_prefix('#') {
            let (id, value) = setting.split_once('=').context("a setting has a value")?;
            bytes.extend_from_slice(&(number(id)? as u16).to_be_bytes());
            bytes.extend_from_slice(&number(value)?.to_be_bytes());
        } else {
            hexadecimal(item, &mut bytes)?;
        }
    }
    Ok((bytes, beyond))
}

fn hexadecimal(item: &str, bytes: &mut Vec<u8>) -> Result<()> {
    let digits = item.strip_prefix("0x").with_context(|| format!("there is no payload `{item}`"))?;
    for pair in digits.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair)?;
        bytes.push(u8::from_str_radix(pair, 16).with_context(|| format!("`{pair}` is no byte"))?);
    }
    Ok(())
}

/// Writes fields as literals without indexing (RFC 7541, 6.2.2), names and values as they stand.
fn fields(list: &str, bytes: &mut Vec<u8>) {
    let mut words = list.split(' ');
    let method = words.next().unwrap_or_default().to_uppercase();
    let mut fields = match &*method {
        "NONE" => Vec::new(),
        method => vec![(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "localhost")],
    };
    for word in words {
        match word.strip_prefix('-') {
            Some(gone) => fields.retain(|(name, _)| *name != gone),
            None => fields.push(word.split_once('=').unwrap_or((word, ""))),
        }
    }
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // The table's texts are far below the 127 bytes that one byte of length can say.
            bytes.push(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
}

fn number(text: &str) -> Result<u32> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.with_context(|| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_as_many_cases_as_h2spec() {
        let cases = all().expect("the table is well-formed");
        let of = |part: &str| cases.iter().filter(|case| case.section.starts_with(part)).count();
        assert_eq!((of("generic/"), of("http2/"), of("hpack/")), (44, 95, 8));
    }

    #[test]
    fn a_frame_is_read_with_flags_and_payload() {
        let Step::Send(frame, None) =
            step("HEADERS 3 +ES +PAD 0x02 {get -:path -:authority a=b} zero*2").expect("well-formed")
        else {
            panic!("it is a frame");
        };
        assert_eq!((frame.kind, frame.flags, frame.stream), (1, 0x9, 3));
        assert_eq!(frame.payload, b"\x02\0\x07:method\x03GET\0\x07:scheme\x04http\0\x01a\x01b\0\0");
    }
}
