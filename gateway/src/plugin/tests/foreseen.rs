//! Picks of clients whose session is known here: plain calls, though the sessions are in a real Redis.

use std::time::Instant;

use test_servers::Redis as Server;

use super::*;
use crate::plugin::{Choice, Fault, FaultKind, Lane, Role};
use crate::store::redis::testing::redis_at;
use crate::store::sessions::FailMode;
use crate::store::{Owner, Sessions};

const OF: Owner<'static> = Owner { key: 1, name: "test", pool: "trial" };
const HOUR: Duration = Duration::from_secs(3600);

/// A gateway whose sessions are in Redis, and another that shares them.
struct Gateways {
    instances: Instances,
    other: Sessions,
    _server: Server,
}

impl Gateways {
    /// With a policy that asks by the cookie "id" where its client is bound, then does this, and picks that node.
    fn with(then: &str) -> Option<Gateways> {
        let server = Server::start()?;
        let sessions = || Sessions::in_redis(redis_at(&server.url()), 1000, HOUR, FailMode::Move);
        let body = format!(
            r#"(import "sessions" "bound-by-cookie" (func $bound (param i32 i32 i32)))
            (import "sessions" "get" (func $get (param i32 i32 i32)))
            (import "request" "set-note" (func $note (param i64)))
            (import "spare" "on-response-where-bound" (func $spare))
            ;; ---
            (data (i32.const 16) "id")
            (data (i32.const 32) "AAAAAAAAAAAAAAAAAAAAAA")
            (global $calls (mut i32) (i32.const 0))
            (func (export "lifecycle#configure") (param i32 i32) (result i32)
                (call $spare) (i32.const 2048))
            (func (export "balancer#pick") (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (call $bound (i32.const 16) (i32.const 2) (i32.const 128))
                (call $note (i64.const 7))
                {then}
                (call $answer
                    (i32.and (i32.load8_u (i32.const 132)) (i32.eqz (i32.load8_u (i32.const 136))))
                    (i32.load (i32.const 140))))"#
        );
        let module = Arc::new(ENGINE.compile(&plugin(&["lifecycle", "balancer"], &body)).unwrap());
        let limits = Limits { quarantine: None, deadline: None, ..Limits::default() };
        let services = Arc::new(Services { sessions: sessions(), ..Services::default() });
        let used = Use::new(1, 1, UseSpec { limits, ..spec(&[]) }, module, Arc::default(), services).unwrap();
        assert_eq!(used.lane, Lane::Waiting);
        // As each use is before it serves: so the cookie is known.
        used.trial().unwrap();
        let instances = Instances::new(Arc::new(used));
        while instances.tend(Instant::now()) {}
        Some(Gateways { instances, other: sessions(), _server: server })
    }

    /// The request of a client that one of the gateways bound to this node.
    async fn bound(&self, sessions: &Sessions, node: &str) -> Option<Box<Context>> {
        with_cookie(&sessions.bind(&OF, None, node, HOUR, None).await.unwrap().token)
    }

    fn here(&self) -> &Sessions {
        &self.instances.use_().services.sessions
    }

    /// What a plain call picks; a call that would wait is not made.
    fn plain(&self, context: &mut Option<Box<Context>>) -> Result<Choice, Fault> {
        self.instances.pick(context).now()
    }

    fn waits(&self, context: &mut Option<Box<Context>>) -> bool {
        self.plain(context).is_err_and(|fault| fault.kind == FaultKind::Busy)
    }

    fn calls(&self) -> u64 {
        self.instances.use_().stats.calls(Role::Balancer)
    }
}

fn with_cookie(token: &str) -> Option<Box<Context>> {
    let mut context = context();
    context.as_mut().unwrap().request.fields.add(b"cookie", format!("a=b; id={token}").as_bytes());
    context
}

fn spares_response(context: &Option<Box<Context>>) -> bool {
    context.as_ref().unwrap().spares_response
}

#[tokio::test]
async fn who_is_known_here_costs_a_plain_call() {
    let Some(gateways) = Gateways::with("") else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(1)));
    assert_eq!((note(&context), gateways.calls()), (7, 1));
    assert_eq!(gateways.here().near_cache().unwrap()[0], ("hit", 1), "it was looked up once");
    assert!(spares_response(&context));
}

#[tokio::test]
async fn who_has_no_cookie_or_a_forged_one_costs_a_plain_call() {
    let Some(gateways) = Gateways::with("") else { return };
    for mut context in [context(), with_cookie(""), with_cookie("forged"), with_cookie("\u{e9}")] {
        assert_eq!(gateways.plain(&mut context), Ok(Choice::Abstain));
        assert!(!spares_response(&context));
    }
}

#[tokio::test]
async fn who_is_bound_elsewhere_is_asked_for_once() {
    let Some(gateways) = Gateways::with("") else { return };
    let mut context = gateways.bound(&gateways.other, "trial-1").await;
    assert!(gateways.waits(&mut context));
    assert_eq!(gateways.instances.pick(&mut context).await, Ok(Choice::Node(0)));
    assert!(spares_response(&context));
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(0)), "now it is known");
}

#[tokio::test]
async fn who_is_bound_to_a_node_that_is_gone_stays_with_nobody() {
    let Some(gateways) = Gateways::with("") else { return };
    let mut context = gateways.bound(gateways.here(), "gone").await;
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Abstain));
    assert!(!spares_response(&context));
}

#[tokio::test]
async fn another_attempt_is_not_sent_where_the_first_failed() {
    let Some(gateways) = Gateways::with("") else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    context.as_mut().unwrap().attempt = 2;
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Abstain));
}

#[tokio::test]
async fn a_response_is_spared_only_if_the_bound_node_was_picked() {
    let other = "(return (call $answer (i32.const 1) (i32.const 0)))";
    let Some(gateways) = Gateways::with(other) else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(0)));
    assert!(!spares_response(&context));
}

#[tokio::test]
async fn a_call_that_wants_more_is_made_again_where_it_may_wait() {
    let more = "(call $get (i32.const 32) (i32.const 22) (i32.const 256))";
    let Some(gateways) = Gateways::with(more) else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    assert_eq!(gateways.instances.pick(&mut context).await, Ok(Choice::Node(1)));
    assert_eq!((note(&context), gateways.calls()), (7, 1), "the first try counts for nothing");
    assert_eq!(gateways.instances.use_().stats.all_faults(), 0);
    // It is not tried again at once, nor is an instance for it started.
    while gateways.instances.tend(Instant::now()) {}
    assert!(gateways.instances.memory().is_none());
    assert!(gateways.waits(&mut context));
}

#[tokio::test]
async fn a_call_that_takes_long_has_the_time_of_its_lane() {
    let forever = "(loop $again (br $again))";
    // A trial would not let it pass, so it begins to loop with its third call: the trial's was another instance's first.
    let late = format!("(if (i32.gt_u (global.get $calls) (i32.const 2)) (then {forever}))");
    let Some(gateways) = Gateways::with(&late) else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    for _ in 0..2 {
        assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(1)));
    }
    assert_eq!(
        gateways.instances.pick(&mut context).await,
        Ok(Choice::Node(1)),
        "the other instance's first"
    );
    assert_eq!(gateways.instances.use_().stats.all_faults(), 0);
}

#[tokio::test]
async fn a_plain_call_that_traps_is_a_fault_like_any() {
    let late = "(if (i32.gt_u (global.get $calls) (i32.const 1)) (then (unreachable)))";
    let Some(gateways) = Gateways::with(late) else { return };
    let mut context = gateways.bound(gateways.here(), "trial-2").await;
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(1)));
    context = gateways.bound(gateways.here(), "trial-1").await;
    assert_eq!(gateways.plain(&mut context).map_err(|fault| fault.kind), Err(FaultKind::Trap));
    assert_eq!((note(&context), gateways.instances.use_().stats.all_faults()), (0, 1));
    assert!(gateways.waits(&mut context), "until there is a fresh instance");
    assert!(gateways.instances.tend(Instant::now()));
    assert_eq!(gateways.plain(&mut context), Ok(Choice::Node(0)));
}
