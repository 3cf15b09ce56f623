//! Hostile requests: each is refused with its status and never reaches the origin, or is forwarded in a form that a second
//! reader reads as the same request.

use super::cases::{Case, read, text};
use super::origin::{Origin, Received};
use super::strict::Message;
use crate::support::TestGateway;

const TABLES: [&str; 6] = [
    include_str!("corpus/framing.txt"),
    include_str!("corpus/chunks.txt"),
    include_str!("corpus/syntax.txt"),
    include_str!("corpus/targets.txt"),
    include_str!("corpus/connection.txt"),
    include_str!("corpus/paths.txt"),
];

/// Stands behind each case: a smuggled request if the case is refused, else the next one.
const NEXT: &[u8] = b"GET /t/next HTTP/1.1\r\nHost: a.test\r\n\r\n";

struct Edge {
    gateway: TestGateway,
    origin: Origin,
}

impl Edge {
    fn open() -> Edge {
        let origin = Origin::start();
        let gateway = TestGateway::before(&[&origin.node]);
        Edge { gateway, origin }
    }

    /// What the origin received of a case: a request of another client's comes last, and the one worker serves both.
    fn received(&self) -> Result<Received, String> {
        assert_eq!(self.gateway.get("/last").status, 200);
        let mut received = self.origin.take();
        match received.messages.pop() {
            Some(Ok(last)) if last.target == "/last" => Ok(received),
            other => Err(format!("the origin got {other:?} last")),
        }
    }

    /// Whether a case comes out as it must; what is wrong if not.
    fn play(&self, case: &Case) -> Result<(), String> {
        match case.must {
            "pass" => self.passes(case),
            status => match status.strip_suffix('!') {
                // Its head may have gone ahead of a body that breaks the rules.
                Some(status) => self.is_refused(case, status).map(drop),
                None => match self.is_refused(case, status)? {
                    Received { bytes, read, .. } if bytes == read => Ok(()),
                    received => Err(format!("the origin got a part of it: {received:?}")),
                },
            },
        }
    }

    fn is_refused(&self, case: &Case, status: &str) -> Result<Received, String> {
        let mut client = self.gateway.client();
        let response = client.send([&case.raw, NEXT].concat()).read_response();
        if response.status.to_string() != status {
            return Err(format!("it was answered with {}", response.status));
        }
        client.expect_close();
        let received = self.received()?;
        if received.messages.is_empty() { Ok(received) } else { Err(format!("the origin got {received:?}")) }
    }

    fn passes(&self, case: &Case) -> Result<(), String> {
        let mut client = self.gateway.client();
        let response = client.send([&case.raw, NEXT].concat()).read_response();
        if (response.status, response.text().as_str()) != (200, "fine") {
            return Err(format!("it was answered with {}", response.status));
        }
        let is_last = response.header("connection") == Some("close");
        match is_last {
            true => client.expect_close(),
            false => assert_eq!(client.read_response().text(), "fine"),
        }
        let received = self.received()?;
        let (first, others) = received.messages.split_first().ok_or("the origin got nothing")?;
        first.as_ref().map_err(Clone::clone).and_then(|message| is_as_expected(message, &case.expected))?;
        match (others, is_last) {
            ([], true) => Ok(()),
            ([Ok(next)], false) if next.target == "/t/next" => Ok(()),
            _ => Err(format!("behind it the origin got {others:?}")),
        }
    }
}

/// `METHOD target`, `+name: value` (this one only), `-name` (none), `=body`, `~name: value` (a trailer; all of them).
fn is_as_expected(message: &Message, expected: &[String]) -> Result<(), String> {
    let line = format!("{} {}", message.method, message.target);
    let mut trailers = Vec::new();
    for expected in expected {
        let (kind, rest) = expected.split_at(1);
        let (name, value) = rest.split_once(':').unwrap_or((rest, ""));
        let values = message.values(name);
        let holds = match kind {
            "+" => values == [value.trim_matches(' ')],
            "-" => values.is_empty(),
            "=" => message.body == rest,
            "~" => {
                trailers.push((name.to_owned(), value.trim().to_owned()));
                true
            }
            _ => line == *expected,
        };
        if !holds {
            return Err(format!("{expected:?} is not true of {message:?}"));
        }
    }
    let framed = expected.iter().any(|expected| expected.starts_with('='));
    if framed && message.trailers != trailers {
        return Err(format!("it has other trailers: {message:?}"));
    }
    Ok(())
}

#[test]
fn every_hostile_request_is_refused_or_means_the_same_to_a_second_reader() {
    let cases: Vec<Case> = TABLES.iter().flat_map(|table| read(table)).collect();
    let refused = cases.iter().filter(|case| case.must != "pass").count();
    assert!(cases.len() >= 150 && refused >= 69, "{} cases, {refused} of them refused", cases.len());
    let edge = Edge::open();
    let play = |case: &Case| {
        let why = edge.play(case).err()?;
        Some(format!("{} | {} | {:?}: {why}", case.must, case.name, text(&case.raw)))
    };
    let wrong: Vec<String> = cases.iter().filter_map(play).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_begins_like_http_2_and_is_not_reaches_nobody() {
    let edge = Edge::open();
    for start in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: a.test\r\n\r\n",
        "PRI /t HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ] {
        let mut client = edge.gateway.client();
        client.send([start.as_bytes(), NEXT].concat()).half_close();
        client.read_to_end();
        let received = edge.received().unwrap();
        assert!(received.messages.is_empty() && received.bytes == received.read, "{start:?}: {received:?}");
    }
}

#[test]
fn what_is_refused_a_line_at_a_time_is_refused_the_same_way() {
    let edge = Edge::open();
    let cases = TABLES.iter().flat_map(|table| read(table));
    // Another client's request is served between two pieces, so the worker has seen each of them alone.
    for case in cases.filter(|case| !case.must.ends_with('!') && case.must != "pass").step_by(5) {
        let mut client = edge.gateway.client();
        for piece in case.raw.split_inclusive(|&byte| byte == b'\n') {
            // The gateway may have refused it already, and closed.
            client.try_send(piece);
            assert_eq!(edge.gateway.get("/last").status, 200);
        }
        client.try_send(NEXT);
        assert_eq!(client.read_response().status.to_string(), case.must, "{}", case.name);
        let received = edge.received().unwrap();
        let is_last =
            |message: &Result<Message, String>| matches!(message, Ok(last) if last.target == "/last");
        assert!(received.messages.iter().all(is_last), "{}: {received:?}", case.name);
    }
}
