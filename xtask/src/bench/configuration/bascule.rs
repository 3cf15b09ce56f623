//! The gateway itself, with and without plugins.

use super::{Front, Setup};
use std::path::Path;

/// With the native round robin; `plugins` is a folder without any.
pub(in crate::bench) fn native(setup: &Setup, plugins: &Path) -> String {
    with(setup, plugins, "", "", "")
}

/// With least-connections in wasm, and one filter that sets a header on each request.
pub(in crate::bench) fn with_plugins(setup: &Setup, plugins: &Path) -> String {
    let uses = r#"
[plugin.headers]
file = "header_rewrite.wasm"
config = { request = { set = { "x-edge" = "bascule" } } }"#;
    with(setup, plugins, uses, r#"policy = "least-connections""#, r#"filters = ["headers"]"#)
}

/// `uses` are tables, `policy` is a line of the pool, `filters` one of the route; each may be empty.
pub(in crate::bench) fn with(
    setup: &Setup,
    plugins: &Path,
    uses: &str,
    policy: &str,
    filters: &str,
) -> String {
    let Setup { port, admin, nodes: [first, second], .. } = setup;
    let plugins = plugins.display();
    let (listener, route) = match setup.front {
        Front::Http => (LASTING.to_owned(), r#"path = "/""#),
        Front::Tls => (format!("{LASTING}\n{}", certificate(setup.certificate)), r#"path = "/""#),
        Front::Tcp => (r#"protocol = "tcp""#.to_owned(), "listeners = [\"bench\"]\nhost = \"localhost\""),
    };
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
{listener}
[route.bench]
{route}
pool = "bench"
{filters}
[pool.bench]
nodes = ["127.0.0.1:{first}", "127.0.0.1:{second}"]
{policy}
"#
    )
}

/// As the other proxies are told: a connection that ends would cost its client a request.
const LASTING: &str = "requests_per_connection = 1000000000";

fn certificate(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[listener.bench.tls]\ncertificates = {{ certificate = \"{folder}/site.pem\", key = \"{folder}/site.key\" }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(front: Front) -> Setup<'static> {
        let certificate = Path::new("/certificate");
        Setup { port: 1, admin: 2, front, nodes: [3, 4], certificate, connections: 5 }
    }

    #[test]
    fn each_line_is_in_its_table() {
        let text = with_plugins(&setup(Front::Http), Path::new("/plugins"));
        let read: toml::Table = text.parse().expect("TOML");
        assert_eq!(read["pool"]["bench"]["policy"].as_str(), Some("least-connections"));
        assert_eq!(read["route"]["bench"]["filters"][0].as_str(), Some("headers"));
        assert_eq!(read["plugin"]["headers"]["config"]["request"]["set"]["x-edge"].as_str(), Some("bascule"));
        let native: toml::Table = native(&setup(Front::Http), Path::new("/none")).parse().expect("TOML");
        assert!(!native.contains_key("plugin") && native["pool"]["bench"].get("policy").is_none());
    }

    #[test]
    fn each_front_is_the_listeners_own() {
        let read = |front| native(&setup(front), Path::new("/none")).parse::<toml::Table>().expect("TOML");
        let tls = read(Front::Tls);
        let certificates = &tls["listener"]["bench"]["tls"]["certificates"];
        assert_eq!(certificates["key"].as_str(), Some("/certificate/site.key"));
        let tcp = read(Front::Tcp);
        assert_eq!(tcp["listener"]["bench"]["protocol"].as_str(), Some("tcp"));
        assert_eq!(tcp["route"]["bench"]["host"].as_str(), Some("localhost"));
    }
}
