//! A gateway hands its listening sockets to the one that takes its place.
//!
//! The new process gets one end of a pair of sockets as its standard input. Over it come the listening sockets; then it
//! says that it is ready, and is told to go on alone. Until that word either may end, and the other is what is left.
//! When to do this is decided elsewhere: see docs/decisions/0028-how-a-gateway-is-replaced.md.

use std::env;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::transport::ports::{Handed, Owner};

/// Names the process that hands over, so that a variable that was left over means nothing.
const VARIABLE: &str = "BASCULE_HANDOVER";
/// What a process that was started otherwise may have been told, and what is not true of its successor.
const NOT_PASSED_ON: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];
/// Sockets in one message; the kernel takes 253 at most.
const MOST_SOCKETS: usize = 64;
/// How often the one that waits looks whether it still should.
const LOOK: Duration = Duration::from_millis(50);
/// Longer than any message: a name has 63 bytes, and a gateway some thousand listeners at most.
const LONGEST: usize = 64 * 1024;

/// What the two say to each other; each is one packet.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// These travel beside the text.
    Sockets { number: u32, owner: Owner, address: SocketAddr, is_held: bool },
    /// Those were all.
    All,
    /// The new gateway serves, with the sockets of these numbers.
    Ready { taken: Vec<u32> },
    /// The old one ends.
    Go,
}

/// Why no other gateway took over.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no such program, or no process is to be had.
    #[error("{0} cannot be started: {1}")]
    Start(String, io::Error),
    /// The two do not understand each other.
    #[error("the sockets cannot be handed over: {0}")]
    Channel(#[from] io::Error),
    /// It ended.
    #[error("the new gateway ended before it was ready ({0}); it says why in the gateway's log")]
    Ended(ExitStatus),
    /// It took too long.
    #[error(
        "the new gateway was not ready within {0:?} and was ended; [gateway] upgrade_timeout gives it more time"
    )]
    Late(Duration),
}

/// The gateway that shall take over. It is ended when this is dropped before [`Successor::go`].
#[derive(Debug)]
pub struct Successor {
    child: Child,
    channel: OwnedFd,
    taken: Vec<u32>,
    is_on_its_own: bool,
}

impl Successor {
    /// Starts the program and hands it the sockets.
    ///
    /// # Errors
    /// It cannot be started, or ended at once.
    pub fn start(mut program: Command, sockets: &[Handed]) -> Result<Successor, UpgradeError> {
        let (channel, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(io::Error::from)?;
        for name in NOT_PASSED_ON {
            program.env_remove(name);
        }
        program.env(VARIABLE, std::process::id().to_string()).stdin(Stdio::from(theirs));
        let started = program.spawn();
        let child = started.map_err(|error| {
            UpgradeError::Start(program.get_program().to_string_lossy().into_owned(), error)
        })?;
        // The command holds the other end, and with it the end of the channel could not be seen.
        drop(program);
        let mut successor = Successor { child, channel, taken: Vec::new(), is_on_its_own: false };
        if let Err(error) = send_all(&successor.channel, sockets) {
            return Err(successor.ended().map_or(error.into(), UpgradeError::Ended));
        }
        Ok(successor)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves, as long as that `is_wanted`.
    ///
    /// # Errors
    /// It ended, or is not ready in time; then it is ended.
    pub fn ready_within(
        mut self,
        timeout: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Successor, UpgradeError> {
        let end = Instant::now() + timeout;
        set_socket_timeout(&self.channel, Timeout::Recv, Some(LOOK)).map_err(io::Error::from)?;
        loop {
            if Instant::now() >= end || !is_wanted() {
                return Err(UpgradeError::Late(timeout));
            }
            match receive(self.channel.as_fd()) {
                Ok((Some(Message::Ready { taken }), _)) => {
                    self.taken = taken;
                    return Ok(self);
                }
                Ok((Some(_), _)) => return Err(unexpected().into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It closes the channel when it ends, and may be a moment from that.
                Ok((None, _)) | Err(_) => return Err(UpgradeError::Ended(self.child.wait()?)),
            }
        }
    }

    /// Tells it to go on alone; answers the numbers of the ports that it serves.
    ///
    /// # Errors
    /// It is gone.
    pub fn go(mut self) -> Result<Vec<u32>, UpgradeError> {
        send(&self.channel, &Message::Go, &[])?;
        self.is_on_its_own = true;
        Ok(std::mem::take(&mut self.taken))
    }

    /// How it ended, if the channel broke because of that.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_on_its_own {
            // It may have ended by itself; either way it is waited for, so that nothing is left of it.
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// The gateway whose place this one takes.
#[derive(Debug)]
pub struct Predecessor {
    channel: OwnedFd,
}

impl Predecessor {
    /// What this process inherited of another gateway, if one started it.
    ///
    /// # Errors
    /// The two do not understand each other.
    pub fn of_this_process() -> io::Result<Option<(Predecessor, Vec<Handed>)>> {
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        if parent.is_none() || env::var(VARIABLE).ok() != parent {
            return Ok(None);
        }
        let channel = io::stdin().as_fd().try_clone_to_owned()?;
        let mut all: Vec<Handed> = Vec::new();
        loop {
            match receive(channel.as_fd())? {
                (Some(Message::Sockets { number, owner, address, is_held }), sockets) => {
                    let mut sockets: Vec<_> = sockets.into_iter().map(TcpListener::from).collect();
                    match all.last_mut().filter(|last| last.number == number) {
                        Some(last) => last.sockets.append(&mut sockets),
                        None => all.push(Handed { number, owner, address, is_held, sockets }),
                    }
                }
                (Some(Message::All), _) => return Ok(Some((Predecessor { channel }, all))),
                _ => return Err(unexpected()),
            }
        }
    }

    /// Says that this gateway serves with the ports of these numbers, and waits until it is the only one.
    ///
    /// # Errors
    /// The other gateway is gone or thought better of it.
    pub fn take_over(self, taken: Vec<u32>) -> io::Result<()> {
        send(&self.channel, &Message::Ready { taken }, &[])?;
        match receive(self.channel.as_fd())? {
            (Some(Message::Go), _) => Ok(()),
            _ => Err(io::Error::other("the gateway that started this one does not give way")),
        }
    }
}

fn send_all(channel: &OwnedFd, all: &[Handed]) -> io::Result<()> {
    for Handed { number, owner, address, is_held, sockets } in all {
        let (number, owner, address, is_held) = (*number, owner.clone(), *address, *is_held);
        let message = Message::Sockets { number, owner, address, is_held };
        for some in sockets.chunks(MOST_SOCKETS) {
            let some: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
            send(channel, &message, &some)?;
        }
    }
    send(channel, &Message::All, &[])
}

fn send(channel: &OwnedFd, message: &Message, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(sockets));
    }
    sendmsg(channel, &[IoSlice::new(&text)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A message and the sockets beside it; none at the end of the channel.
fn receive(channel: BorrowedFd<'_>) -> io::Result<(Option<Message>, Vec<OwnedFd>)> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(channel, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let sockets = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    let sockets = sockets.flatten().collect();
    if received.bytes == 0 {
        return Ok((None, sockets));
    }
    Ok((Some(serde_json::from_slice(&text[..received.bytes])?), sockets))
}

fn unexpected() -> io::Error {
    io::Error::other("the two gateways do not understand each other")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sockets_arrive_with_their_names_however_many() {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = (0..100).map(|_| socket.try_clone().unwrap()).collect();
        let address = socket.local_addr().unwrap();
        let owner = Owner::Listener("public".parse().unwrap());
        send_all(&one, &[Handed { number: 7, owner: owner.clone(), address, is_held: true, sockets }])
            .unwrap();
        let mut came = 0;
        loop {
            match receive(other.as_fd()).unwrap() {
                (Some(Message::Sockets { number: 7, owner: of, is_held: true, .. }), sockets) => {
                    assert_eq!(of, owner);
                    let listeners = sockets.into_iter().map(TcpListener::from);
                    came += listeners.filter(|socket| socket.local_addr().unwrap() == address).count();
                }
                (Some(Message::All), _) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(came, 100);
        drop(one);
        assert!(receive(other.as_fd()).unwrap().0.is_none());
    }

    #[test]
    fn a_program_that_is_not_there_ends_or_is_late_is_told_apart() {
        let start = |program: &[&str]| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]);
            Successor::start(command, &[])?.ready_within(Duration::from_millis(200), || true)
        };
        assert!(matches!(start(&["/nowhere/bascule"]), Err(UpgradeError::Start(..))));
        assert!(matches!(start(&["false"]), Err(UpgradeError::Ended(status)) if status.code() == Some(1)));
        assert!(matches!(start(&["sleep", "3600"]), Err(UpgradeError::Late(_))));
    }
}
