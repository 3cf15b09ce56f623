//! The five things to try in the demo: what the person types, what it shows, and the check that it does.
//!
//! The text and the check stand side by side so that neither can change alone. Each must hold after those before it.

use crate::client::{self, Connection};
use crate::{plugins, tools};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const GATEWAY: u16 = 8080;
const ADMIN: u16 = 9901;
const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// One thing to try.
pub(crate) struct Try {
    pub(crate) title: &'static str,
    /// What to type, in the workspace's folder.
    shell: &'static [&'static str],
    /// What is then to be seen.
    shows: &'static str,
    /// Does the same, and answers what it saw.
    ///
    /// # Errors
    /// When it is not what `shows` says.
    pub(crate) check: fn() -> Result<String>,
}

pub(crate) const TRIES: [Try; 5] = [
    Try {
        title: "Spread",
        shell: &["for i in 1 2 3 4 5 6 7 8 9; do curl -s http://127.0.0.1:8080/; done"],
        shows: "the three nodes share the requests; a wasm policy, least-connections, picks each time",
        check: spread,
    },
    Try {
        title: "Stickiness",
        shell: &[
            "for i in 1 2 3 4 5; do curl -s -c target/jar -b target/jar http://127.0.0.1:8080/sticky; done",
        ],
        shows: "always the same node: sticky-session gave the client a cookie",
        check: stickiness,
    },
    Try {
        title: "Header rewrite",
        shell: &["curl -s -i http://127.0.0.1:8080/headers"],
        shows: "what the node received and what you got, each with the header x-edge, which header-rewrite sets",
        check: header_rewrite,
    },
    Try {
        title: "A node that dies",
        shell: &[
            "curl -s http://127.0.0.1:9001/die",
            "for i in 1 2 3 4 5 6; do curl -s http://127.0.0.1:8080/; done",
        ],
        shows: "not one request fails; node-a is not there any more",
        check: a_node_dies,
    },
    Try {
        title: "A policy swapped while requests run",
        shell: &[
            "cp target/plugins/round_robin.wasm target/plugins/least_connections.wasm",
            "curl -s http://127.0.0.1:9901/snapshot | grep -A 2 '\"use\": \"least-connections\"'    # its new version",
            "curl -s 'http://127.0.0.1:8080/?[1-6]'",
            "cargo xtask plugins    # puts the old one back",
        ],
        shows: "from random ties to taking turns, with no restart and no failed request",
        check: a_policy_is_swapped,
    },
];

/// What the demo prints before it starts.
pub(crate) fn text() -> String {
    let mut text =
        "\nThe gateway listens on http://127.0.0.1:8080, its admin API on http://127.0.0.1:9901.\n\
                    Five things to try, in another terminal, in this folder:\n"
            .to_owned();
    for (number, each) in (1..).zip(&TRIES) {
        text += &format!("\n{number}. {}: {}\n", each.title, each.shows);
        for line in each.shell {
            text += &format!("     {line}\n");
        }
    }
    text + "\nWith `curl -i` each response also tells its pool, node, policy and attempt (x-bascule-*). Ctrl-C stops all of it.\n\n"
}

fn spread() -> Result<String> {
    let mut seen = BTreeMap::new();
    for _ in 0..30 {
        *seen.entry(node(&client::get(GATEWAY, "/", &[])?)?).or_insert(0) += 1;
    }
    ensure!(seen.len() == NODES.len(), "30 requests reached {seen:?}, not all three nodes");
    let answer = client::get(GATEWAY, "/", &[])?;
    let policy = answer.header("x-bascule-policy").unwrap_or("(no x-bascule-policy)");
    ensure!(
        policy.contains("least-connections"),
        "the node was picked by {policy}, not by least-connections"
    );
    Ok(format!("{seen:?}, picked by {policy}"))
}

fn stickiness() -> Result<String> {
    let mut nodes = BTreeSet::new();
    // Several clients, since one alone might meet its node again by chance.
    for _ in 0..24 {
        let first = client::get(GATEWAY, "/sticky", &[])?;
        let cookie = first.header("set-cookie").context("the first answer sets no cookie")?;
        ensure!(cookie.contains("HttpOnly"), "the cookie \"{cookie}\" is not HttpOnly");
        let cookie = cookie.split(';').next().unwrap_or_default();
        let bound = node(&first)?;
        for _ in 0..5 {
            let again = node(&client::get(GATEWAY, "/sticky", &[("cookie", cookie)])?)?;
            ensure!(again == bound, "a client of {bound} was sent to {again} with its cookie");
        }
        nodes.insert(bound);
    }
    ensure!(nodes.len() > 1, "all clients were bound to {nodes:?}");
    Ok(format!("24 clients kept their nodes, among {nodes:?}"))
}

fn header_rewrite() -> Result<String> {
    let answer = client::get(GATEWAY, "/headers", &[])?;
    let received = answer.body.lines().find(|line| line.to_lowercase().starts_with("x-edge:"));
    let received = received.with_context(|| format!("the node received no x-edge:\n{}", answer.body))?;
    let sent = answer.header("x-edge").context("the response has no x-edge")?;
    Ok(format!("the node received \"{}\", the client \"x-edge: {sent}\"", received.trim()))
}

fn a_node_dies() -> Result<String> {
    let last_words = client::get(9001, "/die", &[])?;
    ensure!(last_words.status == 200, "/die answered {}", last_words.status);
    tools::poll(Duration::from_secs(5), || Connection::open(9001).is_err().then_some(()))
        .context("node-a still listens after /die")?;
    let mut seen = BTreeMap::new();
    for number in 1..=30 {
        let answer = client::get(GATEWAY, "/", &[])?;
        ensure!(answer.status == 200, "request {number} after node-a died got {}", answer.status);
        *seen.entry(node(&answer)?).or_insert(0) += 1;
    }
    ensure!(!seen.contains_key("node-a"), "node-a still answers: {seen:?}");
    Ok(format!("30 of 30 requests were answered: {seen:?}"))
}

fn a_policy_is_swapped() -> Result<String> {
    let folder = plugins::folder();
    let (file, other) = (folder.join("least_connections.wasm"), folder.join("round_robin.wasm"));
    let old = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let new = std::fs::read(&other).with_context(|| format!("cannot read {}", other.display()))?;
    let stop = AtomicBool::new(false);
    let (served, swapped) = std::thread::scope(|scope| {
        let load = scope.spawn(|| requests_until(&stop));
        // A plain copy, as the text has it: the gateway must not mind a half-written file.
        let swapped = swap(&file, &new);
        stop.store(true, Ordering::Relaxed);
        (load.join(), swapped)
    });
    let turns = swapped.and_then(|()| turns());
    std::fs::write(&file, old).context("cannot put the old policy back")?;
    let Ok(served) = served else { bail!("the load stopped by itself") };
    Ok(format!("{} requests passed during the swap and none failed; now {}", served?, turns?))
}

/// Sends requests until told to stop; answers how many there were.
fn requests_until(stop: &AtomicBool) -> Result<u32> {
    let mut served = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = client::get(GATEWAY, "/", &[])?;
        ensure!(answer.status == 200, "request {served} during the swap got {}", answer.status);
        served += 1;
    }
    Ok(served)
}

/// Puts another policy in a file's place and waits until the gateway runs it.
fn swap(file: &Path, policy: &[u8]) -> Result<()> {
    let before = version()?;
    std::fs::write(file, policy)?;
    let swapped = || version().is_ok_and(|now| now != before).then_some(());
    tools::poll(Duration::from_secs(20), swapped)
        .with_context(|| format!("20 s after the file changed, /snapshot still says version {before}"))
}

/// Which version of the file least_connections.wasm the gateway runs, by its own word.
fn version() -> Result<String> {
    let snapshot: serde_json::Value = serde_json::from_str(&client::get(ADMIN, "/snapshot", &[])?.body)?;
    let plugins = snapshot["plugins"].as_array().context("/snapshot lists no plugins")?;
    let policy = plugins.iter().find(|plugin| plugin["use"] == "least-connections");
    let version = policy.and_then(|plugin| plugin["version"].as_str());
    Ok(version.context("/snapshot lists no use least-connections with a version")?.to_owned())
}

/// So many requests on one connection, which stays on one worker. One node is dead, and its turns go to one of the
/// others: so round robin never serves three in a row from one node, which random ties avoid once in a hundred times.
fn turns() -> Result<String> {
    let mut connection = Connection::open(GATEWAY)?;
    let order: Vec<String> = (0..24).map(|_| node(&connection.get("/", &[])?)).collect::<Result<_>>()?;
    let served = order.iter().collect::<BTreeSet<_>>().len();
    let repeats = order.windows(3).any(|three| three[0] == three[1] && three[1] == three[2]);
    let shown = order.join(" ");
    ensure!(served > 1 && !repeats, "the nodes do not take turns: {shown}");
    Ok(format!("the nodes take turns: {shown}"))
}

/// The node that an answer comes from, by its text: "hello from node-a (request 7)".
fn node(answer: &client::Answer) -> Result<String> {
    let word = answer.body.split_whitespace().find(|word| NODES.contains(word));
    word.map(str::to_owned)
        .with_context(|| format!("no node's greeting but {} \"{}\"", answer.status, answer.body.trim()))
}
