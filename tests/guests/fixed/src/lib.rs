//! A policy that always picks the node with a configured id, so that a test sees at once which version, use or
//! configuration is at work: `config = { node = "a" }`. Where that node can not be picked it has no opinion.

use bascule_plugin::prelude::*;

/// Its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    node: String,
}

impl Lifecycle for Fixed {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        Ok(config)
    }
}

impl Balancer for Fixed {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        nodes.find(&self.node).into()
    }
}

bascule_plugin::export!(Fixed: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PolicyTest, json, request};

    use super::Fixed;

    #[test]
    fn it_picks_its_node_and_no_other() {
        let mut test = PolicyTest::<Fixed>::configured(json!({ "node": "b" }))
            .expect("the configuration is right")
            .nodes(["a", "b"]);
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node("b"));
        assert_eq!(test.pick(&request("GET", "/").tried("b")), Picked::Abstain);
    }
}
