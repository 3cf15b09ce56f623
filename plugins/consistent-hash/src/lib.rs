//! consistent-hash
