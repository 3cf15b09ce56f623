//! Where the servers' programs lie, and what a test does without one.
//!
//! Nothing is installed here: `cargo xtask test` does that before, as far as the machine lets it.

use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// The environment variable with the file into which tests write that they were skipped; `cargo xtask test` shows it.
pub const SKIPPED_TESTS: &str = "BASCULE_SKIPPED_TESTS";

/// A server that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// redis-server.
    Redis,
    /// etcd.
    Etcd,
    /// The jars of ZooKeeper, and java.
    ZooKeeper,
    /// consul.
    Consul,
    /// pebble.
    Pebble,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 5] =
        [Program::Redis, Program::Etcd, Program::ZooKeeper, Program::Consul, Program::Pebble];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Program::Redis => "Redis",
            Program::Etcd => "etcd",
            Program::ZooKeeper => "ZooKeeper",
            Program::Consul => "Consul",
            Program::Pebble => "Pebble",
        }
    }

    /// What is run, if this machine has all that it takes.
    pub fn find(self) -> Option<PathBuf> {
        match self {
            Program::Redis => on_path("redis-server"),
            Program::Etcd => on_path("etcd"),
            Program::ZooKeeper => zookeeper_classes().and_then(|_| on_path("java")),
            Program::Consul => on_path("consul").or_else(|| is_file(unpacked().join("consul"))),
            Program::Pebble => on_path("pebble"),
        }
    }

    /// The same for a test, which ends if there is none: it says by name that it is skipped.
    ///
    /// # Panics
    /// With `CI=true` in the environment, where a test that is skipped is a test that nobody ever runs.
    #[track_caller]
    pub(crate) fn find_for_test(self) -> Option<PathBuf> {
        let found = self.find();
        if found.is_none() {
            self.skip(&name_of_test());
        }
        found
    }

    fn skip(self, test: &str) {
        let server = self.name();
        let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !on_ci,
            "{test} needs {server}, which `cargo xtask test` could not install: see its first lines"
        );
        let line = format!("skipped: {test} needs {server}\n");
        // Not eprint!, which a test's output is kept from.
        _ = std::io::stderr().write_all(line.as_bytes());
        if let Some(path) = std::env::var_os(SKIPPED_TESTS) {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            _ = file.and_then(|mut file| file.write_all(line.as_bytes())); // the line above was seen
        }
    }
}

/// Where `cargo xtask` puts the program of a server that cannot be installed.
pub fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers")
}

/// The class path of ZooKeeper.
pub(crate) fn zookeeper_classes() -> Option<String> {
    let debian = Path::new("/usr/share/java");
    if debian.join("zookeeper.jar").is_file() {
        // Debian's jar names the jars that it needs, but not all that it needs for TLS.
        let path = |jar: &str| debian.join(jar).display().to_string();
        return Some(["zookeeper.jar", "netty-codec.jar", "netty-resolver.jar"].map(path).join(":"));
    }
    let home = std::env::var_os("ZOOKEEPER_HOME").map_or_else(|| "/opt/zookeeper".into(), PathBuf::from);
    let unpacked_archive = home.join("lib");
    unpacked_archive.is_dir().then(|| unpacked_archive.join("*").display().to_string())
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&folders).chain(further).find_map(|folder| is_file(folder.join(program)))
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

/// The name of the test that runs; where it stands if all tests run on one thread, which has no such name.
#[track_caller]
fn name_of_test() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_its_name() {
        assert_eq!(name_of_test(), "program::tests::a_test_knows_its_name");
    }

    #[test]
    fn a_program_is_found_on_the_path_only() {
        assert!(on_path("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(on_path("no-such-program"), None);
    }
}
