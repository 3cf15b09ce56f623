//! Consul: one server that is its own agent.

use crate::http::{self, Answer};
use crate::server::{Launch, Server};
use crate::{Certificates, Program, free_port};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;

/// A Consul that runs. What it knows survives [`Server::kill`] and [`Server::restart`].
pub struct Consul {
    server: Server,
    ports: Ports,
    /// The token that may do everything, if one is wanted.
    token: Option<String>,
}

#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    https: Option<u16>,
    servers: u16,
    gossip: u16,
}

impl Consul {
    /// Starts one that lets everybody in. None if the machine has no Consul: the test is skipped then, and it was said.
    ///
    /// # Panics
    /// If it does not start, or there is none and `CI=true`.
    #[track_caller]
    pub fn start() -> Option<Consul> {
        let program = Program::Consul.find_for_test()?;
        Some(Consul::launch(&program, None, None))
    }

    /// One that tells nothing without this token (a UUID).
    ///
    /// # Panics
    /// As [`Consul::start`].
    #[track_caller]
    pub fn start_with_token(token: &str) -> Option<Consul> {
        let program = Program::Consul.find_for_test()?;
        Some(Consul::launch(&program, None, Some(token)))
    }

    /// One that speaks TLS at [`Consul::tls_address`], and wants a certificate of its clients there.
    ///
    /// # Panics
    /// As [`Consul::start`].
    #[track_caller]
    pub fn start_with_tls(certificates: &Certificates) -> Option<Consul> {
        let program = Program::Consul.find_for_test()?;
        Some(Consul::launch(&program, Some(certificates), None))
    }

    fn launch(program: &Path, certificates: Option<&Certificates>, token: Option<&str>) -> Consul {
        let (server, ports) = Server::start(|folder| {
            let https = certificates.map(|_| free_port());
            let ports = Ports { http: free_port(), https, servers: free_port(), gossip: free_port() };
            let text = configuration(ports, certificates, token);
            fs::write(folder.join("consul.hcl"), text).expect("the file is written");
            let arguments =
                ["agent", "-config-file=consul.hcl", "-data-dir=data"].map(str::to_owned).to_vec();
            let address = local(ports.http);
            let ready = move || {
                let answer = http::send(address, "GET", "/v1/status/leader", "", "");
                // The one who leads is named in quotes.
                answer.is_ok_and(|answer| answer.status == 200 && answer.body.trim().len() > 2)
            };
            (Launch { name: "Consul", program: program.to_owned(), arguments, ready: Box::new(ready) }, ports)
        });
        let consul = Consul { server, ports, token: token.map(str::to_owned) };
        consul.wait_until_it_registers();
        consul
    }

    /// The leader has work to do before it takes the first service.
    fn wait_until_it_registers(&self) {
        let itself = r#"{"Name":"ready","Port":1}"#;
        crate::server::wait_until("Consul takes a service", || {
            self.try_call("PUT", "/v1/agent/service/register", itself)
                .is_ok_and(|answer| answer.status == 200)
                && self.call("GET", "/v1/health/service/ready?passing", "").body.contains("\"ready\"")
        });
        self.deregister("ready");
    }

    /// Where its API listens.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.http)
    }

    /// Where it listens with TLS.
    ///
    /// # Panics
    /// If it was started without.
    pub fn tls_address(&self) -> SocketAddr {
        local(self.ports.https.expect("a Consul with TLS"))
    }

    /// The URL of its API, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Calls its API, with the token that may do everything if one is wanted.
    ///
    /// # Panics
    /// If it is not there.
    pub fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        self.try_call(method, target, body).expect("Consul answers")
    }

    fn try_call(&self, method: &str, target: &str, body: &str) -> std::io::Result<Answer> {
        let token = self.token.as_ref().map(|token| format!("X-Consul-Token: {token}\r\n"));
        http::send(self.address(), method, target, &token.unwrap_or_default(), body)
    }

    /// Registers a service, or replaces it: JSON as `/v1/agent/service/register` takes it.
    ///
    /// # Panics
    /// If Consul refuses it.
    pub fn register(&self, service: &str) {
        self.must("/v1/agent/service/register", service);
    }

    /// Takes the service with this id out.
    ///
    /// # Panics
    /// If there is none.
    pub fn deregister(&self, id: &str) {
        self.must(&format!("/v1/agent/service/deregister/{id}"), "");
    }

    /// Turns the maintenance mode of the service with this id on or off.
    ///
    /// # Panics
    /// If there is none.
    pub fn maintain(&self, id: &str, on: bool) {
        self.must(&format!("/v1/agent/service/maintenance/{id}?enable={on}"), "");
    }

    fn must(&self, target: &str, body: &str) {
        let answer = self.call("PUT", target, body);
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    }
}

impl Deref for Consul {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn configuration(ports: Ports, certificates: Option<&Certificates>, token: Option<&str>) -> String {
    // Not `-dev`, which would forget everything at its end. Elections are as short as they get.
    let mut text = format!(
        "server = true\nbootstrap_expect = 1\nbind_addr = \"127.0.0.1\"\nclient_addr = \"127.0.0.1\"\nnode_name = \"test\"\n\
         datacenter = \"dc1\"\ndisable_update_check = true\nleave_on_terminate = false\nlog_level = \"warn\"\n\
         performance {{ raft_multiplier = 1 }}\n\
         ports {{ http = {} https = {} server = {} serf_lan = {} serf_wan = -1 dns = -1 grpc = -1 }}\n",
        ports.http,
        ports.https.map_or(-1, i32::from),
        ports.servers,
        ports.gossip,
    );
    if let Some(certificates) = certificates {
        let [ca, server, key] = [certificates.authority(), certificates.server(), certificates.server_key()]
            .map(|path| path.display().to_string());
        text += &format!(
            "ca_file = \"{ca}\"\ncert_file = \"{server}\"\nkey_file = \"{key}\"\nverify_incoming_https = true\n"
        );
    }
    if let Some(token) = token {
        text += &format!(
            "acl {{ enabled = true default_policy = \"deny\" tokens {{ master = \"{token}\" agent = \"{token}\" }} }}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(consul: &Consul) -> usize {
        let answer = consul.call("GET", "/v1/health/service/api?passing", "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let services: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        services.as_array().unwrap().len()
    }

    #[test]
    fn a_killed_consul_keeps_its_services_and_an_emptied_one_does_not() {
        let Some(consul) = Consul::start() else { return };
        consul.register(r#"{"Name":"api","ID":"api-1","Port":8080}"#);
        assert_eq!(services(&consul), 1);
        consul.restart();
        crate::server::wait_until("the service is back", || services(&consul) == 1);
        consul.maintain("api-1", true);
        assert_eq!(services(&consul), 0);
        consul.maintain("api-1", false);
        assert_eq!(services(&consul), 1);
        consul.restart_empty();
        assert_eq!(services(&consul), 0);
    }

    #[test]
    fn a_token_is_wanted_where_one_is_set() {
        let Some(consul) = Consul::start_with_token("2f7d4a3c-0000-4000-8000-000000000001") else { return };
        consul.register(r#"{"Name":"api","ID":"api-1","Port":8080}"#);
        assert_eq!(services(&consul), 1);
        let without = http::send(consul.address(), "GET", "/v1/agent/services", "", "").unwrap();
        assert!(without.status == 403 || without.body.trim() == "{}", "{without:?}");
    }

    #[test]
    fn it_speaks_tls_on_a_port_of_its_own() {
        let certificates = Certificates::make();
        let Some(consul) = Consul::start_with_tls(&certificates) else { return };
        assert_ne!(consul.tls_address(), consul.address());
        let plain = http::send(consul.tls_address(), "GET", "/v1/status/leader", "", "");
        assert!(plain.is_err() || plain.is_ok_and(|answer| answer.status == 400));
    }
}
