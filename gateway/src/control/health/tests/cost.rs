//! What a large pool costs control: `cargo test -p bascule --release --lib cost -- --ignored --nocapture`.

use super::*;

/// The mean of some runs.
fn mean(runs: u32, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..runs).for_each(|_| run());
    start.elapsed() / runs
}

#[test]
#[ignore = "it measures"]
#[allow(clippy::print_stderr, reason = "it shows what it measured")]
fn what_a_look_and_a_publication_of_a_thousand_nodes_cost() {
    let mut scene = Scene::of(1000);
    let look = mean(200, || {
        scene.now += LOOK;
        scene.look();
    });
    let mut out = false;
    let publication = mean(50, || {
        out = !out;
        let now = scene.now;
        match out {
            true => scene.pool.members[0].begin_drain(super::super::member::By::Operator, SECOND, now),
            false => scene.pool.undrain(0, now),
        }
        scene.look();
    });
    eprintln!("a look: {look:?}, a look and another list: {publication:?}");
    assert!(look < LOOK && publication < LOOK, "{look:?}, {publication:?}");
}
