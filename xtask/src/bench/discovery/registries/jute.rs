//! As much of ZooKeeper's protocol as announcing nodes takes: a session, and to make, change and remove znodes.
//!
//! Not the gateway's client: that one is measured. Frames are a length and fields of fixed sizes, all big-endian.

use anyhow::{Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A frame that is longer was not understood.
const LONGEST: usize = 1 << 20;

/// The operations' numbers, and the errors that are no surprise.
const CREATE: i32 = 1;
const DELETE: i32 = 2;
const SET_DATA: i32 = 5;
const NO_NODE: i32 = -101;
const NODE_EXISTS: i32 = -110;

/// How long a znode is to live.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Made {
    ToStay,
    ForTheSession,
}

/// A session on one connection. It is dropped without a word, and ends at the server when its time is over.
pub(super) struct Session {
    stream: TcpStream,
    number: i32,
}

impl Session {
    pub(super) fn open(to: SocketAddr, timeout: Duration) -> Result<Session> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut session = Session { stream, number: 0 };
        let mut hello = Frame::default();
        // Protocol version, what was seen last, the time in milliseconds, no session yet, an empty password.
        hello.int(0).long(0).int(timeout.as_millis() as i32).long(0).bytes(&[0; 16]);
        session.stream.write_all(&hello.framed())?;
        let answer = session.read()?;
        ensure!(answer.len() >= 16, "ZooKeeper grants no session");
        Ok(session)
    }

    /// Makes a znode; one that is there already is left as it is.
    pub(super) fn make(&mut self, path: &str, value: &[u8], made: Made) -> Result<()> {
        let mut frame = Frame::default();
        // One entry of its access list: everybody (scheme world, id anyone) may do everything (31).
        frame.bytes(path.as_bytes()).bytes(value).int(1).int(31).bytes(b"world").bytes(b"anyone");
        frame.int(i32::from(made == Made::ForTheSession));
        match self.ask(CREATE, frame)? {
            0 | NODE_EXISTS => Ok(()),
            error => bail!("{path} was not made: error {error}"),
        }
    }

    /// Changes a znode, or makes it to stay.
    pub(super) fn put(&mut self, path: &str, value: &[u8]) -> Result<()> {
        let mut frame = Frame::default();
        frame.bytes(path.as_bytes()).bytes(value).int(-1); // whatever version it has
        match self.ask(SET_DATA, frame)? {
            0 => Ok(()),
            NO_NODE => self.make(path, value, Made::ToStay),
            error => bail!("{path} was not changed: error {error}"),
        }
    }

    /// Removes a znode.
    pub(super) fn remove(&mut self, path: &str) -> Result<()> {
        let mut frame = Frame::default();
        frame.bytes(path.as_bytes()).int(-1);
        let error = self.ask(DELETE, frame)?;
        ensure!(error == 0, "{path} was not removed: error {error}");
        Ok(())
    }

    /// Sends an operation and answers its error, 0 for none.
    fn ask(&mut self, operation: i32, body: Frame) -> Result<i32> {
        self.number += 1;
        let mut frame = Frame::default();
        frame.int(self.number).int(operation);
        frame.0.extend(body.0);
        self.stream.write_all(&frame.framed())?;
        // The number, the transaction, the error.
        let answer = self.read()?;
        let int =
            |at: usize| answer.get(at..at + 4).and_then(|four| four.try_into().ok()).map(i32::from_be_bytes);
        ensure!(int(0) == Some(self.number), "ZooKeeper answers something that was not asked");
        int(12).ok_or_else(|| anyhow::anyhow!("ZooKeeper's answer is too short"))
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        ensure!(length <= LONGEST, "ZooKeeper's answer is too long");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// A message that is being written.
#[derive(Default)]
struct Frame(Vec<u8>);

impl Frame {
    fn int(&mut self, value: i32) -> &mut Frame {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn long(&mut self, value: i64) -> &mut Frame {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Bytes or a text, behind their length.
    fn bytes(&mut self, value: &[u8]) -> &mut Frame {
        self.int(value.len() as i32);
        self.0.extend(value);
        self
    }

    fn framed(&self) -> Vec<u8> {
        [&(self.0.len() as u32).to_be_bytes(), &self.0[..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn znodes_are_made_changed_and_removed_in_a_real_zookeeper() {
        let Some(server) = test_servers::ZooKeeper::start() else { return };
        let mut session = Session::open(server.address(), Duration::from_secs(10)).expect("a session");
        session.make("/a", b"1", Made::ToStay).expect("made");
        session.make("/a", b"2", Made::ToStay).expect("it is there already");
        session.put("/a/b", b"3").expect("made by a change");
        session.put("/a/b", b"4").expect("changed");
        session.remove("/a").expect_err("it has a child");
        session.remove("/a/b").expect("removed");
        session.remove("/a/b").expect_err("it is gone");
    }
}
