//! bascule
pub mod cidr;
pub mod control;
pub mod name;
