//! etcd: one member that is a cluster by itself.

use crate::http::{self, Answer};
use crate::server::{Launch, Server};
use crate::{Certificates, Program, free_port};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;

/// An etcd that runs. Its data survive [`Server::kill`] and [`Server::restart`].
pub struct Etcd {
    server: Server,
    ports: Ports,
    tls: bool,
}

#[derive(Clone, Copy)]
struct Ports {
    clients: u16,
    peers: u16,
    /// Where it tells its health: always without TLS.
    health: u16,
}

impl Etcd {
    /// Starts one that lets everybody in. None if the machine has no etcd: the test is skipped then, and it was said.
    ///
    /// # Panics
    /// If it does not start, or there is none and `CI=true`.
    #[track_caller]
    pub fn start() -> Option<Etcd> {
        let program = Program::Etcd.find_for_test()?;
        Some(Etcd::launch(&program, None))
    }

    /// One that speaks TLS only, and wants a certificate of its clients.
    ///
    /// # Panics
    /// As [`Etcd::start`].
    #[track_caller]
    pub fn start_with_tls(certificates: &Certificates) -> Option<Etcd> {
        let program = Program::Etcd.find_for_test()?;
        Some(Etcd::launch(&program, Some(certificates)))
    }

    fn launch(program: &Path, certificates: Option<&Certificates>) -> Etcd {
        let (server, ports) = Server::start(|_| {
            let ports = Ports { clients: free_port(), peers: free_port(), health: free_port() };
            let health = local(ports.health);
            let ready = move || {
                let answer = http::send(health, "GET", "/health", "", "");
                answer.is_ok_and(|answer| answer.status == 200 && answer.body.contains("true"))
            };
            let arguments = arguments(ports, certificates);
            (Launch { name: "etcd", program: program.to_owned(), arguments, ready: Box::new(ready) }, ports)
        });
        Etcd { server, ports, tls: certificates.is_some() }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.clients)
    }

    /// Its URL for clients, with https if it speaks TLS.
    pub fn url(&self) -> String {
        format!("{}://{}", scheme(self.tls), self.address())
    }

    /// Calls its API in JSON (`/v3/kv/put` and the like; keys and values in base64). Not for one with TLS.
    ///
    /// # Panics
    /// If it is not there.
    pub fn call(&self, path: &str, body: &str) -> Answer {
        http::send(self.address(), "POST", path, "", body).expect("etcd answers")
    }

    /// From now on only the user root with this password is let in.
    ///
    /// # Panics
    /// If etcd does not obey.
    pub fn want_password(&self, password: &str) {
        for (path, body) in [
            ("user/add", format!(r#"{{"name":"root","password":"{password}"}}"#)),
            ("role/add", r#"{"name":"root"}"#.to_owned()),
            ("user/grant", r#"{"user":"root","role":"root"}"#.to_owned()),
            ("enable", "{}".to_owned()),
        ] {
            let answer = self.call(&format!("/v3/auth/{path}"), &body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
}

impl Deref for Etcd {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

fn arguments(ports: Ports, certificates: Option<&Certificates>) -> Vec<String> {
    let clients = format!("{}://127.0.0.1:{}", scheme(certificates.is_some()), ports.clients);
    let peers = format!("http://127.0.0.1:{}", ports.peers);
    let mut arguments = vec![
        "--name=test".to_owned(),
        "--data-dir=data/etcd".to_owned(),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=test={peers}"),
        format!("--listen-metrics-urls=http://127.0.0.1:{}", ports.health),
    ];
    if let Some(certificates) = certificates {
        arguments.extend([
            format!("--trusted-ca-file={}", certificates.authority().display()),
            format!("--cert-file={}", certificates.server().display()),
            format!("--key-file={}", certificates.server_key().display()),
            "--client-cert-auth".to_owned(),
        ]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_etcd_keeps_its_data_and_an_emptied_one_does_not() {
        let Some(etcd) = Etcd::start() else { return };
        let put = etcd.call("/v3/kv/put", r#"{"key":"a2V5","value":"dmFsdWU="}"#);
        assert_eq!(put.status, 200, "{}", put.body);
        let has_value = || etcd.call("/v3/kv/range", r#"{"key":"a2V5"}"#).body.contains("dmFsdWU=");
        etcd.restart();
        assert!(has_value());
        etcd.restart_empty();
        assert!(!has_value());
    }

    #[test]
    fn a_password_is_wanted_where_one_is_set() {
        let Some(etcd) = Etcd::start() else { return };
        etcd.want_password("secret");
        assert_ne!(etcd.call("/v3/kv/range", r#"{"key":"a2V5"}"#).status, 200);
    }

    #[test]
    fn it_speaks_tls() {
        let certificates = Certificates::make();
        let Some(etcd) = Etcd::start_with_tls(&certificates) else { return };
        assert!(etcd.url().starts_with("https://127.0.0.1:"));
        let plain = http::send(etcd.address(), "GET", "/version", "", "");
        assert!(plain.is_err() || plain.is_ok_and(|answer| answer.status == 400)); // Go says 400 to those who speak no TLS
    }
}
