//! Active checks, ejections, panic, slow start and tiers.

use super::*;
use AttemptResult::{Failed, Ok as Good, ServerError, Unreachable};

#[test]
fn failures_in_a_row_eject_and_a_good_answer_between_them_does_not() {
    let mut scene = Scene::of(4);
    scene.attempts(0, 4, ServerError);
    scene.attempts(0, 1, Good);
    scene.attempts(0, 4, Failed);
    assert_eq!(scene.weights(), [1000; 4]);
    scene.attempts(0, 1, ServerError);
    assert_eq!(scene.weights(), [0, 1000, 1000, 1000]);
    assert_eq!((scene.shown(0).state, scene.shown(0).ejections["failures"]), ("ejected", 1));
    scene.attempts(1, 2, Unreachable);
    assert_eq!(scene.states(), ["ejected", "up", "up", "up"]);
    scene.attempts(1, 1, Unreachable);
    assert_eq!(scene.states(), ["ejected", "ejected", "up", "up"], "three failures to connect are enough");
    assert_eq!(scene.shown(1).ejections["connect_failures"], 1);
}

#[test]
fn it_comes_back_on_trial_with_a_small_share_and_its_first_failure_sends_it_out_for_longer() {
    let mut scene = Scene::of(4);
    scene.attempts(0, 5, ServerError);
    scene.pass(10 * SECOND - LOOK);
    assert_eq!(scene.states()[0], "ejected");
    scene.pass(LOOK);
    assert_eq!((scene.states()[0], scene.weights()[0]), ("starting", 100));
    scene.attempts(0, 1, ServerError);
    assert_eq!((scene.states()[0], scene.shown(0).ejections["trial"]), ("ejected", 1));
    scene.pass(19 * SECOND);
    assert_eq!(scene.states()[0], "ejected", "twice as long");
    scene.pass(SECOND);
    assert_eq!(scene.states()[0], "starting");
    scene.pass(60 * SECOND);
    assert_eq!(
        (scene.states()[0], scene.weights()[0]),
        ("starting", 1000),
        "nobody asked it: still on trial"
    );
    scene.attempts(0, 5, Good);
    assert_eq!(scene.states()[0], "up");
    scene.attempts(0, 1, ServerError);
    assert_eq!(scene.states()[0], "up", "the trial is over");
}

#[test]
fn requests_from_before_do_not_count_on_trial() {
    let mut scene = Scene::of(4);
    let mut late = scene.hang(0);
    scene.attempts(0, 5, ServerError);
    scene.pass(10 * SECOND);
    late.observe(scene.now, Failed);
    scene.look();
    assert_eq!(scene.states()[0], "starting");
}

#[test]
fn at_most_half_of_a_pool_is_taken_out() {
    let mut scene = Scene::of(5);
    (0..5).for_each(|node| scene.attempts(node, 50, ServerError));
    assert_eq!(scene.weights(), [0, 0, 1000, 1000, 1000]);
    let mut alone = Scene::of(1);
    alone.attempts(0, 50, ServerError);
    assert_eq!(alone.weights(), [1000], "there is no other");
    let mut two = Scene::of(2);
    (0..2).for_each(|node| two.attempts(node, 50, Unreachable));
    assert_eq!(two.weights(), [0, 1000]);
    let mut capped = Scene::new(&format!("{}\noutlier = {{ max_ejected = 0 }}", nodes(4)));
    capped.attempts(0, 50, ServerError);
    assert_eq!(capped.weights(), [1000; 4]);
    let mut off = Scene::new(&format!("{}\noutlier = \"off\"", nodes(4)));
    off.attempts(0, 50, ServerError);
    assert_eq!(off.weights(), [1000; 4]);
}

#[test]
fn nodes_that_checks_took_out_count_for_the_cap() {
    let mut scene = Scene::new(&format!("{}\nhealth = {{ type = \"tcp\", unhealthy = 1 }}", nodes(4)));
    (0..4).for_each(|node| scene.check(node, node > 1));
    scene.attempts(2, 50, ServerError);
    assert_eq!(scene.states(), ["down", "down", "up", "up"]);
}

/// One request waits at node 0 while node 2 answers, for so many looks.
fn hang_for(scene: &mut Scene, looks: u32) -> InFlight {
    let waiting = scene.hang(0);
    for _ in 0..looks {
        scene.pass(LOOK);
        scene.attempts(2, 1, Good);
    }
    waiting
}

#[test]
fn a_node_that_says_nothing_when_it_is_asked_is_taken_out_and_lets_go_of_what_waits() {
    let mut scene = Scene::of(3);
    let waiting = hang_for(&mut scene, 2);
    assert!(scene.pool.questions.is_empty(), "it is asked after half of the time");
    drop(hang_for(&mut scene, 1));
    let [question] = &scene.pool.questions[..] else { panic!("{:?}", scene.pool.questions) };
    assert_eq!((&*question.node, question.patience), ("n0", 250 * MILLI));
    let asked = question.asked;
    scene.pass(250 * MILLI);
    assert!(scene.states() == ["up"; 3] && !waiting.is_forsaken());
    scene.pool.is_silent("n0", asked, scene.now);
    scene.look();
    assert_eq!((scene.states(), scene.shown(0).ejections["silence"]), (vec!["ejected", "up", "up"], 1));
    assert!(waiting.is_forsaken());
    scene.pass(10 * SECOND);
    assert!(!scene.hang(0).is_forsaken(), "it began later");
}

#[test]
fn a_node_that_answers_is_asked_again_after_a_while_only() {
    let mut scene = Scene::of(3);
    let mut waiting = hang_for(&mut scene, 3);
    let asked = scene.pool.questions.pop().unwrap().asked;
    // It answers the question; the request waits on.
    let more = hang_for(&mut scene, 40);
    assert!(scene.pool.questions.is_empty());
    drop(hang_for(&mut scene, 10));
    assert_eq!(scene.pool.questions.len(), 1);
    waiting.observe(scene.now, Good);
    scene.look();
    scene.pool.is_silent("n0", asked, scene.now);
    scene.look();
    assert_eq!(scene.states()[0], "up", "it has answered since");
    drop(more);
}

#[test]
fn on_trial_a_silent_node_is_not_asked() {
    let mut scene = Scene::of(3);
    scene.attempts(0, 5, Failed);
    scene.pass(10 * SECOND);
    let waiting = hang_for(&mut scene, 4);
    assert_eq!(scene.states()[0], "starting");
    drop(hang_for(&mut scene, 1));
    assert_eq!((scene.states()[0], scene.shown(0).ejections["trial"]), ("ejected", 1));
    assert!(waiting.is_forsaken() && scene.pool.questions.is_empty());
}

#[test]
fn a_pool_that_is_silent_as_a_whole_or_slow_anyway_is_left_alone() {
    let mut scene = Scene::of(3);
    let waiting: Vec<_> = (0..9).map(|number| scene.hang(number % 3)).collect();
    scene.pass(20 * SECOND);
    assert!(scene.pool.questions.is_empty());
    drop(waiting);
    (0..3).for_each(|node| scene.nodes[node].begin(scene.now - 2 * SECOND).observe(scene.now, Good));
    let _waiting: Vec<_> = (0..3).map(|_| scene.hang(0)).collect();
    scene.pass(9 * SECOND);
    scene.attempts(1, 1, Good);
    assert!(scene.pool.questions.is_empty(), "it takes two seconds for anything");
}

#[test]
fn a_node_with_a_worse_share_of_good_answers_is_taken_out() {
    let mut scene = Scene::of(4);
    for second in 0..10 {
        for node in 0..4 {
            scene.attempts(node, 6, Good);
        }
        // Never five in a row.
        scene.attempts(3, 4, ServerError);
        scene.attempts(3, 1, Good);
        scene.attempts(3, 4, ServerError);
        scene.pass(SECOND);
        if second == 1 {
            assert_eq!(scene.states(), ["up"; 4], "too few attempts to tell");
        }
    }
    assert_eq!(scene.states(), ["up", "up", "up", "ejected"]);
    assert_eq!(scene.shown(3).ejections["success_rate"], 1);
}

#[test]
fn a_node_that_is_much_slower_is_taken_out_if_one_wants_that() {
    let slow = |scene: &mut Scene| {
        for _ in 0..60 {
            for node in 0..4 {
                let length = if node == 2 { 900 * MILLI } else { 5 * MILLI };
                scene.nodes[node].begin(scene.now - length).observe(scene.now, Good);
            }
        }
        scene.pass(2 * SECOND);
    };
    let mut scene = Scene::new(&format!("{}\noutlier = {{ latency = 10 }}", nodes(4)));
    slow(&mut scene);
    assert_eq!(scene.states(), ["up", "up", "ejected", "up"]);
    let mut scene = Scene::of(4);
    slow(&mut scene);
    assert_eq!(scene.states(), ["up"; 4], "policies avoid it anyway");
}

#[test]
fn checks_take_a_node_out_and_bring_it_back_slowly() {
    let health = "health = { path = \"/healthz\", unhealthy = 2, healthy = 2 }\nslow_start = \"10s\"";
    let mut scene = Scene::new(&format!("{}\n{health}", nodes(3)));
    assert_eq!(scene.weights(), [1000; 3], "nobody was checked: all serve");
    (0..3).for_each(|node| scene.check(node, true));
    assert_eq!(scene.weights(), [1000; 3], "and nobody starts slowly");
    (0..2).for_each(|_| scene.check(0, false));
    assert_eq!((scene.states()[0], scene.weights()[0]), ("down", 0));
    (0..2).for_each(|_| scene.check(0, true));
    assert_eq!((scene.states()[0], scene.weights()[0]), ("starting", 100));
    scene.pass(5 * SECOND);
    assert_eq!(scene.weights()[0], 550);
    scene.pass(5 * SECOND);
    assert_eq!((scene.states()[0], scene.weights()[0]), ("up", 1000));
}

#[test]
fn a_node_that_was_ejected_comes_back_only_if_its_checks_agree() {
    let mut scene = Scene::new(&format!("{}\nhealth = {{ type = \"tcp\", unhealthy = 1 }}", nodes(3)));
    (0..3).for_each(|node| scene.check(node, true));
    scene.attempts(0, 5, Failed);
    scene.check(0, false);
    scene.pass(60 * SECOND);
    assert_eq!(scene.states()[0], "down");
    scene.check(0, true);
    assert_eq!((scene.states()[0], scene.weights()[0]), ("starting", 100));
}

#[test]
fn a_new_node_is_a_candidate_after_its_first_check_and_begins_slowly() {
    let keys = |count| format!("{}\nhealth = {{ type = \"tcp\" }}\nslow_start = \"10s\"", nodes(count));
    let mut scene = Scene::new(&keys(2));
    (0..2).for_each(|node| scene.check(node, true));
    scene.reload(&keys(3));
    assert_eq!(scene.weights(), [1000, 1000, 0]);
    scene.pass(5 * SECOND);
    scene.check(2, true);
    assert_eq!(scene.weights(), [1000, 1000, 100]);
    let mut scene = Scene::new(&format!("{}\nslow_start = \"10s\"", nodes(1)));
    scene.reload(&format!("{}\nslow_start = \"10s\"", nodes(2)));
    assert_eq!(scene.weights(), [1000, 100], "without checks at once");
}

#[test]
fn when_too_few_are_healthy_all_are_used() {
    let mut scene = Scene::new(&format!("{}\nhealth = {{ type = \"tcp\", unhealthy = 1 }}", nodes(3)));
    (0..3).for_each(|node| scene.check(node, node == 0));
    assert_eq!((scene.weights(), scene.pool.in_panic, scene.pool.panics), (vec![1000; 3], true, 1));
    assert_eq!(scene.states(), ["up", "down", "down"]);
    scene.pass(SECOND);
    scene.check(1, true);
    assert_eq!((scene.weights(), scene.pool.in_panic, scene.pool.panics), (vec![1000, 1000, 0], false, 1));
}

#[test]
fn a_later_tier_is_used_as_far_as_it_is_needed_and_stands_in_reserve() {
    let keys = "nodes = [\"127.0.0.1:1\", \"127.0.0.1:2\", { address = \"127.0.0.1:3\", tier = 1 }]\n\
                health = { type = \"tcp\", unhealthy = 1 }";
    let mut scene = Scene::new(keys);
    assert_eq!(scene.weights(), [1000, 1000, 0]);
    (0..3).for_each(|node| scene.check(node, node != 0));
    assert_eq!(scene.weights(), [0, 1000, 429], "half of the tier takes 70 %");
    scene.check(1, false);
    assert_eq!(scene.weights(), [0, 0, 1000]);
    assert!(!scene.pool.in_panic);
}

/// The bench's scene: 11 nodes, 1,000 requests a second for 30 s by weight alone, one node answers 500 at once.
#[test]
fn a_node_that_fails_at_once_gets_less_than_a_thousandth_of_the_attempts() {
    let mut scene = Scene::of(11);
    let mut random = fastrand::Rng::with_seed(7);
    let mut to_the_bad_one = 0;
    for milli in 1..=30_000 {
        scene.now += MILLI;
        let weights = scene.weights();
        let mut draw = random.u32(0..weights.iter().sum());
        let picked = weights.iter().position(|&weight| {
            let hit = draw < weight;
            draw = draw.saturating_sub(weight);
            hit
        });
        let picked = picked.unwrap();
        to_the_bad_one += u32::from(picked == 0);
        scene.attempt(picked, if picked == 0 { ServerError } else { Good });
        // The bell would ring at once; ten times a second is the worst that can be.
        if milli % 100 == 0 {
            scene.look();
        }
    }
    assert!(to_the_bad_one <= 30, "{to_the_bad_one} of 30,000");
}
