//! Fuzzes configuration files: see `bascule_fuzz::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::configuration::holds(data));
