//! A node that seems to be silent is asked before it is taken out for it.
//!
//! Requests that wait may be slow ones, and a policy that avoids the node leaves nothing else to judge it by. So control
//! asks itself, over a connection of its own: a node that answers anything is only slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Checks;
use super::probe::is_silent;
use crate::control::writer::Event;
use crate::name::Name;

/// A node to ask.
#[derive(Clone, Debug)]
pub(in crate::control) struct Question {
    pub(super) pool: Name,
    pub(super) node: Arc<str>,
    pub(super) address: SocketAddr,
    pub(super) asked: Instant,
    /// How long it may take to answer.
    pub(super) patience: Duration,
}

/// A node that was asked, and whether it said nothing.
pub struct Questioned {
    pub(super) question: Question,
    pub(super) silent: bool,
}

impl Checks {
    /// Asks these nodes; what they say goes to the writer. While too many checks run they are not asked, and will be again.
    pub(in crate::control) fn ask(&self, questions: Vec<Question>) {
        for question in questions {
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
            let Some(met) = self.met.get(&question.pool).cloned() else { return };
            let events = self.events.clone();
            tokio::task::spawn_local(async move {
                let silent = is_silent(question.address, &met, question.patience).await;
                drop(place);
                // Control may have ended.
                let _gone = events.send(Event::Questioned(Box::new(Questioned { question, silent }))).await;
            });
        }
    }
}
