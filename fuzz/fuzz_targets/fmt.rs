//! `cargo +nightly fuzz run fmt`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::lays_out(text));
