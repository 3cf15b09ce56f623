//! A policy that picks the node with the least of a number that nodes report or plugins share:
//! `config = { signal = "orca.named.queue" }`. As long as a node has none it has no opinion.

use bascule_plugin::prelude::*;

/// Its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeastSignal {
    signal: String,
}

impl Lifecycle for LeastSignal {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        Ok(config)
    }
}

impl Balancer for LeastSignal {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let value = |node: Node| Some((node.signal(&self.signal)?, node));
        let Some(values) = nodes.all().iter().map(value).collect::<Option<Vec<_>>>() else {
            return Choice::Abstain;
        };
        let least = values.into_iter().min_by(|one, two| one.0.total_cmp(&two.0));
        least.map(|(_, node)| node).into()
    }
}

bascule_plugin::export!(LeastSignal: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PolicyTest, json, request};

    use super::LeastSignal;

    #[test]
    fn it_has_no_opinion_before_every_node_has_reported() {
        let mut test = PolicyTest::<LeastSignal>::configured(json!({ "signal": "orca.named.queue" }))
            .expect("the configuration is right")
            .nodes(["a", "b"]);
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
    }
}
