//! The samples for several gateways: config/cluster and config/kubernetes.

use super::{check, root, written};
use std::fs;
use std::process::Command;
use std::time::Duration;

fn kubernetes(file: &str) -> String {
    fs::read_to_string(root().join("config/kubernetes").join(file)).expect("the manifest is there")
}

/// The file that the ConfigMap holds: the lines of its block, without their indentation.
fn configuration() -> String {
    let manifest = kubernetes("configuration.yaml");
    let (_, rest) = manifest.split_once("\n  bascule.toml: |\n").expect("a ConfigMap with this file");
    let block = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    block.map(|line| line.get(4..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_gateways_of_the_cluster_differ_only_in_their_addresses() {
    let texts = ["gateway-1.toml", "gateway-2.toml"].map(|name| {
        let path = root().join("config/cluster").join(name);
        let output = check(&path);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        fs::read_to_string(path).expect("it was just read")
    });
    let tables = texts.map(|text| {
        let mut table: toml::Table = text.parse().expect("TOML");
        let mut take = |name: &str, key: &str| {
            table.get_mut(name).and_then(|inner| inner.as_table_mut()).and_then(|inner| inner.remove(key))
        };
        take("admin", "address").expect("an address of its own");
        take("registry", "address").expect("an address of its own");
        let listeners = table.remove("listener");
        (table, listeners)
    });
    assert_eq!(tables[0].0, tables[1].0);
    assert_ne!(tables[0].1, tables[1].1);
}

#[test]
fn the_configuration_in_kubernetes_is_right() {
    let (_folder, path) = written(&configuration());
    let output = Command::new(env!("CARGO_BIN_EXE_bascule"))
        .args(["check", "--config"])
        .arg(path)
        .env("BASCULE_ADMIN_TOKEN", "a token")
        .env("BASCULE_COOKIE_KEY", "0123456789abcdef0123456789abcdef")
        .output()
        .expect("bascule runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A number of seconds behind a key, as TOML and YAML write it.
fn seconds(text: &str, key: &str) -> Duration {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)).expect(key);
    let digits: String =
        line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    Duration::from_secs(digits.parse().expect("a number"))
}

#[test]
fn kubernetes_waits_until_a_gateway_has_drained() {
    let text = configuration();
    let stops = seconds(&text, "shutdown_delay =") + seconds(&text, "drain_timeout =");
    let deployment = kubernetes("deployment.yaml");
    assert!(seconds(&deployment, "terminationGracePeriodSeconds:") > stops);
    let (readiness, _) = deployment.split_once("livenessProbe").expect("both probes");
    assert!(readiness.contains("path: /readyz"), "whoever drains gets nothing new");
}

#[test]
fn the_manifests_fit_together() {
    let deployment = kubernetes("deployment.yaml");
    let configuration = configuration();
    for (port, address) in [(8080, "address = \"0.0.0.0:8080\""), (9901, "address = \"0.0.0.0:9901\"")] {
        assert!(deployment.contains(&format!("containerPort: {port}")) && configuration.contains(address));
    }
    for (variable, key) in [("BASCULE_ADMIN_TOKEN", "admin-token"), ("BASCULE_COOKIE_KEY", "cookie-key")] {
        let from_secret = format!(
            "- name: {variable}\n              valueFrom: {{ secretKeyRef: {{ name: bascule, key: {key} }} }}"
        );
        assert!(deployment.contains(&from_secret), "{variable}");
        assert!(configuration.contains(&format!("env = \"{variable}\"")), "{variable}");
        assert!(kubernetes("configuration.yaml").contains(&format!("\n  {key}: ")), "{key}");
    }
    // _PORT._PROTOCOL.SERVICE.NAMESPACE, as the Service of the nodes has them.
    assert!(configuration.contains("name = \"_http._tcp.api.default.svc.cluster.local\""));
    let nodes = kubernetes("nodes.yaml");
    for part in
        ["clusterIP: None", "name: api\n  namespace: default", "- { name: http, port: 8080, protocol: TCP }"]
    {
        assert!(nodes.contains(part), "{part}");
    }
}
