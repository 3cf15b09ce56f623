//! What each change of a file leads to, without threads: the test looks when it wants.

use std::fs;
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::control::discovery::Found;
use crate::control::status::FileOutcome;
use crate::control::{build, check_plugins};
use crate::plugin::Version;

const API: &str = "[route.all]\npool = \"api\"\n[pool.api]\npolicy = \"picker\"\nnodes = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";

const LEAST: &str = "least_connections.wasm";

/// A site whose policy `picker` is least-connections.
fn site() -> Site {
    let site = Site::new(API);
    site.ship(LEAST, "picker.wasm");
    site
}

fn last(status: &Status, file: &str) -> Option<FileOutcome> {
    status.read().files.get(file)?.last.as_ref().map(|(_, outcome)| outcome.clone())
}

#[test]
fn nothing_changed_nothing_made() {
    let (mut builder, _) = site().builder().unwrap();
    // The first look reads the files itself, and finds what it was given.
    let first = builder.current().clone();
    let (prepared, next) = builder.look();
    assert!(prepared.is_none_or(|prepared| !prepared.differs_from(&first)));
    assert!(!next.soon);
    assert!(builder.look().0.is_none());
}

#[test]
fn a_new_content_makes_a_new_generation() {
    let site = site();
    let (mut builder, _) = site.builder().unwrap();
    let before = builder.current().clone();
    site.put("picker.wasm", &newer(shipped(LEAST)));
    let after = builder.look().0.unwrap();
    assert_eq!(version(&after), Version::of(&newer(shipped(LEAST))).to_string());
    assert_eq!((before.uses[0].generation, after.uses[0].generation), (1, 2));
    assert_eq!(before.uses[0].key, after.uses[0].key);
    assert!(Arc::ptr_eq(&before.uses[0].stats, &after.uses[0].stats));
}

#[test]
fn a_bad_content_changes_nothing_and_is_noted_once() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    let before = builder.current().clone();
    site.put("picker.wasm", b"this is no wasm");
    let after = builder.look().0.unwrap();
    assert!(!after.differs_from(&before));
    assert!(matches!(last(&status, "picker.wasm"), Some(FileOutcome::Refused(..))));
    builder.look();
    assert_eq!(status.read().files["picker.wasm"].refused(), 1);

    site.put("picker.wasm", &newer(shipped(LEAST)));
    assert!(builder.look().0.unwrap().differs_from(&before));
}

#[test]
fn a_file_that_is_cut_off_is_waited_for() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    let whole = newer(shipped(LEAST));
    // Written in place and just now, as a slow copy does it.
    fs::write(site.plugin("picker.wasm"), &whole[..whole.len() / 2]).unwrap();
    let (prepared, next) = builder.look();
    assert!(prepared.is_none_or(|prepared| version(&prepared) != Version::of(&whole).to_string()));
    assert!(next.soon);
    assert_eq!(last(&status, "picker.wasm"), None);
    site.put("picker.wasm", &whole);
    assert_eq!(version(&builder.look().0.unwrap()), Version::of(&whole).to_string());
}

#[test]
fn a_deleted_file_runs_on() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    builder.look();
    fs::remove_file(site.plugin("picker.wasm")).unwrap();
    assert!(builder.look().0.is_none());
    assert_eq!(last(&status, "picker.wasm"), Some(FileOutcome::Deleted { kept: false }));
    // A new configuration still finds what the file held.
    site.write(&API.replace("127.0.0.1:2", "127.0.0.1:3"));
    assert!(builder.look().0.unwrap().as_written);
}

#[test]
fn a_bad_configuration_keeps_the_good_one_and_plugins_still_change() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    let before = builder.current().clone();
    site.write("[route.all]\npool = \"nowhere\"");
    let kept = builder.look().0.unwrap();
    assert!(!kept.differs_from(&before) && !kept.as_written);
    assert!(status.read().error.as_ref().unwrap().1.contains("nowhere"));

    site.put("picker.wasm", &newer(shipped(LEAST)));
    let after = builder.look().0.unwrap();
    assert!(after.differs_from(&before) && !after.as_written);

    site.write(API);
    assert!(builder.look().0.unwrap().as_written);
}

#[test]
fn configuration_and_plugins_change_together() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    let two = API.replace("\"picker\"", "[\"picker\", \"other\"]");
    site.write(&two);
    // The configuration came first: it waits for its plugin, with an error that says what is missing.
    assert!(!builder.look().0.unwrap().as_written);
    assert!(status.read().error.as_ref().unwrap().1.contains("other"));
    site.ship(LEAST, "other.wasm");
    let after = builder.look().0.unwrap();
    assert!(after.as_written);
    assert_eq!(after.uses.iter().map(|used| &*used.spec.name).collect::<Vec<_>>(), ["other", "picker"]);
}

#[test]
fn a_plugin_that_is_not_there_is_an_error_with_a_place_and_a_guess() {
    let site = Site::new(&API.replace("picker", "least-conections"));
    site.put("least_connections.wasm", b"");
    let config = config::load(&site.path()).unwrap();
    let error = check_plugins(&config, ENGINE.clone(), Arc::default()).unwrap_err().to_string();
    assert!(error.contains("bascule.toml:4:10"), "{error}");
    assert!(error.contains("did you mean \"least-connections\"?"), "{error}");
}

#[test]
fn a_plugin_that_cannot_pick_is_no_policy() {
    let site = Site::new(API);
    site.ship("header_rewrite.wasm", "picker.wasm");
    let config = config::load(&site.path()).unwrap();
    let error = check_plugins(&config, ENGINE.clone(), Arc::default()).unwrap_err().to_string();
    assert!(error.contains("bascule.toml:4:10: plugin \"picker\" cannot be a policy"), "{error}");
}

#[test]
fn a_listener_comes_and_goes_and_one_that_cannot_be_had_changes_nothing() {
    let site = site();
    let (mut builder, status) = site.builder().unwrap();
    let public = builder.current().listening["public"];
    let other = |address: &str| format!("{API}[listener.other]\naddress = \"{address}\"\n");
    site.write(&other("127.0.0.1:0"));
    let prepared = builder.look().0.unwrap();
    assert_eq!((prepared.listening.len(), prepared.listening["public"]), (2, public));
    let opened = prepared.listening["other"].address;
    TcpStream::connect(opened).unwrap();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    site.write(&other(&taken.local_addr().unwrap().to_string()));
    assert!(!builder.look().0.unwrap().as_written);
    let error = status.read().error.as_ref().unwrap().1.clone();
    assert!(error.contains("the listener other cannot listen on 127.0.0.1:"), "{error}");
    assert!(error.contains("bascule.toml:7:11") && error.contains("see who does with `ss"), "{error}");
    TcpStream::connect(opened).unwrap();

    site.write(API);
    assert_eq!(builder.look().0.unwrap().listening.len(), 1);
    // No worker has its sockets here, so nobody is left who could accept.
    assert!(TcpStream::connect(opened).is_err());
}

#[test]
fn a_name_that_is_not_known_is_an_error_at_the_node() {
    let site =
        Site::new(&API.replace("127.0.0.1:2", "nowhere.invalid:80").replace("policy = \"picker\"\n", ""));
    let error = site.builder().err().unwrap().to_string();
    assert!(error.contains("nowhere.invalid:80 cannot be looked up"), "{error}");
    assert!(error.contains("bascule.toml:4:25"), "{error}");
}

#[test]
fn nodes_keep_what_was_learned_of_them() {
    let native = API.replace("policy = \"picker\"\n", "");
    let site = Site::new(&native);
    let (mut builder, _) = site.builder().unwrap();
    let first = build::snapshot(builder.current(), &Found::new(), None);
    let busy = first.pools[0].nodes[0].begin(std::time::Instant::now());
    site.write(&native.replace("\"127.0.0.1:1\"", "{ address = \"127.0.0.1:1\", weight = 3 }"));
    let second = build::snapshot(&builder.look().0.unwrap(), &Found::new(), Some(&first));
    assert_eq!(second.number, 2);
    let node = &second.pools[0].nodes[0];
    assert_eq!((node.spec.weight.get(), node.live.in_flight()), (3, 1));
    assert!(Arc::ptr_eq(&second.pools[0].nodes[1], &first.pools[0].nodes[1]));
    assert_eq!(second.pools[0].candidates.get(0).unwrap().weight, 3000);
    drop(busy);
}

#[test]
fn included_files_and_links_are_followed() {
    let site =
        Site::new(&format!("include = [\"conf.d/*.toml\"]\n{}", API.replace("policy = \"picker\"\n", "")));
    let conf = site.path().with_file_name("conf.d");
    fs::create_dir(&conf).unwrap();
    let (mut builder, _) = site.builder().unwrap();
    builder.look();
    assert!(builder.look().0.is_none());

    let route = |path: &str| format!("[route.more]\npath = \"{path}\"\npool = \"api\"\n");
    replace(&conf.join("more.toml"), route("/one").as_bytes());
    assert_eq!(builder.look().0.unwrap().config.routes.len(), 2);

    // As Kubernetes does it: the file is a link through a folder that is a link, and that one is swapped.
    let versions = ["..1", "..2"].map(|name| conf.join(name));
    for (version, path) in versions.iter().zip(["/two", "/three"]) {
        fs::create_dir(version).unwrap();
        replace(&version.join("more.toml"), route(path).as_bytes());
    }
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, conf.join("new")).unwrap();
        fs::rename(conf.join("new"), conf.join(name)).unwrap();
    };
    link(&versions[0], "..data");
    link(Path::new("..data/more.toml"), "more.toml");
    assert_eq!(builder.look().0.unwrap().config.routes[1].path.to_string(), "/two");
    link(&versions[1], "..data");
    assert_eq!(builder.look().0.unwrap().config.routes[1].path.to_string(), "/three");
}

#[test]
fn a_check_looks_at_uses_that_nothing_mentions() {
    let site = site();
    site.write(&format!("{API}[plugin.idle]\nfile = \"idle.wasm\"\n"));
    assert!(site.builder().is_ok());
    let config = config::load(&site.path()).unwrap();
    let error = check_plugins(&config, ENGINE.clone(), Arc::default()).unwrap_err().to_string();
    assert!(error.contains("idle.wasm") && error.contains("1 error"), "{error}");
}
