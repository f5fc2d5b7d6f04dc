//! `cargo +nightly fuzz run words`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::reads_words(text));
