//! A connection of bare frames (RFC 9113, 4): nothing is checked, so that anything can be sent.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long anything may take. Far above what it takes; only what never comes takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
/// Flags: SETTINGS and PING call the first one ACK, DATA and HEADERS END_STREAM.
pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// One frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// With its reserved bit.
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// What was read.
pub(super) enum Came {
    Frame(Frame),
    Closed,
    Nothing,
}

/// A connection and what the server said of it.
pub(super) struct Wire {
    stream: TcpStream,
    /// To be sent with what follows, as far as no answer is waited for: so the server reads it at once, and no case is a race.
    unsent: Vec<u8>,
    unread: Vec<u8>,
    end: Instant,
    pub(super) max_frame: usize,
    pub(super) max_streams: Option<u32>,
}

impl Wire {
    /// # Errors
    /// When nothing listens there.
    pub(super) fn open(port: u16) -> Result<Wire> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("nothing listens there")?;
        stream.set_nodelay(true)?;
        let end = Instant::now() + PATIENCE;
        Ok(Wire { stream, unsent: Vec::new(), unread: Vec::new(), end, max_frame: 16_384, max_streams: None })
    }

    /// Sends the preface and SETTINGS, takes the server's and acknowledges them. False if they do not come.
    pub(super) fn greet(&mut self) -> bool {
        self.write(PREFACE);
        self.send(&Frame { kind: SETTINGS, ..Frame::default() });
        while let Came::Frame(frame) = self.read() {
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.note(&frame.payload);
                self.send(&Frame { kind: SETTINGS, flags: ACK, ..Frame::default() });
                return self.is_acknowledged();
            }
        }
        false
    }

    /// Waits for the acknowledgement of our first SETTINGS, so that no other is taken for it.
    fn is_acknowledged(&mut self) -> bool {
        loop {
            match self.read() {
                Came::Frame(frame) if frame.kind == SETTINGS && frame.flags & ACK != 0 => return true,
                Came::Frame(_) => {}
                _ => return false,
            }
        }
    }

    fn note(&mut self, settings: &[u8]) {
        for setting in settings.chunks_exact(6) {
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            match setting[1] {
                3 => self.max_streams = Some(value),
                5 => self.max_frame = value as usize,
                _ => {}
            }
        }
    }

    /// Sends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    pub(super) fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::with_capacity(9 + frame.payload.len());
        bytes.extend_from_slice(&(frame.payload.len() as u32).to_be_bytes()[1..]);
        bytes.extend_from_slice(&[frame.kind, frame.flags]);
        bytes.extend_from_slice(&frame.stream.to_be_bytes());
        bytes.extend_from_slice(&frame.payload);
        self.write(&bytes);
    }

    /// The next frame, as long as one may come.
    pub(super) fn read(&mut self) -> Came {
        loop {
            if let Some(frame) = self.take() {
                return Came::Frame(frame);
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return Came::Closed,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Came::Nothing;
                }
                Err(_) => return Came::Closed,
            }
        }
    }

    /// Whether the server closes the connection, whatever it says before.
    pub(super) fn closes(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<bool> {
        if !self.unsent.is_empty() {
            // A server that has closed the connection is noticed when its answer is read.
            _ = self.stream.write_all(&std::mem::take(&mut self.unsent));
            self.end = Instant::now() + PATIENCE;
        }
        let left = self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 16_384];
        let count = self.stream.read(&mut piece)?;
        self.unread.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, s1, s2, s3, s4] = *self.unread.first_chunk()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame { kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]), payload })
    }
}
