//! What every service runs on: configuration, one TLS policy, listeners, name servers, HTTP both ways, the bus, shutdown, telemetry.
//!
//! Nothing here knows a word of SIP, XMPP or conferencing.

pub mod bus;
pub mod config;
pub mod fetch;
pub mod http;
pub mod listen;
pub mod names;
mod network;
pub mod open_files;
mod redacted;
mod seldom;
mod shutdown;
pub mod telemetry;
pub mod tls;

use std::cell::RefCell;

pub use network::Network;
pub use redacted::Redacted;
pub use seldom::Seldom;
pub use shutdown::Shutdown;

/// The wall clock in milliseconds since 1970, for what is stored or shown. Deadlines use `Instant`.
pub fn unix_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(*byte));
    }
    text
}

/// A random number from the system's generator, for tags, branches and tokens. A thread draws some at once: to ask costs more than to
/// answer.
pub fn random() -> u64 {
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 8]>> = const { RefCell::new(Vec::new()) };
    }
    let drawn = DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.resize(AT_ONCE, [0; 8]);
            if aws_lc_rs::rand::fill(drawn.as_flattened_mut()).is_err() {
                drawn.clear();
            }
        }
        drawn.pop()
    });
    // The library fails only where no process could run; an address and the clock still differ between calls.
    drawn.map_or_else(|| unix_millis() as u64 ^ (&raw const drawn as u64), u64::from_ne_bytes)
}

/// Random numbers that a thread draws at once.
const AT_ONCE: usize = 32;
