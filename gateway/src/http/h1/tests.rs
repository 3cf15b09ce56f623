//! The codec against tables of messages: each row fed whole, split at every byte, and split at random.
#![allow(clippy::unwrap_used)]
