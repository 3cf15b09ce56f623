//! What is remembered of a file's versions, without threads: rollbacks, pins, the state directory, and a start without a
//! plugin.

use std::fs;
use std::time::Instant;

use super::*;
use crate::control::command::{Act, Refusal};
use crate::control::discovery::Found;
use crate::control::status::{FileOutcome, Missing};
use crate::control::{build, writer};
use crate::plugin::{Context, FaultKind, Replay, Role, Sampler, Services, Version};

const LEAST: &str = "least_connections.wasm";
const API: &str = "[route.all]\npool = \"api\"\n[pool.api]\npolicy = \"picker\"\nnodes = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";
/// The same with a memory.
const KEPT: &str = "[plugins]\nstate_directory = \"state\"\n";

fn first() -> Vec<u8> {
    shipped(LEAST)
}

fn second() -> Vec<u8> {
    newer(first())
}

fn third() -> Vec<u8> {
    newer(second())
}

fn name(content: &[u8]) -> String {
    Version::of(content).to_string()
}

/// A site whose policy `picker` is least-connections.
fn site(configuration: &str) -> Site {
    let site = Site::new(&format!("{API}{configuration}"));
    site.put("picker.wasm", &first());
    site
}

fn last(status: &Status) -> FileOutcome {
    status.read().files["picker.wasm"].last.clone().unwrap().1
}

fn runs(builder: &Builder) -> String {
    version(builder.current())
}

#[test]
fn an_operator_goes_back_and_the_version_stays_out_until_the_file_changes() {
    let site = site("");
    let (mut builder, status) = site.builder().unwrap();
    assert!(
        matches!(builder.obey("picker", &Act::RollBack).1, Err(Refusal::Conflict(why)) if why.contains("no earlier"))
    );
    site.put("picker.wasm", &second());
    builder.look();
    assert_eq!(runs(&builder), name(&second()));

    let (prepared, done) = builder.obey("picker", &Act::RollBack);
    let done = done.unwrap();
    assert_eq!((done.act, &*done.file, done.uses), ("rolled_back", "picker.wasm", vec!["picker".to_owned()]));
    writer::note(&status, &prepared.unwrap());
    assert_eq!(runs(&builder), name(&first()));
    assert!(matches!(last(&status), FileOutcome::RolledBack { from, .. } if from == Version::of(&second())));

    // The same bytes again are no change, and neither is another configuration.
    site.put("picker.wasm", &second());
    site.write(&API.replace("127.0.0.1:2", "127.0.0.1:3"));
    builder.look();
    assert_eq!(runs(&builder), name(&first()));
    site.put("picker.wasm", &third());
    builder.look();
    assert_eq!(runs(&builder), name(&third()));
    site.put("picker.wasm", &second());
    builder.look();
    assert_eq!(runs(&builder), name(&second()), "it changed in between");
}

#[test]
fn a_version_that_fails_in_service_is_rolled_back_by_itself() {
    let site = site("");
    let (mut builder, status) = site.builder().unwrap();
    site.put("picker.wasm", &second());
    let (prepared, next) = builder.look();
    let prepared = prepared.unwrap();
    assert!(next.watchful, "it is on probation");
    assert!(status.read().files["picker.wasm"].on_probation);
    let fail = |times| {
        for _ in 0..times {
            prepared.uses[0].stats.count_fault(Role::Balancer, FaultKind::Trap, Instant::now());
        }
    };
    fail(4);
    assert!(builder.look().0.is_none(), "four may be anything");
    fail(1);
    let (prepared, next) = builder.look();
    writer::note(&status, &prepared.unwrap());
    assert_eq!(runs(&builder), name(&first()));
    assert!(!next.watchful);
    let outcome = last(&status);
    assert!(outcome.why().unwrap().starts_with("5 of its first 0 calls failed"), "{outcome:?}");
    assert_eq!(outcome.as_str(), "rolled_back");
    assert!(builder.look().0.is_none(), "it is told once");
}

#[test]
fn a_pin_holds_whatever_the_file_says() {
    let site = site("");
    let (mut builder, status) = site.builder().unwrap();
    let done = builder.obey("picker.wasm", &Act::Pin(None)).1.unwrap();
    assert_eq!(done.pinned, Some(Version::of(&first())));
    site.put("picker.wasm", &second());
    writer::note(&status, &builder.look().0.unwrap());
    assert_eq!((runs(&builder), last(&status)), (name(&first()), FileOutcome::Held(Version::of(&second()))));
    assert_eq!(status.read().files["picker.wasm"].pin, Some(Version::of(&first())));
    let refused = builder.obey("picker", &Act::RollBack).1;
    assert!(matches!(refused, Err(Refusal::Conflict(why)) if why.contains("unpin it first")));
    builder.obey("picker", &Act::Unpin).1.unwrap();
    assert_eq!(runs(&builder), name(&second()));

    let earlier = Act::Pin(Some(Version::of(&first()).hex()[..6].to_owned()));
    builder.obey("picker", &earlier).1.unwrap();
    assert_eq!(runs(&builder), name(&first()));
    let unknown = builder.obey("picker", &Act::Pin(Some("000000".to_owned()))).1;
    assert!(
        matches!(unknown, Err(Refusal::Conflict(why)) if why.contains("no version starts with \"000000\"; known are"))
    );
    assert_eq!(runs(&builder), name(&first()));
    assert!(
        matches!(builder.obey("nobody", &Act::Unpin).1, Err(Refusal::Unknown(why)) if why.contains("there are picker"))
    );
}

#[test]
fn a_restart_comes_up_with_what_was_good() {
    let site = site(KEPT);
    drop(site.builder().unwrap());
    for bad in [Some(&b"this is no wasm"[..]), Some(b""), None] {
        match bad {
            Some(bad) => site.put("picker.wasm", bad),
            None => fs::remove_file(site.plugin("picker.wasm")).unwrap(),
        }
        let (mut builder, status) = site.builder().unwrap();
        assert_eq!(runs(&builder), name(&first()), "{bad:?}");
        let outcome = last(&status);
        let expected = if bad.is_some() { "refused" } else { "deleted" };
        assert_eq!(outcome.as_str(), expected);
        builder.look();
        assert_eq!((runs(&builder), last(&status)), (name(&first()), outcome));
    }
}

#[test]
fn a_restart_remembers_pins_and_what_is_kept_out() {
    let site = site(KEPT);
    let (mut builder, _) = site.builder().unwrap();
    site.put("picker.wasm", &second());
    builder.look();
    builder.obey("picker", &Act::RollBack).1.unwrap();
    drop(builder);
    let (mut builder, _) = site.builder().unwrap();
    assert_eq!(runs(&builder), name(&first()));
    site.put("picker.wasm", &third());
    builder.look();
    assert_eq!(runs(&builder), name(&third()));
    builder.obey("picker", &Act::Pin(Some(Version::of(&first()).hex()))).1.unwrap();
    drop(builder);
    let (mut builder, status) = site.builder().unwrap();
    assert_eq!(runs(&builder), name(&first()));
    assert_eq!(status.read().files["picker.wasm"].pin, Some(Version::of(&first())));
    builder.obey("picker", &Act::Unpin).1.unwrap();
    assert_eq!(runs(&builder), name(&third()));
}

#[test]
fn without_any_good_version_the_gateway_starts_and_waits_for_one() {
    let filter = "[plugin.edge]\nconfig = { request = { set = { a = \"b\" } } }\n\
                  [plugin.soft]\nconfig = { request = { set = { a = \"b\" } } }\non_fault = \"skip\"\n[route.edge]\npath = \"/edge\"\nfilters = \"edge\"\npool = \"api\"\n\
                  [route.soft]\npath = \"/soft\"\nfilters = \"soft\"\npool = \"api\"\n";
    let site = Site::new(&format!("{API}{filter}"));
    site.put("picker.wasm", b"this is no wasm");
    site.put("edge.wasm", b"nor this");
    let (mut builder, status) = site.builder().unwrap();
    writer::note(&status, builder.current());
    let missing: Vec<_> = status.read().unavailable.keys().map(ToString::to_string).collect();
    assert_eq!(missing, ["edge", "picker", "soft"]);
    let why = status.read().unavailable["picker"].clone();
    assert!(why.contains("bascule.toml:4:10") && why.contains("a text file") && !why.contains('\n'), "{why}");

    let snapshot = build::snapshot(builder.current(), &Found::new(), None);
    assert!(snapshot.uses.is_empty() && snapshot.pools[0].policies.is_empty());
    let mut broken: Vec<_> =
        snapshot.routes.iter().map(|(_, route)| (route.name.as_str(), route.broken.as_ref())).collect();
    broken.sort_unstable();
    assert_eq!(
        broken.iter().filter(|(_, broken)| broken.is_some()).map(|(name, _)| *name).collect::<Vec<_>>(),
        ["edge"]
    );

    // What is missing already does not keep the rest from changing; what is new has to be right.
    site.write(&format!("{}{filter}", API.replace("127.0.0.1:2", "127.0.0.1:3")));
    assert!(builder.look().0.unwrap().as_written);
    site.write(&format!("{}{filter}", API.replace("\"picker\"", "[\"picker\", \"newcomer\"]")));
    assert!(!builder.look().0.unwrap().as_written);
    site.write(&format!("{API}{filter}"));
    builder.look();

    site.put("picker.wasm", &first());
    site.ship("header_rewrite.wasm", "edge.wasm");
    site.ship("header_rewrite.wasm", "soft.wasm");
    writer::note(&status, &builder.look().0.unwrap());
    assert_eq!(status.read().unavailable, Missing::new());
    assert_eq!(builder.current().uses.len(), 3);
}

#[test]
fn a_gateway_that_took_over_writes_down_what_it_could_not_before() {
    let site = site(KEPT);
    let (old, _) = site.builder().unwrap();
    site.put("picker.wasm", &second());
    let (mut new, _) = site.builder().unwrap();
    assert_eq!(runs(&new), name(&second()));
    let kept = site.path().with_file_name("state").join("good");
    let is_kept = |content: &[u8]| kept.join(format!("{}.wasm", Version::of(content).hex())).exists();
    new.look();
    assert!(is_kept(&first()) && !is_kept(&second()), "the old one still writes");
    drop(old);
    new.look();
    assert!(is_kept(&second()));
}

#[test]
fn a_restart_with_many_plugins_compiles_each_once_and_few_functions_again() {
    let names: Vec<String> = (0..8).map(|number| format!("picker-{number}")).collect();
    let policies: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let site =
        Site::new(&format!("{}{KEPT}", API.replace("\"picker\"", &format!("[{}]", policies.join(", ")))));
    let mut content = first();
    for name in &names {
        content = newer(content);
        site.put(&format!("{}.wasm", name.replace('-', "_")), &content);
    }
    let code = site.path().with_file_name("state").join("compiled");
    let start = || {
        let (config, engine) =
            (config::load(&site.path()).unwrap(), Arc::new(Engine::with_code(&code).unwrap()));
        let builder =
            Builder::start(None, config, engine.clone(), Arc::default(), ports(), Arc::default()).unwrap();
        assert_eq!(builder.current().uses.len(), 8);
        engine.compilations()
    };
    let (cold, warm) = (start(), start());
    assert_eq!((cold.modules, warm.modules), (8, 8));
    assert!(warm.functions * 5 < cold.functions, "{warm:?} after {cold:?}");
}

#[test]
fn another_content_than_the_pinned_hash_is_refused_in_a_sentence() {
    let pinned = format!("[plugin.picker]\nsha256 = \"{}\"\n", Version::of(&first()).hex());
    let site = site(&pinned);
    let (mut builder, status) = site.builder().unwrap();
    site.put("picker.wasm", &second());
    builder.look();
    assert_eq!(runs(&builder), name(&first()));
    let outcome = last(&status);
    let why = outcome.why().unwrap();
    assert!(
        why.contains("picker.wasm: it has another content than its sha256 says (put the right file"),
        "{why}"
    );
}

#[test]
fn a_state_directory_that_cannot_be_used_is_an_error_at_its_place() {
    let site = site("[plugins]\nstate_directory = \"picker\"\n");
    fs::write(site.path().with_file_name("picker"), "a file").unwrap();
    let error = site.builder().err().unwrap().to_string();
    assert!(error.contains("bascule.toml:7:") && error.contains("cannot be used"), "{error}");
}

/// Leaves heads of requests to the pool `api`, as a worker does.
fn leave_requests(builder: &Builder, count: u32) {
    let samples = &builder.current().samples;
    for index in 0..count {
        let mut context = Context::new(Instant::now());
        context.request.set_path(format!("/{index}").as_bytes());
        (context.route, context.pool) = ("all".into(), "api".into());
        context.client = Some([192, 0, 2, index as u8].into());
        Sampler::new(Arc::clone(samples), context.now).note(&context);
    }
}

/// What replaying on a picker's next content shows.
fn replayed(first: &str, next: Vec<u8>) -> Replay {
    let site = Site::new(API);
    site.ship(first, "picker.wasm");
    let (mut builder, status) = site.builder().unwrap();
    leave_requests(&builder, 20);
    site.put("picker.wasm", &next);
    writer::note(&status, &builder.look().0.unwrap());
    let (version, replay) = status.read().files["picker.wasm"].replay.unwrap();
    assert_eq!(version, Version::of(&next));
    replay
}

#[test]
fn recent_requests_show_what_a_new_version_decides_otherwise() {
    let same = Replay { requests: 20, differ: 0, faults: 0 };
    for draws in ["power_of_two.wasm", "prequal.wasm", "round_robin.wasm", "sticky_session.wasm"] {
        let replay = replayed(draws, newer(shipped(draws)));
        assert_eq!(replay, same, "{draws}");
    }
    let replay = replayed("round_robin.wasm", shipped("consistent_hash.wasm"));
    assert_eq!((replay.requests, replay.faults), (20, 0));
    assert!(replay.differ > 0, "{replay:?}");
}

#[test]
fn a_replay_touches_nothing_live() {
    let site = Site::new(API);
    site.ship("sticky_session.wasm", "picker.wasm");
    let services = Arc::<Services>::default();
    let config = config::load(&site.path()).unwrap();
    let (engine, status) = (ENGINE.clone(), Arc::<Status>::default());
    let mut builder =
        Builder::start(Some(site.path()), config, engine, services.clone(), ports(), status.clone()).unwrap();
    let snapshot = build::snapshot(builder.current(), &Found::new(), None);
    leave_requests(&builder, 20);
    site.put("picker.wasm", &newer(shipped("sticky_session.wasm")));
    let prepared = builder.look().0.unwrap();
    assert_eq!(prepared.replays[0].2.requests, 20);
    assert_eq!(services.sessions.count(), 0);
    let calls: u64 = Role::ALL.into_iter().map(|role| prepared.uses[0].stats.calls(role)).sum();
    assert_eq!(calls + prepared.uses[0].stats.all_faults(), 0);
    let after = build::snapshot(&prepared, &Found::new(), Some(&snapshot));
    assert!(after.pools[0].nodes.iter().all(|node| node.live.attempts() == 0 && node.live.in_flight() == 0));
}

#[test]
fn no_requests_are_kept_if_none_are_wanted() {
    let site = site("[plugins]\nreplay = 0\n");
    let (mut builder, status) = site.builder().unwrap();
    leave_requests(&builder, 20);
    site.put("picker.wasm", &second());
    writer::note(&status, &builder.look().0.unwrap());
    assert_eq!(status.read().files["picker.wasm"].replay.map(|(_, replay)| replay), Some(Replay::default()));
}
