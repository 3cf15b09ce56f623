//! Redis: one server, with or without TLS and users, and what several of them form.

mod cluster;
mod resp;
mod sentinel;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

use crate::server::{Launch, Server};
use crate::{Certificates, Program, free_port};
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::Path;

/// A Redis that runs. Its data survive [`Server::kill`] and [`Server::restart`], as those of an append-only file do.
pub struct Redis {
    server: Server,
    ports: Ports,
    user: Option<(String, String)>,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

/// How a Redis is to be.
#[derive(Default)]
struct Setup<'a> {
    certificates: Option<&'a Certificates>,
    /// Name and password of the only user.
    user: Option<(&'a str, &'a str)>,
    /// Further lines of redis.conf.
    lines: String,
    sentinel: bool,
}

impl Redis {
    /// Starts one that lets everybody in. None if the machine has no Redis: the test is skipped then, and it was said.
    ///
    /// # Panics
    /// If it does not start, or there is none and `CI=true`.
    #[track_caller]
    pub fn start() -> Option<Redis> {
        Some(Redis::launch(&Program::Redis.find_for_test()?, &Setup::default()))
    }

    /// One that only this user may ask.
    ///
    /// # Panics
    /// As [`Redis::start`].
    #[track_caller]
    pub fn start_with_user(name: &str, password: &str) -> Option<Redis> {
        let setup = Setup { user: Some((name, password)), ..Setup::default() };
        Some(Redis::launch(&Program::Redis.find_for_test()?, &setup))
    }

    /// One that speaks TLS at [`Redis::tls_address`], and wants a certificate of its clients there.
    ///
    /// # Panics
    /// As [`Redis::start`].
    #[track_caller]
    pub fn start_with_tls(certificates: &Certificates) -> Option<Redis> {
        let setup = Setup { certificates: Some(certificates), ..Setup::default() };
        Some(Redis::launch(&Program::Redis.find_for_test()?, &setup))
    }

    fn launch(program: &Path, setup: &Setup<'_>) -> Redis {
        let (server, ports) = Server::start(|folder| {
            let ports = Ports { plain: free_port(), tls: setup.certificates.map(|_| free_port()) };
            fs::write(folder.join("redis.conf"), configuration(ports, setup)).expect("the file is written");
            let mut arguments = vec!["redis.conf".to_owned()];
            arguments.extend(setup.sentinel.then(|| "--sentinel".to_owned()));
            let address = local(ports.plain);
            // A user that it does not know is an answer, too.
            let ready = move || {
                resp::ask(address, None, &["PING"])
                    .is_ok_and(|answer| answer == "PONG" || answer.starts_with("NOAUTH"))
            };
            (Launch { name: "Redis", program: program.to_owned(), arguments, ready: Box::new(ready) }, ports)
        });
        let user = setup.user.map(|(name, password)| (name.to_owned(), password.to_owned()));
        Redis { server, ports, user }
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.plain)
    }

    /// Where it listens with TLS.
    ///
    /// # Panics
    /// If it was started without.
    pub fn tls_address(&self) -> SocketAddr {
        local(self.ports.tls.expect("a Redis with TLS"))
    }

    /// Its URL for clients, without TLS and user.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Sends a command and answers what Redis did, as text: elements in lines, an error with its word (`WRONGTYPE …`), nothing
    /// for nil.
    ///
    /// # Panics
    /// If it is not there.
    pub fn ask(&self, command: &[&str]) -> String {
        let user = self.user.as_ref().map(|(name, password)| (name.as_str(), password.as_str()));
        resp::ask(self.address(), user, command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The text of redis.conf.
fn configuration(ports: Ports, setup: &Setup<'_>) -> String {
    let mut text = format!("bind 127.0.0.1\nport {}\ndir data\n", ports.plain);
    if !setup.sentinel {
        // Written for each change but left to the kernel to store: that survives a SIGKILL, and is fast.
        text += "save \"\"\nappendonly yes\nappendfsync no\n";
    }
    if let (Some(port), Some(certificates)) = (ports.tls, setup.certificates) {
        let [ca, server, key] = [certificates.authority(), certificates.server(), certificates.server_key()]
            .map(|path| path.display().to_string());
        text +=
            &format!("tls-port {port}\ntls-ca-cert-file {ca}\ntls-cert-file {server}\ntls-key-file {key}\n");
    }
    if let Some((name, password)) = setup.user {
        writeln!(text, "user default off\nuser {name} on >{password} ~* &* +@all").expect("a text takes it");
    }
    text + &setup.lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_redis_keeps_its_data_and_an_emptied_one_does_not() {
        let Some(redis) = Redis::start() else { return };
        assert_eq!(redis.ask(&["SET", "key", "value"]), "OK");
        redis.kill();
        assert!(std::net::TcpStream::connect(redis.address()).is_err());
        redis.restart();
        assert_eq!(redis.ask(&["GET", "key"]), "value");
        redis.restart_empty();
        assert_eq!(redis.ask(&["GET", "key"]), "");
    }

    #[test]
    fn a_frozen_redis_answers_when_it_thaws() {
        let Some(redis) = Redis::start() else { return };
        redis.freeze();
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| redis.ask(&["ECHO", "late"]));
            redis.thaw();
            assert_eq!(answer.join().unwrap(), "late");
        });
        redis.stop();
        assert!(redis.log().contains("Redis is now ready to exit"));
    }

    #[test]
    fn a_user_is_wanted_where_one_is_set() {
        let Some(redis) = Redis::start_with_user("bascule", "secret") else { return };
        assert_eq!(redis.ask(&["ACL", "WHOAMI"]), "bascule");
        assert!(resp::ask(redis.address(), None, &["GET", "key"]).unwrap().starts_with("NOAUTH"));
    }

    #[test]
    fn tls_is_spoken_on_a_port_of_its_own() {
        let certificates = Certificates::make();
        let Some(redis) = Redis::start_with_tls(&certificates) else { return };
        assert_eq!(redis.ask(&["PING"]), "PONG");
        // To one that speaks TLS this is no beginning of anything.
        assert!(resp::ask(redis.tls_address(), None, &["PING"]).is_err());
    }
}
