//! Consul: a service for each node, with its weight and, where it has a lease, a check that wants to be renewed.

use super::{Announced, Registry, Running};
use anyhow::{Result, ensure};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Consul(Rc<test_servers::Consul>);

impl Consul {
    pub(super) fn new(server: test_servers::Consul) -> Consul {
        Consul(Rc::new(server))
    }

    fn call(&self, target: &str, body: &str) -> Result<()> {
        let answer = self.0.call("PUT", target, body);
        ensure!(answer.status == 200, "PUT {target} was answered with {}: {}", answer.status, answer.body);
        Ok(())
    }

    fn register(&self, node: &Announced, further: &str) -> Result<()> {
        let Announced { id, port, weight } = node;
        let text = format!(
            r#"{{"Name":"bench","ID":"{id}","Address":"127.0.0.1","Port":{port},"Weights":{{"Passing":{weight},"Warning":1}}{further}}}"#
        );
        // Else the check of a lease that ended would stay, and fail.
        self.call("/v1/agent/service/register?replace-existing-checks=true", &text)
    }
}

impl Registry for Consul {
    fn title(&self) -> &'static str {
        "Consul"
    }

    fn tables(&self) -> String {
        let url = self.0.url();
        format!("[pool.bench.discovery]\nprovider = \"consul\"\naddress = \"{url}\"\nservice = \"bench\"\n")
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        self.register(node, "")
    }

    fn put_leased(&mut self, node: &Announced, ttl: Duration) -> Result<()> {
        let check = format!(r#","Check":{{"TTL":"{}s"}}"#, ttl.as_secs());
        self.register(node, &check)?;
        // The agent remembers that an earlier check of this name had failed.
        self.call(&format!("/v1/agent/check/pass/service:{}", node.id), "")
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        self.call(&format!("/v1/agent/service/deregister/{id}"), "")
    }

    fn server(&self) -> Option<Running> {
        Some(self.0.clone())
    }
}
