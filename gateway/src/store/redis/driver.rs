//! The task that holds a lane's connection to Redis: it connects, serves questions, and steps back when that goes wrong.
//!
//! It reads as Redis' life does. Connect; serve until the connection ends or too many questions fail; then turn away whatever is
//! asked, at once, and try again after a pause that grows. Only the gateway's own question (a PING, in [`Dial::dial`]) finds out
//! whether Redis is back, so no request ever waits for that. A new connection is made each time: the old one would first deliver
//! what nobody waits for any more.
//!
//! A member of a cluster that fails is given up alone (`members`): its keys' questions are turned away, and a new connection is tried beside the
//! one that serves the others.
//!
//! The same PING goes over a connection that was quiet, which something on the way may have dropped without a word: else the
//! next requests would find that out.

use std::collections::HashMap;
use std::future::pending;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::breaker::Pauses;
use super::health::Own;
use super::link::{Dial, Found, Link, words};
use super::members::{Members, Verdict};
use super::question::{Question, Same};
use super::stats::Outcome;

/// Questions on the connection at once. Chosen like the queue: more than that is an overload.
const AT_ONCE: usize = 4096;
/// A connection on which nothing was asked for so long is tried. Chosen: firewalls forget one after minutes.
const QUIET: Duration = Duration::from_secs(10);
/// How long it may take to answer then: nobody waits for it.
const TRIED: Duration = Duration::from_secs(1);

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
    jobs: mpsc::Receiver<Job>,
    own: Own,
    pauses: Pauses,
    /// Those before a new connection is tried since a member is missing.
    missing: Pauses,
    /// Whether it was found out that Redis cannot be asked.
    is_down: bool,
    /// The last refusal that was noted.
    refused: String,
}

/// Who waits for an answer.
enum Who {
    One(oneshot::Sender<Answer>),
    /// All who asked this; they are in [`Waiting`].
    Same(Same),
    /// The gateway, which tries a connection that was quiet.
    Gateway,
}

/// Who asked the same as a question that is on its way.
#[derive(Default)]
struct Waiting(HashMap<Same, Vec<oneshot::Sender<Answer>>>);

impl Waiting {
    /// For whom a question is to be asked; none if the same is on its way, with whose answer this one is content.
    fn enlist(&mut self, same: Option<Same>, answer: oneshot::Sender<Answer>) -> Option<Who> {
        let Some(same) = same else { return Some(Who::One(answer)) };
        let others = self.0.entry(same).or_default();
        others.push(answer);
        (others.len() == 1).then_some(Who::Same(same))
    }

    /// All who get its answer; none if that is the gateway.
    fn leave(&mut self, who: Who) -> Option<Vec<oneshot::Sender<Answer>>> {
        match who {
            Who::One(one) => Some(vec![one]),
            Who::Same(same) => Some(self.0.remove(&same).unwrap_or_default()),
            Who::Gateway => None,
        }
    }
}

/// A question that was asked came to an end.
struct Done {
    who: Who,
    /// Which member of a cluster it was for.
    member: Option<usize>,
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
    pub(super) fn new(dial: Dial, jobs: mpsc::Receiver<Job>, own: Own) -> Driver {
        let (pauses, missing, refused) = Default::default();
        Driver { dial, jobs, own, pauses, missing, is_down: false, refused }
    }

    /// Runs until nobody is left who could ask.
    pub(super) async fn run(mut self) {
        while let Some(found) = self.connect().await {
            self.up();
            match self.serve(found).await {
                Some(why) => self.down(&why),
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
    async fn connect(&mut self) -> Option<Found> {
        loop {
            match self.try_once().await? {
                Ok(found) => return Some(found),
                Err(why) => self.down(&why),
            }
            let pause = self.pauses.next(fastrand::f64());
            self.while_down(sleep(pause)).await?;
        }
    }

    async fn try_once(&mut self) -> Option<Result<Found, String>> {
        if !self.is_down {
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
    async fn serve(&mut self, found: Found) -> Option<String> {
        let mut asked = FuturesUnordered::new();
        let (mut link, mut members) = self.meet(found);
        // A new connection to a cluster of which a member is not asked.
        let mut beside = self.try_beside(&members);
        let mut waiting = Waiting::default();
        let mut looks = looks();
        let mut is_quiet = false;
        loop {
            tokio::select! {
                job = self.jobs.recv(), if asked.len() < AT_ONCE => {
                    let Job { question, answer } = job?;
                    let member = members.of(question.key());
                    if member.is_some_and(|member| !members.is_asked(member)) {
                        // Whoever waits for the answer is told by this that there will be none.
                        drop(answer);
                        continue;
                    }
                    is_quiet = false;
                    let Some(who) = waiting.enlist(question.same, answer) else { continue };
                    asked.push(ask(link.clone(), question, who, member, self.dial.timeout));
                }
                Some(Done { who, member, came }) = asked.next() => {
                    let failed = came.is_failure();
                    let Some(who) = waiting.leave(who) else {
                        if failed {
                            return Some(came.why());
                        }
                        continue;
                    };
                    let why = match self.tell(came, who) {
                        ControlFlow::Break(why) => return Some(why),
                        ControlFlow::Continue(why) => why,
                    };
                    match members.note(member, failed, &why, self.own.health()) {
                        Verdict::Fine => {}
                        Verdict::Fewer => beside = self.try_beside(&members),
                        Verdict::Nobody => {
                            return Some(format!("too many questions fail, the last one by: {why}"));
                        }
                    }
                }
                found = &mut beside => {
                    if let Ok(found) = found && found.silent.len() < members.absent() {
                        let (new, now) = self.meet(found);
                        link = new;
                        members.replace(now);
                        self.missing.reset();
                    }
                    beside = self.try_beside(&members);
                }
                _tick = looks.tick() => {
                    if is_quiet {
                        asked.push(ask(link.clone(), Question::ping(), Who::Gateway, None, TRIED));
                    }
                    is_quiet = true;
                }
            }
        }
    }

    /// Takes a new connection; those who did not answer there are not asked.
    fn meet(&self, found: Found) -> (Link, Members) {
        let Found { link, mut members, silent } = found;
        for (member, why) in silent {
            members.give_up(member, &why, self.own.health());
        }
        (link, members)
    }

    /// Tries a new connection after a pause, if members are not asked; else that never ends.
    fn try_beside(&mut self, members: &Members) -> BoxFuture<'static, Result<Found, String>> {
        let cluster = self.dial.cluster().filter(|_| members.absent() > 0);
        let Some(cluster) = cluster else { return Box::pin(pending()) };
        let pause = self.missing.next(fastrand::f64());
        Box::pin(async move {
            sleep(pause).await;
            cluster.dial().await
        })
    }

    /// Tells those who wait what came; whether the connection is still of use, and what is wrong.
    fn tell(
        &mut self,
        came: Came,
        waiting: impl IntoIterator<Item = oneshot::Sender<Answer>>,
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

    fn note_refusal(&mut self, why: &str) {
        if self.refused != why {
            why.clone_into(&mut self.refused);
            self.own.health().note_refusal(why);
        }
    }

    fn up(&mut self) {
        self.is_down = false;
        self.own.up();
    }

    fn down(&mut self, why: &str) {
        self.is_down = true;
        self.own.down(why);
    }
}

impl Came {
    /// Whether that speaks against asking on.
    fn is_failure(&self) -> bool {
        !matches!(self, Came::Answer(_) | Came::Refused(_))
    }

    /// What went wrong; nothing for an answer.
    fn why(self) -> String {
        match self {
            Came::Answer(_) => String::new(),
            Came::Refused(why) | Came::Failed(why) | Came::Late(why) | Came::Lost(why) => why,
        }
    }
}

/// When to look whether a connection is quiet.
fn looks() -> Interval {
    let mut looks = interval(QUIET);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

async fn ask(mut link: Link, question: Question, who: Who, member: Option<usize>, within: Duration) -> Done {
    let came = match timeout(within, link.ask(&question)).await {
        Ok(Ok(value)) => Came::Answer(value),
        Ok(Err(error)) => failure(&error, link.mends_itself()),
        Err(_) => Came::Late(format!("no answer within {within:?}")),
    };
    Done { who, member, came }
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
