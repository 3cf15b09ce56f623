//! Gets the real servers that tests and benchmarks use: Redis, etcd, ZooKeeper, Consul, Pebble.
//!
//! What is there already is used. On Debian, apt-get installs the others if it may, and Consul, which newer releases lack, is
//! unpacked from an older one into target/servers. That a server cannot be had is no error here: its tests are skipped, and say so.

use crate::tools;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use test_servers::Program;

/// The last release of Debian with Consul; its program needs nothing but the C library.
const RELEASE_WITH_CONSUL: &str = "bullseye";

/// Who signs Debian's releases, the old one too.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Makes sure that these servers are there, as far as this machine lets us. Says what it installs, and what it cannot.
pub(crate) fn prepare(wanted: &[Program]) {
    let missing = |program: &&Program| program.find().is_none();
    let packages: Vec<&str> =
        wanted.iter().filter(missing).flat_map(|program| packages(*program)).copied().collect();
    if !packages.is_empty()
        && let Err(error) = install(&packages)
    {
        println!("{} cannot be installed: {error:#}", packages.join(", "));
    }
    if wanted.contains(&Program::Consul)
        && Program::Consul.find().is_none()
        && let Err(error) = unpack_consul(&test_servers::unpacked())
    {
        println!("Consul cannot be had here: {error:#}");
    }
    for program in wanted.iter().filter(missing) {
        println!("There is no {}: tests that need it are skipped.", program.name());
    }
}

/// What Debian calls them.
fn packages(program: Program) -> &'static [&'static str] {
    match program {
        Program::Redis => &["redis-server"],
        Program::Etcd => &["etcd-server"],
        Program::ZooKeeper => &["libzookeeper-java", "default-jre-headless"],
        Program::Consul => &[],
        Program::Pebble => &["pebble"],
    }
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = tools::find("apt-get").context("there is no apt-get; install them in your system's way")?;
    if tools::output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("only root may; run `apt-get install {}` as root", packages.join(" "));
    }
    println!("Installing {} for the tests.", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(&apt);
        tools::run(command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).args(arguments))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-yqq", "--no-install-recommends"], packages].concat())
}

/// Puts Consul into `folder`. Needs no root: apt-get works on files of its own there.
fn unpack_consul(folder: &Path) -> Result<()> {
    tools::find("apt-get").context("there is no apt-get; put `consul` on PATH in your system's way")?;
    let line = source_line()?;
    println!("Unpacking Consul from Debian {RELEASE_WITH_CONSUL} into target/servers for the tests.");
    fs::create_dir_all(folder)?;
    let work = tempfile::tempdir_in(folder)?;
    let place = |name: &str| work.path().join(name);
    for name in ["lists/partial", "cache/archives/partial", "unpacked"] {
        fs::create_dir_all(place(name))?;
    }
    fs::write(place("sources.list"), line)?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(work.path()).stdin(Stdio::null()).stdout(Stdio::null());
        for (option, value) in [
            ("Dir::Etc::SourceList", place("sources.list").display().to_string()),
            ("Dir::Etc::SourceParts", "-".to_owned()),
            ("Dir::State::Lists", place("lists").display().to_string()),
            ("Dir::Cache", place("cache").display().to_string()),
            ("Acquire::Languages", "none".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()), // its own user may not write here
        ] {
            command.arg("-o").arg(format!("{option}={value}"));
        }
        tools::run(command.arg("-qq").args(arguments))
    };
    apt(&["update"])?;
    apt(&["download", "consul"])?;
    let entries = fs::read_dir(work.path())?.filter_map(Result::ok).map(|entry| entry.path());
    let package =
        entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let package = package.context("apt-get left no package")?;
    tools::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(place("unpacked")))?;
    // Whole or not at all: another command may look for it just now.
    fs::rename(place("unpacked/usr/bin/consul"), folder.join("consul")).context("the package has no consul")
}

/// Where this machine's own packages come from, with the older release instead of its own.
fn source_line() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release")?;
    let own = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let own = own.context("/etc/os-release names no release")?;
    let format = "$(RELEASE) $(COMPONENT) $(REPO_URI)";
    let known = tools::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))?;
    let address = known.lines().find_map(|line| line.strip_prefix(&format!("{own} main ")));
    let address = address.with_context(|| format!("apt-get knows no source of {own} main"))?;
    let signed = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    Ok(format!("deb {signed}{address} {RELEASE_WITH_CONSUL} main\n"))
}
