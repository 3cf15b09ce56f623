//! Deadlines from one coarse clock a worker: setting one is a store, not a timer.
//!
//! Each connection owns one slot. A ticking task compares all slots with the clock, 16 bytes each, so
//! 10,000 connections cost some microseconds a tick. A deadline is up to two [`TICK`]s late, never early.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often deadlines are compared with the clock: fine enough for time-outs in tenths of a second.
pub const TICK: Duration = Duration::from_millis(20);

/// A time on a worker's coarse clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End(u64);

/// Earlier than any that is set.
const CUT: End = End(0);

impl End {
    /// A time that does not come.
    pub const NEVER: End = End(u64::MAX);
}

/// All deadlines of a worker.
#[derive(Debug)]
pub struct Deadlines {
    start: Instant,
    now: Cell<u64>,
    at: RefCell<Vec<End>>,
    idle: RefCell<Vec<bool>>,
    group: RefCell<Vec<u32>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

/// The time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Deadlines {
    /// A clock that starts now and whose task calls [`Deadlines::tick`].
    pub fn new() -> Rc<Deadlines> {
        Rc::new(Deadlines {
            start: Instant::now(),
            now: Cell::new(0),
            at: RefCell::default(),
            idle: RefCell::default(),
            group: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
        })
    }

    /// Moves the clock on and wakes whose time is over.
    pub fn tick(&self, now: Instant) {
        let now = now.duration_since(self.start).as_millis() as u64;
        self.now.set(now);
        let at = self.at.borrow();
        let mut wakers = self.wakers.borrow_mut();
        for (index, at) in at.iter().enumerate() {
            if at.0 <= now
                && let Some(waker) = wakers[index].take()
            {
                waker.wake();
            }
        }
    }

    /// Moves every deadline of a group that was set by [`Deadline::set_idle`] to `after` from now, if it is later.
    pub fn shorten_idle(&self, after: Duration, group: u32) {
        let soon = self.after(after);
        let (idle, groups) = (self.idle.borrow(), self.group.borrow());
        for (index, at) in self.at.borrow_mut().iter_mut().enumerate() {
            if idle[index] && groups[index] == group {
                *at = soon.min(*at);
            }
        }
    }

    /// Ends every deadline of a group that is set.
    pub fn expire(&self, group: u32) {
        for (at, of) in self.at.borrow_mut().iter_mut().zip(self.group.borrow().iter()) {
            if *of == group && *at != End::NEVER {
                *at = CUT;
            }
        }
    }

    /// A new deadline, not set.
    pub fn deadline(self: &Rc<Self>, group: u32) -> Deadline {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.at.borrow_mut().push(End::NEVER);
            self.idle.borrow_mut().push(false);
            self.group.borrow_mut().push(group);
            self.wakers.borrow_mut().push(None);
            self.at.borrow().len() - 1
        });
        self.group.borrow_mut()[index] = group;
        Deadline { owner: self.clone(), index }
    }

    /// The time that is `after` from now. The clock may be a tick behind.
    fn after(&self, after: Duration) -> End {
        let after = after.saturating_add(TICK);
        // In 64 bits, unlike `as_millis`: this is done some times a request.
        let after = after.as_secs().saturating_mul(1000).saturating_add(u64::from(after.subsec_millis()));
        End(self.now.get().saturating_add(after))
    }
}

/// A deadline that can be moved at no cost.
#[derive(Debug)]
pub struct Deadline {
    owner: Rc<Deadlines>,
    index: usize,
}

impl Deadline {
    /// Sets it to `after` from now.
    pub fn set(&self, after: Duration) {
        self.set_end(self.end(after));
    }

    /// Sets it to an end that [`Deadline::end`] told.
    pub fn set_end(&self, end: End) {
        self.owner.at.borrow_mut()[self.index] = end;
        self.owner.idle.borrow_mut()[self.index] = false;
    }

    /// When it will be `after` from now; sets nothing.
    pub fn end(&self, after: Duration) -> End {
        self.owner.after(after)
    }

    /// The same for a wait that may be cut short when its group drains.
    pub fn set_idle(&self, after: Duration) {
        self.set(after);
        self.owner.idle.borrow_mut()[self.index] = true;
    }

    /// Whether it was ended with its group, and not set anew since.
    pub fn is_cut(&self) -> bool {
        self.owner.at.borrow()[self.index] == CUT
    }

    /// Whether the time is over; else the task is woken when it is.
    pub fn poll_elapsed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.owner.at.borrow()[self.index].0 <= self.owner.now.get() {
            return Poll::Ready(());
        }
        let mut wakers = self.owner.wakers.borrow_mut();
        match &mut wakers[self.index] {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Awaits `future` for as long as the deadline allows, also while the deadline moves.
    pub async fn race<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| self.poll_race(future.as_mut(), cx)).await
    }

    fn poll_race<F: Future>(
        &self,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Elapsed>> {
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        self.poll_elapsed(cx).map(|()| Err(Elapsed))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.owner.at.borrow_mut()[self.index] = End::NEVER;
        self.owner.wakers.borrow_mut()[self.index] = None;
        self.owner.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(deadline: &Deadline) -> bool {
        deadline.poll_elapsed(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_a_tick_late() {
        let clock = Deadlines::new();
        let deadline = clock.deadline(0);
        assert!(!is_over(&deadline));
        deadline.set(Duration::from_millis(100));
        clock.tick(clock.start + Duration::from_millis(100));
        assert!(!is_over(&deadline), "set up to a tick after the clock moved last");
        clock.tick(clock.start + Duration::from_millis(100) + TICK);
        assert!(is_over(&deadline));
        deadline.set(Duration::from_millis(50));
        assert!(!is_over(&deadline));
    }

    #[test]
    fn a_slot_is_used_again_unset() {
        let clock = Deadlines::new();
        let first = clock.deadline(0);
        first.set(Duration::from_secs(1));
        clock.expire(0);
        assert!(is_over(&first));
        let index = first.index;
        drop(first);
        let second = clock.deadline(0);
        assert_eq!(second.index, index);
        assert!(!is_over(&second));
    }

    #[test]
    fn a_group_drains_alone() {
        let clock = Deadlines::new();
        let (idle, busy, other) = (clock.deadline(1), clock.deadline(1), clock.deadline(2));
        idle.set_idle(Duration::from_secs(60));
        busy.set(Duration::from_secs(60));
        other.set_idle(Duration::from_secs(60));
        clock.shorten_idle(Duration::from_secs(1), 1);
        clock.tick(clock.start + Duration::from_secs(1) + TICK);
        assert_eq!([&idle, &busy, &other].map(is_over), [true, false, false]);
        clock.expire(1);
        assert_eq!([&idle, &busy, &other].map(is_over), [true, true, false]);
        assert_eq!([&idle, &busy, &other].map(Deadline::is_cut), [true, true, false]);
    }
}
