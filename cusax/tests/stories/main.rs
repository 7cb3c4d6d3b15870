//! The binary as its operators and their users meet it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

#[path = "../../../tests/conformance/mod.rs"]
mod conformance;

mod alone;
mod chat;
mod checked;
mod command;
#[cfg(target_os = "linux")]
mod hostile;
mod international;
mod metrics;
#[cfg(target_os = "linux")]
mod overload;
mod phone;
mod restart;
mod scenarios;
mod service;
mod told;
mod transcript;
