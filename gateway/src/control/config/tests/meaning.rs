//! What a configuration means: defaults, what is joined from where, and what is kept from sight.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::super::{
    Grant, HostHeader, HostPattern, NodeHost, OnFault, Outlier, PathPattern, Probe, Workers,
    load as load_file,
};
use super::{Invented, load};

#[test]
fn every_sample_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut loaded = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue; // units for systemd
        }
        load_file(&path).unwrap_or_else(|errors| panic!("{errors}"));
        loaded.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    assert!(loaded.len() >= 8, "{loaded:?}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = load("[pool.api]\nnodes = [\"127.0.0.1:9001\"]\n[route.api]\npool = \"api\"").unwrap();
    assert_eq!(config.gateway.workers, Workers::Auto);
    assert_eq!(config.gateway.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.gateway.limits.max_head.get(), 65_536);
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9901");
    assert_eq!(config.plugins.directory.value, Path::new("plugins"));
    assert_eq!(config.sessions.capacity.get(), 1_000_000);
    let route = &config.routes[0];
    assert_eq!((&route.host, &route.path), (&HostPattern::Any, &PathPattern::Prefix("/".to_owned())));
    assert_eq!(route.listeners.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["public"]);
    assert_eq!(route.timeout, Duration::from_secs(15));
    let pool = &config.pools["api"];
    assert!(pool.policy.is_empty());
    assert_eq!(pool.host, HostHeader::Keep);
    assert_eq!((pool.connect_timeout, pool.idle_timeout), (Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!((pool.idle_connections, pool.attempts.get()), (256, 3));
    assert_eq!((&pool.health, &pool.outlier), (&None, &Some(Outlier::default())));
    assert_eq!((pool.panic, pool.slow_start), (50, None));
    let node = &pool.nodes[0];
    assert_eq!((node.tier, node.drain), (0, false));
    assert_eq!((node.id.as_str(), node.weight.get(), &node.zone), ("127.0.0.1:9001", 1, &None));
}

#[test]
fn defaults_of_routes_and_pools_fill_what_is_left_out() {
    let config = load(
        "defaults.route = { filters = [\"edge\"], timeout = \"5s\", pool = \"api\" }\ndefaults.pool.policy = \"spread\"\n\
         [route.a]\npath = \"/a\"\n[route.b]\nfilters = []\ntimeout = \"1s\"\npool = \"web\"\n\
         [pool.api]\nnodes = [\"127.0.0.1:1\"]\n[pool.web]\npolicy = [\"one\", \"two\"]\nnodes = [\"127.0.0.1:1\"]",
    )
    .unwrap();
    let route = |index: usize| {
        let route = &config.routes[index];
        (route.filters.len(), route.timeout.as_secs(), route.pool.as_str())
    };
    assert_eq!(route(0), (1, 5, "api"));
    assert_eq!(route(1), (0, 1, "web"));
    let policy =
        |pool: &str| config.pools[pool].policy.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(policy("api"), ["spread"]);
    assert_eq!(policy("web"), ["one", "two"]);
}

#[test]
fn health_and_outliers_are_set_whole_and_can_be_off() {
    let config = load(
        "[defaults.pool]\nhealth = { path = \"/healthz\", interval = \"1s\" }\noutlier = { failures = 7, silence = \"off\" }\n\
         slow_start = \"30s\"\n[pool.a]\nnodes = [\"127.0.0.1:1\"]\n\
         [pool.b]\nnodes = [\"127.0.0.1:1\"]\nhealth = { type = \"tcp\" }\noutlier = \"off\"\nslow_start = \"off\"\n\
         [pool.c]\nnodes = [\"127.0.0.1:1\"]\nhealth = \"off\"\noutlier = { ejection = \"10m\" }\n\
         [pool.d]\nnodes = [\"127.0.0.1:1\"]\nhealth = { path = \"/\", host = \"a.test\", status = [204, \"300-399\"] }",
    )
    .unwrap();
    let pool = |name: &str| &config.pools[name];
    let check = pool("a").health.as_ref().unwrap();
    assert_eq!((check.timeout, check.interval), (Duration::from_secs(1), Duration::from_secs(1)));
    let probe = Probe::Http { path: "/healthz".to_owned(), host: None, status: vec![200..=299] };
    assert_eq!(check.probe, probe);
    let outlier = pool("a").outlier.as_ref().unwrap();
    assert_eq!((outlier.failures.map(u16::from), outlier.silence), (Some(7), None));
    assert_eq!(outlier.connect_failures, Outlier::default().connect_failures);
    assert_eq!(pool("a").slow_start, Some(Duration::from_secs(30)));
    let check = pool("b").health.as_ref().unwrap();
    assert_eq!((&check.probe, check.timeout), (&Probe::Tcp, Duration::from_secs(2)));
    assert_eq!((&pool("b").outlier, pool("b").slow_start, &pool("c").health), (&None, None, &None));
    let longest = pool("c").outlier.as_ref().unwrap().max_ejection;
    assert_eq!(longest, Duration::from_secs(600), "never shorter than the first");
    let probe = Probe::Http {
        path: "/".to_owned(),
        host: Some("a.test".to_owned()),
        status: vec![204..=204, 300..=399],
    };
    assert_eq!(pool("d").health.as_ref().unwrap().probe, probe);
}

#[test]
fn a_name_without_a_table_is_a_use_of_the_file_of_that_name() {
    let config = load(
        "[route.a]\nfilters = \"edge-headers\"\npool = \"api\"\n[plugin.idle]\non_fault = \"skip\"\ngrants = [\"shared\"]\n\
         [pool.api]\npolicy = \"least-connections\"\nnodes = [\"127.0.0.1:1\"]",
    )
    .unwrap();
    let used = &config.uses["edge-headers"];
    assert_eq!((used.file.as_str(), used.mentioned), ("edge_headers.wasm", true));
    assert_eq!(used.name.place.to_string(), "bascule.toml:2:11");
    assert_eq!((used.on_fault, used.limits.instances), (OnFault::Fail, None));
    assert_eq!(used.grants, BTreeSet::from([Grant::Sessions]));
    let idle = &config.uses["idle"];
    assert!(!idle.mentioned);
    assert_eq!(
        (idle.on_fault, &idle.grants),
        (OnFault::Skip, &BTreeSet::from([Grant::Sessions, Grant::Shared]))
    );
    // A plugin that nobody mentions need not be there.
    let files = BTreeSet::from(["edge_headers.wasm".to_owned(), "least_connections.wasm".to_owned()]);
    config.check_plugin_files(&files).unwrap();
}

#[test]
fn a_plugins_configuration_is_the_same_value_in_json() {
    let config = load(
        "[plugin.a.config]\ntext = \"é\\n\"\nwhole = -0x8\nbig = 9223372036854775807\nhalf = 0.5\nyes = true\n\
         list = [1, [\"x\"], {}]\ntable = { \"a b\" = 1e3 }\nfile = \"one key of many is no secret\"",
    );
    assert!(config.is_err(), "TOML has no negative hexadecimal numbers");
    let config = load(
        "[plugin.a.config]\ntext = \"é\\n\"\nwhole = 0xff\nbig = 9223372036854775807\nhalf = 0.5\nyes = true\n\
         list = [1, [\"x\"], {}]\ntable = { \"a b\" = 1e3 }\nfile = \"one key of many is no secret\"",
    )
    .unwrap();
    let expected = serde_json::json!({
        "text": "é\n", "whole": 255, "big": i64::MAX, "half": 0.5, "yes": true,
        "list": [1, ["x"], {}], "table": { "a b": 1000.0 }, "file": "one key of many is no secret",
    });
    assert_eq!(config.uses["a"].config.json(), &expected);
    assert!(!config.uses["a"].config.holds_secrets());
}

#[test]
fn secrets_come_from_elsewhere_and_are_not_shown() {
    let mut outside = Invented::default()
        .file("bascule.toml", "include = [\"conf.d/*.toml\"]\n[admin]\ntoken = { env = \"TOKEN\" }")
        .file(
            "conf.d/a.toml",
            "[plugin.signer]\nconfig = { keys = [{ file = \"key\" }] }\n[listener.a]\naddress = \"127.0.0.1:0\"",
        )
        .file("conf.d/key", "hunter2-key\n");
    outside.environment.insert("TOKEN".to_owned(), "hunter2-token".to_owned());
    let config = outside.load().unwrap();
    assert_eq!(config.admin.token.as_ref().unwrap().reveal(), "hunter2-token");
    assert_eq!(config.uses["signer"].config.json(), &serde_json::json!({ "keys": ["hunter2-key"] }));
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn included_files_stand_behind_in_their_order_and_know_their_own_folder() {
    let listener = "[listener.a]\naddress = \"127.0.0.1:0\"\n";
    let route = |name: &str| format!("[route.{name}]\npath = \"/{name}\"\npool = \"p\"\n");
    let config = Invented::default()
        .file(
            "bascule.toml",
            format!("include = [\"conf.d/*.toml\", \"last.toml\"]\n{listener}{}", route("own")),
        )
        .file("conf.d/b.toml", format!("{}[plugins]\ndirectory = \"files\"", route("b")))
        .file("conf.d/a.toml", format!("include = [\"../deep.toml\", \"a.toml\"]\n{}", route("a")))
        .file("conf.d/no.txt", "not read")
        .file("conf.d/../deep.toml", route("deep"))
        .file("last.toml", "[pool.p]\nnodes = [\"127.0.0.1:1\"]")
        .load()
        .unwrap();
    let order: Vec<_> = config.routes.iter().map(|route| route.name.to_string()).collect();
    assert_eq!(order, ["own", "a", "deep", "b"]);
    assert_eq!(config.plugins.directory.value, Path::new("conf.d/files"));
}

#[test]
fn a_circle_through_links_ends() {
    // As a folder that links to itself has it: each file is found again under a longer name.
    struct Endless;
    impl super::Outside for Endless {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(b"include = [\"x/*.toml\"]".to_vec())
        }
        fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
            Ok(vec!["a.toml".to_owned()])
        }
        fn environment(&self, _: &str) -> Result<String, std::env::VarError> {
            Err(std::env::VarError::NotPresent)
        }
    }
    let errors = super::load_from(Path::new("bascule.toml"), &Endless).unwrap_err();
    assert!(errors.to_string().contains("it seems to be a circle"), "{errors}");
}

#[test]
fn the_same_configuration_elsewhere_in_the_file_is_equal() {
    let text = "[pool.api]\nnodes = [\"127.0.0.1:9001\"]\n[route.api]\npool = \"api\"";
    assert_eq!(load(text).unwrap(), load(&format!("# moved\n\n{text}")).unwrap());
    assert_ne!(load(text).unwrap(), load(&text.replace("9001", "9002")).unwrap());
}

#[test]
fn hosts_paths_and_addresses_are_in_their_plain_form() {
    let config = load(
        "[route.a]\nhost = \"*.Example.COM\"\npath_exact = \"/a/\"\nheaders = { X-Beta = \"1\" }\npool = \"p\"\n\
         [pool.p]\nnodes = [\"[2001:DB8::1]:80\", \"Node.Example:81\", \"10.0.0.1:82\"]",
    )
    .unwrap();
    let route = &config.routes[0];
    assert_eq!(route.host, HostPattern::Wildcard("example.com".to_owned()));
    assert_eq!(route.path, PathPattern::Exact("/a/".to_owned()));
    assert_eq!(route.headers.keys().next().unwrap().as_str(), "x-beta");
    let nodes = &config.pools["p"].nodes;
    assert_eq!(nodes[0].address.host(), &NodeHost::Ip("2001:db8::1".parse().unwrap()));
    assert_eq!(nodes[1].address.host(), &NodeHost::Dns("node.example".to_owned()));
    assert_eq!((nodes[1].id.as_str(), nodes[2].address.port()), ("node.example:81", 82));
}

#[test]
fn a_file_that_cannot_be_read_is_one_error_at_its_start() {
    let errors = Invented::default().load().unwrap_err();
    assert_eq!(errors.count(), 1);
    assert!(errors.to_string().starts_with("bascule.toml:1:1: bascule.toml cannot be read: "), "{errors}");
    let errors = Invented::default().file("bascule.toml", b"# \n# caf\xe9\n").load().unwrap_err();
    assert!(errors.to_string().starts_with("bascule.toml:2:6: this is not UTF-8 text\n"), "{errors}");
}
