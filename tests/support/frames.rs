//! A client of HTTP/2 that writes its frames by itself: what no honest library would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::wire::PATIENCE;

/// Types of frames (RFC 9113, 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// On HEADERS: the head is whole, and the request ends with it.
pub const END_HEADERS: u8 = 4;
/// On DATA and HEADERS: the stream's last.
pub const END_STREAM: u8 = 1;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a request, compressed by hand (RFC 7541): a GET (2) or POST (3) of this path.
pub fn request(method: u8, path: &str) -> Vec<u8> {
    let path = [&[0x04, path.len() as u8], path.as_bytes()].concat();
    [&[0x80 | method, 0x86], &path[..], b"\x01\x06a.test"].concat()
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Came {
    /// The code of a GOAWAY or RST_STREAM.
    pub fn code(&self) -> u32 {
        let code = if self.kind == kind::GOAWAY { &self.payload[4..8] } else { &self.payload[..4] };
        u32::from_be_bytes(code.try_into().expect("four bytes"))
    }
}

/// One connection. What comes is read all the time, unless the test reads by itself.
pub struct FrameClient {
    stream: TcpStream,
    came: Receiver<Came>,
}

impl FrameClient {
    /// Connects and greets with these settings, each an identifier and a value.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> FrameClient {
        let stream = greeted(address, settings);
        let mut reader = stream.try_clone().expect("a second handle");
        let (told, came) = channel();
        thread::spawn(move || {
            while let Some(frame) = read_frame(&mut reader) {
                // The test may have ended.
                let _gone = told.send(frame);
            }
        });
        FrameClient { stream, came }
    }

    /// Sends these bytes; whether the gateway could still take them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits for a frame of this type; none if the connection ends before.
    pub fn wait_for(&self, kind: u8) -> Option<Came> {
        loop {
            let frame = self.came.recv_timeout(PATIENCE);
            match frame {
                Ok(frame) if frame.kind == kind => return Some(frame),
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no frame of type {kind} came"),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

/// A connection that greeted and reads nothing.
pub fn greeted(address: SocketAddr, settings: &[(u16, u32)]) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the listener accepts");
    stream.set_nodelay(true).expect("a socket takes TCP_NODELAY");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let pairs = settings.iter().flat_map(|(name, value)| {
        name.to_be_bytes().into_iter().chain(value.to_be_bytes()).collect::<Vec<_>>()
    });
    let greeting = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(kind::SETTINGS, 0, 0, &pairs.collect::<Vec<_>>()),
    ];
    stream.write_all(&greeting.concat()).expect("the gateway reads");
    stream
}

fn read_frame(stream: &mut TcpStream) -> Option<Came> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Came { kind: head[3], flags: head[4], stream, payload })
}
