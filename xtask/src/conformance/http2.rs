//! What h2spec asks of a server of HTTP/2, played frame by frame.
//!
//! h2spec itself is in no package registry, so its 147 cases are here as a table (cases.txt) with its sections and titles, and are
//! judged as it judges: a connection error is GOAWAY with the right code or the connection's end, a stream error is RST_STREAM with
//! the right code or a connection error. Stricter than h2spec: where a response is due, its status must be 200.

mod case;
mod wire;

use super::report::Check;
use anyhow::Result;
use case::{Answer, Case, Step};
use wire::{
    ACK, Came, DATA, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING, PRIORITY, RST_STREAM, SETTINGS, Wire,
};

/// RST_STREAM's code for a request whose body nobody wants: the response stands.
const NO_ERROR: u32 = 0;

/// Plays all cases against the server on a port.
///
/// # Errors
/// When the table is not well-formed, or nothing listens.
pub(super) fn play(port: u16) -> Result<Vec<Check>> {
    case::all()?.iter().map(|case| play_one(port, case)).collect()
}

fn play_one(port: u16, case: &Case) -> Result<Check> {
    let mut wire = Wire::open(port)?;
    let held = run(&mut wire, case).and_then(|last_ping| judge(&mut wire, &case.must, &last_ping));
    Ok(Check::new(format!("{}: {}", case.section, case.title), held))
}

/// Does what the case says; the payload of the last PING.
fn run(wire: &mut Wire, case: &Case) -> Result<Vec<u8>, String> {
    let mut last_ping = Vec::new();
    if !matches!(case.steps.first(), Some(Step::Raw(_))) && !wire.greet() {
        return Err("it does not greet".to_owned());
    }
    for step in &case.steps {
        match step {
            Step::Raw(bytes) => wire.write(bytes),
            Step::Send(frame, beyond) => {
                let mut frame = frame.clone();
                if let Some(beyond) = beyond {
                    frame.payload.resize(wire.max_frame + beyond, 0);
                }
                if frame.kind == PING && frame.flags & ACK == 0 {
                    last_ping.clone_from(&frame.payload);
                }
                wire.send(&frame);
            }
            Step::Await(answer) => judge(wire, std::slice::from_ref(answer), &last_ping)?,
            Step::TooManyStreams => too_many(wire)?,
        }
    }
    Ok(last_ping)
}

/// Requests whose bodies do not come: they stay open.
fn too_many(wire: &mut Wire) -> Result<(), String> {
    let most = wire.max_streams.ok_or("it sets no limit to the streams at once")?;
    let Ok(Step::Send(request, _)) = case::step("HEADERS 1 +EH {post}") else {
        return Err("the request is not well-formed".to_owned());
    };
    for number in 0..=most {
        wire.send(&Frame { stream: 2 * number + 1, ..request.clone() });
    }
    Ok(())
}

/// Reads until one of the answers came, or cannot come any more.
fn judge(wire: &mut Wire, must: &[Answer], last_ping: &[u8]) -> Result<(), String> {
    if matches!(must, [Answer::Greeting]) {
        return Ok(()); // without it, nothing was sent
    }
    if matches!(must, [Answer::Closed]) {
        return if wire.closes() { Ok(()) } else { Err("the connection stays open".to_owned()) };
    }
    let mut seen = Vec::new();
    loop {
        let came = wire.read();
        if must.iter().any(|answer| is(answer, &came, last_ping)) {
            return Ok(());
        }
        match came {
            Came::Frame(frame) => seen.push(show(&frame)),
            Came::Closed => return Err(format!("the connection ended; before came {}", list(&seen))),
            Came::Nothing => return Err(format!("it went silent; before came {}", list(&seen))),
        }
    }
}

fn is(answer: &Answer, came: &Came, last_ping: &[u8]) -> bool {
    let Came::Frame(frame) = came else {
        return matches!(came, Came::Closed)
            && matches!(answer, Answer::Error(_) | Answer::Reset(_) | Answer::Closed);
    };
    let ended = |codes: &[u32]| frame.kind == GOAWAY && codes.contains(&code_of(frame));
    match answer {
        Answer::Greeting | Answer::Closed => false,
        Answer::Settings => frame.kind == SETTINGS && frame.flags & ACK != 0,
        Answer::Ping => frame.kind == PING && frame.flags & ACK != 0 && frame.payload == last_ping,
        Answer::Head { stream, ok } => {
            frame.kind == HEADERS && frame.stream == *stream && (!ok || status_is_200(frame))
        }
        Answer::Data { stream, length } => {
            frame.kind == DATA && frame.stream == *stream && frame.payload.len() == *length
        }
        Answer::End(stream) => {
            frame.stream == *stream
                && (frame.kind == RST_STREAM && code_of(frame) == NO_ERROR
                    || matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0)
        }
        Answer::Error(codes) => ended(codes),
        Answer::Reset(codes) => ended(codes) || frame.kind == RST_STREAM && codes.contains(&code_of(frame)),
        Answer::GoAway => frame.kind == GOAWAY,
    }
}

/// The error code of RST_STREAM and GOAWAY.
fn code_of(frame: &Frame) -> u32 {
    let at = if frame.kind == GOAWAY { 4 } else { 0 };
    frame
        .payload
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(u32::MAX, |code| u32::from_be_bytes(*code))
}

/// Whether the block begins with `:status: 200`, which has an index of its own (RFC 7541, A).
fn status_is_200(head: &Frame) -> bool {
    let padding = usize::from(head.flags & PADDED != 0);
    let priority = if head.flags & PRIORITY != 0 { 5 } else { 0 };
    let block = head.payload.get(padding + priority..).unwrap_or_default();
    // Updates of the table's size come first.
    block.iter().find(|byte| **byte & 0xe0 != 0x20) == Some(&0x88)
}

fn show(frame: &Frame) -> String {
    match frame.kind {
        RST_STREAM | GOAWAY => format!("{} with code {}", case::kind_name(frame.kind), code_of(frame)),
        kind => case::kind_name(kind).to_owned(),
    }
}

fn list(seen: &[String]) -> String {
    if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") }
}
