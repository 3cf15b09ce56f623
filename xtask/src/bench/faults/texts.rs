//! The configurations of the proxies under faults, as text. No file is written and nothing is started here.
//!
//! All of them wait for a node as long, try up to three, and know nothing of a node but what their requests meet: no
//! active checks, no hedging.

use std::fmt::Write as _;
use std::path::Path;

/// What all proxies are told.
pub(super) struct Setup {
    /// Where the proxy listens.
    pub(super) port: u16,
    /// Where bascule's admin API listens.
    pub(super) admin: u16,
    /// The nodes that serve: their number among all, and their port.
    pub(super) nodes: Vec<(usize, u16)>,
    /// The number of a node that gets no new requests.
    pub(super) drained: Option<usize>,
    /// Changes with each reload, and the text with it.
    pub(super) edition: u32,
    /// Whether more requests come than the nodes can serve, so that some have to be turned away.
    pub(super) overload: bool,
}

/// What bascule is told when there are more requests than can be served: as many in flight as keep the nodes busy, a queue of
/// a tenth of a second, and no longer wait.
const OVERLOAD: &str = "[pool.bench.limits]\nin_flight = 40\nqueue = 100\nqueue_timeout = \"100ms\"\n";

/// bascule with this policy, or with the native round robin if there is none.
pub(super) fn bascule(setup: &Setup, plugins: &Path, policy: Option<&str>) -> String {
    let Setup { port, admin, nodes, drained: _, edition, overload } = setup;
    let policy = policy.map(|name| format!("policy = \"{name}\"\n")).unwrap_or_default();
    let limits = if *overload { OVERLOAD } else { "" };
    let nodes = nodes.iter().fold(String::new(), |mut text, (number, port)| {
        _ = writeln!(text, "    {{ address = \"127.0.0.1:{port}\", id = \"n{number}\" }},"); // a String takes all
        text
    });
    format!(
        r#"[gateway]
drain_timeout = "10s"
[admin]
address = "127.0.0.1:{admin}"
[plugins]
directory = "{plugins}"
[listener.bench]
address = "127.0.0.1:{port}"
[route.bench]
pool = "bench"
timeout = "{timeout}s"
[pool.bench]
first_byte_timeout = "5s"
{policy}nodes = [
{nodes}]
{limits}"#,
        plugins = plugins.display(),
        timeout = 15 + edition % 2,
    )
}

/// nginx with this line for its way to balance; its files lie beside `place`.
pub(super) fn nginx(setup: &Setup, place: &Path, balance: &str) -> String {
    let Setup { port, nodes, drained, edition, .. } = setup;
    let servers = nodes.iter().fold(String::new(), |mut text, (number, port)| {
        let down = if *drained == Some(*number) { " down" } else { "" };
        _ = write!(text, "server 127.0.0.1:{port}{down}; "); // a String takes all
        text
    });
    let place = place.display();
    format!(
        "# edition {edition}
worker_processes auto; worker_rlimit_nofile 10000; worker_shutdown_timeout 10s; daemon off;
pid {place}.pid; error_log {place}.err crit;
events {{ worker_connections 5000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {place}.1; proxy_temp_path {place}.2; fastcgi_temp_path {place}.3;
  uwsgi_temp_path {place}.4; scgi_temp_path {place}.5;
  upstream nodes {{ zone nodes 1m; {balance} {servers} keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_connect_timeout 5s; proxy_send_timeout 5s; proxy_read_timeout 5s;
      proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504;
      proxy_next_upstream_tries 3;
    }} }}
}}
"
    )
}

/// haproxy with its least connections; `socket` is where it takes orders.
pub(super) fn haproxy(setup: &Setup, socket: &Path) -> String {
    let Setup { port, nodes, edition, .. } = setup;
    let servers = nodes.iter().fold(String::new(), |mut text, (number, port)| {
        _ = writeln!(text, "  server n{number} 127.0.0.1:{port}"); // a String takes all
        text
    });
    format!(
        "# edition {edition}
global
  stats socket {socket} level admin expose-fd listeners
  hard-stop-after 10s
  maxconn 4000
defaults
  mode http
  timeout client 600s
  timeout http-keep-alive 600s
  timeout server 5s
  timeout connect 5s
  timeout queue 5s
  retries 2
  option redispatch 1
  retry-on all-retryable-errors
  http-reuse always
frontend bench
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance leastconn
{servers}",
        socket = socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup { port: 1, admin: 2, nodes: vec![(0, 10), (7, 17)], drained: None, edition: 0, overload: false }
    }

    #[test]
    fn bascules_text_names_each_node_and_changes_with_its_edition() {
        let read = |setup: &Setup| -> toml::Table {
            bascule(setup, Path::new("/plugins"), Some("prequal")).parse().expect("TOML")
        };
        let first = read(&setup());
        assert_eq!(first["pool"]["bench"]["nodes"][1]["id"].as_str(), Some("n7"));
        assert_eq!(first["pool"]["bench"]["policy"].as_str(), Some("prequal"));
        assert_ne!(first, read(&Setup { edition: 1, ..setup() }));
        let overloaded = read(&Setup { overload: true, ..setup() });
        assert_eq!(overloaded["pool"]["bench"]["limits"]["queue"].as_integer(), Some(100));
    }

    #[test]
    fn nginx_marks_the_node_that_is_drained() {
        let text = nginx(&Setup { drained: Some(7), ..setup() }, Path::new("/nginx"), "");
        assert!(text.contains("server 127.0.0.1:10; server 127.0.0.1:17 down;"), "{text}");
    }
}
