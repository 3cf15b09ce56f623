//! Doubles, so that `cargo test` runs a plugin natively: no wasm, no gateway.
//!
//! ```
//! use bascule_plugin::prelude::*;
//! use bascule_plugin::testing::{Picked, PolicyTest, request};
//!
//! struct TwoChoices;
//!
//! impl Balancer for TwoChoices {
//!     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
//!         nodes.two_random().min_by(|node| node.load()).into()
//!     }
//! }
//!
//! let mut test = PolicyTest::new(TwoChoices)
//!     .node("a", |node| node.in_flight(3))
//!     .node("b", |node| node.weight(2));
//! assert_eq!(test.pick(&request("GET", "/").header("x-user", "1")), Picked::Node("b"));
//! ```
//!
//! A test is a small world: nodes, sessions, shared values, a clock that stands still until it is told to
//! [`advance`](PluginTest::advance), and chance that is the same in each run ([`seed`](PluginTest::seed)).
//! What the plugin did is there to look at: edits and answers come back from the calls, logs and metrics stay
//! in the test. How a policy does under load, with queues and nodes that fail, is played by a [`Simulation`].

pub(crate) mod host;
mod message;
mod node;
mod plugin;
pub mod simulation;
mod soonest;
mod stores;
pub(crate) mod world;

pub use message::{TestRequest, TestResponse, request, response};
pub use node::TestNode;
pub use plugin::{FilterTest, Picked, PluginTest, PolicyTest, RequestSeen, ResponseSeen, Routed};
pub use serde_json::{Value as JsonValue, json};
pub use simulation::Simulation;
