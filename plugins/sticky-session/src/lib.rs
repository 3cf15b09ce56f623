//! sticky-session
