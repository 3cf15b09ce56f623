//! Fuzzes responses of nodes: see `bascule_fuzz::response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::response::holds(data));
