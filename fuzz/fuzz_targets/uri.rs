//! What stands in headers: URIs, addresses, Via, credentials, parameters, numbers.

#![no_main]

#[path = "../../tests/conformance/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::uri(bytes));
