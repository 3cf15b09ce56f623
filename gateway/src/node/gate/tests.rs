#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Somebody in the queue.
struct Waiter<'g> {
    waiting: Waiting<'g>,
    bell: Arc<Bell>,
}

impl<'g> Waiter<'g> {
    fn of(gate: &'g Gate) -> Waiter<'g> {
        Waiter { waiting: gate.wait(10).unwrap(), bell: Arc::default() }
    }

    fn look(&self, most: u32, has_room: bool) -> Option<Place<'g>> {
        let waker = Waker::from(Arc::clone(&self.bell));
        match self.waiting.poll_place(&mut Context::from_waker(&waker), most, || has_room) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    fn rung(&self) -> usize {
        self.bell.0.load(SeqCst)
    }
}

#[test]
fn there_are_as_many_places_as_the_limit_says() {
    let gate = Gate::default();
    let (one, two) = (gate.enter(2).unwrap(), gate.enter(2).unwrap());
    assert_eq!((one.taken(), two.taken(), gate.in_flight()), (1, 2, 2));
    assert!(gate.enter(2).is_none());
    assert!(gate.enter(3).is_some(), "a higher limit counts at once");
    drop(one);
    assert!(gate.enter(2).is_some());
}

#[test]
fn first_come_first_served_and_nobody_overtakes() {
    let gate = Gate::default();
    let place = gate.enter(1).unwrap();
    let (first, second) = (Waiter::of(&gate), Waiter::of(&gate));
    assert!(first.look(1, true).is_none() && second.look(1, true).is_none());
    drop(place);
    assert_eq!((first.rung(), second.rung()), (1, 0));
    assert!(gate.enter(1).is_none(), "who comes now stands behind them");
    assert!(second.look(1, true).is_none(), "and who looks by chance is not first");
    let place = first.look(1, true).unwrap();
    drop(first);
    assert_eq!((second.rung(), gate.waiting()), (1, 1), "the next one looks, too: there may be more places");
    assert!(second.look(1, true).is_none());
    drop(place);
    assert!(second.look(1, true).is_some());
}

#[test]
fn who_leaves_the_queue_makes_way() {
    let gate = Gate::default();
    let place = gate.enter(1).unwrap();
    let (first, second, third) = (Waiter::of(&gate), Waiter::of(&gate), Waiter::of(&gate));
    assert!([&first, &second, &third].iter().all(|waiter| waiter.look(1, true).is_none()));
    drop(second);
    assert_eq!((gate.waiting(), first.rung(), third.rung()), (2, 0, 0), "nobody's turn changed");
    drop(place);
    drop(first);
    assert_eq!(third.rung(), 1);
    assert!(third.look(1, true).is_some());
}

#[test]
fn a_place_without_use_is_not_kept() {
    let gate = Gate::default();
    let first = Waiter::of(&gate);
    assert!(first.look(1, false).is_none());
    assert_eq!((gate.in_flight(), first.rung()), (0, 0), "nor does it wake itself for it");
    gate.wake_first();
    assert_eq!(first.rung(), 1);
    assert!(first.look(1, true).is_some());
}

#[test]
fn the_queue_has_an_end() {
    let gate = Gate::default();
    let waiting: Vec<_> = (0..3).map(|_| gate.wait(3).unwrap()).collect();
    assert!(gate.wait(3).is_none() && gate.wait(0).is_none());
    drop(waiting);
    assert_eq!(gate.waiting(), 0);
    assert!(gate.wait(3).is_some());
}

#[test]
fn many_threads_lose_no_wake_up_and_never_exceed_the_limit() {
    const LIMIT: u32 = 2;
    let gate = Gate::default();
    let (inside, served) = (AtomicU32::new(0), AtomicU32::new(0));
    let one_request = || {
        let place = gate.enter(LIMIT).unwrap_or_else(|| {
            let waiting = gate.wait(100).unwrap();
            let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
            loop {
                match waiting.poll_place(&mut Context::from_waker(&waker), LIMIT, || true) {
                    Poll::Ready(place) => break place,
                    // Without a limit on the wait: a wake-up that is lost hangs the test.
                    Poll::Pending => std::thread::park(),
                }
            }
        });
        assert!(inside.fetch_add(1, SeqCst) < LIMIT);
        std::thread::yield_now();
        inside.fetch_sub(1, SeqCst);
        served.fetch_add(1, SeqCst);
        drop(place);
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..500).for_each(|_| one_request()));
        }
    });
    assert_eq!((served.load(SeqCst), gate.in_flight(), gate.waiting()), (4000, 0, 0));
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn the_adapted_limit_keeps_to_its_range() {
    let (gate, now) = (Gate::default(), Instant::now());
    let range = LimitRange { min: 2, max: 10 };
    assert_eq!(gate.adapted(range), 10, "the start, cut to the range");
    for milli in 0..1000 {
        gate.learn(Duration::from_millis(1), 8, range, now + Duration::from_millis(milli));
    }
    assert!((2..=10).contains(&gate.adapted(range)));
    assert_eq!(gate.adapted(LimitRange { min: 50, max: 60 }), 50, "a reload may change the range");
}
