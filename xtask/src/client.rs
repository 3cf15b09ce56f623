//! As much of an HTTP/1.1 client as the demo's check and the benchmarks need: kept connections, short bodies by Content-Length.
//!
//! Not for anything else: what it does not know it refuses with an error.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything may take; far above what it takes.
const LIMIT: Duration = Duration::from_secs(5);

/// One connection to a port of this machine.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The first value of a header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// # Errors
    /// When nothing listens there.
    pub(crate) fn open(port: u16) -> Result<Connection> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, LIMIT)
            .with_context(|| format!("nothing listens on port {port}"))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks, nothing comes for five seconds, or the answer's framing is another.
    pub(crate) fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send("GET", target, headers, "")
    }

    /// Sends a request with a body, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.stream.get_mut().write_all((head + "\r\n" + body).as_bytes())?;
        self.answer().with_context(|| format!("{method} {target} got no whole answer"))
    }

    fn answer(&mut self) -> Result<Answer> {
        let line = self.line()?;
        let status =
            line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("\"{line}\" is no status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').with_context(|| format!("\"{line}\" is no header"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        if status == 204 {
            return Ok(answer); // it has no body, whatever its head says (RFC 9110, 15.3.5)
        }
        let Some(length) = answer.header("content-length") else {
            bail!("the answer has no Content-Length");
        };
        let mut body = vec![0; length.parse().context("Content-Length is no number")?];
        self.stream.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }
}

/// One GET on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::get`].
pub(crate) fn get(port: u16, target: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    Connection::open(port)?.get(target, headers)
}

/// One POST without a body on a connection of its own.
///
/// # Errors
/// As [`get`].
pub(crate) fn post(port: u16, target: &str) -> Result<Answer> {
    Connection::open(port)?.send("POST", target, &[], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn two_answers_are_read_from_one_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().expect("a client").0);
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nhi",
                "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
            ] {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).expect("a request");
                }
                stream.get_mut().write_all(answer.as_bytes()).expect("written");
            }
        });
        let mut connection = Connection::open(port).expect("connected");
        let first = connection.get("/", &[]).expect("an answer");
        assert_eq!((first.status, first.body.as_str(), first.header("set-cookie")), (200, "hi", Some("a=b")));
        assert_eq!(connection.get("/", &[]).expect("an answer").status, 404);
        server.join().expect("the server ended");
        assert!(connection.get("/", &[]).is_err(), "a closed connection is an error");
    }
}
