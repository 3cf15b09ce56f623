//! ZooKeeper: a znode for each node; one with a lease belongs to a session that nobody keeps alive.

use super::jute::{Made, Session};
use super::{Announced, Registry, Running};
use anyhow::Result;
use std::rc::Rc;
use std::time::Duration;

const PATH: &str = "/bench";
/// Of the session that announces nodes which stay.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct Zookeeper {
    server: Rc<test_servers::ZooKeeper>,
    session: Option<Session>,
}

impl Zookeeper {
    pub(super) fn new(server: test_servers::ZooKeeper) -> Result<Zookeeper> {
        let mut zookeeper = Zookeeper { server: Rc::new(server), session: None };
        zookeeper.with(|_| Ok(()))?;
        Ok(zookeeper)
    }

    fn connect(&self, timeout: Duration) -> Result<Session> {
        Session::open(self.server.address(), timeout)
    }

    /// Does something in the session; after an outage in a new one.
    fn with<T>(&mut self, mut act: impl FnMut(&mut Session) -> Result<T>) -> Result<T> {
        if let Some(session) = &mut self.session
            && let Ok(done) = act(session)
        {
            return Ok(done);
        }
        let mut session = self.connect(LONG)?;
        session.make(PATH, b"", Made::ToStay)?; // gone, if the server has forgotten all
        let done = act(&mut session);
        self.session = Some(session);
        done
    }
}

fn znode(id: &str) -> String {
    [PATH, "/", id].concat()
}

impl Registry for Zookeeper {
    fn title(&self) -> &'static str {
        "ZooKeeper"
    }

    fn tables(&self) -> String {
        let address = self.server.address();
        format!(
            "[pool.bench.discovery]\nprovider = \"zookeeper\"\nservers = [\"{address}\"]\npath = \"{PATH}\"\n"
        )
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        let (path, value) = (znode(&node.id), node.json(""));
        self.with(|session| session.put(&path, value.as_bytes()))
    }

    fn put_leased(&mut self, node: &Announced, ttl: Duration) -> Result<()> {
        // Its connection breaks when it is dropped, without a word: the server waits for the rest of the session's time.
        let mut session = self.connect(ttl)?;
        session.make(&znode(&node.id), node.json("").as_bytes(), Made::ForTheSession)
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        let path = znode(id);
        self.with(|session| session.remove(&path))
    }

    fn server(&self) -> Option<Running> {
        Some(self.server.clone())
    }
}
