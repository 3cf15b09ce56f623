//! Against a server in virtual time: it serves so many at once, the rest waits inside it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const RANGE: LimitRange = LimitRange { min: 1, max: 1000 };

/// A pool that serves `knee` requests at once, each in `service` seconds on average, exponentially.
struct Simulation {
    random: fastrand::Rng,
    start: Instant,
    now: f64,
    knee: usize,
    service: f64,
    /// Requests a second that arrive.
    load: f64,
    /// When each of the slots is free again.
    slots: BinaryHeap<Reverse<u64>>,
    /// End, begin and the crowd at the beginning of each request in flight.
    flying: BinaryHeap<Reverse<(u64, u64, u32)>>,
    gradient: Gradient,
    limit: u32,
    served: u32,
    refused: u32,
    latency: f64,
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl Simulation {
    fn new(seed: u64, knee: usize, service: f64) -> Simulation {
        Simulation {
            random: fastrand::Rng::with_seed(seed),
            start: Instant::now(),
            now: 0.0,
            knee,
            service,
            load: 0.0,
            slots: BinaryHeap::from(vec![Reverse(0); knee]),
            flying: BinaryHeap::new(),
            gradient: Gradient::default(),
            limit: RANGE.start(),
            served: 0,
            refused: 0,
            latency: 0.0,
        }
    }

    /// What the server can do, in requests a second.
    fn capacity(&self) -> f64 {
        self.knee as f64 / self.service
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.random.f64()).ln()
    }

    /// Goes on for so many seconds under so many times the load that can be served; the share of the capacity that was
    /// used, and the mean latency in seconds.
    fn run(&mut self, seconds: f64, load: f64) -> (f64, f64) {
        self.load = load * self.capacity();
        (self.served, self.refused, self.latency) = (0, 0, 0.0);
        let end = self.now + seconds;
        while self.now < end {
            let pause = self.exponential(1.0 / self.load);
            self.now += pause;
            self.land();
            self.arrive();
        }
        (f64::from(self.served) / seconds / self.capacity(), self.latency / f64::from(self.served.max(1)))
    }

    fn arrive(&mut self) {
        let crowd = self.flying.len() as u32 + 1;
        if crowd > self.limit {
            self.refused += 1;
            return;
        }
        let (now, service) = (nanos(self.now), self.service);
        let took = nanos(self.exponential(service));
        let Reverse(free) = self.slots.pop().expect("there are slots");
        let end = free.max(now) + took;
        self.slots.push(Reverse(end));
        self.flying.push(Reverse((end, now, crowd)));
    }

    fn land(&mut self) {
        while let Some(&Reverse((end, begin, crowd))) = self.flying.peek()
            && end <= nanos(self.now)
        {
            self.flying.pop();
            self.served += 1;
            self.latency += (end - begin) as f64 / 1e9;
            let now = self.start + Duration::from_nanos(end);
            let latency = Duration::from_nanos(end - begin);
            if let Some(limit) = self.gradient.observe(latency, crowd, RANGE, now) {
                self.limit = limit;
            }
        }
    }
}

#[test]
fn it_comes_to_rest_near_what_the_server_can_do() {
    for (knee, service) in [(8, 0.005), (40, 0.01), (200, 0.05)] {
        let mut server = Simulation::new(7, knee, service);
        server.run(60.0, 1.5);
        let (used, latency) = server.run(60.0, 1.5);
        let limit = server.gradient.limit;
        let near = knee as f64..=2.5 * knee as f64;
        assert!(near.contains(&limit), "{knee}: {limit}");
        assert!(used > 0.95, "{knee}: it is not idle for the limit's sake: {used}");
        assert!(latency < 2.2 * service, "{knee}: and nobody waits long in it: {latency}");
    }
}

#[test]
fn a_load_that_is_served_is_not_refused() {
    let mut server = Simulation::new(3, 40, 0.01);
    server.run(20.0, 0.7);
    server.run(40.0, 0.7);
    let refused = f64::from(server.refused) / f64::from(server.refused + server.served);
    assert!(refused < 0.01, "{refused}");
}

#[test]
fn it_comes_back_after_the_server_was_slow() {
    let mut server = Simulation::new(5, 40, 0.01);
    server.run(40.0, 1.2);
    server.service = 0.2;
    let limits = (0..10).map(|_| {
        server.run(0.5, 1.2);
        server.limit
    });
    assert!(limits.min() < Some(20), "slower is taken for too many at first");
    // Slower for good is another server, not a crowd: the next probes find that out.
    server.run(60.0, 1.2);
    let (used, _) = server.run(30.0, 1.2);
    assert!(used > 0.9, "{used}");
    server.service = 0.01;
    server.run(20.0, 1.2);
    let (used, latency) = server.run(30.0, 1.2);
    assert!(used > 0.95 && latency < 0.02, "{used} {latency}");
}

#[test]
fn timeouts_for_a_while_do_not_leave_it_at_its_least() {
    let mut server = Simulation::new(5, 40, 0.01);
    server.run(30.0, 1.2);
    for second in 0..30 {
        let now = server.start + Duration::from_secs_f64(server.now) + Duration::from_secs(second);
        for _ in 0..20 {
            server.gradient.observe(Duration::from_secs(5), server.limit, RANGE, now);
        }
    }
    server.now += 30.0;
    server.limit = server.gradient.allowed(RANGE);
    server.run(20.0, 1.2);
    let (used, _) = server.run(20.0, 1.2);
    assert!(used > 0.9, "{used}");
}

#[test]
fn few_requests_teach_nothing_and_the_range_holds() {
    let (mut gradient, start) = (Gradient::default(), Instant::now());
    let range = LimitRange { min: 5, max: 30 };
    let mut limit = 20;
    let mut at = |second: u64, latency, in_flight: u32| {
        let now = start + Duration::from_secs(second);
        for _ in 0..20 {
            limit = gradient.observe(latency, in_flight.min(limit), range, now).unwrap_or(limit);
        }
        limit
    };
    let fast = Duration::from_millis(1);
    for second in 0..20 {
        assert_eq!(at(second, fast, 3), 20, "three in flight do not need more");
    }
    assert_eq!((20..60).map(|second| at(second, fast, 30)).max(), Some(30));
    assert_eq!((60..100).map(|second| at(second, Duration::from_millis(100), 30)).min(), Some(5));
}
