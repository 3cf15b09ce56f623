//! What plugins decide and edit, and that their faults never cost a request that a policy was asked for.

mod faults;
mod files;
mod rewrite;
mod routers;
