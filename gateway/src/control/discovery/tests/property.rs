//! Whatever a registry does: no empty set is handed on before its time, and a node stays itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::board::Board;
use super::super::provider::Sets;
use super::super::schema::{BadEntry, NodeSet};
use super::super::supervise::Supervisor;
use super::super::{Found, tests};
use crate::control::attempt::Prepared;
use crate::control::build;
use crate::control::tests::Site;
use crate::name::Name;
use crate::node::NodeSpec;
use crate::snapshot::Snapshot;

const PATIENCE: Duration = Duration::from_secs(10);

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// The registry tells these nodes: ids, ports and weights.
    Tell(BTreeMap<u8, (u16, u32)>),
    /// It says that there are none.
    Nothing,
    /// It tells what cannot be used.
    Garbage,
    /// It is lost, and connected to again.
    Lose,
    /// So many seconds pass.
    Pass(u64),
    /// The configuration is built anew.
    Reload,
    /// The pool's task is another one: its table was changed.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let nodes = proptest::collection::btree_map(0_u8..6, (1_u16..4, 1_u32..3), 1..5);
    prop_oneof![
        4 => nodes.prop_map(Step::Tell),
        3 => Just(Step::Nothing),
        1 => Just(Step::Garbage),
        1 => Just(Step::Lose),
        4 => (1_u64..12).prop_map(Step::Pass),
        1 => Just(Step::Reload),
        1 => Just(Step::Restart),
    ]
}

/// The configuration, tried once for all cases.
static PREPARED: LazyLock<Mutex<Prepared>> = LazyLock::new(|| {
    let site = Site::new(tests::POOL);
    Mutex::new(site.builder().unwrap().0.current().clone())
});

/// A pool's task with its registry, and the snapshot that comes of it.
struct Scene {
    prepared: Prepared,
    board: Board,
    supervisor: Supervisor,
    sets: Sets,
    now: Instant,
    found: Arc<[NodeSpec]>,
    snapshot: Snapshot,
    /// Since when the registry says, on one connection, that there is no node.
    empty_since: Option<Instant>,
}

impl Scene {
    fn new() -> Scene {
        let prepared = PREPARED.lock().unwrap().clone();
        let board = Board::new(std::time::Instant::now());
        let (supervisor, sets) = task(&board, Arc::default());
        let snapshot = build::snapshot(&prepared, &Found::new(), None);
        let (now, found) = (Instant::now(), Arc::default());
        Scene { prepared, board, supervisor, sets, now, found, snapshot, empty_since: None }
    }

    fn play(&mut self, step: &Step) {
        let name: Name = "p".parse().unwrap();
        match step {
            Step::Tell(nodes) => {
                let node =
                    |(id, (port, weight)): (&u8, &(u16, u32))| tests::node(&format!("n{id}"), *port, *weight);
                self.empty_since = None;
                self.sets.publish(tests::set(&nodes.iter().map(node).collect::<Vec<_>>()));
            }
            Step::Nothing => {
                self.empty_since.get_or_insert(self.now);
                self.sets.publish(NodeSet::default());
            }
            Step::Garbage => {
                self.empty_since = None;
                let bad = BadEntry { key: "x".to_owned(), why: "it is no JSON".to_owned() };
                self.sets.publish(NodeSet { nodes: Vec::new(), bad: vec![bad] });
            }
            Step::Lose => {
                self.empty_since = None;
                self.sets.lost();
                self.look();
                self.sets.begin();
            }
            Step::Pass(seconds) => self.now += Duration::from_secs(*seconds),
            Step::Reload => {
                let found = Found::from([(name, Arc::clone(&self.found))]);
                let snapshot = build::snapshot(&self.prepared, &found, Some(&self.snapshot));
                self.take_over(snapshot);
            }
            Step::Restart => {
                self.empty_since = None;
                (self.supervisor, self.sets) = task(&self.board, Arc::clone(&self.found));
            }
        }
        self.look();
    }

    fn look(&mut self) {
        let newest = self.sets.subscribe().borrow().clone();
        let Some(nodes) = self.supervisor.look(&newest, self.now) else { return };
        let stood = self.empty_since.is_some_and(|since| self.now - since >= PATIENCE);
        assert!(!nodes.is_empty() || self.found.is_empty() || stood, "an empty set before its time");
        let ids: BTreeSet<_> = nodes.iter().map(|node| &node.id).collect();
        let addresses: BTreeSet<_> = nodes.iter().map(|node| node.address).collect();
        assert_eq!((ids.len(), addresses.len()), (nodes.len(), nodes.len()), "each id and address once");
        self.found = nodes;
        let name = "p".parse().unwrap();
        let snapshot = build::with_found(&self.snapshot, &self.prepared, &name, &self.found).unwrap();
        self.take_over(snapshot);
    }

    /// Another snapshot rules: who is still there is the same node.
    fn take_over(&mut self, snapshot: Snapshot) {
        let (before, after) = (&self.snapshot.pools[0].nodes, &snapshot.pools[0].nodes);
        for node in after.iter() {
            if let Some(same) = before.iter().find(|same| same.spec.id == node.spec.id) {
                assert!(Arc::ptr_eq(&same.live, &node.live), "{} forgot what it was", node.spec.id);
            }
        }
        let shown: Vec<&NodeSpec> = after.iter().map(|node| &node.spec).collect();
        assert_eq!(shown, self.found.iter().collect::<Vec<_>>());
        self.snapshot = snapshot;
    }
}

/// A task that is connected.
fn task(board: &Board, known: Arc<[NodeSpec]>) -> (Supervisor, Sets) {
    let supervisor = tests::supervisor(board, known);
    let sets = Sets::new(board.row(&"p".parse().unwrap(), "file"));
    sets.begin();
    (supervisor, sets)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_empty_set_before_its_time_and_nodes_stay_themselves(steps in proptest::collection::vec(step(), 1..40)) {
        let mut scene = Scene::new();
        for step in &steps {
            scene.play(step);
        }
        // And in the end what stands is believed.
        scene.play(&Step::Tell(BTreeMap::from([(0, (1, 1)), (1, (2, 2))])));
        prop_assert_eq!(scene.found.len(), 2);
        scene.play(&Step::Nothing);
        prop_assert_eq!(scene.found.len(), 2);
        scene.play(&Step::Pass(10));
        prop_assert!(scene.found.is_empty());
    }
}
