//! Nodes in ZooKeeper, with a real one.

use super::keyed::{Keyed, a_long_silence_is_made_up_for, bad_entries_are_named_once_and_harmless};
use super::keyed::{gateway, is_refused, text, told, unused};
use super::{configuration, wait_for_nodes};
use crate::support::{
    Crowd, Entry, Load, Registry, a_broken_registry_fails_no_request, a_hundred_nodes_come_change_and_leave,
    changes_serve_soon, wait_until, write_configuration,
};
use bascule::control::config::{self, Provider};
use bascule::control::zookeeper::{Registration, Servers};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use test_servers::{Certificates, ZooKeeper};
use tokio::runtime::Runtime;
use zookeeper_client::{Acls, Client, CreateMode, Error};

const PATH: &str = "/bascule/api";

/// A ZooKeeper, and a session that writes what nodes would.
struct Writable {
    zookeeper: ZooKeeper,
    runtime: Runtime,
    client: Mutex<Option<Client>>,
}

impl Writable {
    fn start() -> Option<Writable> {
        let zookeeper = ZooKeeper::start()?;
        let runtime = Runtime::new().expect("a runtime");
        Some(Writable { zookeeper, runtime, client: Mutex::default() })
    }

    /// The session, or a new one if that ended with a server that was killed.
    fn client(&self) -> Client {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let is_usable = |client: &Client| self.runtime.block_on(client.check_stat("/")).is_ok();
        let usable = client.take().filter(is_usable).unwrap_or_else(|| {
            let connector = Client::connector().with_session_timeout(Duration::from_secs(30));
            let address = self.zookeeper.address().to_string();
            self.runtime.block_on(connector.connect(&address)).expect("it connects")
        });
        client.insert(usable).clone()
    }
}

impl Registry for Writable {
    fn discovery(&self) -> String {
        format!("provider = \"zookeeper\", servers = [\"{}\"], path = \"{PATH}\"", self.zookeeper.address())
    }

    fn put(&self, node: &Entry) {
        self.write(&node.id, &node.json().to_string());
    }

    fn remove(&self, id: &str) {
        let path = format!("{PATH}/{id}");
        self.runtime.block_on(self.client().delete(&path, None)).expect("it is deleted");
    }

    fn server(&self) -> &test_servers::Server {
        &self.zookeeper
    }
}

impl Keyed for Writable {
    fn write(&self, id: &str, text: &str) {
        let (client, path) = (self.client(), format!("{PATH}/{id}"));
        self.runtime.block_on(async {
            let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
            client.mkdir(PATH, &options).await.expect("the path is made");
            let made = client.create(&path, text.as_bytes(), &options).await.map(drop);
            let written = match made {
                Err(Error::NodeExists) => client.set_data(&path, text.as_bytes(), None).await.map(drop),
                made => made,
            };
            written.expect("it is written");
        });
    }
}

#[test]
fn a_hundred_nodes_in_zookeeper_come_change_and_leave() {
    let Some(zookeeper) = Writable::start() else { return };
    a_hundred_nodes_come_change_and_leave(&zookeeper);
}

#[test]
fn changes_in_zookeeper_serve_soon() {
    let Some(zookeeper) = Writable::start() else { return };
    changes_serve_soon(&zookeeper);
}

#[test]
fn a_zookeeper_that_breaks_fails_no_request() {
    let Some(zookeeper) = Writable::start() else { return };
    a_broken_registry_fails_no_request(&zookeeper);
}

#[test]
fn bad_entries_in_zookeeper_are_named_once_and_harmless() {
    let Some(zookeeper) = Writable::start() else { return };
    bad_entries_are_named_once_and_harmless(&zookeeper);
}

#[test]
fn a_session_that_expired_gives_way_to_a_new_one() {
    let Some(zookeeper) = Writable::start() else { return };
    // The gateway asks for six seconds.
    a_long_silence_is_made_up_for(&zookeeper, Duration::from_secs(9));
}

#[test]
fn a_path_that_is_made_later_or_anew_is_seen() {
    let Some(zookeeper) = Writable::start() else { return };
    let crowd = Crowd::of(1);
    let gateway = gateway(&zookeeper.discovery());
    wait_until("ZooKeeper answered", || told(&gateway)["state"] == "up");
    zookeeper.put(&Entry::of(&crowd, 0, 1));
    wait_for_nodes(&gateway, &[("node-0", 1)]);
    let load = Load::gently_on(gateway.address());
    // What stands below a node is none of the gateway's business.
    zookeeper.write("node-0/below", "whatever");
    zookeeper.remove("node-0/below");
    zookeeper.remove("node-0");
    zookeeper.runtime.block_on(zookeeper.client().delete(PATH, None)).expect("it is deleted");
    wait_until("that is doubted", || told(&gateway)["doubted"] == true);
    zookeeper.put(&Entry::of(&crowd, 0, 2));
    wait_for_nodes(&gateway, &[("node-0", 2)]);
    load.stop();
}

#[test]
fn a_digest_decides_what_may_be_read() {
    let Some(zookeeper) = Writable::start() else { return };
    let crowd = Crowd::of(2);
    zookeeper.put(&Entry::of(&crowd, 0, 1));
    let client = zookeeper.client();
    zookeeper.runtime.block_on(async {
        client.auth("digest", b"gateway:right-one").await.expect("any name will do");
        let only_mine = CreateMode::Persistent.with_acls(Acls::creator_all());
        let path = format!("{PATH}/node-1");
        client.create(&path, text(&crowd, 1, 1).as_bytes(), &only_mine).await.expect("it is made");
    });
    let with =
        |password: &str| format!("{}, user = \"gateway\", password = \"{password}\"", zookeeper.discovery());
    let refused = gateway(&with("wrong-one"));
    wait_for_nodes(&refused, &[("node-0", 1)]);
    assert_eq!(unused(&refused), [(format!("{PATH}/node-1"), "it must not be read".to_owned())]);
    wait_for_nodes(&gateway(&with("right-one")), &[("node-0", 1), ("node-1", 1)]);

    zookeeper.runtime.block_on(client.set_acl(PATH, &Acls::creator_all(), None)).expect("it is set");
    is_refused(&with("wrong-one"), "not authorized", "wrong-one");
}

#[test]
fn zookeeper_is_spoken_to_over_tls_and_shown_a_certificate() {
    let certificates = Certificates::make();
    let Some(zookeeper) = ZooKeeper::start_with_tls(&certificates) else { return };
    let crowd = Crowd::of(1);
    let keys = format!(
        "provider = \"zookeeper\", servers = [\"{}\"], path = \"{PATH}\", \
         tls = {{ ca = {:?}, certificate = {:?}, key = {:?} }}",
        zookeeper.tls_address(),
        certificates.authority(),
        certificates.client(),
        certificates.client_key(),
    );
    let gateway = gateway(&keys);
    let runtime = Runtime::new().expect("a runtime");
    let (servers, value) = (servers_of(&keys), text(&crowd, 0, 1));
    let put = Registration::put(&servers, PATH, "node-0", &value, Duration::from_secs(10));
    let registration = runtime.block_on(put).expect("it is put");
    wait_for_nodes(&gateway, &[("node-0", 1)]);
    drop(registration);
    wait_until("it went with its session", || told(&gateway)["doubted"] == true);
}

#[test]
fn a_registration_in_zookeeper_lives_as_long_as_its_session() {
    let Some(zookeeper) = Writable::start() else { return };
    let crowd = Crowd::of(2);
    zookeeper.put(&Entry::of(&crowd, 0, 1));
    let gateway = gateway(&zookeeper.discovery());
    let wait_for_weight = |weight| wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", weight)]);
    let (servers, runtime) = (servers_of(&zookeeper.discovery()), &zookeeper.runtime);
    let put = |weight| {
        let value = text(&crowd, 1, weight);
        let put = Registration::put(&servers, PATH, "node-1", &value, Duration::from_secs(2));
        runtime.block_on(put).expect("it is put")
    };
    let first = put(1);
    wait_for_weight(1);
    runtime.block_on(first.change(&text(&crowd, 1, 4))).expect("it is changed");
    wait_for_weight(4);
    // A node that starts again before its earlier session ended takes its place.
    let second = put(5);
    wait_for_weight(5);
    runtime.block_on(first.keep()).expect_err("its znode is gone");
    runtime.block_on(second.keep()).expect("its znode is there");

    zookeeper.zookeeper.freeze();
    wait_until("the silence is longer than its session", || second.is_lost());
    zookeeper.zookeeper.thaw();
    let third = put(6);
    wait_for_weight(6);
    runtime.block_on(third.leave()).expect("it leaves");
    wait_for_nodes(&gateway, &[("node-0", 1)]);
}

/// What `discovery` says of ZooKeeper.
fn servers_of(keys: &str) -> Servers {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_configuration(folder.path(), &configuration(&format!("discovery = {{ {keys} }}")), &[]);
    let config = config::load(&path).expect("it is right");
    let pool = config.pools.into_values().next().expect("a pool");
    match pool.discovery.map(|discovery| discovery.provider) {
        Some(Provider::Zookeeper(it)) => Servers { servers: it.servers, login: it.login, tls: it.tls },
        other => panic!("{other:?} is not ZooKeeper"),
    }
}
