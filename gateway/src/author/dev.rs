//! `bascule plugin dev`, in a plugin's crate: builds it at each save, puts the result into a gateway's plugin folder, and
//! tells what the gateway makes of it.
//!
//! The gateway watches its folder itself, so all that is needed of it is that folder; its admin API is only asked.

mod ask;
mod cargo;
mod watch;

use std::convert::Infallible;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Problem;
use super::inspect::kilobytes;
use crate::plugin::Version;
pub use ask::get as get_snapshot;
use ask::{Answer, News};
use watch::Watch;

/// How long the gateway may take to say something of a new file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a gateway that does not use the file may take to do so: it may have waited for it.
const UNUSED: Duration = Duration::from_secs(2);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The gateway that is to run the plugin.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its folder of plugins.
    pub folder: PathBuf,
    /// Its admin API.
    pub admin: SocketAddr,
    /// What that wants to be told, if anything.
    pub token: Option<String>,
}

/// Builds the crate in `folder` now and at each save, until the process is ended. What there is to say goes to `out`; cargo
/// writes to standard error itself.
///
/// # Errors
/// When `folder` holds no crate, the gateway's folder cannot be written, or nobody reads `out`.
pub fn run(folder: &Path, target: &Target, out: &mut dyn Write) -> Result<Infallible, Problem> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(Problem::Input(format!(
            "there is no Cargo.toml in {}: go into the folder of a plugin, or make one with `bascule plugin new NAME`",
            folder.display()
        )));
    }
    if !target.folder.is_dir() {
        return Err(Problem::Input(format!(
            "there is no folder {}: name the gateway's plugin folder, or its configuration file",
            target.folder.display()
        )));
    }
    let mut watch = Watch::new(folder);
    let told = |error: &io::Error| Problem::io("nobody reads this any more", error);
    writeln!(out, "Each save builds into {}; Ctrl-C ends this.", target.folder.display())
        .map_err(|error| told(&error))?;
    loop {
        let news = build(folder, target, &mut watch)?;
        writeln!(out, "{news}").and_then(|()| out.flush()).map_err(|error| told(&error))?;
        watch.wait();
    }
}

/// One build, as far as it goes; answers what there is to say.
fn build(folder: &Path, target: &Target, watch: &mut Watch) -> Result<String, Problem> {
    watch.look();
    let began = Instant::now();
    let wasm = match cargo::build(folder)? {
        Ok(wasm) => wasm,
        Err(why) => return Ok(format!("{why} The gateway keeps what it has.")),
    };
    let cannot = |error: &io::Error| Problem::io(format_args!("{} cannot be read", wasm.display()), error);
    let content = fs::read(&wasm).map_err(|error| cannot(&error))?;
    let name = wasm.file_name().and_then(|name| name.to_str()).unwrap_or("plugin.wasm");
    put(&target.folder, name, &content)?;
    let version = Version::of(&content).to_string();
    let (size, took) = (kilobytes(content.len() as u64), began.elapsed().as_secs_f64());
    let said = wait_for_news(target, name, &version, watch);
    Ok(format!("{name} {version}, {size}, built in {took:.1} s. {said}"))
}

/// Asks until the gateway knows what became of this version, or something is saved again.
fn wait_for_news(target: &Target, file: &str, version: &str, watch: &mut Watch) -> String {
    let began = Instant::now();
    loop {
        let news = match ask::snapshot(target.admin, target.token.as_deref()) {
            Answer::Snapshot(snapshot) => ask::news(&snapshot, file, version),
            Answer::Silent(why) => return why,
        };
        let patience = match &news {
            News::Runs(..) | News::Refused(_) => Duration::ZERO,
            News::Unused | News::Unavailable(_) => UNUSED,
            News::Nothing => PATIENCE,
        };
        if began.elapsed() >= patience || watch.saved_within(ASK_EVERY) {
            return news.told(file);
        }
    }
}

/// Puts a file in its place whole: a gateway never sees a part of it.
fn put(folder: &Path, name: &str, content: &[u8]) -> Result<(), Problem> {
    let place = folder.join(name);
    // Beside its place, since a rename is whole only within one file system; no name of a plugin ends like this.
    let part = folder.join(format!(".{name}.{}.part", std::process::id()));
    let done = fs::write(&part, content).and_then(|()| fs::rename(&part, &place));
    done.map_err(|error| {
        let _never_made = fs::remove_file(&part);
        Problem::io(format_args!("{} cannot be written", place.display()), &error)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_put_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a.wasm", b"one").unwrap();
        put(folder.path(), "a.wasm", b"two").unwrap();
        assert_eq!(fs::read(folder.path().join("a.wasm")).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_without_a_crate_is_wrong_input() {
        let folder = tempfile::tempdir().unwrap();
        let target =
            Target { folder: folder.path().to_owned(), admin: ([127, 0, 0, 1], 1).into(), token: None };
        let error = run(folder.path(), &target, &mut io::sink()).unwrap_err();
        assert!(matches!(&error, Problem::Input(text) if text.contains("no Cargo.toml")), "{error}");
    }
}
