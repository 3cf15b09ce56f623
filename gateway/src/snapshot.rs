//! The immutable tables that a request reads. No I/O and no async here.

pub mod routes;
