//! Numbers: what somebody dialled becomes one thing — E.164, RFC 3966 (tel), RFC 5031 (emergency services).
//!
//! ```text
//! 0155 501-98 ─┐                ┌─▶ +33155501980   an account, or a trunk with its class and tariff
//! 98, *97      ├─▶ Plan ──▶ ────┼─▶ sip:bob@…      an extension, a short code, a direct number
//! 112, urn:…   ┘                └─▶ 112            an emergency number
//! ```

mod config;
pub(crate) mod enum_record;
mod money;
mod plan;
mod tariff;

pub(crate) use config::KEYS;
pub use config::{NumberConfig, TariffConfig};
pub use money::Money;
pub use plan::{Dialled, Plan, sos};
pub use tariff::{Class, Rate, Tariff};
