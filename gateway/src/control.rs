//! The control path.
pub mod config;
