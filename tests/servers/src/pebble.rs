//! Pebble: the ACME server that Let's Encrypt tests clients with. It keeps all in memory, so an end is an end.

use crate::program::on_path;
use crate::server::{Launch, Server};
use crate::{Certificates, Program, free_port};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::Path;

/// A Pebble that runs. It refuses each twentieth request for its nonce alone, as it does by itself.
pub struct Pebble {
    server: Server,
    ports: Ports,
}

/// Where names are proved, and what certificates are like.
#[derive(Clone, Copy, Debug)]
pub struct PebbleWish {
    /// The name server that it asks.
    pub names: SocketAddr,
    /// The port on which names are proved by HTTP-01.
    pub http: u16,
    /// The port on which names are proved by TLS-ALPN-01.
    pub tls: u16,
    /// For how many seconds certificates are good.
    pub seconds: u32,
}

#[derive(Clone, Copy)]
struct Ports {
    acme: u16,
    management: u16,
}

impl Pebble {
    /// Starts one that shows this server's certificate. None if the machine has no Pebble: the test is skipped then, and it was said.
    ///
    /// # Panics
    /// If it does not start, or there is none and `CI=true`.
    #[track_caller]
    pub fn start(certificates: &Certificates, wish: PebbleWish) -> Option<Pebble> {
        let program = Program::Pebble.find_for_test()?;
        let (server, ports) = Server::start(|folder| {
            let ports = Ports { acme: free_port(), management: free_port() };
            let config = folder.join("pebble.json");
            fs::write(&config, configuration(ports, certificates, wish)).expect("the file is written");
            let ready = move || [ports.acme, ports.management].map(local).iter().all(answers);
            let arguments = arguments(&program, &config, wish);
            // By way of env, since Pebble is told some things by its environment alone.
            let program = on_path("env").expect("every system has env");
            (Launch { name: "Pebble", program, arguments, ready: Box::new(ready) }, ports)
        });
        Some(Pebble { server, ports })
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", local(self.ports.acme))
    }

    /// Where its management interface listens: `/roots/0` is the root of what it issues, another one after each start.
    pub fn management(&self) -> SocketAddr {
        local(self.ports.management)
    }
}

impl Deref for Pebble {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn answers(address: &SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

fn arguments(program: &Path, config: &Path, wish: PebbleWish) -> Vec<String> {
    vec![
        // Without it, it waits some seconds before each look at a name.
        "PEBBLE_VA_NOSLEEP=1".to_owned(),
        program.display().to_string(),
        "-config".to_owned(),
        config.display().to_string(),
        "-dnsserver".to_owned(),
        wish.names.to_string(),
        "-strict".to_owned(),
    ]
}

fn configuration(ports: Ports, certificates: &Certificates, wish: PebbleWish) -> String {
    format!(
        r#"{{ "pebble": {{
            "listenAddress": "{}", "managementListenAddress": "{}",
            "certificate": {:?}, "privateKey": {:?},
            "httpPort": {}, "tlsPort": {},
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "certificateValidityPeriod": {}
        }} }}"#,
        local(ports.acme),
        local(ports.management),
        certificates.server(),
        certificates.server_key(),
        wish.http,
        wish.tls,
        wish.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_and_is_gone_when_it_is_killed() {
        let certificates = Certificates::make();
        let wish = PebbleWish { names: local(free_port()), http: free_port(), tls: free_port(), seconds: 60 };
        let Some(pebble) = Pebble::start(&certificates, wish) else { return };
        assert!(pebble.log().contains("ACME directory available"), "{}", pebble.log());
        pebble.kill();
        assert!(!answers(&pebble.management()));
        pebble.restart();
        assert!(answers(&pebble.management()));
    }
}
