//! What stands on the other side of the contract: the gateway when the plugin is wasm, the test doubles
//! when it runs natively. Both sides have the same functions, so the SDK above is written once.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::imports::bascule::plugin::{
    log, metrics, nodes, outcome, reply, request, response, sessions, shared, spare,
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::host::{
    log, metrics, nodes, outcome, reply, request, response, sessions, shared, spare,
};
