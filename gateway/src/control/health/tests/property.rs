//! Whatever happens to a pool, the rules hold.

use proptest::prelude::*;

use super::super::member::By;
use super::*;

/// Something that may happen.
#[derive(Clone, Debug)]
enum Event {
    Attempts(usize, usize, AttemptResult),
    Hang(usize),
    Check(usize, bool),
    Drain(usize),
    Undrain(usize),
    Pass(u64),
}

const NODES: usize = 6;

fn event() -> impl Strategy<Value = Event> {
    let result = prop_oneof![
        Just(AttemptResult::Ok),
        Just(AttemptResult::ServerError),
        Just(AttemptResult::Unreachable),
        Just(AttemptResult::Failed)
    ];
    prop_oneof![
        (0..NODES, 1..8_usize, result).prop_map(|(node, count, result)| Event::Attempts(node, count, result)),
        (0..NODES).prop_map(Event::Hang),
        (0..NODES, any::<bool>()).prop_map(|(node, is_good)| Event::Check(node, is_good)),
        (0..NODES).prop_map(Event::Drain),
        (0..NODES).prop_map(Event::Undrain),
        (1..20_000_u64).prop_map(Event::Pass),
    ]
}

/// What always holds.
fn rules_hold(scene: &Scene) -> Result<(), TestCaseError> {
    let pool = &scene.pool;
    let staying = || pool.members.iter().filter(|member| member.drain.is_none());
    for (member, weight) in pool.members.iter().zip(&pool.weights) {
        prop_assert!(*weight == 0 || member.drain.is_none(), "a draining node is elected");
        prop_assert!(*weight == 0 || pool.in_panic || !member.is_out(), "a node that is out is elected");
        prop_assert!(*weight > 0 || member.is_out() || member.drain.is_some(), "a node that is well is not");
        prop_assert!(*weight <= 1000);
    }
    if staying().next().is_some() {
        prop_assert!(pool.weights.iter().any(|weight| *weight > 0), "nobody serves");
    }
    let healthy = staying().filter(|member| !member.is_out()).count();
    prop_assert_eq!(pool.in_panic, healthy * 2 < staying().count());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rules_hold(events in proptest::collection::vec(event(), 1..60)) {
        let health = "health = { type = \"tcp\", unhealthy = 2, healthy = 2 }\nslow_start = \"3s\"\n\
                      outlier = { max_ejection = \"20s\" }";
        let mut scene = Scene::new(&format!("{}\n{health}", nodes(NODES)));
        let mut hanging = Vec::new();
        for event in events {
            let out = |scene: &Scene| scene.pool.members.iter().filter(|member| member.ejection.is_out()).count();
            let (before, now) = (out(&scene), scene.now);
            match event {
                Event::Attempts(node, count, result) => scene.attempts(node, count, result),
                Event::Hang(node) => hanging.push(scene.hang(node)),
                Event::Check(node, is_good) => scene.check(node, is_good),
                Event::Drain(node) => scene.pool.members[node].begin_drain(By::Operator, SECOND, now),
                Event::Undrain(node) if scene.pool.members[node].drain.is_some() => scene.pool.undrain(node, now),
                Event::Undrain(_) => {}
                Event::Pass(millis) => scene.pass(Duration::from_millis(millis)),
            }
            scene.look();
            rules_hold(&scene)?;
            let members = || scene.pool.members.iter().filter(|member| member.drain.is_none());
            let is_one_more = out(&scene) > before;
            prop_assert!(
                !is_one_more || members().filter(|member| member.is_out()).count() * 2 <= members().count().max(2),
                "more than half of the pool was taken out"
            );
        }
        // Whatever it was, it heals.
        hanging.clear();
        for node in 0..NODES {
            if scene.pool.members[node].drain.is_some() {
                let now = scene.now;
                scene.pool.undrain(node, now);
            }
            scene.attempts(node, 1, AttemptResult::Ok);
            (0..2).for_each(|_| scene.check(node, true));
        }
        scene.pass(21 * SECOND);
        (0..NODES).for_each(|node| scene.attempts(node, 5, AttemptResult::Ok));
        scene.pass(4 * SECOND);
        prop_assert_eq!(scene.states(), ["up"; NODES]);
    }
}
