//! The hostile plugin in each role: one use for each misbehaviour, all of one file in one gateway.

use super::{heading, refusal, row, sentence_about, steady};
use crate::support::{Response, TestClient, TestGateway, TestNode, keep_log, logged, wait_until};
use serde_json::Value;

/// What fits every role: the word of the hostile plugin, and what it is for people.
const COMMON: [(&str, &str); 12] = [
    ("loop", "loops for ever"),
    ("deep-stack", "recurses for ever"),
    ("grow-at-once", "asks for 1 GiB at once"),
    ("grow-memory", "grows its memory by 1 MiB again and again"),
    ("trap", "traps"),
    ("panic", "panics"),
    ("exit", "calls exit"),
    ("million-lines", "writes a million log lines"),
    ("large-line", "writes a log line of 4 MiB"),
    ("huge-line", "writes a log line of 100 MiB"),
    ("million-imports", "calls an import a million times"),
    ("metric-flood", "makes up 1,000 names of metrics"),
];

const EDITS: [(&str, &str); 9] = [
    ("bad-name", "sets headers with an empty name, spaces, CR LF in the name"),
    ("crlf", "writes CR LF and NUL into headers"),
    ("framing", "sets content-length, transfer-encoding, connection …"),
    ("set-host", "sets host without the grant"),
    ("huge-header", "adds a header of 2 MB"),
    ("million-headers", "adds a million headers"),
    ("answer-0", "answers with status 0"),
    ("answer-99", "answers with status 99"),
    ("edit-then-trap", "edits, then traps"),
];

/// A role as the configuration of the hostile plugin names it.
struct Role {
    key: &'static str,
    title: &'static str,
    /// Whether the use stands in a pool's `policy`, else in a route's `filters`.
    is_policy: bool,
    /// Whether `on_fault` rules its faults.
    is_filter: bool,
    own: &'static [(&'static str, &'static str)],
}

const ROLES: [Role; 6] = [
    Role {
        key: "route",
        title: "As a router",
        is_policy: false,
        is_filter: true,
        own: &[
            ("no-such-pool", "names a pool that there is not"),
            ("answer-0", "answers with status 0"),
            ("answer-99", "answers with status 99"),
            ("redirect-crlf", "writes CR LF into a redirection"),
        ],
    },
    Role {
        key: "on_request",
        title: "As a filter, in on-request",
        is_policy: false,
        is_filter: true,
        own: &[("bad-path", "sets paths with spaces, CR LF, or none"), ("answer-huge", "answers with 8 MB")],
    },
    Role {
        key: "on_response",
        title: "As a filter, in on-response",
        is_policy: false,
        is_filter: true,
        own: &[
            ("bad-status", "sets the status to 0, 101, 199, 600, 65535"),
            ("answer-huge", "answers with 8 MB"),
        ],
    },
    Role {
        key: "pick",
        title: "As a policy",
        is_policy: true,
        is_filter: false,
        own: &[
            ("out-of-range", "picks a node that there is not"),
            ("reject-0", "refuses with status 0"),
            ("reject-99", "refuses with status 99"),
            ("keep-nonsense", "keeps candidates that there are not"),
        ],
    },
    Role { key: "on_complete", title: "As an observer", is_policy: true, is_filter: false, own: &[] },
    Role { key: "tick", title: "As a timer", is_policy: false, is_filter: false, own: &[] },
];

impl Role {
    fn words(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let edits = if self.key.starts_with("on_re") { &EDITS[..] } else { &[] };
        COMMON.iter().chain(self.own).chain(edits).copied()
    }

    fn use_name(&self, word: &str, variant: &str) -> String {
        format!("{}-{word}{variant}", self.key.replace('_', "-"))
    }

    /// A use of its own, a route and a pool for one misbehaviour.
    fn configuration(&self, word: &str, variant: &str) -> String {
        let name = self.use_name(word, variant);
        let on_fault = if variant == "-skip" { "on_fault = \"skip\"\n" } else { "" };
        let (filters, policy) = match self.is_policy {
            true => (String::new(), format!("policy = \"{name}\"\n")),
            false => (format!("filters = [\"{name}\"]\n"), String::new()),
        };
        // A debug build's imports are slow, so what ends at other bounds has time to. One fault is enough to see.
        format!(
            "[plugin.{name}]\nfile = \"hostile.wasm\"\n{on_fault}limits = {{ deadline = \"50ms\" }}\n\
             quarantine = {{ faults = 1, window = \"1h\" }}\nconfig = {{ {} = \"{word}\" }}\n\
             [route.{name}]\npath = \"/{name}\"\n{filters}pool = \"{name}\"\n\
             [pool.{name}]\n{policy}nodes = [{{nodes}}]\n",
            self.key
        )
    }
}

/// What became of one misbehaviour, beside what the client saw.
struct Seen {
    fault: String,
    bounds: String,
    log: String,
}

fn seen(gateway: &TestGateway, name: &str) -> Seen {
    let snapshot = gateway.snapshot();
    let plugins = snapshot["plugins"].as_array().expect("rows");
    let row = plugins.iter().find(|row| row["use"] == name).expect("the use's row");
    let keys = |value: &Value| -> Vec<String> {
        let counts = value.as_object().expect("counts");
        counts
            .iter()
            .filter(|(_, count)| count.as_u64() > Some(0))
            .map(|(key, _)| format!("`{key}`"))
            .collect()
    };
    let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let lines = logged(name);
    let line = lines.iter().find(|line| line["quarantine"].is_null());
    let words = line.and_then(|line| line["message"].as_str()).unwrap_or_default();
    Seen {
        fault: or_none(keys(&row["faults"]).join(", ")),
        bounds: or_none(keys(&row["capped"]).join(", ")),
        log: or_none(steady(words)),
    }
}

/// What a client saw, and what was made of edits.
fn client_saw(client: &mut TestClient, node: &TestNode, name: &str) -> String {
    let hits = node.hits();
    let response: Response = client.get(&format!("/{name}"));
    let head = format!("{:?}", response.head).to_lowercase();
    assert!(!head.contains("injected") && !head.contains("stolen"), "{name}: {head}");
    let asked = node.hits() > hits;
    let refused = match asked.then(|| node.last_request().header("x-refused").map(str::to_owned)).flatten() {
        Some(refused) => Some(refused),
        None => response.header("x-refused").map(str::to_owned),
    };
    if asked {
        let head = format!("{:?}", node.last_request().head).to_lowercase();
        assert!(!head.contains("injected") && !head.contains("x-half"), "{name}: {head}");
    }
    match refused {
        Some(refused) => format!("{}; {refused} edits refused", response.status),
        None => response.status.to_string(),
    }
}

/// A table for each role.
pub(super) fn tables() -> String {
    keep_log();
    let node = TestNode::answering("a");
    let mut text = String::new();
    for role in &ROLES {
        let variants = if role.is_filter { &["", "-skip"][..] } else { &[""] };
        let all = role.words().flat_map(|(word, _)| variants.iter().map(move |variant| (word, *variant)));
        let configuration: String =
            all.map(|(word, variant)| role.configuration(word, variant)).collect::<String>()
                + "[route.other]\npath = \"/other\"\npool = \"other\"\n[pool.other]\nnodes = [{nodes}]\n";
        let gateway = TestGateway::with(&configuration, &[&node]);
        let mut client = gateway.client();
        text += &table_of(role, &gateway, &mut client, &node);
        assert_eq!(client.get("/other").status, 200, "{}: the gateway serves on", role.key);
    }
    text
}

fn table_of(role: &Role, gateway: &TestGateway, client: &mut TestClient, node: &TestNode) -> String {
    let (columns, rule) = match role.key {
        "route" | "on_request" | "on_response" => (
            &["it", "client, `\"fail\"`", "client, `\"skip\"`", "fault", "bounds that held", "log"][..],
            "`on_fault` rules: the client's status with `\"fail\"`, and with `\"skip\"`.",
        ),
        "pick" => (
            &["it", "client", "fault", "bounds that held", "log"][..],
            "The native round robin picks where the policy fails.",
        ),
        _ => (&["it", "client", "fault", "bounds that held", "log"][..], "A fault costs nobody anything."),
    };
    let mut text = heading(role.title, rule, columns);
    for (word, people) in role.words() {
        let name = role.use_name(word, "");
        if role.key == "tick" {
            let acted =
                || gateway.metric("bascule_plugin_calls_total", &[("plugin", &name), ("role", "timer")]);
            // Asked for its period, and then for a tick.
            wait_until("the timer acted", || acted() >= 2.0);
        }
        let mut cells = vec![people.to_owned(), client_saw(client, node, &name)];
        if role.is_filter {
            cells.push(client_saw(client, node, &role.use_name(word, "-skip")));
        }
        let Seen { fault, bounds, log } = seen(gateway, &name);
        cells.extend([fault, bounds, log]);
        text += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// Those that misbehave when they are configured: the gateway is not ready with them.
pub(super) fn configure() -> String {
    let mut text = heading(
        "In configure",
        "At the start the gateway is not ready and says this; later the plugin is refused with it, and what ran before stays.",
        &["it", "what the gateway says"],
    );
    let bounded = ["million-lines", "million-imports", "metric-flood"];
    let ends = COMMON.iter().filter(|(word, _)| !bounded.contains(word));
    for (word, people) in ends.chain(&[("error", "refuses its configuration")]) {
        let name = format!("configure-{word}");
        let said = refusal(
            &format!(
                "[plugin.{name}]\nfile = \"hostile.wasm\"\nconfig = {{ configure = \"{word}\" }}\n\
                 [route.all]\nfilters = [\"{name}\"]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n"
            ),
            |_| {},
        );
        text += &row(&[people, &steady(sentence_about(&name, &said))]);
    }
    text
}
