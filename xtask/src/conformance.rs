//! `cargo xtask conformance`: what tools from outside find, and what must be shown of the protocols frame by frame.
//!
//! Each check has an expectation, and one that is not met makes the command fail. A tool that is not there is named and
//! skipped. Without a name all parts are played, and docs/conformance.md is written anew.

mod clients;
mod ground;
mod http2;
mod report;
mod script;
mod slow;
mod tls;
mod tool;

use crate::{bench, tools};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ground::Ground;
use report::{Check, Outcome, Part};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo xtask conformance` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this part
    part: Option<Name>,
    /// Check this binary, and do not build one
    #[arg(long)]
    gateway: Option<PathBuf>,
}

/// The parts.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Name {
    /// The cases of h2spec, beside nginx and HAProxy
    Http2,
    /// curl by HTTP/1.1, HTTP/2 and TLS
    Curl,
    /// nghttp's frames, windows and trailers
    Nghttp,
    /// h2load, of which no request may fail
    H2load,
    /// Calls and streams of gRPC
    Grpc,
    /// Messages, fragments, pings and close codes of WebSocket
    Websocket,
    /// The same, to a node that speaks HTTP/2 (RFC 8441)
    WebsocketHttp2,
    /// What openssl s_client negotiates, resumes and is refused
    Openssl,
    /// Protocols and suites
    Sslscan,
    /// Protocols, suites and known vulnerabilities
    Testssl,
    /// Slow heads, bodies and reads
    Slowhttptest,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let gateway = match &options.gateway {
        Some(path) => path.clone(),
        None => {
            tools::run(tools::cargo().args(["build", "--package", "bascule", "--bin", "bascule"]))?;
            tools::root().join("target/debug/bascule")
        }
    };
    let ground = Ground::prepare(&gateway)?;
    let mut parts = Vec::new();
    for name in Name::value_variants().iter().filter(|name| options.part.is_none_or(|part| part == **name)) {
        let part = play(*name, &ground, &gateway)?;
        part.print();
        parts.push(part);
    }
    if options.part.is_none() {
        write(&parts)?;
    }
    match parts.iter().map(Part::failures).sum::<usize>() {
        0 => Ok(()),
        failures => bail!("{failures} expectations are not met; they are named above"),
    }
}

fn play(name: Name, ground: &Ground, gateway: &Path) -> Result<Part> {
    match name {
        Name::Http2 => http2(ground),
        Name::Curl => with("curl", &["--version"], || clients::curl(ground)),
        Name::Nghttp => with("nghttp", &["--version"], || clients::nghttp(ground)),
        Name::H2load => with("h2load", &["--version"], || Ok(clients::h2load(ground))),
        Name::Grpc => {
            let packages = ["grpcio", "grpcio-health-checking"];
            let ground = |node| Ground::before(gateway, node, ground::SPEAKS_HTTP2);
            scripted("grpc", &packages, "grpc_cases.py", ground)
        }
        Name::Websocket => websocket("websocket", |node| Ground::before(gateway, node, "")),
        Name::WebsocketHttp2 => websocket_http2(gateway),
        Name::Openssl => with("openssl", &["version"], || Ok(tls::openssl(ground))),
        Name::Sslscan => with("sslscan", &["--version"], || Ok(tls::sslscan(ground))),
        Name::Testssl => with("testssl", &["--version"], || tls::testssl(ground)),
        Name::Slowhttptest => with("slowhttptest", &["-h"], || Ok(slow::slowhttptest(ground))),
    }
}

/// Plays a part that is one program's, if that is there.
fn with(program: &'static str, version: &[&str], play: impl FnOnce() -> Result<Vec<Check>>) -> Result<Part> {
    if tools::find(program).is_none() {
        return Ok(Part::without(program, program));
    }
    let outcome = Outcome::Played { ours: play()?, others: Vec::new() };
    Ok(Part { name: program, tool: tool::version(program, version), outcome })
}

/// Plays a part that is a script's, if its packages can be had; `ground` starts the gateway in front of the script's port.
fn scripted(
    name: &'static str,
    packages: &[&str],
    script: &str,
    ground: impl FnOnce(u16) -> Result<Ground>,
) -> Result<Part> {
    let python = match script::python(packages) {
        Ok(python) => python,
        Err(why) => {
            let outcome = Outcome::Skipped(format!("{why:#}"));
            return Ok(Part { name, tool: packages.join(", "), outcome });
        }
    };
    let outcome = Outcome::Played { ours: script::play(&python, script, ground)?, others: Vec::new() };
    Ok(Part { name, tool: script::versions(&python, packages), outcome })
}

fn websocket(name: &'static str, ground: impl FnOnce(u16) -> Result<Ground>) -> Result<Part> {
    scripted(name, &["websockets"], "websocket.py", ground)
}

/// The package `websockets` speaks HTTP/1.1 alone, so HAProxy stands before it and speaks HTTP/2 with the gateway.
fn websocket_http2(gateway: &Path) -> Result<Part> {
    let name = "websocket-http2";
    if tools::find("haproxy").is_none() {
        return Ok(Part::without(name, "haproxy"));
    }
    let mut part = websocket(name, |node| Ground::before_haproxy(gateway, node))?;
    part.tool = format!("{} behind {}", part.tool, bench::servers::version("haproxy"));
    Ok(part)
}

fn http2(ground: &Ground) -> Result<Part> {
    let ours = http2::play(ground.plain)?;
    let mut others = Vec::new();
    for (name, server) in [("nginx", ground.nginx()), ("haproxy", ground.haproxy())] {
        match server {
            Ok(server) => others.push((bench::servers::version(name), http2::play(server.port)?)),
            Err(error) => println!("{name} is not compared: {error:#}"),
        }
    }
    let tool = "h2spec's cases, frame by frame".to_owned();
    Ok(Part { name: "http2", tool, outcome: Outcome::Played { ours, others } })
}

/// Writes docs/conformance.md.
fn write(parts: &[Part]) -> Result<()> {
    let date = tools::output(Command::new("date").args(["-u", "+%F"]))?;
    let text = include_str!("conformance/document.md").to_owned() + &report::document(parts, date.trim());
    let path = tools::root().join("docs/conformance.md");
    std::fs::write(&path, text)?;
    println!("docs/conformance.md is written");
    Ok(())
}
