//! bascule
