//! `cargo +nightly fuzz run check`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::checks(text));
