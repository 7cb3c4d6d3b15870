//! Stories of the timeline: facts in, entries out.

#![expect(clippy::unwrap_used, reason = "a test says what it finds by failing")]

mod house;
mod timeline;
