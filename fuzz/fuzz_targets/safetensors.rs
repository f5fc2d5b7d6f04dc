//! `cargo +nightly fuzz run safetensors`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::safetensors_file(bytes));
