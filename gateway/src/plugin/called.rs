//! A call of a plugin, as its caller meets it: over already, or to be awaited.
//!
//! Most plugins import nothing that waits. Their calls are over when they return, and awaiting one is a look at what it
//! answered. A call on the waiting lane is boxed, so that requests which meet none are no larger for it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::fault::{Fault, FaultKind};

/// A call's answer, now or later. Dropped before it is there, the call is abandoned.
#[must_use = "a call that waits is made only while it is awaited"]
pub struct Called<'a, A>(State<'a, A>);

type Waiting<'a, A> = Pin<Box<dyn Future<Output = Result<A, Fault>> + 'a>>;

enum State<'a, A> {
    /// None when the answer was taken.
    Over(Option<Result<A, Fault>>),
    Waits(Waiting<'a, A>),
}

impl<'a, A> Called<'a, A> {
    /// A call that is over.
    #[inline]
    pub(super) fn over(result: Result<A, Fault>) -> Self {
        Called(State::Over(Some(result)))
    }

    /// A call that goes on while it is awaited.
    pub(super) fn waits(call: impl Future<Output = Result<A, Fault>> + 'a) -> Self {
        Called(State::Waits(Box::pin(call)))
    }

    /// The answer of a call that is over, as each is on stores that answer at once. One that waits is not made.
    ///
    /// # Errors
    /// The call's fault; also that it would have to wait.
    pub fn now(self) -> Result<A, Fault> {
        match self.0 {
            State::Over(Some(result)) => result,
            State::Over(None) | State::Waits(_) => {
                Err(Fault::new(FaultKind::Busy, "it would have to wait, which nobody does here"))
            }
        }
    }

    /// The same call with another answer.
    pub(super) fn map<B: 'a>(self, change: fn(A) -> B) -> Called<'a, B>
    where
        A: 'a,
    {
        match self.0 {
            State::Over(result) => Called(State::Over(result.map(|result| result.map(change)))),
            State::Waits(call) => Called::waits(async move { call.await.map(change) }),
        }
    }
}

impl<A: Unpin> Future for Called<'_, A> {
    type Output = Result<A, Fault>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Over(result) => Poll::Ready(result.take().expect("nobody polls what was ready")),
            State::Waits(call) => call.as_mut().poll(task),
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for Called<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Over(result) => formatter.debug_tuple("Over").field(result).finish(),
            State::Waits(_) => formatter.write_str("Waits"),
        }
    }
}
