//! ZooKeeper: one server that stands alone.

use crate::program::zookeeper_classes;
use crate::server::{Launch, Server};
use crate::{Certificates, Program, free_port};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

/// A ZooKeeper that runs. Its data survive [`Server::kill`] and [`Server::restart`]; so do sessions, for their time.
pub struct ZooKeeper {
    server: Server,
    ports: Ports,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

impl ZooKeeper {
    /// Starts one. None if the machine has no ZooKeeper or no Java: the test is skipped then, and it was said.
    ///
    /// # Panics
    /// If it does not start, or there is none and `CI=true`.
    #[track_caller]
    pub fn start() -> Option<ZooKeeper> {
        let java = Program::ZooKeeper.find_for_test()?;
        Some(ZooKeeper::launch(&java, None))
    }

    /// One that speaks TLS at [`ZooKeeper::tls_address`], and wants a certificate of its clients there.
    ///
    /// # Panics
    /// As [`ZooKeeper::start`].
    #[track_caller]
    pub fn start_with_tls(certificates: &Certificates) -> Option<ZooKeeper> {
        let java = Program::ZooKeeper.find_for_test()?;
        Some(ZooKeeper::launch(&java, Some(certificates)))
    }

    fn launch(java: &Path, certificates: Option<&Certificates>) -> ZooKeeper {
        let (server, ports) = Server::start(|folder| {
            let ports = Ports { plain: free_port(), tls: certificates.map(|_| free_port()) };
            let text = configuration(ports, certificates, folder);
            fs::write(folder.join("zoo.cfg"), text).expect("the file is written");
            let address = local(ports.plain);
            let ready = move || four_letters(address, "srvr").is_some_and(|answer| answer.contains("Mode: "));
            let arguments = arguments(certificates.is_some());
            (Launch { name: "ZooKeeper", program: java.to_owned(), arguments, ready: Box::new(ready) }, ports)
        });
        ZooKeeper { server, ports }
    }

    /// Where clients connect without TLS.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.plain)
    }

    /// Where clients connect with TLS.
    ///
    /// # Panics
    /// If it was started without.
    pub fn tls_address(&self) -> SocketAddr {
        local(self.ports.tls.expect("a ZooKeeper with TLS"))
    }

    /// Asks one of its four-letter words: `srvr`, `ruok`, `cons`, `wchs`, `dump`.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn ask(&self, word: &str) -> String {
        four_letters(self.address(), word).expect("ZooKeeper answers")
    }
}

impl Deref for ZooKeeper {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn four_letters(to: SocketAddr, word: &str) -> Option<String> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The text of zoo.cfg.
fn configuration(ports: Ports, certificates: Option<&Certificates>, folder: &Path) -> String {
    // Short ticks, so that a session may be as short as 400 ms and a test need not wait long until one expires.
    let mut text = format!(
        "tickTime=200\nminSessionTimeout=400\nmaxSessionTimeout=60000\nclientPort={}\nclientPortAddress=127.0.0.1\n\
         dataDir={}\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n",
        ports.plain,
        folder.join("data").display(),
    );
    if let (Some(port), Some(certificates)) = (ports.tls, certificates) {
        // ZooKeeper takes the key and its certificate from one file.
        let both = [certificates.server_key(), certificates.server()]
            .map(|path| fs::read_to_string(path).expect("it was made"));
        fs::write(folder.join("server.pem"), both.concat()).expect("the file is written");
        text += &format!(
            "secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\nssl.keyStore.location={}\nssl.trustStore.location={}\n",
            folder.join("server.pem").display(),
            certificates.authority().display(),
        );
    }
    text
}

fn arguments(tls: bool) -> Vec<String> {
    let classes = zookeeper_classes().expect("ZooKeeper was found");
    let mut arguments =
        vec!["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"];
    if tls {
        arguments.push("-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory");
    }
    arguments.extend(["-cp", &classes, "org.apache.zookeeper.server.ZooKeeperServerMain", "zoo.cfg"]);
    arguments.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_zookeeper_comes_back() {
        let Some(zookeeper) = ZooKeeper::start() else { return };
        assert_eq!(zookeeper.ask("ruok"), "imok");
        zookeeper.kill();
        assert_eq!(four_letters(zookeeper.address(), "ruok"), None);
        zookeeper.restart_empty();
        assert!(zookeeper.ask("srvr").contains("Mode: standalone"));
    }

    #[test]
    fn it_speaks_tls_on_a_port_of_its_own() {
        let certificates = Certificates::make();
        let Some(zookeeper) = ZooKeeper::start_with_tls(&certificates) else { return };
        assert_eq!(zookeeper.ask("ruok"), "imok");
        assert_ne!(four_letters(zookeeper.tls_address(), "ruok").as_deref(), Some("imok"));
    }
}
