//! Stores: what outlives a plugin's instance, and where it can, this process.
//!
//! [`sessions`] bind clients to nodes, [`shared`] keeps small values, [`leases`] nodes that registered. A store answers at once or has to be asked elsewhere
//! ([`Now`]), and then a worker awaits the answer: nothing in here blocks. It knows neither plugins nor nodes nor the
//! configuration.

pub mod leases;
pub mod redis;
pub mod sessions;
pub mod shared;

pub use sessions::{Binding, Owner, Sessions};
pub use shared::{Scope, Shared, Space};

/// Why a store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be asked now.
    #[error("the store cannot be asked")]
    Unavailable,
    /// It does not take this: it is too long, too much, or no number.
    #[error("the store does not take this")]
    Refused,
}

/// What is known without waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now<T> {
    /// This.
    Known(T),
    /// Nothing: the store has to be asked.
    Ask,
}
