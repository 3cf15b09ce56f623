//! Fuzzes the plain form of paths: see `bascule_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::path::holds(data));
