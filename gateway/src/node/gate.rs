//! The gate of a pool: how many of its requests are in flight, and who waits for a place among them.
//!
//! It counts for the whole gateway and lives as long as the pool's name does, through every reload. Its numbers are
//! written by all workers, so only requests of pools with limits pass it.
//!
//! There is one queue for all workers: first come, first served, whatever worker a connection happens to be on. Its lock
//! is taken only while somebody waits, and for as long as it takes to find the first in it; a pool below its limits
//! never meets it. No wake-up is lost: who leaves first gives the place back and then looks whether somebody waits; who
//! waits first says so and then looks for a place. Both are sequentially consistent, so at least one sees the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::gradient::{Gradient, LimitRange};

/// Places of one pool. It decides nothing: the limits come with each call.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Gate {
    in_flight: AtomicU32,
    waiting: AtomicU32,
    queue: Mutex<Queue>,
    /// What `gradient` found last; 0 before it found anything.
    adapted: AtomicU32,
    gradient: Mutex<Gradient>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Numbers ascend, so that a waiter finds itself by halving.
    waiters: VecDeque<(u64, Waker)>,
    next: u64,
}

/// One request's place among those in flight; given back when dropped.
#[derive(Debug)]
pub struct Place<'g> {
    gate: &'g Gate,
    taken: u32,
}

/// A place in the queue; given up when dropped, as by a client that leaves.
#[derive(Debug)]
pub struct Waiting<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Gate {
    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Requests that wait for a place now.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// A place, if fewer than `most` are taken and nobody waits for one: who comes now does not overtake.
    pub fn enter(&self, most: u32) -> Option<Place<'_>> {
        if self.waiting.load(SeqCst) > 0 {
            return None;
        }
        self.take(most)
    }

    /// Joins the queue at its end, unless `most` wait already.
    pub fn wait(&self, most: u32) -> Option<Waiting<'_>> {
        let joins = |waiting| (waiting < most).then(|| waiting + 1);
        self.waiting.fetch_update(SeqCst, SeqCst, joins).ok()?;
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.waiters.push_back((number, Waker::noop().clone()));
        Some(Waiting { gate: self, number })
    }

    /// Lets the first in the queue look again: something beside a place became free.
    pub fn wake_first(&self) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let first = self.queue().waiters.front().map(|(_, waker)| waker.clone());
        // Behind the lock: whoever is woken may want it at once.
        if let Some(waker) = first {
            waker.wake();
        }
    }

    /// How many may be in flight as far as latencies tell; see [`Gradient`].
    pub fn adapted(&self, range: LimitRange) -> u32 {
        match self.adapted.load(Relaxed) {
            0 => range.start(),
            limit => limit.clamp(range.min, range.max),
        }
    }

    /// Feeds the latency of an attempt that began when so many were in flight. A sample that finds another one being
    /// counted is left out: one in many does not matter, and nobody waits here.
    pub fn learn(&self, latency: Duration, in_flight: u32, range: LimitRange, now: Instant) {
        let Ok(mut gradient) = self.gradient.try_lock() else { return };
        let Some(limit) = gradient.observe(latency, in_flight, range, now) else { return };
        let before = self.adapted.swap(limit, Relaxed);
        drop(gradient);
        if limit > before {
            self.wake_first();
        }
    }

    fn take(&self, most: u32) -> Option<Place<'_>> {
        let takes = |taken| (taken < most).then(|| taken + 1);
        let others = self.in_flight.fetch_update(SeqCst, SeqCst, takes).ok()?;
        Some(Place { gate: self, taken: others + 1 })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic cannot leave it half-changed: each change is one call.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// How many places were taken with this one, when it was.
    pub fn taken(&self) -> u32 {
        self.taken
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(1, SeqCst);
        self.gate.wake_first();
    }
}

impl<'g> Waiting<'g> {
    /// Ready with a place when this is the first in the queue, fewer than `most` are taken, and `has_room` says that
    /// the place is of use. Else the task is woken when that may have changed. The place in the queue is kept, for the
    /// case that the other one turns out to be of no use after all.
    pub fn poll_place(
        &self,
        cx: &mut Context<'_>,
        most: u32,
        has_room: impl FnOnce() -> bool,
    ) -> Poll<Place<'g>> {
        let mut queue = self.gate.queue();
        let position = self.position(&queue);
        queue.waiters[position].1.clone_from(cx.waker());
        drop(queue);
        if position > 0 {
            return Poll::Pending;
        }
        match self.gate.take(most) {
            Some(place) if has_room() => Poll::Ready(place),
            Some(place) => {
                // Given back without waking anybody: the first in the queue is this one.
                std::mem::forget(place);
                self.gate.in_flight.fetch_sub(1, SeqCst);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    fn position(&self, queue: &Queue) -> usize {
        queue.waiters.partition_point(|(number, _)| *number < self.number)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.gate.queue();
        let position = self.position(&queue);
        queue.waiters.remove(position);
        drop(queue);
        self.gate.waiting.fetch_sub(1, SeqCst);
        if position == 0 {
            self.gate.wake_first();
        }
    }
}

#[cfg(test)]
mod tests;
