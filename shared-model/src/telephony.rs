//! Trunks and the number plan, for whoever shows them to the operator.

use crate::{Aor, Pending, Unavailable};

/// A trunk as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkState {
    /// Its name here.
    pub name: String,
    /// Where calls go, as configured.
    pub server: String,
    /// Its addresses, as names were looked up last.
    pub addresses: Vec<String>,
    /// What the numbers begin with that it takes.
    pub prefixes: Vec<String>,
    /// Whether it takes emergency calls.
    pub takes_emergency: bool,
    /// The lowest is tried first.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// Whether it is thought to answer.
    pub is_up: bool,
    /// Whether its registrar knows us; `None` if we do not register there.
    pub is_registered: Option<bool>,
    /// Whether it is asked now and then whether it is up.
    pub is_probed: bool,
    /// When it answered last, in milliseconds since 1970.
    pub answered: Option<i64>,
    /// When it failed last, and how.
    pub failed: Option<(i64, String)>,
    /// Calls that went there, and that came from there, since the start.
    pub calls: (u64, u64),
}

/// Where something that is dialled leads, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRoute {
    /// What the plan makes of it.
    pub meaning: Meaning,
    /// The account of ours that it rings, if it is one's.
    pub account: Option<Aor>,
    /// Where the names of the telephone network lead (RFC 6116), as a SIP URI of another domain: then no trunk is tried.
    pub elsewhere: Option<String>,
    /// The trunks that take it, the first to be tried first, those that are down last.
    pub trunks: Vec<String>,
    /// What it costs, where it leads into the telephone network.
    pub price: Option<Price>,
    /// Whether the rules of whoever calls allow it.
    pub is_allowed: bool,
}

/// What was dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A number, E.164 with its plus.
    Number(String),
    /// An emergency number.
    Emergency(String),
    /// An account or a room, as a SIP URI.
    Ours(String),
    /// No number: a name, or digits that the plan does not know.
    Name,
}

/// What a call costs once it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// What kind of destination it is.
    pub class: String,
    /// For being answered.
    pub setup: String,
    /// For each minute.
    pub minute: String,
    /// Seconds that are charged at once.
    pub step: u32,
    /// The word after amounts.
    pub currency: String,
}

/// The number plan, each part by its name and what it says.
pub type Plan = Vec<(&'static str, Vec<String>)>;

/// Shows trunks and numbers. The proxy implements it; provisioning has pages for it.
pub trait Telephony: Send + Sync {
    /// Every trunk, in the order of their configuration.
    fn trunks(&self) -> Vec<TrunkState>;
    /// The number plan.
    fn plan(&self) -> Plan;
    /// Where something leads that an account dials, or anybody of ours.
    fn look_up<'a>(
        &'a self,
        dialled: &'a str,
        caller: Option<&'a Aor>,
    ) -> Pending<'a, Result<NumberRoute, Unavailable>>;
}
