//! What plugins decide and edit, and that their faults never cost a request that a policy was asked for.

mod containment;
mod faults;
mod files;
mod quarantine;
mod rate_limit;
mod rewrite;
mod routers;
mod safety;
mod waiting;
