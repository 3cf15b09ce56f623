//! What went wrong in a store, be it of sessions or of shared values.

use std::fmt;

use crate::host::{sessions, shared};

/// A store did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It did not answer in time.
    Unavailable,
    /// It took no more, or what it was given is longer than it takes.
    Refused,
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unavailable => "the store did not answer in time",
            Self::Refused => "the store refused the value",
        })
    }
}

impl std::error::Error for StoreError {}

impl From<sessions::StoreError> for StoreError {
    fn from(error: sessions::StoreError) -> Self {
        match error {
            sessions::StoreError::Unavailable => Self::Unavailable,
            sessions::StoreError::Refused => Self::Refused,
        }
    }
}

impl From<shared::StoreError> for StoreError {
    fn from(error: shared::StoreError) -> Self {
        match error {
            shared::StoreError::Unavailable => Self::Unavailable,
            shared::StoreError::Refused => Self::Refused,
        }
    }
}
