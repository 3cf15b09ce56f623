//! HAProxy, as a proxy of each kind.

use super::{Front, Setup};

/// A whole configuration.
pub(in crate::bench) fn proxy(setup: &Setup) -> String {
    let Setup { port, nodes: [first, second], connections, .. } = setup;
    let most = connections + 100;
    let folder = setup.certificate.display();
    let (mode, tls, front) = match setup.front {
        Front::Http => ("mode http\n  timeout http-keep-alive 600s\n  http-reuse always", String::new(), ""),
        Front::Tls => (
            "mode http\n  timeout http-keep-alive 600s\n  http-reuse always",
            format!(" ssl crt {folder}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3"),
            "",
        ),
        Front::Tcp => (
            "mode tcp",
            String::new(),
            "\n  tcp-request inspect-delay 5s\n  tcp-request content accept if { req_ssl_hello_type 1 }",
        ),
    };
    let uses = match setup.front {
        Front::Tcp => "use_backend nodes if { req_ssl_sni localhost }",
        Front::Http | Front::Tls => "default_backend nodes",
    };
    format!(
        "global
  nbthread 1
  no strict-limits # it wants two files for each connection, and idle ones need only one
  maxconn {most}
defaults
  {mode}
  timeout client 600s
  timeout server 60s
  timeout connect 5s
frontend bench
  bind 127.0.0.1:{port}{tls}{front}
  {uses}
backend nodes
  balance roundrobin
  server first 127.0.0.1:{first}
  server second 127.0.0.1:{second}
"
    )
}
