//! Fuzzes heads between HTTP/2 and HTTP/1.1: see `bascule_fuzz::http2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bascule_fuzz::http2::holds(data));
