//! `cargo xtask freeze`: keeps the plugin contract as it is now, and plugins that were built for it, for the tests.
//!
//! A version is frozen once, when it is released. Before that it may be done again; after that, tests/contract/VERSION is
//! what every later gateway has to serve, and is never written again.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;

use crate::{plugins, tools};

/// Built plugins that are kept: one that calls every function of the contract, and one that is not Rust's.
const GUESTS: [&str; 2] = ["contract_guest.wasm", "c_policy.wasm"];
/// The largest file that belongs into the repository.
const LARGEST: usize = 250_000;

/// What `cargo xtask freeze` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Freeze a version again that was frozen and not released yet
    #[arg(long)]
    again: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let root = tools::root();
    let contract = root.join("plugin-sdk/wit/bascule.wit");
    let text = fs::read_to_string(&contract)?;
    let version =
        version(&text).context("plugin-sdk/wit/bascule.wit has no line `package bascule:plugin@VERSION;`")?;
    let folder = root.join("tests/contract").join(version);
    if folder.exists() && !options.again {
        bail!(
            "{} is there already: give the contract a new version, or write --again if this one was never released",
            folder.display()
        );
    }
    plugins::guests()?;
    plugins::publish(&folder.join("wit/bascule.wit"), text.as_bytes())?;
    for guest in GUESTS {
        let built = root.join("target/guests").join(guest);
        let mut content = fs::read(&built)
            .with_context(|| format!("{} was not built: see what is missing above", built.display()))?;
        if content.len() > LARGEST {
            bail!("{guest} has {} bytes, too many to keep: make it do less", content.len());
        }
        let cargo_home =
            std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"));
        forget(&mut content, &(cargo_home? + "/registry/src/"));
        plugins::publish(&folder.join(guest), &content)?;
    }
    println!("{} is frozen; see that the tests in tests/contract.rs pass, and commit it", folder.display());
    Ok(())
}

/// Overwrites this folder and the one in it, wherever panics' locations name them: where a plugin was built is nobody's
/// business. Lengths stay, and so does what the code points to.
fn forget(content: &mut [u8], folder: &str) {
    let mut start = 0;
    while let Some(found) =
        content[start..].windows(folder.len()).position(|window| window == folder.as_bytes())
    {
        let place = start + found;
        let inner = content[place + folder.len()..].iter().position(|&byte| byte == b'/').unwrap_or_default();
        start = place + folder.len() + inner;
        content[place..start].fill(b'.');
    }
}

/// The version in `package bascule:plugin@VERSION;`.
fn version(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("package bascule:plugin@")?.strip_suffix(';'))
}

#[cfg(test)]
mod tests {
    use super::{forget, version};

    #[test]
    fn where_it_was_built_is_forgotten() {
        let mut content =
            *b"at /home/.cargo/registry/src/index-1/serde/lib.rs, /home/.cargo/registry/src/index-1/x";
        forget(&mut content, "/home/.cargo/registry/src/");
        let expected = ["at ", &".".repeat(33), "/serde/lib.rs, ", &".".repeat(33), "/x"].concat();
        assert_eq!(String::from_utf8_lossy(&content), expected);
    }

    #[test]
    fn the_contract_says_its_version() {
        assert_eq!(version("/// Text.\npackage bascule:plugin@0.1.2;\n"), Some("0.1.2"));
        assert_eq!(version("interface a {}"), None);
    }
}
