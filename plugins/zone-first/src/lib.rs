//! The gateway's own zone first: narrows the candidates for the policies after it.
//!
//! All gateways of a zone together have to serve an equal share of the traffic: one of as many as there are zones. As far
//! as the own zone's healthy weight is an equal share of the whole pool's, all requests stay there. Where it is less, so much
//! less stays, and the rest goes to the other zones, which have more than their share. It is Envoy's zone aware routing with
//! zones that have as many clients each.
//!
//! It never picks: it keeps some candidates and abstains. Weights are effective ones, so a node that starts slowly or is
//! ejected counts as far as it can serve.

use bascule_plugin::prelude::*;

/// The policy.
#[derive(Debug, Default)]
pub struct ZoneFirst {
    /// Whether it has said that the gateway has no zone.
    has_warned: bool,
}

impl Lifecycle for ZoneFirst {
    type Config = NoConfig;

    fn configure(_config: NoConfig) -> Result<Self, String> {
        Ok(Self::default())
    }
}

impl Balancer for ZoneFirst {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let Some(weights) = nodes.own_zone() else {
            if !std::mem::replace(&mut self.has_warned, true) {
                log::warn("the gateway has no zone, so none comes first: write `zone` in [gateway]");
            }
            return Choice::Abstain;
        };
        // What the own zone can serve of each `all` that its gateways send.
        let stays = weights.here.saturating_mul(u64::from(weights.zones));
        if weights.here == 0 || weights.here == weights.all {
            // All are outside, or none is: there is nothing to narrow.
        } else if stays >= weights.all || random::bits() % weights.all < stays {
            nodes.keep_own_zone();
        } else {
            nodes.keep_other_zones();
        }
        Choice::Abstain
    }
}

bascule_plugin::export!(ZoneFirst: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PolicyTest, json, request};

    use super::ZoneFirst;

    /// A gateway in zone "a", before nodes of these weights in these zones, which are their names as well.
    fn pool(nodes: &[(&str, f64)]) -> PolicyTest<ZoneFirst> {
        let start = PolicyTest::configured(json!({})).expect("it has no keys").zone("a");
        let node = |pool: PolicyTest<ZoneFirst>, (name, weight): &(&str, f64)| {
            pool.node(name, |node| node.zone(&name[..1]).weight(*weight))
        };
        nodes.iter().fold(start, node)
    }

    /// How many of 3,000 requests stay in zone "a".
    fn stay(test: &mut PolicyTest<ZoneFirst>) -> usize {
        let stays = |_: &u32| {
            assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain, "it never picks");
            test.kept().is_some_and(|kept| kept.iter().all(|id| id.starts_with('a')))
        };
        (0..3000).filter(stays).count()
    }

    #[test]
    fn the_own_zone_serves_alone_if_it_can() {
        let mut test = pool(&[("a1", 1.0), ("a2", 1.0), ("b1", 1.0), ("c1", 2.0)]);
        assert_eq!(stay(&mut test), 3000, "2 of 5 are more than a third");
        assert_eq!(test.kept(), Some(&["a1".to_owned(), "a2".to_owned()][..]));
    }

    #[test]
    fn what_the_own_zone_lacks_spills_over_in_proportion() {
        let mut test = pool(&[("a1", 1.0), ("b1", 3.0)]);
        let stays = stay(&mut test);
        assert!((1400..1600).contains(&stays), "a quarter is half of the half that it should serve: {stays}");
        let mut test = pool(&[("a1", 0.3), ("b1", 1.35), ("c1", 1.35)]);
        let stays = stay(&mut test);
        assert!((800..1000).contains(&stays), "a tenth is three tenths of a third: {stays}");
    }

    #[test]
    fn what_spills_over_goes_to_the_other_zones() {
        let mut test = pool(&[("a1", 0.001), ("b1", 1.0), ("c1", 1.0)]);
        assert!(stay(&mut test) < 30);
        let mut others = Vec::new();
        while others.is_empty() {
            test.pick(&request("GET", "/"));
            let kept = test.kept().unwrap_or_default();
            others = kept.iter().filter(|id| !id.starts_with('a')).cloned().collect();
        }
        assert_eq!(others, ["b1", "c1"]);
    }

    #[test]
    fn where_only_one_side_has_nodes_nothing_is_narrowed() {
        for mut test in [pool(&[("b1", 1.0), ("c1", 1.0)]), pool(&[("a1", 1.0), ("a2", 1.0)]), pool(&[])] {
            assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain);
            assert_eq!(test.kept(), None);
        }
    }

    #[test]
    fn a_retry_counts_what_is_left() {
        let mut test = pool(&[("a1", 1.0), ("b1", 1.0), ("b2", 1.0)]);
        test.pick(&request("GET", "/").tried("a1"));
        assert_eq!(test.kept(), None, "its zone has no other node");
    }

    #[test]
    fn a_gateway_without_a_zone_says_so_once() {
        let mut test = PolicyTest::new(ZoneFirst::default()).node("a1", |node| node.zone("a"));
        (0..3).for_each(|_| assert_eq!(test.pick(&request("GET", "/")), Picked::Abstain));
        assert_eq!((test.kept(), test.log().len()), (None, 1));
        assert!(test.log()[0].contains("write `zone` in [gateway]"), "{:?}", test.log());
    }

    #[test]
    fn a_large_pool_is_not_listed() {
        let mut test = PolicyTest::new(ZoneFirst::default()).zone("a");
        for id in 0..999 {
            test = test.node(&id.to_string(), |node| node.zone(["a", "b", "c"][id % 3]));
        }
        test.pick(&request("GET", "/"));
        assert_eq!((test.kept().map(<[String]>::len), test.full_scans()), (Some(333), 0));
    }
}
