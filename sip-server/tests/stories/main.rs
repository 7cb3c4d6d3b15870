//! Stories of the call server: phones and carriers that speak raw SIP to a server on free ports.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

#[path = "../../../tests/conformance/mod.rs"]
mod conformance;
#[path = "../../../tests/support/dns.rs"]
mod dns;

mod calls;
mod certificates;
mod challenges;
mod common;
mod cost;
mod devices;
mod domains;
mod ended;
mod federation;
mod forking;
mod guard;
mod hep;
mod identity;
mod in_dialog;
mod limits;
mod numbers;
mod preferences;
mod push;
mod reg_event;
mod registrations;
mod relays;
mod rooms;
mod same_call_id;
mod sips;
mod stir;
mod suspension;
mod telephony;
mod torture;
mod trunk_flows;
mod trunks;
mod voicemail;
