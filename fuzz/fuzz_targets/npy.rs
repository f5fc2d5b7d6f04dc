//! `cargo +nightly fuzz run npy`; without nightly see fuzz/README.md.

#![no_main]

#[allow(dead_code)]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::npy_file(bytes));
