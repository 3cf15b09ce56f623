//! Write plugins for the Bascule gateway in Rust.
//!
//! A plugin is a type that plays one or more roles: it picks the node that serves a request ([`Balancer`]), edits
//! requests and responses ([`Filter`]), chooses the pool ([`Router`]), learns from what happened ([`Observer`]) or
//! acts between requests ([`Timer`]). It runs as WebAssembly inside the gateway, sandboxed: whatever it does, the
//! gateway stays up.
//!
//! # Your first policy in five minutes
//!
//! [`first_policy`] goes through all of it. In short: `bascule plugin new two-choices` makes a crate with this in
//! `src/lib.rs`,
//!
//! ```
//! use bascule_plugin::prelude::*;
//!
//! /// Of two random candidates, the one with fewer requests in flight for its weight.
//! struct TwoChoices;
//!
//! impl Balancer for TwoChoices {
//!     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
//!         nodes.two_random().min_by(|node| node.load()).into()
//!     }
//! }
//! bascule_plugin::export!(TwoChoices: balancer);
//! # fn main() {}
//! ```
//!
//! `cargo test` runs it natively, against the doubles in [`testing`],
//!
//! ```
//! # use bascule_plugin::prelude::*;
//! # struct TwoChoices;
//! # impl Balancer for TwoChoices {
//! #     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
//! #         nodes.two_random().min_by(|node| node.load()).into()
//! #     }
//! # }
//! use bascule_plugin::testing::{Picked, PolicyTest, request};
//!
//! let mut test = PolicyTest::new(TwoChoices)
//!     .node("busy", |node| node.in_flight(3))
//!     .node("idle", |node| node);
//! assert_eq!(test.pick(&request("GET", "/")), Picked::Node("idle"));
//! ```
//!
//! a [simulation](testing::simulation) judges it before it is live, with thousands of requests and nodes that are slow or hang,
//! and `cargo build --release --target wasm32-wasip1` makes the file that is dropped into the gateway's plugin folder while
//! it runs. The file's name is the plugin's: `policy = "two-choices"` in a pool's table makes it that pool's policy.
//! `wasm32-wasip2` works as well.
//!
//! # Configuration
//!
//! A plugin with keys also plays [`Lifecycle`], which makes the instance from the use's `config`:
//!
//! ```
//! use bascule_plugin::prelude::*;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     header: String,
//! }
//!
//! struct Tagged {
//!     header: String,
//! }
//!
//! impl Lifecycle for Tagged {
//!     type Config = Config;
//!
//!     fn configure(config: Config) -> Result<Self, String> {
//!         Ok(Self { header: config.header })
//!     }
//! }
//!
//! impl Filter for Tagged {
//!     fn on_request(&mut self, request: &mut RequestMut) -> Verdict {
//!         match request.set_header(&self.header, "1") {
//!             Ok(()) => Verdict::GoOn,
//!             Err(why) => Answer::new(500).body(why.to_string()).into(),
//!         }
//!     }
//! }
//! bascule_plugin::export!(Tagged: lifecycle, filter);
//! # fn main() {}
//! ```
//!
//! # What to know
//!
//! - A call has a deadline of about a millisecond and a cap on memory. A policy that faults gives way to the next
//!   one; a filter follows its `on_fault`.
//! - Each question to the gateway is a call of some 50 ns: ask once, keep the answer in a variable, and do not list
//!   all nodes where a sample does.
//! - An instance's fields are a cache. Each worker has its own, and any may be lost at any time.

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[allow(missing_docs, reason = "generated from the contract, which documents it")]
pub mod bindings;
pub mod clock;
mod config;
pub mod duration;
mod export;
pub mod first_policy;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod glue;
mod host;
pub mod log;
pub mod metrics;
mod nodes;
mod outcome;
pub mod random;
mod request;
mod response;
mod roles;
pub mod sessions;
pub mod shared;
pub mod spare;
mod store;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod value;

pub use nodes::{Candidates, Node, Nodes, ZoneWeights};
pub use outcome::Outcome;
pub use request::{Refused, Request, RequestMut};
pub use response::{Answer, Response, ResponseMut};
pub use roles::{
    Balancer, Choice, Decision, Filter, Lifecycle, NoConfig, Observer, Router, Schedule, Scope, Timer,
    Verdict,
};
pub use store::StoreError;
pub use value::Value;

/// The version of this SDK, which is stamped into each plugin as the custom section `bascule-sdk`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The stamp itself.
#[doc(hidden)]
pub const STAMP: [u8; VERSION.len()] = *VERSION.as_bytes().first_chunk().expect("the length is its own");

/// What a plugin needs, in one line: `use bascule_plugin::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Answer, Balancer, Choice, Decision, Filter, Lifecycle, NoConfig, Node, Nodes, Observer, Outcome,
        Refused, Request, RequestMut, Response, ResponseMut, Router, Schedule, Scope, StoreError, Timer,
        Value, Verdict, clock, log, metrics, random, sessions, shared, spare,
    };
    pub use serde::Deserialize;
}
