//! Fuzzes headers of the PROXY protocol: see `bascule_fuzz::proxy_protocol`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::proxy_protocol::holds(data));
