//! A node that keeps every byte that it receives.

use std::sync::{Arc, Mutex};

use super::strict::{self, Message};
use crate::support::TestNode;

/// What came so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Whole requests, or why what came is none.
    pub messages: Vec<Result<Message, String>>,
    /// How many bytes came, and how many of them were of whole requests.
    pub bytes: usize,
    pub read: usize,
}

/// The node; each whole request is answered with 200.
pub struct Origin {
    pub node: TestNode,
    received: Arc<Mutex<Received>>,
}

impl Origin {
    pub fn start() -> Origin {
        let received = Arc::<Mutex<Received>>::default();
        let keeps = Arc::clone(&received);
        let node = TestNode::scripted(move |connection| {
            let mut bytes = Vec::new();
            loop {
                let next = connection.read_bytes(1);
                if next.is_empty() {
                    return;
                }
                bytes.extend(next);
                let mut received = keeps.lock().unwrap();
                received.bytes += 1;
                match strict::read(&bytes) {
                    Ok(None) => continue,
                    Ok(Some((message, taken))) => {
                        received.messages.push(Ok(message));
                        received.read += taken;
                        bytes.drain(..taken);
                    }
                    Err(why) => {
                        received.messages.push(Err(why));
                        return;
                    }
                }
                drop(received);
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
            }
        });
        Origin { node, received }
    }

    /// What came since this was asked last.
    pub fn take(&self) -> Received {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}
