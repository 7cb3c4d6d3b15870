//! A client's stream, cut where the first byte says.

#![no_main]

#[path = "promises.rs"]
mod promises;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| promises::xml(bytes));
