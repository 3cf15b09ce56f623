//! path-router
