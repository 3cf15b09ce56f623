#![allow(clippy::unwrap_used, clippy::print_stdout)] // one test shows its figure

use super::*;
use crate::node::testing::candidate;

const KEYS: u32 = 100_000;

fn named(names: impl IntoIterator<Item = u32>) -> Vec<Candidate> {
    let names = names.into_iter();
    names.map(|name| candidate(&format!("node-{name}"), 1000)).collect()
}

/// The ids of the owners of many keys.
fn owners(candidates: &[Candidate]) -> Vec<&str> {
    let ring = Ring::new(candidates);
    let owner = |key: u32| ring.walk(&key.to_le_bytes()).next().unwrap();
    (0..KEYS).map(|key| &*candidates[owner(key) as usize].node.spec.id).collect()
}

#[test]
fn one_node_of_n_that_goes_moves_about_one_nth_of_the_keys() {
    for count in [3, 10, 100] {
        let (all, fewer) = (named(0..count), named(1..count));
        let (before, after) = (owners(&all), owners(&fewer));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        let (share, ideal) = (moved.len() as f64 / f64::from(KEYS), 1.0 / f64::from(count));
        println!(
            "of {count} nodes one goes: {:.2} % of the keys move, ideal {:.2} %",
            share * 100.0,
            ideal * 100.0
        );
        assert!((0.7 * ideal..1.3 * ideal).contains(&share), "{share} of {ideal}");
        assert!(moved.iter().all(|(before, _)| **before == "node-0"), "no other key moves");
    }
}

#[test]
fn the_order_of_the_configuration_does_not_matter() {
    let (forward, backward) = (named(0..20), named((0..20).rev()));
    assert_eq!(owners(&forward), owners(&backward));
}

#[test]
fn owners_are_the_same_for_ever() {
    // Clients depend on these: a change here moves nearly all of them to another node.
    let nodes = named(0..20);
    let ring = Ring::new(&nodes);
    let owners = ["a", "b", "c", "session-1", ""].map(|key| ring.walk(key.as_bytes()).next().unwrap());
    assert_eq!(owners, [18, 1, 14, 16, 15]);
}

#[test]
fn shares_follow_weights() {
    let mut nodes = named(0..10);
    nodes[0].weight = 3000;
    let owners = owners(&nodes);
    let share = |id: &str| owners.iter().filter(|owner| **owner == id).count() as f64 / f64::from(KEYS);
    let (heavy, light) = (share("node-0"), share("node-1"));
    assert!((0.2..0.3).contains(&heavy), "3 of 12 is a quarter, not {heavy}");
    assert!((0.06..0.11).contains(&light), "1 of 12 is 0.083, not {light}");
}

#[test]
fn a_large_ring_is_bounded_and_a_walk_meets_every_node() {
    let mut nodes = named(0..50);
    nodes.iter_mut().for_each(|candidate| candidate.weight = 1_000_000);
    nodes[0].weight = 1;
    let ring = Ring::new(&nodes);
    let points = ring.hashes.len() as u64;
    assert!((MOST_POINTS / 2..=MOST_POINTS).contains(&points), "{points}");
    let mut met = vec![false; nodes.len()];
    ring.walk(b"key").for_each(|owner| met[owner as usize] = true);
    assert!(met.iter().all(|&met| met));
    assert_eq!(Ring::new(&[]).walk(b"key").next(), None);
}
