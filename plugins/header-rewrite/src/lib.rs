//! header-rewrite
