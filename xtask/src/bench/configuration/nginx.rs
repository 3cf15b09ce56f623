//! nginx, as a proxy of each kind and as the nodes behind all proxies.

use super::{Front, Setup};
use std::path::Path;

/// What nginx speaks HTTP with.
const HTTP: &str = "access_log off; sendfile on; open_file_cache max=10; keepalive_requests 1000000000; keepalive_timeout 600s;";

/// A whole configuration with one worker; its files lie beside `place`.
fn whole(place: &Path, before: &str, body: &str) -> String {
    let place = place.display();
    format!(
        "{before}worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {place}.pid; error_log {place}.err;
events {{ worker_connections 16000; }}
{body}
"
    )
}

/// A whole configuration of these servers of HTTP.
fn http(place: &Path, servers: &str) -> String {
    let files = place.display();
    let body = format!(
        "http {{
  {HTTP}
  client_body_temp_path {files}.1; proxy_temp_path {files}.2; fastcgi_temp_path {files}.3;
  uwsgi_temp_path {files}.4; scgi_temp_path {files}.5;
  {servers}
}}"
    );
    whole(place, "", &body)
}

/// The nodes: `/b` is the file of that name in `root`, all else a line. Those of `tls` speak TLS, with the certificate there.
pub(in crate::bench) fn nodes(place: &Path, plain: [u16; 2], tls: [u16; 2], root: &Path) -> String {
    let root_shown = root.display();
    let node = |port: u16, tls: &str, certificate: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port}{tls} backlog=4096; {certificate}
    location = /b {{ root {root_shown}; }}
    location / {{ return 200 'hello from {port}'; }} }}
  "
        )
    };
    let under_tls = certificate(root);
    let plain = plain.iter().map(|port| node(*port, "", ""));
    let tls = tls.iter().map(|port| node(*port, " ssl", &under_tls));
    http(place, &plain.chain(tls).collect::<String>())
}

/// The proxy. `stream` is the line that loads the module for [`Front::Tcp`], where one is needed.
pub(in crate::bench) fn proxy(place: &Path, setup: &Setup, stream: &str) -> String {
    let Setup { port, nodes: [first, second], .. } = setup;
    let servers = format!("server 127.0.0.1:{first}; server 127.0.0.1:{second};");
    let (tls, certificate) = match setup.front {
        Front::Http => ("", String::new()),
        Front::Tls => (" ssl http2", certificate(setup.certificate)),
        Front::Tcp => {
            let body = format!(
                "stream {{
  map $ssl_preread_server_name $pool {{ localhost nodes; }}
  upstream nodes {{ {servers} }}
  server {{ listen 127.0.0.1:{port} backlog=4096; ssl_preread on; proxy_pass $pool; }}
}}"
            );
            return whole(place, stream, &body);
        }
    };
    http(
        place,
        &format!(
            "upstream nodes {{ {servers}
    keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port}{tls} backlog=4096; {certificate}
    location / {{ proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}"
        ),
    )
}

fn certificate(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "ssl_certificate {folder}/site.pem; ssl_certificate_key {folder}/site.key; ssl_protocols TLSv1.3;"
    )
}

/// The line that loads what [`Front::Tcp`] needs, empty if it is built in; nothing if this nginx cannot. `told` is what `nginx -V` says.
pub(in crate::bench) fn stream(told: &str) -> Option<String> {
    let mut words = told.split_whitespace();
    if words.clone().any(|word| word == "--with-stream") {
        return Some(String::new());
    }
    let folder = words.find_map(|word| word.strip_prefix("--modules-path="))?;
    let module = Path::new(folder).join("ngx_stream_module.so");
    module.is_file().then(|| format!("load_module {};\n", module.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_loaded_only_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let told =
            format!("configure arguments: --modules-path={} --with-stream=dynamic", folder.path().display());
        assert_eq!(stream(&told), None);
        std::fs::write(folder.path().join("ngx_stream_module.so"), "").expect("written");
        assert!(stream(&told).is_some_and(|line| line.starts_with("load_module /")));
        assert_eq!(stream("--modules-path=/none --with-stream"), Some(String::new()));
    }
}
