//! Drains and weights at run time, and what a reload leaves of them.

use std::num::NonZeroU32;

use super::super::member::By;
use super::*;

fn drain(scene: &mut Scene, node: usize, timeout: Duration) {
    let now = scene.now;
    scene.pool.members[node].begin_drain(By::Operator, timeout, now);
    scene.look();
}

fn weigh(scene: &mut Scene, node: usize, weight: u32) {
    scene.pool.members[node].weight = NonZeroU32::new(weight);
    scene.look();
}

/// Whether the list that was published last knows the node, and whether it is eligible there.
fn place(scene: &Scene, id: &str) -> Option<bool> {
    let published = scene.published.as_ref().unwrap();
    published.find(id).map(|place| (place as usize) < published.count())
}

#[test]
fn a_draining_node_is_found_until_its_deadline() {
    let mut scene = Scene::of(3);
    drain(&mut scene, 0, 30 * SECOND);
    assert_eq!((scene.weights(), place(&scene, "n0")), (vec![0, 1000, 1000], Some(false)));
    scene.pass(30 * SECOND - LOOK);
    assert_eq!(place(&scene, "n0"), Some(false));
    scene.pass(LOOK);
    assert_eq!((scene.states()[0], place(&scene, "n0")), ("draining", None));
    let now = scene.now;
    scene.pool.undrain(0, now);
    scene.look();
    assert_eq!((scene.weights(), place(&scene, "n0")), (vec![1000; 3], Some(true)));
}

#[test]
fn it_is_empty_when_nothing_is_in_flight_and_that_is_told_once() {
    let mut scene = Scene::of(2);
    let request = scene.hang(0);
    drain(&mut scene, 0, SECOND);
    assert!(!scene.shown(0).empty);
    scene.pass(SECOND);
    let now = scene.now;
    assert!(!scene.pool.members[0].has_emptied(MILLI, now));
    drop(request);
    assert!(scene.shown(0).empty);
    assert!(!scene.pool.members[0].has_emptied(60 * SECOND, now), "what was picked may be on its way");
    assert!(scene.pool.members[0].has_emptied(MILLI, now));
    assert!(!scene.pool.members[0].has_emptied(MILLI, now), "told");
    assert!(!scene.shown(1).empty, "it does not drain");
}

#[test]
fn draining_nodes_are_not_counted_as_lost() {
    let mut scene = Scene::of(3);
    drain(&mut scene, 0, SECOND);
    drain(&mut scene, 1, SECOND);
    assert_eq!((scene.weights(), scene.pool.in_panic), (vec![0, 0, 1000], false));
    drain(&mut scene, 2, SECOND);
    assert_eq!((scene.weights(), scene.pool.in_panic), (vec![0; 3], false), "as it was asked for");
}

#[test]
fn the_configuration_drains_as_well() {
    let keys = |drain| {
        format!("nodes = [\"127.0.0.1:2\", {{ id = \"n0\", address = \"127.0.0.1:1\", drain = {drain} }}]")
    };
    let mut scene = Scene::new(&keys(true));
    assert_eq!((scene.weights(), place(&scene, "n0")), (vec![1000, 0], Some(false)));
    scene.pass(31 * SECOND);
    assert_eq!(place(&scene, "n0"), None, "the gateway's drain_timeout is 30 s");
    scene.reload(&keys(true));
    assert_eq!(place(&scene, "n0"), None, "a reload does not begin it anew");
    scene.reload(&keys(false));
    assert_eq!(scene.weights(), [1000, 1000]);
}

#[test]
fn what_an_operator_set_survives_a_reload_unless_the_configured_weight_changes() {
    let keys = |weight: u32, more: &str| {
        format!(
            "nodes = [{{ id = \"n0\", address = \"127.0.0.1:1\", weight = {weight} }}, \"127.0.0.1:2\"]\n{more}"
        )
    };
    let mut scene = Scene::new(&keys(2, ""));
    weigh(&mut scene, 0, 7);
    drain(&mut scene, 1, 60 * SECOND);
    assert_eq!(scene.weights(), [7000, 0]);
    scene.reload(&keys(2, "attempts = 2"));
    assert_eq!(scene.weights(), [7000, 0]);
    scene.reload(&keys(3, ""));
    assert_eq!(scene.weights(), [3000, 0]);
    weigh(&mut scene, 0, 5);
    assert_eq!((scene.weights()[0], scene.shown(0).state), (5000, "up"));
}

#[test]
fn health_stays_with_the_id_but_not_at_another_address() {
    let keys = |port: u16| {
        let health = "health = { type = \"tcp\", unhealthy = 1 }";
        format!("nodes = [\"127.0.0.1:2\", {{ id = \"n0\", address = \"127.0.0.1:{port}\" }}]\n{health}")
    };
    let mut scene = Scene::new(&keys(1));
    (0..2).for_each(|node| scene.check(node, node == 0));
    scene.reload(&keys(1));
    assert_eq!(scene.states(), ["up", "down"]);
    scene.reload(&keys(3));
    assert_eq!(scene.shown(1).state, "down", "as a new node: not checked yet");
    scene.check(1, true);
    assert_eq!(scene.states(), ["up", "up"]);
}
