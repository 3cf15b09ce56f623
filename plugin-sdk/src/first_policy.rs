//! Your first policy in five minutes: a page to read, with nothing in it to call.
//!
//! A policy is a plugin that picks the node for a request. This one sends a request to the zone that it asks for with the
//! header `x-zone`, and leaves all others to the policy behind it.
//!
//! # 1. A crate
//!
//! ```sh
//! bascule plugin new by-zone
//! cd by-zone
//! ```
//!
//! writes a policy of ten lines, its test, a README, and a copy of this SDK, so that the crate builds wherever it lies.
//!
//! # 2. The code
//!
//! This is all of `src/lib.rs`:
//!
//! ```
#![doc = include_str!("first_policy/by_zone.rs")]
//! # fn main() {}
//! ```
//!
//! A policy answers one of three: a node, no opinion ([`Choice::Abstain`](crate::Choice::Abstain)), or a status for the
//! client ([`Choice::Reject`](crate::Choice::Reject)). Whatever it does wrong costs no request: where it fails, takes too
//! long or names no candidate, the next policy picks, and at last the gateway itself.
//!
//! # 3. Test it
//!
//! `cargo test` runs it natively, in milliseconds: [`testing`](crate::testing) has doubles of nodes, requests, sessions,
//! time and chance.
//!
//! # 4. Build it, into a gateway that runs
//!
//! ```sh
//! rustup target add wasm32-wasip1
//! bascule plugin dev --config FILE    # the gateway's configuration
//! ```
//!
//! builds it now and at each save, puts `by_zone.wasm` into the gateway's plugin folder, and says what the gateway makes of
//! it. By hand it is `cargo build --release --target wasm32-wasip1` and `cp`.
//!
//! # 5. Use it
//!
//! The file's name is the plugin's, with dashes for underscores. In the gateway's configuration:
//!
//! ```toml
//! [pool.demo]
//! policy = ["by-zone", "least-connections"]
//! ```
//!
//! Nothing is restarted: the next request meets it.
//!
//! # 6. Look at it
//!
//! ```sh
//! bascule plugin inspect FILE    # roles, imports, memory, versions
//! bascule plugin check FILE      # all load checks, and calls with odd requests
//! bascule plugin bench FILE      # nanoseconds a call
//! ```
//!
//! # Keys of its own
//!
//! So far every zone comes from the header `x-zone`. With a configuration, its owner says which header it is: the type plays
//! [`Lifecycle`](crate::Lifecycle), which makes the instance from the `config` in the use's table.
//!
//! ```
//! use bascule_plugin::prelude::*;
//! use bascule_plugin::testing::{Picked, PolicyTest, json, request};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct ByZone {
//!     header: String,
//! }
//!
//! impl Lifecycle for ByZone {
//!     type Config = Self;
//!
//!     fn configure(config: Self) -> Result<Self, String> {
//!         Ok(config)
//!     }
//! }
//!
//! impl Balancer for ByZone {
//!     fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
//!         let Some(wanted) = request.header(&self.header) else {
//!             return Choice::Abstain;
//!         };
//!         let in_zone = |node: &Node| node.zone().is_some_and(|zone| wanted == zone.as_str());
//!         nodes.all().iter().find(in_zone).into()
//!     }
//! }
//!
//! bascule_plugin::export!(ByZone: lifecycle, balancer);
//!
//! # fn main() {
//! // As its test does it:
//! let mut test = PolicyTest::<ByZone>::configured(json!({ "header": "x-rack" }))
//!     .expect("the configuration is right")
//!     .node("node-a", |node| node.zone("a"));
//! assert_eq!(test.pick(&request("GET", "/").header("x-rack", "a")), Picked::Node("node-a"));
//! assert!(PolicyTest::<ByZone>::configured(json!({ "haeder": "x-rack" })).is_err());
//! # }
//! ```
//!
//! ```toml
//! [plugin.by-zone]
//! config = { header = "x-rack" }
//! ```
//!
//! (`serde` has to be among the crate's dependencies: `cargo add serde --features derive`.)
#![allow(
    clippy::test_attr_in_doctest,
    reason = "it shows a whole file; tests/first_policy.rs runs its tests"
)]
