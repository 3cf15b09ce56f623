//! Fuzzes cookies and session tokens: see `bascule_fuzz::session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::session::holds(data));
