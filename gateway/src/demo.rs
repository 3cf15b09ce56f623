//! The demo's nodes: three small servers that say who they are, answer slowly or die when asked.
//!
//! They serve `bascule demo` and nothing else: hyper does the work, on a thread of their own.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// The nodes' names and ports, as in config/quickstart.toml.
const NODES: [(&str, u16); 3] = [("node-a", 9001), ("node-b", 9002), ("node-c", 9003)];
/// The longest delay that a visitor may ask for.
const LONGEST: u64 = 10_000;

struct DemoNode {
    name: &'static str,
    requests: AtomicU64,
    death: Notify,
}

/// Starts the nodes; they stop when the runtime is dropped.
pub(crate) fn start() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for (name, port) in NODES {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = runtime.block_on(TcpListener::bind(address)).with_context(|| {
            format!(
                "the demo's {name} cannot listen on {address}; see who does with `ss -ltnp 'sport = :{port}'`"
            )
        })?;
        let node = Arc::new(DemoNode { name, requests: AtomicU64::new(0), death: Notify::new() });
        runtime.spawn(serve(node, listener));
    }
    Ok(runtime)
}

async fn serve(node: Arc<DemoNode>, listener: TcpListener) {
    // Dropping the set ends the node's connections with it, as a death would.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let node = Arc::clone(&node);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(&node, request));
                    // A client that leaves early is no news for a demo.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            () = node.death.notified() => return,
        }
    }
}

async fn answer(node: &DemoNode, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = node.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let mut text = String::new();
    match request.uri().path() {
        "/die" => {
            node.death.notify_one();
            text.push_str(node.name);
            text.push_str(" stops listening\n");
        }
        "/headers" => {
            for (name, value) in request.headers() {
                let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
            }
        }
        path => {
            if path == "/delay" {
                tokio::time::sleep(delay(request.uri().query())).await;
            }
            let _ = writeln!(text, "hello from {} (request {number})", node.name);
        }
    }
    Ok(Response::new(Full::new(text.into())))
}

/// `ms=250`: so many milliseconds.
fn delay(query: Option<&str>) -> Duration {
    let asked =
        query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("ms=")?.parse().ok()));
    Duration::from_millis(asked.unwrap_or(1_000).min(LONGEST))
}

/// Makes site.pem and site.key for localhost in a folder, unless they are there.
pub(crate) fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    let (certificate, key) = (folder.join("site.pem"), folder.join("site.key"));
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).context("no certificate can be made")?;
    let write = |path: &Path, text: String, mode: u32| {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    write(&key, made.signing_key.serialize_pem(), 0o600)?;
    write(&certificate, made.cert.pem(), 0o644)?;
    println!(
        "made a certificate for localhost; try: curl --cacert {} https://localhost:8443/",
        certificate.display()
    );
    Ok(())
}
