//! Invented requests and nodes: what plugins are tried and measured on. No plugin under test touches anything real.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::node::candidates::{Candidate, Candidates};
use crate::node::selection::{LocalCandidates, Selection};
use crate::node::{Node, NodeSpec};
use crate::plugin::context::{Context, Outcome, RequestId};

/// A request to try a plugin on.
pub(super) struct Scene {
    /// What is odd about it.
    pub(super) name: &'static str,
    path: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    /// Whether a node answers; else the attempt fails.
    answered: bool,
}

impl Scene {
    /// A request as any browser sends it.
    pub(super) fn plain() -> Self {
        let fields = [
            ("host", "example.org"),
            ("user-agent", "bascule-check/1"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("cookie", "session=1; theme=dark"),
            ("x-user", "somebody"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        Self {
            name: "a plain request",
            path: b"/api/items?page=2".into(),
            fields: fields.into(),
            answered: true,
        }
    }

    /// Requests that people seldom think of.
    pub(super) fn odd() -> Vec<Self> {
        let plain = Self::plain;
        let with = |mut fields: Vec<(String, Vec<u8>)>| {
            fields.extend(plain().fields);
            fields
        };
        let many = (0..100).map(|number| (format!("x-field-{number}"), b"value".to_vec())).collect();
        let large = ["x-user", "cookie", "authorization", "x-large"];
        let large = large.map(|name| (name.to_owned(), [b"a=", &*vec![b'a'; 8190]].concat())).into();
        let bytes = ["x-user", "cookie", "user-agent", "x-bytes"];
        let bytes = bytes.map(|name| (name.to_owned(), b"\xff\xfe\x80=\xc3\x28".to_vec())).into();
        let empty = ["x-user", "cookie", "user-agent"].map(|name| (name.to_owned(), Vec::new())).into();
        let query = [b"/?".to_vec(), b"a=1&".repeat(2000)].concat();
        vec![
            plain(),
            Self { name: "a failed attempt", answered: false, ..plain() },
            Self { name: "no header fields", fields: Vec::new(), ..plain() },
            Self { name: "100 header fields", fields: with(many), ..plain() },
            Self { name: "fields of 8 KB", fields: with(large), ..plain() },
            Self { name: "fields that are no UTF-8", fields: with(bytes), ..plain() },
            Self { name: "empty fields", fields: empty, ..plain() },
            Self { name: "a path of 8 KB", path: query, ..plain() },
            Self { name: "OPTIONS *", path: b"*".into(), ..plain() },
        ]
    }

    /// The request before its first attempt on these nodes.
    pub(super) fn begin(&self, nodes: &LocalCandidates) -> Box<Context> {
        let mut context = Box::new(Context::new(Instant::now()));
        context.request.set_path(&self.path);
        context.response.status = if self.answered { 200 } else { 502 };
        context.response.fields.add(b"content-type", b"text/plain");
        for (name, value) in &self.fields {
            context.request.fields.add(name.as_bytes(), value);
            // A response may be as odd.
            context.response.fields.add(name.as_bytes(), value);
        }
        context.client = Some([192, 0, 2, 1].into());
        context.id = RequestId::new(1);
        context.route = "check".into();
        context.pool = "check".into();
        context.attempt = 1;
        context.selection.begin(Arc::clone(nodes));
        context.selection.stand_in(Some(&"a".into()));
        context
    }

    /// What becomes of the attempt on a node; without one there was none.
    pub(super) fn attempt(&self, context: &mut Context, node: Option<Arc<Node>>) {
        context.node = node;
        let (status, error) = if self.answered { (Some(200), None) } else { (None, Some("connect")) };
        context.outcome = Outcome { status, latency: Duration::from_millis(2), error };
    }
}

/// So many idle nodes, in three zones.
pub(super) fn nodes(count: u32) -> LocalCandidates {
    let nodes = Arc::new(Arc::new(Candidates::new((0..count).map(candidate).collect(), Vec::new())));
    // As control does for a pool whose policies hash: the first call must not pay for the ring.
    let mut selection = Selection::default();
    selection.begin(Arc::clone(&nodes));
    selection.by_hash(b"");
    nodes
}

fn candidate(number: u32) -> Candidate {
    let spec = NodeSpec {
        id: format!("node-{number}").into(),
        // Addresses of documentation's (RFC 5737): nothing is ever sent there.
        address: ([192, 0, 2, 2], 1 + (number % 60_000) as u16).into(),
        weight: NonZeroU32::MIN,
        zone: Some(["a", "b", "c"][number as usize % 3].into()),
        tier: 0,
        drain: false,
        labels: BTreeMap::new(),
    };
    Candidate { node: Node::new(spec), weight: 1000 }
}
