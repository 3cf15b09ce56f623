//! A client that sends exactly the bytes of the test.

use super::wire::{Body, Head, Otherwise, PATIENCE, Wire};
use std::net::{SocketAddr, TcpStream};

/// One connection to the gateway (or to a node double, when the doubles are tested).
pub struct TestClient {
    wire: Wire,
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The status line and the header fields.
    pub head: Head,
    /// What followed.
    pub body: Body,
}

impl Response {
    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }
}

impl TestClient {
    /// Connects; a test that waits longer than [`PATIENCE`] for a byte fails.
    pub fn connect(address: SocketAddr) -> TestClient {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        TestClient { wire: Wire::new(stream) }
    }

    /// Sends these bytes in one write. That the other end is gone shows when the test reads.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut TestClient {
        self.wire.send(bytes.as_ref());
        self
    }

    /// Sends these bytes; whether the gateway could still take them.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.wire.send(bytes)
    }

    /// Sends a GET with a Host, and reads its response.
    pub fn get(&mut self, path: &str) -> Response {
        self.get_with(path, "")
    }

    /// The same with further field lines, each ended by CRLF.
    pub fn get_with(&mut self, path: &str, fields: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n")).read_response()
    }

    /// Sends a POST with a Content-Length, and reads its response.
    pub fn post(&mut self, path: &str, body: &str) -> Response {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: example.test\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .read_response()
    }

    /// Reads the response to anything but HEAD; it fails if the connection ends before one came.
    pub fn read_response(&mut self) -> Response {
        let head = self.read_head();
        let body = match head.status() {
            100..=199 | 204 | 304 => Body { complete: true, ..Body::default() },
            _ => self.wire.read_body(&head, Otherwise::UntilClose),
        };
        Response { status: head.status(), head, body }
    }

    /// Reads a head only: the response to HEAD, an informational one, or one whose body the test reads by itself.
    pub fn read_head(&mut self) -> Head {
        self.wire.read_head().expect("a response, and not the connection's end")
    }

    /// Reads raw bytes, fewer only at the connection's end.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        self.wire.read_bytes(count)
    }

    /// Hands up to `count` bytes that come next to `piece`; how many came.
    pub fn read_pieces(&mut self, count: u64, piece: impl FnMut(&[u8])) -> u64 {
        self.wire.read_pieces(count, piece)
    }

    /// Reads until the gateway closes, and answers what came before.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        self.wire.read_to_end()
    }

    /// Waits until the gateway closes, and fails if anything comes before.
    pub fn expect_close(&mut self) {
        let rest = self.wire.read_to_end();
        assert!(rest.is_empty(), "came instead of the end: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Sends FIN and goes on reading.
    pub fn half_close(&mut self) -> &mut TestClient {
        self.wire.half_close();
        self
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        self.wire.reset_on_drop();
    }
}
