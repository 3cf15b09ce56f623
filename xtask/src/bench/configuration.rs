//! The configurations of a benchmark's servers, as text. No file is written and nothing is started here.
//!
//! The proxies do the same work: kept connections to two nodes on both sides, one worker, no access log.

use std::path::Path;

/// What the configurations of proxies share.
pub(super) struct Setup {
    /// Where the proxy listens.
    pub(super) port: u16,
    /// Where bascule's admin API listens.
    pub(super) admin: u16,
    /// Where the nodes listen.
    pub(super) nodes: [u16; 2],
    /// How many client connections must fit.
    pub(super) connections: u64,
}

/// A whole nginx configuration with one worker; its files lie beside `place`.
pub(super) fn nginx(place: &Path, servers: &str) -> String {
    let place = place.display();
    format!(
        "worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {place}.pid; error_log {place}.err;
events {{ worker_connections 16000; }}
http {{
  access_log off; sendfile on; open_file_cache max=10; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {place}.1; proxy_temp_path {place}.2; fastcgi_temp_path {place}.3;
  uwsgi_temp_path {place}.4; scgi_temp_path {place}.5;
  {servers}
}}
"
    )
}

/// The part of an nginx configuration that makes a node: `/b` is the file of that name in `root`, all else a line.
pub(super) fn nginx_node(port: u16, root: &Path) -> String {
    let root = root.display();
    format!(
        "server {{ listen 127.0.0.1:{port} backlog=4096;
    location = /b {{ root {root}; }}
    location / {{ return 200 'hello from {port}'; }} }}
  "
    )
}

/// The part of an nginx configuration that makes the proxy.
pub(super) fn nginx_proxy(setup: &Setup) -> String {
    let Setup { port, nodes: [first, second], .. } = setup;
    format!(
        "upstream nodes {{ server 127.0.0.1:{first}; server 127.0.0.1:{second};
    keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}"
    )
}

/// A whole haproxy configuration.
pub(super) fn haproxy(setup: &Setup) -> String {
    let Setup { port, nodes: [first, second], connections, .. } = setup;
    let most = connections + 100;
    format!(
        "global
  nbthread 1
  no strict-limits # it wants two files for each connection, and idle ones need only one
  maxconn {most}
defaults
  mode http
  timeout client 600s
  timeout http-keep-alive 600s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend bench
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance roundrobin
  server first 127.0.0.1:{first}
  server second 127.0.0.1:{second}
"
    )
}

/// bascule with the native round robin; `plugins` is a folder without any.
pub(super) fn bascule_native(setup: &Setup, plugins: &Path) -> String {
    bascule(setup, plugins, "", "", "")
}

/// bascule with least-connections in wasm and one filter that sets a header on each request.
pub(super) fn bascule_with_plugins(setup: &Setup, plugins: &Path) -> String {
    let uses = r#"
[plugin.headers]
file = "header_rewrite.wasm"
config = { request = { set = { "x-edge" = "bascule" } } }"#;
    bascule(setup, plugins, uses, r#"policy = "least-connections""#, r#"filters = ["headers"]"#)
}

/// `uses` are tables, `policy` is a line of the pool, `filters` one of the route; each may be empty.
pub(super) fn bascule(setup: &Setup, plugins: &Path, uses: &str, policy: &str, filters: &str) -> String {
    let Setup { port, admin, nodes: [first, second], .. } = setup;
    let plugins = plugins.display();
    format!(
        r#"[gateway]
workers = 1
[admin]
address = "127.0.0.1:{admin}"
[plugins]
directory = "{plugins}"
{uses}
[listener.bench]
address = "127.0.0.1:{port}"
[route.bench]
path = "/"
pool = "bench"
{filters}
[pool.bench]
nodes = ["127.0.0.1:{first}", "127.0.0.1:{second}"]
{policy}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bascules_configuration_has_each_line_in_its_table() {
        let setup = Setup { port: 1, admin: 2, nodes: [3, 4], connections: 5 };
        let text = bascule_with_plugins(&setup, Path::new("/plugins"));
        let read: toml::Table = text.parse().expect("TOML");
        assert_eq!(read["pool"]["bench"]["policy"].as_str(), Some("least-connections"));
        assert_eq!(read["route"]["bench"]["filters"][0].as_str(), Some("headers"));
        assert_eq!(read["plugin"]["headers"]["config"]["request"]["set"]["x-edge"].as_str(), Some("bascule"));
        let native: toml::Table = bascule_native(&setup, Path::new("/none")).parse().expect("TOML");
        assert!(!native.contains_key("plugin") && native["pool"]["bench"].get("policy").is_none());
    }
}
