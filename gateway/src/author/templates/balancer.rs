//! Picks, of two random nodes, the one that has less to do.

use bascule_plugin::prelude::*;

struct PluginName;

impl Balancer for PluginName {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        // Without a candidate it abstains, and the next policy is asked.
        nodes.two_random().min_by(|node| node.load()).into()
    }
}

bascule_plugin::export!(PluginName: balancer);

#[cfg(test)]
mod tests {
    use super::PluginName;
    use bascule_plugin::testing::{Picked, PolicyTest, request};

    #[test]
    fn the_node_that_has_less_to_do_serves() {
        let mut test = PolicyTest::new(PluginName)
            .node("busy", |node| node.in_flight(3))
            .node("idle", |node| node);
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node("idle"));
    }

    #[test]
    fn without_a_node_it_has_no_opinion() {
        let mut test = PolicyTest::new(PluginName);
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
    }
}
