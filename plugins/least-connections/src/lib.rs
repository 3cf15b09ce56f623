//! least-connections
