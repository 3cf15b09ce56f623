//! What the edge's checks add to a plain request, in instructions: the release gateway runs under callgrind, which counts each
//! instruction that it executes outside of the kernel.
//!
//! Counts do not depend on what else the machine does. The window is between two dumps, so start-up and shutdown have no part
//! in it. Nearly all checks are inlined, so no function's count tells what they cost: each instruction's own address is
//! looked up in the line tables, and belongs to a check if that stands anywhere in its stack of inlined functions.

mod callgrind;
mod checks;
mod frames;

use super::servers::{Ground, Server};
use super::table::Table;
use crate::tools;
use anyhow::{Context, Result, ensure};
use callgrind::Profile;
use checks::{CHECKS, Check};
use frames::Frames;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Clients that ask at the same time, so that the event loop finds several at once, as it does under load.
const CLIENTS: u64 = 16;
/// Requests of each client: first those that fill caches and pools, then those that are counted.
const WARM: u64 = 50;
const COUNTED: u64 = 250;
/// What the checks may be of a request's instructions, in percent.
const AIM: f64 = 3.0;
/// As a browser asks for a page.
const REQUEST: &[u8] = b"GET /shop/articles/view?id=4711&lang=en HTTP/1.1\r\nHost: localhost\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: theme=dark; visits=12\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n\
    Cache-Control: max-age=0\r\n\r\n";

/// Counts the instructions of a plain request, and of each check.
///
/// # Errors
/// When valgrind or addr2line is missing, or the gateway has no line tables.
pub(crate) fn measure(ground: &Ground) -> Result<Table> {
    for (program, package) in [("valgrind", "valgrind"), ("addr2line", "binutils")] {
        tools::require(program, "instructions are counted with it", &format!("apt-get install {package}"))?;
    }
    let folder = tempfile::tempdir()?;
    eprintln!("instructions of a plain request: counting {}", CLIENTS * COUNTED);
    let profile = profile(ground, folder.path())?;
    eprintln!("instructions of a plain request: looking up {} addresses", profile.own.len());
    let frames = Frames::of(&ground.gateway, folder.path(), profile.addresses())?;
    ensure!(
        frames.any_in("gateway/src/http/h1/parse.rs"),
        "{} has no line tables: build it as `cargo build --release` does",
        ground.gateway.display()
    );
    Ok(table(&profile, &frames, (CLIENTS * COUNTED) as f64))
}

/// Runs the gateway under callgrind; what it counted while requests were served.
fn profile(ground: &Ground, folder: &Path) -> Result<Profile> {
    let out = folder.join("callgrind");
    let server = ground.native_under(&[
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        "--dump-instr=yes".to_owned(),
        "--compress-strings=no".to_owned(),
        "--compress-pos=no".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ])?;
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(server.port)).collect::<Result<_>>()?;
    ask(&mut clients, WARM)?;
    dump(&server)?;
    ask(&mut clients, COUNTED)?;
    dump(&server)?;
    // Dumps are numbered from 1.
    let text =
        std::fs::read_to_string(folder.join("callgrind.2")).context("callgrind wrote no second dump")?;
    let gateway = ground.gateway.display().to_string();
    callgrind::parse(&text, &gateway).context("callgrind wrote something unexpected")
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// All ask, then all wait for their answers; so many times.
fn ask(clients: &mut [TcpStream], times: u64) -> Result<()> {
    for _ in 0..times {
        for client in &mut *clients {
            client.write_all(REQUEST)?;
        }
        for client in &mut *clients {
            // The nodes' answer is far below this and comes in one write.
            let mut answer = [0; 4096];
            let length = client.read(&mut answer)?;
            ensure!(
                answer[..length].starts_with(b"HTTP/1.1 200"),
                "the gateway answered something else than 200"
            );
        }
    }
    Ok(())
}

/// Makes callgrind write what it counted since the last time, and begin anew.
fn dump(server: &Server) -> Result<()> {
    let told = tools::output(Command::new("callgrind_control").arg("--dump").arg(server.pid().to_string()))?;
    ensure!(told.contains("OK"), "callgrind does not dump: {told}");
    Ok(())
}

fn table(profile: &Profile, frames: &Frames, requests: f64) -> Table {
    let costs = checks::costs(profile, frames);
    let total = profile.total as f64;
    let row = |title: &str, cost: u64| {
        let share = cost as f64 / total * 100.0;
        vec![title.to_owned(), format!("{:.0}", cost as f64 / requests), format!("{share:.2}")]
    };
    let sum: u64 = CHECKS.iter().zip(&costs).filter(|(check, _)| check.counts).map(|(_, cost)| cost).sum();
    let rows_of = |counts: bool| {
        let of = move |(check, _): &(&Check, &u64)| check.counts == counts;
        CHECKS.iter().zip(&costs).filter(of).map(|(check, cost)| row(check.title, *cost)).collect::<Vec<_>>()
    };
    let mut rows = vec![row("a request, all in all", profile.total)];
    rows.extend(rows_of(true));
    rows.push(row("the edge's checks together", sum));
    rows.extend(rows_of(false));
    let met = if sum as f64 / total * 100.0 <= AIM { "met" } else { "missed" };
    Table {
        title: "Instructions of a plain request (a browser's GET, HTTP/1.1, native only)".to_owned(),
        head: vec!["part", "instructions", "%"],
        rows,
        remarks: vec![format!(
            "The aim is {AIM} % for the edge's checks together: {met}. Instructions in the kernel are not counted. What stands below the sum is \
             work that any codec has."
        )],
    }
}
