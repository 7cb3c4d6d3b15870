//! Headers — RFC 3261 §20, §25.1: their names, and the typed reading of the values that we act on.
//!
//! A typed reading borrows from the message and is done when somebody asks; what nobody asks about is never read.

mod auth;
mod elements;
mod name;
mod name_addr;
mod params;
mod via;

pub use auth::{AuthParams, quote};
pub use elements::Elements;
pub use name::Name;
pub use name_addr::NameAddr;
pub use params::Params;
pub use via::Via;

/// Reads a CSeq (§20.16): a number below 2³¹ and a method.
pub fn cseq(value: &str) -> Option<(u32, &str)> {
    let (number, method) = value.trim().split_once(|c: char| c.is_ascii_whitespace())?;
    let number: u32 = number.parse().ok()?;
    let method = method.trim();
    let is_method = !method.is_empty() && method.bytes().all(crate::message::is_token_byte);
    (number < 1 << 31 && is_method).then_some((number, method))
}
