//! One end of an HTTP/1.1 connection, on a plain blocking socket: what the client double and the node double share.
//!
//! It sends exactly the bytes that it is given and reads messages strictly, by its own few lines and never by the
//! gateway's codec, so that a mistake there cannot hide itself here.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long one end waits for the other before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The lines of a message's head, and the fields behind a chunked body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The request line or the status line.
    pub start: String,
    /// Names in lowercase, values as sent.
    pub fields: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &[u8]) -> Head {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter(|line| !line.is_empty()).map(|line| {
            let (name, value) =
                line.split_once(':').unwrap_or_else(|| panic!("not a header field: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Head { fields: fields.collect(), start }
    }

    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let matching = self.fields.iter().filter(|(known, _)| known == name);
        matching.map(|(_, value)| value.as_str()).collect()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        let word = self.start.split(' ').nth(1).unwrap_or_default();
        word.parse().unwrap_or_else(|_| panic!("not a status line: {:?}", self.start))
    }
}

/// What follows a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes, without chunk framing.
    pub bytes: Vec<u8>,
    /// The trailer fields.
    pub trailers: Vec<(String, String)>,
    /// Whether it came to its end, and not to the connection's.
    pub complete: bool,
}

/// How the end of a body is known where no length and no chunks say it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// There is none: a request.
    Empty,
    /// The connection ends: a response.
    UntilClose,
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Wraps a connection. Each write leaves at once, so a test decides where the bytes are split.
    pub fn new(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).expect("a socket takes TCP_NODELAY");
        Wire { stream, buffer: Vec::new() }
    }

    /// Sends these bytes; whether the other end could still take them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write); // it may be closed already
    }

    /// Ends the connection with RST as soon as this value is dropped.
    pub fn reset_on_drop(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        let _ = socket.set_linger(Some(Duration::ZERO)); // it may be closed already
    }

    /// Reads once more; whether anything came. The end of the connection and a reset are the same here.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                read > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let came = String::from_utf8_lossy(&self.buffer).into_owned();
                panic!("the other end sent nothing for {PATIENCE:?}; before that: {came:?}")
            }
            Err(_) => false,
        }
    }

    /// Reads to the end of the connection and answers what was left.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads exactly this many bytes; fewer only if the connection ends.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill() {}
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count).collect()
    }

    /// Hands what comes next to `piece`, until it came to `count` bytes; how many came.
    pub fn read_pieces(&mut self, count: u64, mut piece: impl FnMut(&[u8])) -> u64 {
        let mut left = count;
        while left > 0 && (!self.buffer.is_empty() || self.fill()) {
            let now = self.buffer.len().min(left as usize);
            piece(&self.buffer[..now]);
            self.buffer.drain(..now);
            left -= now as u64;
        }
        count - left
    }

    /// Reads until the blank line; none if the connection ends before the first byte.
    pub fn read_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = Head::parse(&self.buffer[..end]);
                self.buffer.drain(..end + 4);
                return Some(head);
            }
            if !self.fill() {
                let rest = String::from_utf8_lossy(&self.buffer);
                assert!(rest.is_empty(), "the connection ended within a head: {rest:?}");
                return None;
            }
        }
    }

    /// Reads the body that belongs to a head (RFC 9112, 6.3).
    pub fn read_body(&mut self, head: &Head, otherwise: Otherwise) -> Body {
        if head.is_chunked() {
            return self.read_chunks();
        }
        let length = head.header("content-length").map(|text| text.parse().expect("a number"));
        match length {
            Some(length) => {
                let bytes = self.read_bytes(length);
                let complete = bytes.len() == length;
                Body { bytes, complete, ..Body::default() }
            }
            None if otherwise == Otherwise::Empty => Body { complete: true, ..Body::default() },
            None => Body { bytes: self.read_to_end(), complete: true, ..Body::default() },
        }
    }

    fn read_chunks(&mut self) -> Body {
        let mut body = Body::default();
        while let Some(line) = self.read_line() {
            let digits = line.split(';').next().unwrap_or_default();
            let size =
                usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
            if size == 0 {
                return self.read_trailers(body);
            }
            let piece = self.read_bytes(size);
            body.bytes.extend_from_slice(&piece);
            match self.read_bytes(2).as_slice() {
                b"\r\n" => {}
                end if end.len() < 2 => break,
                end => panic!("a chunk ends with {end:?}"),
            }
        }
        body
    }

    fn read_trailers(&mut self, mut body: Body) -> Body {
        while let Some(line) = self.read_line() {
            match line.split_once(':') {
                Some((name, value)) => {
                    body.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()))
                }
                None if line.is_empty() => {
                    body.complete = true;
                    break;
                }
                None => panic!("not a trailer field: {line:?}"),
            }
        }
        body
    }

    /// A line without its end; none if the connection ends first.
    fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).expect("chunk lines are ASCII"));
            }
            if !self.fill() {
                return None;
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}
