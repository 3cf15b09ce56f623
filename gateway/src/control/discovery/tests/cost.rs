//! How long a change takes from a registry's word to the swap, with a thousand nodes: `cargo test --release -- --ignored
//! --nocapture a_change_among_a_thousand`.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::board::Board;
use super::super::provider::{Provider, Sets, Trouble};
use super::super::{Found, tests};
use crate::control::build;
use crate::control::health::Health;
use crate::control::tests::Site;
use crate::name::Name;
use crate::node::NodeSpec;

const NODES: u16 = 1000;
const CHANGES: u32 = 50;

/// Publishes what it is given, and says when.
struct Given {
    sets: UnboundedReceiver<Vec<NodeSpec>>,
    published: UnboundedSender<Instant>,
}

impl Provider for Given {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        async move {
            while let Some(nodes) = self.sets.recv().await {
                let set = tests::set(&nodes);
                self.published.send(Instant::now()).unwrap();
                sets.publish(set);
            }
            std::future::pending().await
        }
        .boxed()
    }
}

#[test]
#[ignore = "it measures"]
fn a_change_among_a_thousand_nodes_is_swapped_in_soon() {
    let site = Site::new(tests::POOL);
    let prepared = site.builder().unwrap().0.current().clone();
    let (name, now): (Name, _) = ("p".parse().unwrap(), Instant::now());
    let mut health = Health::new(now);
    let first = health.follow(build::snapshot(&prepared, &Found::new(), None), &prepared.config, now);
    let published = ArcSwap::from_pointee(first);
    let health = std::sync::Mutex::new(health);
    let (give, sets) = unbounded_channel();
    let (told, mut when) = unbounded_channel();
    let (swapped, mut done) = unbounded_channel();
    let given = std::sync::Mutex::new(Some(Given { sets, published: told }));
    let provider = || Ok(Box::new(given.lock().unwrap().take().unwrap()) as Box<dyn Provider>);
    // What the writer does with it.
    let hand_on = |nodes: Arc<[NodeSpec]>| {
        let next = build::with_found(&published.load(), &prepared, &name, &nodes).unwrap();
        let next = health.lock().unwrap().follow_pool(next, &name, &prepared.config, Instant::now());
        published.store(Arc::new(next));
        swapped.send(Instant::now()).unwrap();
        std::future::ready(())
    };
    let board = Board::new(now);
    let task = tests::supervisor(&board, Arc::default());
    let drive = async {
        let mut times = Vec::new();
        for change in 0..=CHANGES {
            let port = |number: u16| if number == 0 { 20_000 + change as u16 } else { number };
            let nodes = (0..NODES).map(|number| tests::node(&format!("n{number}"), port(number), 1));
            give.send(nodes.collect()).unwrap();
            let (from, to) = (when.recv().await.unwrap(), done.recv().await.unwrap());
            times.push((to - from).as_micros());
        }
        times.remove(0);
        times.sort_unstable();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!(
            "a change among {NODES} nodes is swapped in after {median} us (median of {CHANGES}; at most {last} us)"
        );
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = drive => {}
            () = task.run_with(provider, hand_on) => {}
        }
    });
}
