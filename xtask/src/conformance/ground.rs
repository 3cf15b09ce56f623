//! The gateway under test, the node behind it, and nginx and HAProxy for comparison. All of it on loopback, on free ports, in a
//! temporary folder.

use crate::bench::servers::{self, Server, free_ports};
use crate::{client, tools};
use anyhow::{Context, Result};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// In a pool's table: its node is spoken to by HTTP/2.
pub(super) const SPEAKS_HTTP2: &str = "protocol = \"http2\"\n";

/// What a tool is pointed at.
pub(super) struct Ground {
    // Dropped in this order: what runs ends before its folder goes.
    _gateway: Server,
    _node: Option<Server>,
    folder: TempDir,
    /// The gateway's port without TLS, and the one with it.
    pub(super) plain: u16,
    pub(super) tls: u16,
    node: u16,
}

impl Ground {
    /// Starts a node and the gateway in front of it.
    ///
    /// # Errors
    /// When something does not start; its log is shown.
    pub(super) fn prepare(gateway: &Path) -> Result<Ground> {
        let folder = folder()?;
        let place = folder.path();
        std::fs::write(place.join("large"), vec![b'x'; 1_000_000])?;
        let [node, _] = free_ports()?;
        let running = nginx(place, "node", node, &node_server(node, place))?;
        Ground::start(gateway, folder, node, Some(running), "")
    }

    /// Starts the gateway in front of a node that somebody else runs; `pool` is more of the pool's table.
    ///
    /// # Errors
    /// When it does not start; its log is shown.
    pub(super) fn before(gateway: &Path, node: u16, pool: &str) -> Result<Ground> {
        Ground::start(gateway, folder()?, node, None, pool)
    }

    /// The same, where HAProxy speaks HTTP/2 for that node, and opens tunnels to it (RFC 8441).
    ///
    /// # Errors
    /// When one of the two does not start; its log is shown.
    pub(super) fn before_haproxy(gateway: &Path, node: u16) -> Result<Ground> {
        let folder = folder()?;
        let haproxy = haproxy(folder.path(), node)?;
        let port = haproxy.port;
        Ground::start(gateway, folder, port, Some(haproxy), SPEAKS_HTTP2)
    }

    fn start(
        gateway: &Path,
        folder: TempDir,
        node: u16,
        running: Option<Server>,
        pool: &str,
    ) -> Result<Ground> {
        let place = folder.path();
        let ([plain, admin], [tls, _]) = (free_ports()?, free_ports()?);
        let file = place.join("bascule.toml");
        std::fs::write(&file, configuration(place, [plain, admin, tls, node]) + pool)?;
        let words = [gateway, Path::new("run"), Path::new("--config"), &file];
        let command: Vec<String> = words.iter().map(|word| word.display().to_string()).collect();
        let started = servers::start(place, "bascule", None, [plain, admin], &command)?;
        let is_ready =
            || client::get(admin, "/readyz", &[]).is_ok_and(|answer| answer.status == 200).then_some(());
        tools::poll(Duration::from_secs(30), is_ready).context("the gateway does not become ready")?;
        Ok(Ground { _gateway: started, _node: running, folder, plain, tls, node })
    }

    /// Where files may be put.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate that the gateway shows, which signs itself.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder().join("site.pem")
    }

    /// nginx as a proxy that speaks HTTP/2 in the clear.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn nginx(&self) -> Result<Server> {
        let [port, _] = free_ports()?;
        let server = format!(
            "server {{ listen 127.0.0.1:{port} http2; location / {{ proxy_pass http://127.0.0.1:{}; }} }}",
            self.node
        );
        nginx(self.folder(), "nginx", port, &server)
    }

    /// HAProxy as a proxy that speaks HTTP/2 in the clear.
    ///
    /// # Errors
    /// When it is not there, or does not start.
    pub(super) fn haproxy(&self) -> Result<Server> {
        haproxy(self.folder(), self.node)
    }
}

/// A folder with a certificate, and without plugins.
fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("bascule-conformance-").tempdir()?;
    // nginx's worker is another user when root starts it.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    std::fs::create_dir(folder.path().join("no-plugins"))?;
    certificate(folder.path())?;
    Ok(folder)
}

/// Starts nginx with one server.
fn nginx(place: &Path, name: &str, port: u16, server: &str) -> Result<Server> {
    let program = tools::require("nginx", "it is the node behind the gateway", "apt-get install nginx")?;
    let (file, shown) = (place.join(format!("{name}.conf")), place.join(name).display().to_string());
    let text = format!(
        "worker_processes 1; daemon off; pid {shown}.pid; error_log {shown}.err;\nevents {{ worker_connections 4000; }}\nhttp {{\n  \
         access_log off; client_max_body_size 100m; client_body_temp_path {shown}.1; proxy_temp_path {shown}.2; fastcgi_temp_path \
         {shown}.3;\n  uwsgi_temp_path {shown}.4; scgi_temp_path {shown}.5;\n  {server}\n}}\n"
    );
    std::fs::write(&file, text)?;
    let command = [program.display().to_string(), "-c".into(), file.display().to_string()];
    servers::start(place, name, None, [port, 0], &command)
}

/// Starts HAProxy, which speaks HTTP/2 in the clear, in front of a node of HTTP/1.1.
fn haproxy(place: &Path, node: u16) -> Result<Server> {
    let program = tools::find("haproxy").context("haproxy is not on PATH")?;
    let [port, _] = free_ports()?;
    let file = place.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 5s\n\
         frontend front\n  bind 127.0.0.1:{port} proto h2\n  default_backend nodes\nbackend nodes\n  server node 127.0.0.1:{node}\n",
    );
    std::fs::write(&file, text)?;
    let command = [program.display().to_string(), "-db".into(), "-f".into(), file.display().to_string()];
    servers::start(place, "haproxy", None, [port, 0], &command)
}

/// A node that answers anything with a line at once, /large with a million bytes, and /upload when it has the whole body.
fn node_server(port: u16, place: &Path) -> String {
    let place = place.display();
    format!(
        "server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000; large_client_header_buffers 4 64k;
    location = /large {{ root {place}; }}
    location = /upload {{ proxy_pass http://127.0.0.1:{port}/; }}
    location / {{ return 200 'hello from the node'; }} }}"
    )
}

/// The defaults that people meet, but for time limits that a tool should not have to wait for.
fn configuration(place: &Path, [plain, admin, tls, node]: [u16; 4]) -> String {
    let place = place.display();
    format!(
        r#"[gateway]
workers = 2
[gateway.limits]
head_timeout = "3s"
[admin]
address = "127.0.0.1:{admin}"
[plugins]
directory = "{place}/no-plugins"
[listener.plain]
address = "127.0.0.1:{plain}"
[listener.secure]
address = "127.0.0.1:{tls}"
[listener.secure.tls]
certificates = [{{ certificate = "{place}/site.pem", key = "{place}/site.key", ocsp = "{place}/site.ocsp" }}]
[route.all]
pool = "nodes"
[pool.nodes]
nodes = ["127.0.0.1:{node}"]
"#
    )
}

/// A certificate for this machine's own name that signs itself, and a response of OCSP by it, made by openssl.
fn certificate(place: &Path) -> Result<()> {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "site.key"];
    let names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let beside = ["-x509", "-days", "30", "-set_serial", "0x1000", "-out", "site.pem"];
    openssl(place, &[&["req"], &beside[..], &key, &names].concat())?;
    // One line of a certificate authority's index: valid, until when, not revoked, number, file, subject.
    std::fs::write(place.join("index"), "V\t400101000000Z\t\t1000\tunknown\t/CN=localhost\n")?;
    openssl(place, &["ocsp", "-issuer", "site.pem", "-cert", "site.pem", "-reqout", "request.der"])?;
    let responder = ["-CA", "site.pem", "-rsigner", "site.pem", "-rkey", "site.key", "-ndays", "7"];
    openssl(
        place,
        &[&["ocsp", "-index", "index", "-reqin", "request.der", "-respout", "site.ocsp"], &responder[..]]
            .concat(),
    )
}

fn openssl(place: &Path, words: &[&str]) -> Result<()> {
    let program = tools::require("openssl", "it makes the certificate", "apt-get install openssl")?;
    let made =
        Command::new(program).current_dir(place).args(words).output().context("cannot start openssl")?;
    anyhow::ensure!(
        made.status.success(),
        "openssl {} fails: {}",
        words[0],
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}
