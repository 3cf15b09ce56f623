//! A few lines of HTTP/1.0, enough to ask a server whether it serves and to tell it what it shall know.
//!
//! Not the gateway's client: that one is under test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that does not answer for so long is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Sends one request, with these further field lines (each ended by CRLF), and reads the answer.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    fields: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    // HTTP/1.0, so that nothing comes in chunks and the connection ends with the answer.
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nHost: {to}\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    parse(&String::from_utf8_lossy(&text)).ok_or_else(|| io::Error::other("no HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = parse("HTTP/1.0 403 Forbidden\r\nA: b\r\n\r\nno\r\n\r\n").expect("it is HTTP");
        assert_eq!((answer.status, answer.body.as_str()), (403, "no\r\n\r\n"));
        assert!(parse("+PONG\r\n").is_none());
    }
}
