//! `cargo xtask demo --check`: the demo with nobody watching. Tries all five things, says of each what it saw.

use super::tries;
use crate::client;
use crate::tools;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts the demo, tries everything, stops the demo.
///
/// # Errors
/// When the demo does not start, or something is not as the text says; the demo's own log is shown then.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let mut log = tempfile::tempfile()?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).spawn();
    let mut demo = Demo(child.context("the gateway does not start")?);
    let failed = wait_until_ready(&mut demo).and_then(|()| try_all()).and_then(|()| ctrl_c(&mut demo));
    demo.stop();
    if failed.is_err() {
        eprintln!("--- the demo's log ---\n{}---", read(&mut log)?);
    }
    failed
}

/// The gateway with its nodes; it does not outlive the check.
struct Demo(Child);

impl Demo {
    fn stop(&mut self) {
        _ = self.0.kill(); // it has ended already, at worst
        _ = self.0.wait();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wait_until_ready(demo: &mut Demo) -> Result<()> {
    let ready = || client::get(9901, "/readyz", &[]).is_ok_and(|answer| answer.status == 200);
    let state = tools::poll(Duration::from_secs(30), || match demo.0.try_wait() {
        Ok(Some(status)) => Some(Err(status)),
        _ => ready().then_some(Ok(())),
    });
    match state {
        Some(Ok(())) => Ok(()),
        Some(Err(status)) => bail!("the gateway ended at once ({status})"),
        None => bail!(
            "the gateway does not say that it is ready: /readyz on port 9901 did not answer 200 in 30 s"
        ),
    }
}

fn try_all() -> Result<()> {
    for (number, each) in (1..).zip(&tries::TRIES) {
        let saw = (each.check)().with_context(|| format!("{number}. {}: not as promised", each.title))?;
        println!("ok  {number}. {}: {saw}", each.title);
    }
    Ok(())
}

fn ctrl_c(demo: &mut Demo) -> Result<()> {
    tools::signal(demo.0.id(), "INT");
    let ended = tools::poll(Duration::from_secs(10), || demo.0.try_wait().ok().flatten());
    let status = ended.context("Ctrl-C: the demo still runs ten seconds later")?;
    ensure!(status.success(), "Ctrl-C: the demo ended with {status}");
    super::ports_free().context("Ctrl-C: something of the demo is left")?;
    println!("ok  Ctrl-C stopped all of it");
    Ok(())
}

fn read(log: &mut File) -> Result<String> {
    let mut text = Vec::new();
    log.rewind()?;
    log.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
