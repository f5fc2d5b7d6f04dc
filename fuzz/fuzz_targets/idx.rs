//! `cargo +nightly fuzz run idx`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::idx_file(bytes));
