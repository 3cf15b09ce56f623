//! Fuzzes requests of HTTP/1.1, up to the bytes that a node gets: see `bascule_fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::request::holds(data));
