//! How a gateway changes its listeners, stops, and is replaced: under load, and without a request that fails.

mod listeners;
mod reloading;
mod stopping;
mod systemd;
mod upgrading;

/// All requests go to the node.
const ALL: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n";
