use bascule_plugin::prelude::*;

/// Sends a request to the zone that its header `x-zone` names.
struct ByZone;

impl Balancer for ByZone {
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
        let Some(wanted) = request.header("x-zone") else {
            return Choice::Abstain; // the next policy picks
        };
        let in_zone = |node: &Node| node.zone().is_some_and(|zone| wanted == zone.as_str());
        nodes.all().iter().find(in_zone).into() // no node is no opinion
    }
}

bascule_plugin::export!(ByZone: balancer);

#[cfg(test)]
mod tests {
    use super::ByZone;
    use bascule_plugin::testing::{Picked, PolicyTest, request};

    #[test]
    fn the_zone_that_is_asked_for_serves() {
        let mut test = PolicyTest::new(ByZone)
            .node("node-a", |node| node.zone("a"))
            .node("node-b", |node| node.zone("b"));
        let to_b = request("GET", "/").header("x-zone", "b");
        assert_eq!(test.pick(&to_b), Picked::Node("node-b"));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
    }
}
