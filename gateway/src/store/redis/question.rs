//! What Redis is asked: a command, some commands on one key, or a script on one key.

use ::redis::aio::ConnectionLike;
use ::redis::{Arg, Cmd, Pipeline, RedisResult, Script, Value};

/// What tells a question from others: a number and what is asked about.
pub(super) type Same = (u32, u128);

/// A question. In a cluster all of it concerns one key.
#[derive(Debug)]
pub(in crate::store) struct Question {
    what: What,
    /// Whoever asks the same meanwhile gets the same answer. Questions that change nothing may say what they are.
    pub(super) same: Option<Same>,
}

#[derive(Debug)]
enum What {
    Command(Cmd),
    Commands(Pipeline),
    Script { script: &'static Script, key: String, arguments: Vec<Vec<u8>> },
}

impl Question {
    /// Whether somebody is there.
    pub(super) fn ping() -> Question {
        Question::command(::redis::cmd("PING"))
    }

    /// One command.
    pub(in crate::store) fn command(command: Cmd) -> Question {
        Question { what: What::Command(command), same: None }
    }

    /// Several commands in one go.
    pub(in crate::store) fn commands(commands: Pipeline) -> Question {
        Question { what: What::Commands(commands), same: None }
    }

    /// A script, which Redis knows by its hash after the first time.
    pub(in crate::store) fn script(
        script: &'static Script,
        key: String,
        arguments: Vec<Vec<u8>>,
    ) -> Question {
        Question { what: What::Script { script, key, arguments }, same: None }
    }

    /// The same question as all that say this of themselves.
    pub(in crate::store) fn same_as(mut self, what: Same) -> Question {
        self.same = Some(what);
        self
    }

    /// The key that it is about, if it is about one.
    pub(super) fn key(&self) -> Option<&[u8]> {
        let command = match &self.what {
            What::Command(command) => command,
            What::Commands(commands) => commands.cmd_iter().next()?,
            What::Script { key, .. } => return Some(key.as_bytes()),
        };
        match command.args_iter().nth(1) {
            Some(Arg::Simple(key)) => Some(key),
            _ => None,
        }
    }

    pub(super) async fn ask(&self, connection: &mut impl ConnectionLike) -> RedisResult<Value> {
        match &self.what {
            What::Command(command) => command.query_async(connection).await,
            What::Commands(commands) => commands.query_async(connection).await,
            What::Script { script, key, arguments } => {
                let mut call = script.key(key);
                for argument in arguments {
                    call.arg(&argument[..]);
                }
                call.invoke_async(connection).await
            }
        }
    }
}
