//! DNS: an SRV record for each node, from a name server of the bench's own, since none is at hand everywhere.

use super::name_server::NameServer;
use super::{Announced, Registry, Running};
use anyhow::{Result, ensure};
use std::rc::Rc;

pub(super) struct Dns(Rc<NameServer>);

impl Dns {
    pub(super) fn new() -> Result<Dns> {
        Ok(Dns(Rc::new(NameServer::start()?)))
    }
}

impl Registry for Dns {
    fn title(&self) -> &'static str {
        "DNS"
    }

    fn tables(&self) -> String {
        let (address, name) = (self.0.address(), NameServer::SERVICE);
        format!(
            "[pool.bench.discovery]\nprovider = \"dns\"\nrecord = \"srv\"\nname = \"{name}\"\nservers = [\"{address}\"]\nmin_ttl = \"100ms\"\n"
        )
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        self.0.put(&node.id, node.port, node.weight);
        Ok(())
    }

    fn has_leases(&self) -> bool {
        false
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        ensure!(self.0.remove(id), "the zone does not have {id}");
        Ok(())
    }

    fn shown(&self, node: &Announced) -> String {
        format!("{}:{}", NameServer::target(&node.id), node.port)
    }

    fn server(&self) -> Option<Running> {
        Some(self.0.clone())
    }
}
