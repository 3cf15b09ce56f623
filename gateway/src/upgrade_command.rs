//! `bascule upgrade`: tells a running gateway to let another process take over, and says what came of it.
//!
//! It sends the signal, and learns the outcome from the admin API, which is always that of the process that serves.
#![allow(clippy::print_stdout, reason = "the command line talks to people")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bascule::author::dev::get_snapshot;
use bascule::control::config::{Config, Secret};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Failure, load};

/// How often it asks.
const EVERY: Duration = Duration::from_millis(100);
/// How much longer than the gateway itself it waits: for the answer that it gave up.
const LONGER: Duration = Duration::from_secs(10);

/// Upgrades the gateway of this configuration, which has to be the process `pid` if that is given.
pub(crate) fn run(path: &Path, pid: Option<i32>) -> Result<(), Failure> {
    let config = load(path)?;
    let before = ask(&config)?;
    let serving = process(&before)?;
    let named = pid.or_else(|| in_file(config.gateway.pid_file.as_deref()?));
    if let Some(named) = named.filter(|named| *named != serving) {
        return Err(anyhow!(
            "the gateway that answers on {} is process {serving}, not {named}",
            config.admin.address.value
        )
        .into());
    }
    let failed = failures(&before);
    let target = Pid::from_raw(serving).context("the gateway has no process number")?;
    kill_process(target, Signal::USR2).with_context(|| format!("process {serving} cannot be told"))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().context("no event loop")?;
    let outcome = async {
        loop {
            tokio::time::sleep(EVERY).await;
            // Between two processes a moment without an answer is no outcome.
            let Ok(now) = ask(&config) else { continue };
            if process(&now)? != serving {
                return process(&now);
            }
            if failures(&now) > failed {
                bail!(
                    "process {serving} goes on: {}",
                    now["upgrade"]["error"]["text"].as_str().unwrap_or("see its log")
                );
            }
        }
    };
    let patience = config.gateway.upgrade_timeout + LONGER;
    let pid = runtime
        .block_on(async { tokio::time::timeout(patience, outcome).await })
        .map_err(|_| anyhow!("nothing came of it within {patience:?}: see the gateway's log"))??;
    println!("process {pid} took over from {serving}");
    Ok(())
}

fn ask(config: &Config) -> anyhow::Result<Value> {
    let address = config.admin.address.value;
    let token = config.admin.token.as_ref().map(Secret::reveal);
    let asked = get_snapshot(address, token);
    match asked.with_context(|| format!("no gateway answers on {address}, which is [admin] address"))? {
        (200, body) => {
            serde_json::from_slice(&body).with_context(|| format!("what answers on {address} is no gateway"))
        }
        (401, _) => bail!("the gateway on {address} wants another token than [admin] token"),
        (status, _) => bail!("what answers on {address} says {status}: it is no gateway"),
    }
}

fn process(snapshot: &Value) -> anyhow::Result<i32> {
    let pid = snapshot["pid"].as_i64().and_then(|pid| pid.try_into().ok());
    pid.context("what answers does not say its process: it is an older version, and has to be restarted")
}

fn failures(snapshot: &Value) -> u64 {
    snapshot["upgrade"]["failed"].as_u64().unwrap_or(0)
}

fn in_file(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
