//! Stories of the chat server: clients, peers and components that speak raw XML to a server on free ports.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

#[path = "../../../tests/support/dns.rs"]
mod dns;

mod access;
mod archive;
mod blocking;
mod bosh;
mod call_log;
mod callers;
mod carbons;
mod certificates;
mod clients;
mod commands;
mod common;
mod conversation;
mod domains;
mod erase;
mod fast;
mod federation;
mod floods;
mod guests;
mod halves;
mod login;
mod management;
mod messages;
mod own_certificates;
mod own_chat;
mod pubsub;
mod push;
mod races;
mod reads;
mod registration;
mod room_calls;
mod room_entry;
mod room_keeping;
mod room_outside;
mod room_owners;
mod room_rules;
mod rooms;
mod sasl2;
mod services;
mod shared_groups;
mod silence;
mod transfer;
mod upload;
mod voicemail;
mod websocket;
