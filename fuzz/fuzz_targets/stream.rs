//! A client's stream up to the bound resource and beyond, with the shell's answers from the first bytes.

#![no_main]

#[path = "promises.rs"]
mod promises;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| promises::stream(bytes));
