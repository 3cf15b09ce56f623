//! Placeholder until the module lands.

/// See the module.
#[derive(Debug)]
pub struct Use;
