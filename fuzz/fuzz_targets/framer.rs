//! A stream, cut where the first bytes say.

#![no_main]

#[path = "../../tests/conformance/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::framer(bytes));
