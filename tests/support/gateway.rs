//! A gateway of the test's own, in this process, with a configuration that is written in the test.

use super::client::{Response, TestClient};
use super::node::TestNode;
use bascule::control::config;
use bascule::gateway::Gateway;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A gateway with one listener, "public". It drains and stops when it is dropped.
pub struct TestGateway {
    gateway: Option<Gateway>,
    folder: TempDir,
}

/// What every configuration has unless the test writes the table itself.
const TABLES: [(&str, &str); 4] = [
    ("[gateway]", "workers = 1"),
    ("[admin]", "address = \"127.0.0.1:0\""),
    ("[plugins]", "directory = \"plugins\""),
    ("[listener.public]", "address = \"127.0.0.1:0\""),
];

impl TestGateway {
    /// All requests go to these nodes, by the native round robin.
    pub fn before(nodes: &[&TestNode]) -> TestGateway {
        TestGateway::with("[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]", nodes)
    }

    /// All requests go to these nodes, by this policy with its default configuration.
    pub fn balancing(policy: &str, nodes: &[&TestNode]) -> TestGateway {
        let text = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\npolicy = ";
        TestGateway::with(&format!("{text}\"{policy}\""), nodes)
    }

    /// A configuration in TOML, where {node1}, {node2}, … stand for the nodes' addresses and {nodes} for all of them in
    /// quotes. The files of the plugins that it uses are copied into a folder of its own.
    pub fn with(text: &str, nodes: &[&TestNode]) -> TestGateway {
        TestGateway::with_files(text, nodes, &[])
    }

    /// The same with further files in the plugin folder.
    pub fn with_files(text: &str, nodes: &[&TestNode], files: &[(&str, &[u8])]) -> TestGateway {
        let prepare = |plugins: &Path| {
            for (name, content) in files {
                put_whole(&plugins.join(name), content);
            }
        };
        TestGateway::start(text, nodes, prepare).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a gateway says that does not start, or that starts and is not ready since it lacks a plugin.
    pub fn refused(text: &str, nodes: &[&TestNode]) -> String {
        TestGateway::refused_with(text, nodes, |_| {})
    }

    /// The same, where `prepare` puts what it likes into the plugin folder before.
    pub fn refused_with(text: &str, nodes: &[&TestNode], prepare: impl FnOnce(&Path)) -> String {
        let gateway = match TestGateway::start(text, nodes, prepare) {
            Ok(gateway) => gateway,
            Err(error) => return error,
        };
        let ready = gateway.admin("/readyz");
        assert_eq!(ready.status, 503, "a gateway started and is ready with:\n{text}");
        ready.text()
    }

    fn start(text: &str, nodes: &[&TestNode], prepare: impl FnOnce(&Path)) -> Result<TestGateway, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write_configuration(folder.path(), text, nodes);
        prepare(&folder.path().join("plugins"));
        let config = config::load(&path).map_err(|errors| errors.to_string())?;
        for plugin in config.uses.values() {
            if let Some(built) = built_plugin(&plugin.file) {
                let place = folder.path().join("plugins").join(&plugin.file.value);
                fs::copy(built, place).expect("the plugin is copied");
            }
        }
        let gateway = Gateway::start(config, Some(path)).map_err(|error| error.to_string())?;
        Ok(TestGateway { gateway: Some(gateway), folder })
    }

    fn running(&self) -> &Gateway {
        self.gateway.as_ref().expect("it runs until it is dropped")
    }

    /// Replaces the configuration file; the gateway notices by itself.
    pub fn rewrite_configuration(&self, text: &str, nodes: &[&TestNode]) {
        write_configuration(self.folder.path(), text, nodes);
    }

    /// Puts a file into the plugin folder, whole.
    pub fn drop_plugin(&self, name: &str, content: &[u8]) {
        put_whole(&self.plugin_path(name), content);
    }

    /// Writes a file into the plugin folder piece by piece, as `cp` would over a slow line.
    pub fn copy_plugin_slowly(&self, name: &str, content: &[u8]) {
        let mut file = fs::File::create(self.plugin_path(name)).expect("the file is created");
        for piece in content.chunks(content.len().div_ceil(8)) {
            file.write_all(piece).expect("the file is written");
            std::thread::sleep(std::time::Duration::from_millis(40)); // what the copy does, not what a test waits for
        }
    }

    /// Takes a file out of the plugin folder.
    pub fn delete_plugin(&self, name: &str) {
        fs::remove_file(self.plugin_path(name)).expect("the file was there");
    }

    fn plugin_path(&self, name: &str) -> PathBuf {
        self.plugin_folder().join(name)
    }

    /// Its folder of plugins.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listener("public")
    }

    /// Where clients of another listener connect.
    pub fn listener(&self, name: &str) -> SocketAddr {
        self.running().address(name).expect("the configuration has this listener")
    }

    /// Whether it accepts on a listener of this name.
    pub fn has_listener(&self, name: &str) -> bool {
        self.running().address(name).is_some()
    }

    /// Where the admin API listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.running().admin_address()
    }

    /// Where nodes register.
    pub fn registry_address(&self) -> SocketAddr {
        self.running().registry_address().expect("the configuration has a registry")
    }

    /// A new client that is connected.
    pub fn client(&self) -> TestClient {
        TestClient::connect(self.address())
    }

    /// One GET on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// One GET to the admin API.
    pub fn admin(&self, path: &str) -> Response {
        TestClient::connect(self.admin_address()).get_with(path, "Connection: close\r\n")
    }

    /// One request to the admin API that changes something.
    pub fn admin_send(&self, method: &str, path: &str, fields: &str) -> Response {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n{fields}\r\n");
        TestClient::connect(self.admin_address()).send(request).read_response()
    }

    /// What is shown of a use.
    pub fn plugin_row(&self, name: &str) -> serde_json::Value {
        let snapshot = self.snapshot();
        let rows = snapshot["plugins"].as_array().expect("a list");
        rows.iter()
            .find(|row| row["use"] == name)
            .unwrap_or_else(|| panic!("no use {name}: {snapshot}"))
            .clone()
    }

    /// The sum of all series of a metric that have these labels; 0 if there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin("/metrics").text();
        text.lines().filter_map(|line| sample(line, name, labels)).sum()
    }

    /// The gateway's tables and its nodes' live state.
    pub fn snapshot(&self) -> serde_json::Value {
        serde_json::from_slice(&self.admin("/snapshot").body.bytes).expect("/snapshot is JSON")
    }

    /// A number of the first node's row in /snapshot.
    pub fn of_first_node(&self, what: &str) -> u64 {
        self.snapshot()["pools"][0]["nodes"][0][what].as_u64().expect("a number")
    }

    /// How many requests of the route "all" ended by this kind of error.
    pub fn route_errors(&self, kind: &str) -> f64 {
        self.metric("bascule_route_errors_total", &[("route", "all"), ("kind", kind)])
    }

    /// Drains and stops.
    pub fn stop(mut self) {
        self.gateway.take().expect("it runs until it is dropped").stop();
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
    }
}

/// The value of one line of Prometheus' text format, if it is a series of this metric that has these labels.
fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let (series, value) = line.rsplit_once(' ')?;
    let has = |(label, value): &(&str, &str)| {
        let pair = format!("{label}=\"{value}\"");
        series.contains(&format!("{{{pair}")) || series.contains(&format!(",{pair}"))
    };
    let known = series.split('{').next() == Some(name);
    (known && labels.iter().all(has)).then(|| value.parse().expect("a metric's value is a number"))
}

/// Writes a configuration and an empty plugin folder; answers the configuration's path.
pub fn write_configuration(folder: &Path, text: &str, nodes: &[&TestNode]) -> PathBuf {
    let quoted: Vec<_> = nodes.iter().map(|node| format!("\"{}\"", node.address())).collect();
    let mut text = text.replace("{nodes}", &quoted.join(", "));
    for (number, node) in nodes.iter().enumerate() {
        text = text.replace(&format!("{{node{}}}", number + 1), &node.address().to_string());
    }
    for (table, keys) in TABLES {
        if !text.contains(table) {
            text = format!("{table}\n{keys}\n{text}");
        }
    }
    fs::create_dir_all(folder.join("plugins")).expect("the plugin folder");
    let path = folder.join("bascule.toml");
    put_whole(&path, text.as_bytes());
    path
}

/// Writes a file so that nobody sees a part of it.
pub fn put_whole(path: &Path, content: &[u8]) {
    let part = path.with_extension("part");
    fs::write(&part, content).expect("the file is written");
    fs::rename(&part, path).expect("the file is put in place");
}

/// The bytes of a plugin that `cargo xtask plugins` built.
pub fn plugin_file(name: &str) -> Vec<u8> {
    let path = built_plugin(name)
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo xtask plugins --guests`"));
    fs::read(path).expect("a built plugin can be read")
}

fn built_plugin(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let paths = ["plugins", "guests"].map(|folder| target.join(folder).join(name));
    paths.into_iter().find(|path| path.exists())
}
