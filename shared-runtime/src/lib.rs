//! What every service runs on: configuration, one TLS policy, listeners, the bus, shutdown, telemetry.
//!
//! Nothing here knows a word of SIP, XMPP or conferencing.

pub mod bus;
pub mod config;
pub mod http;
pub mod listen;
mod redacted;
mod shutdown;
pub mod telemetry;
pub mod tls;

pub use redacted::Redacted;
pub use shutdown::Shutdown;

/// The wall clock in milliseconds since 1970, for what is stored or shown. Deadlines use `Instant`.
pub fn unix_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
