//! A message: parsed, printed, changed as a proxy does and answered.

#![no_main]

#[path = "../../tests/conformance/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::message(bytes));
