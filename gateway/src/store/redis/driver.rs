//! The one task that holds the connection to Redis: it connects, serves questions, and steps back when that goes wrong.
//!
//! It reads as Redis' life does. Connect; serve until the connection ends or too many questions fail; then turn away whatever is
//! asked, at once, and try again after a pause that grows. Only the gateway's own question (a PING, in [`Dial::dial`]) finds out
//! whether Redis is back, so no request ever waits for that. A new connection is made each time: the old one would first deliver
//! what nobody waits for any more.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::breaker::{Answers, Pauses};
use super::link::{Dial, Link, words};
use super::question::{Question, Same};
use super::stats::{Outcome, State, Stats};

/// Questions on the connection at once. Chosen like the queue: more than that is an overload.
const AT_ONCE: usize = 4096;

/// What is told to who waits: what Redis said, or how else it went; nothing if it was not asked.
pub(super) type Answer = Result<Value, Outcome>;

/// A question, and who waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Answer>,
}

pub(super) struct Driver {
    dial: Dial,
    /// How long one question may take.
    timeout: Duration,
    jobs: mpsc::Receiver<Job>,
    stats: Arc<Stats>,
    pauses: Pauses,
    /// What was logged last as the reason why Redis cannot be asked, and since when it cannot.
    down: Option<(String, Instant)>,
    /// The last failure of a single question that was logged.
    refused: String,
}

/// A question that was asked came to an end.
struct Done {
    same: Option<Same>,
    /// Who waits; those who asked the same wait in [`Serving::waiting`].
    answer: Option<oneshot::Sender<Answer>>,
    came: Came,
}

enum Came {
    Answer(Value),
    /// Redis is well and does not do this.
    Refused(String),
    Failed(String),
    /// It did not answer in time.
    Late(String),
    /// There is no use in asking anything more on this connection.
    Lost(String),
}

impl Driver {
    pub(super) fn new(dial: Dial, timeout: Duration, jobs: mpsc::Receiver<Job>, stats: Arc<Stats>) -> Driver {
        let (pauses, refused) = (Pauses::default(), String::new());
        Driver { dial, timeout, jobs, stats, pauses, down: None, refused }
    }

    /// Runs until nobody is left who could ask.
    pub(super) async fn run(mut self) {
        while let Some(link) = self.connect().await {
            self.up();
            match self.serve(link).await {
                Some(why) => self.down(why),
                None => return,
            }
            // A connection that is lost at once each time must not make a busy loop.
            let pause = self.pauses.next(fastrand::f64());
            if self.while_down(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// A connection, however long it takes; none if nobody is left who could ask.
    async fn connect(&mut self) -> Option<Link> {
        loop {
            match self.try_once().await? {
                Ok(link) => return Some(link),
                Err(why) => self.down(why),
            }
            let pause = self.pauses.next(fastrand::f64());
            self.while_down(sleep(pause)).await?;
        }
    }

    async fn try_once(&mut self) -> Option<Result<Link, String>> {
        if self.down.is_none() {
            // At the start those who ask wait for it, as long as they do.
            return Some(self.dial.dial().await);
        }
        let Driver { dial, jobs, .. } = self;
        turning_away(jobs, dial.dial()).await
    }

    async fn while_down<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        turning_away(&mut self.jobs, what).await
    }

    /// Asks what there is to ask; why that ended, or nothing if nobody is left who could ask.
    async fn serve(&mut self, link: Link) -> Option<String> {
        let mut asked = FuturesUnordered::new();
        let mut answers = Answers::default();
        // Who asked the same as one that is on its way.
        let mut waiting: HashMap<Same, Vec<oneshot::Sender<Answer>>> = HashMap::new();
        loop {
            tokio::select! {
                job = self.jobs.recv(), if asked.len() < AT_ONCE => {
                    let Job { question, answer } = job?;
                    let Some(same) = question.same else {
                        asked.push(ask(link.clone(), question, Some(answer), self.timeout));
                        continue;
                    };
                    if let Some(others) = waiting.get_mut(&same) {
                        others.push(answer);
                        continue;
                    }
                    waiting.insert(same, vec![answer]);
                    asked.push(ask(link.clone(), question, None, self.timeout));
                }
                Some(done) = asked.next() => {
                    let others = done.same.and_then(|same| waiting.remove(&same)).unwrap_or_default();
                    let failed = !matches!(done.came, Came::Answer(_) | Came::Refused(_));
                    let ended = self.tell(done.came, done.answer.into_iter().chain(others));
                    match ended {
                        ControlFlow::Break(why) => return Some(why),
                        ControlFlow::Continue(why) => if answers.note(failed) {
                            return Some(format!("too many questions fail, the last one by: {why}"));
                        }
                    }
                }
            }
        }
    }

    /// Tells those who wait what came; whether the connection is still of use, and what is wrong.
    fn tell(
        &mut self,
        came: Came,
        waiting: impl Iterator<Item = oneshot::Sender<Answer>>,
    ) -> ControlFlow<String, String> {
        let (answer, ended) = match came {
            Came::Answer(value) => {
                self.pauses.reset();
                (Ok(value), ControlFlow::Continue(String::new()))
            }
            Came::Refused(why) => {
                self.note_refusal(&why);
                (Err(Outcome::Failed), ControlFlow::Continue(why))
            }
            Came::Failed(why) => (Err(Outcome::Failed), ControlFlow::Continue(why)),
            Came::Late(why) => (Err(Outcome::Late), ControlFlow::Continue(why)),
            Came::Lost(why) => (Err(Outcome::Failed), ControlFlow::Break(why)),
        };
        for who in waiting {
            // Whoever gave up waiting needs no answer.
            let _ = who.send(answer.clone());
        }
        ended
    }

    /// Logs what Redis does not do, once for each reason: a right that the user lacks shows at each request.
    fn note_refusal(&mut self, why: &str) {
        if self.refused != why {
            warn!(why, "Redis does not do what it is asked");
            self.refused = why.to_owned();
        }
    }

    fn up(&mut self) {
        self.stats.set_state(State::Up);
        match self.down.take() {
            Some((_, since)) => info!(after_ms = since.elapsed().as_millis() as u64, "Redis answers again"),
            None => info!("Redis answers"),
        }
    }

    fn down(&mut self, why: String) {
        self.stats.set_state(State::Down);
        match &mut self.down {
            Some((logged, _)) if *logged == why => return,
            Some((logged, _)) => *logged = why.clone(),
            none => *none = Some((why.clone(), Instant::now())),
        }
        warn!(why, "Redis cannot be asked; requests go on without it, and it is tried again");
    }
}

async fn ask(
    mut link: Link,
    question: Question,
    answer: Option<oneshot::Sender<Answer>>,
    within: Duration,
) -> Done {
    let came = match timeout(within, link.ask(&question)).await {
        Ok(Ok(value)) => Came::Answer(value),
        Ok(Err(error)) => failure(&error, link.mends_itself()),
        Err(_) => Came::Late(format!("no answer within {within:?}")),
    };
    Done { same: question.same, answer, came }
}

/// What an error says of the connection and of the server. A connection to a cluster mends itself, and its other members
/// may be well.
fn failure(error: &RedisError, mends_itself: bool) -> Came {
    let lost = match error.kind() {
        // The server is not the one to ask, or not yet: connecting anew finds the right one.
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown,
        ) => true,
        ErrorKind::Server(_) | ErrorKind::Extension => return Came::Refused(words(error)),
        _ => error.is_connection_dropped(),
    };
    if lost && !mends_itself { Came::Lost(words(error)) } else { Came::Failed(words(error)) }
}

/// Waits for something, and meanwhile turns away who asks. None if nobody is left who could.
async fn turning_away<T>(jobs: &mut mpsc::Receiver<Job>, what: impl Future<Output = T>) -> Option<T> {
    let mut what = pin!(what);
    loop {
        tokio::select! {
            done = &mut what => return Some(done),
            // Whoever waits for the answer is told by this that there will be none.
            job = jobs.recv() => drop(job?),
        }
    }
}
