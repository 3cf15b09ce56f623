//! The companion's life, from the command's start to its end, as it reads from top to bottom.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use super::Failed;
use super::child::Node;
use super::desk::Wish;
use super::signals::{Asked, Signals};

/// The code to end with if a second signal did it, like a program that SIGKILL ended.
const KILLED: u8 = 137;

/// What ended a phase of the life.
enum End {
    /// A signal asks for it.
    Signal,
    /// The command ended, with this code.
    Command(u8),
}

/// Runs the command, wishes the node in the registry while it is well, and out of it before it ends. Answers the code to
/// end with. `kept` are those who do what is wished.
pub(super) async fn live(
    words: &[String],
    mut kept: JoinSet<bool>,
    wish: &watch::Sender<Wish>,
    mut well: watch::Receiver<bool>,
    leave_wait: Duration,
) -> Result<u8, Failed> {
    // Before the command is there: a signal that nobody listens for would leave it alone.
    let mut signals = Signals::listen().map_err(Failed::Signals)?;
    let mut node = match words.first() {
        Some(program) => {
            let started = Node::start(words);
            Some(started.map_err(|error| Failed::Command { program: program.clone(), error })?)
        }
        None => None,
    };
    if let Some(node) = &node {
        info!(pid = node.pid(), "the command is started");
    }
    let end = serve(&mut node, &mut signals, &mut well, wish).await;

    wish.send_replace(Wish::Gone);
    let code = tokio::select! {
        code = go(end, &mut node, &mut kept, leave_wait) => code,
        () = signals.end() => {
            info!("a second signal: the end at once");
            KILLED
        }
    };
    // What is left of the command is killed now.
    drop(node);
    Ok(code)
}

/// Until something ends it. The node is in the registry while it is well.
async fn serve(
    node: &mut Option<Node>,
    signals: &mut Signals,
    well: &mut watch::Receiver<bool>,
    wish: &watch::Sender<Wish>,
) -> End {
    // The first look has not to wait for a change.
    well.mark_changed();
    loop {
        tokio::select! {
            code = ended(node) => {
                info!(code, "the command ended by itself");
                return End::Command(code);
            }
            asked = signals.next() => match (asked, &node) {
                (Asked::End, _) => return End::Signal,
                (Asked::Forward(signal), Some(node)) => node.signal(signal),
                (Asked::Forward(_), None) => {}
            },
            // Without somebody who asks any more, it stays as it is.
            Ok(()) = well.changed() => {
                let is_well = *well.borrow_and_update();
                wish.send_replace(if is_well { Wish::In } else { Wish::Out });
            }
        }
    }
}

/// Takes the node out, gives gateways time to hear of it, and only then ends the command.
async fn go(end: End, node: &mut Option<Node>, kept: &mut JoinSet<bool>, leave_wait: Duration) -> u8 {
    let mut was_in = false;
    while let Some(kept) = kept.join_next().await {
        was_in |= kept.unwrap_or(false);
    }
    if let End::Command(code) = end {
        return code;
    }
    if was_in {
        tokio::time::sleep(leave_wait).await;
    }
    match node {
        Some(node) => {
            info!(pid = node.pid(), "the command is told to end; a second signal ends it at once");
            node.signal(Signal::TERM);
            node.ended().await
        }
        None => 0,
    }
}

async fn ended(node: &mut Option<Node>) -> u8 {
    match node {
        Some(node) => node.ended().await,
        None => std::future::pending().await,
    }
}
