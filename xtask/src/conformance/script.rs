//! Clients and servers in Python (tests/conformance), with the gateway between them. Their packages go to target/tools.

use super::ground::Ground;
use super::report::Check;
use crate::bench::servers::free_ports;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The interpreter that has the packages; installs them where they are missing.
///
/// # Errors
/// When there is no Python, or it cannot get them.
pub(super) fn python(packages: &[&str]) -> Result<PathBuf> {
    let folder = tools::root().join("target/tools/venv");
    let program = folder.join("bin/python3");
    if !program.is_file() {
        let python = tools::find("python3").context("there is no python3")?;
        tools::output(Command::new(python).args(["-m", "venv"]).arg(&folder))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    tools::output(Command::new(&program).args(install).args(packages))?;
    Ok(program)
}

/// The versions of packages, as pip knows them.
pub(super) fn versions(python: &Path, packages: &[&str]) -> String {
    let listed = tools::output(Command::new(python).args([
        "-m",
        "pip",
        "list",
        "--format=freeze",
        "--disable-pip-version-check",
    ]));
    let listed = listed.unwrap_or_default();
    let named = |line: &&str| packages.iter().any(|name| line.split("==").next() == Some(name));
    listed.lines().filter(named).map(|line| line.replace("==", " ")).collect::<Vec<_>>().join(", ")
}

/// A running script; it ends with this.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Plays a script: it serves as the node on a port of its own, `ground` starts the gateway in front of that, and each line
/// says whether an expectation is met.
///
/// # Errors
/// When the script or the gateway does not start, or it ends early.
pub(super) fn play(
    python: &Path,
    script: &str,
    ground: impl FnOnce(u16) -> Result<Ground>,
) -> Result<Vec<Check>> {
    let [node, _] = free_ports()?;
    let ground = ground(node)?;
    let mut command = Command::new(python);
    command.arg("-u").arg(tools::root().join("tests/conformance").join(script));
    for port in [node, ground.plain, ground.tls] {
        command.arg(port.to_string());
    }
    command.arg(ground.certificate()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Script(command.spawn().context("cannot start the script")?);
    let mut lines = BufReader::new(child.0.stdout.take().context("its output is piped")?).lines();
    if lines.next().transpose()?.as_deref() != Some("ready") {
        bail!("{script} does not start; what it printed above says why");
    }
    child.0.stdin.take().context("its input is piped")?.write_all(b"go\n")?;
    let mut checks = Vec::new();
    for line in lines {
        let line = line?;
        checks.push(match line.strip_prefix("not ok ") {
            Some(said) => {
                let (name, seen) = said.split_once(": ").unwrap_or((said, ""));
                Check::new(name, Err(seen.to_owned()))
            }
            None => Check::new(
                line.strip_prefix("ok ").with_context(|| format!("{script} printed: {line}"))?,
                Ok(()),
            ),
        });
    }
    if !child.0.wait()?.success() || checks.is_empty() {
        bail!("{script} ended early, behind {} checks", checks.len());
    }
    Ok(checks)
}
