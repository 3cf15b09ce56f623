//! As much of an asynchronous HTTP/1.1 client as the load needs: GET on kept connections, bodies by Content-Length.
//!
//! It tries nothing twice: what a gateway loses has to show.

use super::{Ending, Failure};
use std::net::Ipv4Addr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Kept connections to one port. The one that was used last is used next, as clients do.
pub(super) struct Client {
    port: u16,
    idle: Mutex<Vec<TcpStream>>,
}

impl Client {
    pub(super) fn new(port: u16) -> Client {
        Client { port, idle: Mutex::default() }
    }

    /// Opens connections ahead; those that cannot be made will be tried by the requests.
    pub(super) async fn open(&self, count: usize) {
        for _ in 0..count {
            if let Ok(stream) = self.connect().await {
                self.keep(stream);
            }
        }
    }

    /// One request and its whole answer.
    pub(super) async fn get(&self) -> Ending {
        let mut stream = match self.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let broken = |error: std::io::Error| Failure::Broken(error.kind().to_string());
        stream.write_all(REQUEST).await.map_err(broken)?;
        let mut input = Vec::with_capacity(1024);
        loop {
            if let Some(answer) = Answer::read(&input) {
                if answer.kept {
                    self.keep(stream);
                }
                return if answer.status == 200 { Ok(()) } else { Err(Failure::Status(answer.status)) };
            }
            if stream.read_buf(&mut input).await.map_err(broken)? == 0 {
                return Err(Failure::Broken("the connection was closed".to_owned()));
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await;
        let stream = connected.map_err(|error| Failure::Connect(error.kind().to_string()))?;
        _ = stream.set_nodelay(true); // only a matter of speed
        Ok(stream)
    }

    /// An idle connection that the other side has not closed.
    fn take(&self) -> Option<TcpStream> {
        let mut idle = self.idle.lock().expect("no holder panics");
        loop {
            let stream = idle.pop()?;
            // Anything but "nothing to read" is its end, or what nobody asked for.
            match stream.try_read(&mut [0; 1]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Some(stream),
                _ => drop(stream),
            }
        }
    }

    fn keep(&self, stream: TcpStream) {
        self.idle.lock().expect("no holder panics").push(stream);
    }
}

/// What an answer says to a client that does not look at its body.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    /// Whether the connection can be used again.
    kept: bool,
}

impl Answer {
    /// Of an answer that is there as a whole. One without a length counts as whole with its head, and is not kept.
    fn read(input: &[u8]) -> Option<Answer> {
        let head = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&input[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = field("content-length:").and_then(|length| length.parse::<usize>().ok());
        let whole = input.len() >= head + length.unwrap_or_default();
        let kept = length.is_some() && field("connection:") != Some("close");
        whole.then_some(Answer { status, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let read = |text: &str| Answer::read(text.as_bytes());
        let whole = Some(Answer { status: 200, kept: true });
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), whole);
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Le"), None);
        let last = Some(Answer { status: 503, kept: false });
        assert_eq!(read("HTTP/1.1 503 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"), last);
        assert_eq!(read("HTTP/1.1 503 No\r\n\r\nsome"), last);
    }
}
