//! Stories of the HTTPS face: clients, people and machines that ask a server on a free port.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

mod api;
mod astray;
mod audit;
mod bans;
mod common;
mod directory;
mod domains;
mod forgotten;
mod forms;
mod german;
mod guards;
mod https;
mod invites;
mod operator;
mod own_chat;
mod room_calls;
mod search;
mod tables;
mod voicemail;
mod web_client;
mod weight;
