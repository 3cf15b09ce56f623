//! Bascule: an edge gateway that hands every decision to sandboxed WebAssembly plugins.
//!
//! The request path is [`proxy`], the control path is `control`; they meet in `snapshot` and `node`.

pub mod http;
