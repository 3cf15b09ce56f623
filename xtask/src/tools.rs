//! The programs that the commands call: cargo, rustup, and what a benchmark needs.
//!
//! Nothing here decides what a command does; it finds a program, runs it, and says how to get it if it is missing.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    // cargo sets it for what `cargo run` starts; a binary that is started by hand uses where it was built.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), Into::into);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// `cargo` in the workspace's folder, as if a person had typed it.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What the outer `cargo run` says about this crate would make build scripts believe that they changed.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    // etcd-client compiles its messages when it is built. One that the machine has is as good.
    if std::env::var_os("PROTOC").is_none()
        && find("protoc").is_none()
        && let Ok(protoc) = protoc_bin_vendored::protoc_bin_path()
    {
        cargo.env("PROTOC", protoc);
    }
    cargo
}

/// Runs a command to its end; its output is the person's to read.
///
/// # Errors
/// When it does not start, or ends with another status than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed; what it printed above says why");
    }
    Ok(())
}

/// Runs a command and answers what it printed.
///
/// # Errors
/// When it does not start, or ends with another status than 0 (its standard error is shown).
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed; what it printed above says why");
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed something that is not UTF-8"))
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy();
    command.get_args().fold(program.into_owned(), |line, word| line + " " + &word.to_string_lossy())
}

/// Where a program lies on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    // Debian keeps nginx and haproxy where the PATH of an ordinary user does not look.
    std::env::split_paths(&folders)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// A program that a command cannot do without.
///
/// # Errors
/// When it is not on PATH: one sentence that says what it is for and how to install it.
pub(crate) fn require(program: &str, why: &str, install: &str) -> Result<PathBuf> {
    find(program)
        .with_context(|| format!("`{program}` is not on PATH, and {why}: install it with `{install}`"))
}

/// Makes sure that the standard library of a target is installed, through rustup if it is not.
///
/// # Errors
/// When it is missing and rustup is missing too, or fails.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    let sysroot = output(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    let rustup = find("rustup").with_context(|| {
        format!(
            "the Rust target {target} is missing, and so is rustup which would add it: install rustup \
             (https://rustup.rs), then run `rustup target add {target}`"
        )
    })?;
    println!("The Rust target {target} is missing; adding it with `rustup target add {target}`.");
    run(Command::new(rustup).current_dir(root()).args(["target", "add", target])).with_context(|| {
        format!("the Rust target {target} could not be added: see that the network is there, then run `rustup target add {target}`")
    })
}

/// What `cargo metadata` tells of the workspace.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
    pub(crate) resolve: Option<Resolve>,
}

/// One package in `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) source: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
}

impl Package {
    /// The name of the file that its library compiles to.
    pub(crate) fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// Which packages are in use.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<ResolveNode>,
}

/// One package in use.
#[derive(Deserialize)]
pub(crate) struct ResolveNode {
    pub(crate) id: String,
}

/// Asks cargo about the workspace; `arguments` are those of `cargo metadata`.
///
/// # Errors
/// When cargo fails.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Metadata> {
    let text = output(cargo().args(["metadata", "--format-version", "1"]).args(arguments))?;
    serde_json::from_str(&text).context("`cargo metadata` printed something unexpected")
}

/// Asks again and again until `done` answers something, for at most `limit`.
#[allow(clippy::disallowed_methods, reason = "a process or a port can only be asked again; nothing tells us")]
pub(crate) fn poll<T>(limit: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = done() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal ("INT", "TERM") to a process that we started; one that ended already is no error.
pub(crate) fn signal(pid: u32, name: &str) {
    // The shell's own `kill`, since std can only send SIGKILL and a machine may lack the program.
    _ = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null()).status();
}
