//! power-of-two
