//! Stories of the conference: phones, browsers and rooms around a focus on free ports.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

mod again;
mod announcements;
mod answers;
mod bodies;
mod calls;
mod families;
mod focus;
mod handshakes;
mod house;
mod log;
mod media;
mod moderation;
mod pauses;
mod pictures;
mod recording;
mod referrals;
mod video;
mod voicemail;
mod watching;
