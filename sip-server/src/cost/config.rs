//! `[sip.cost]`.

use std::time::Duration;

use serde::Deserialize;
use shared_model::Aor;
use shared_runtime::config::Key;

use crate::numbers::{Class, Money};

/// `[sip.cost]`: who may call where, and what they are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CostConfig {
    /// The word after amounts. Default `EUR`.
    pub currency: String,
    /// Whether callers are told by chat what a call costs, before it rings. Default true.
    pub notice: bool,
    /// Classes whose calls are confirmed by chat before they ring. Default none.
    pub confirm: Vec<Class>,
    /// How long a confirmation is waited for. Default `30s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub confirm_within: Duration,
    /// Classes that may be called. Emergency calls are never refused. Default all but `premium`.
    pub allow: Vec<Class>,
    /// Whether callers hear it too, before it rings, and why a call is refused; where a call is confirmed, key 1 does it.
    /// Default false.
    pub announce: bool,
    /// Whether other SIP domains may be called. Default true.
    pub other_domains: bool,
    /// What an account may spend in a day (UTC). Default: no limit.
    pub per_day: Option<Money>,
    /// What an account may spend in a month (UTC). Default: no limit.
    pub per_month: Option<Money>,
    /// Charged calls of an account at once. Default 2.
    pub calls: usize,
    /// Other rules for some accounts. Default none.
    pub accounts: Vec<AccountCost>,
}

/// One of `[[sip.cost.accounts]]`: what it says counts instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountCost {
    /// The address of record, such as `alice@example.org`.
    pub account: String,
    /// See [`CostConfig::allow`].
    pub allow: Option<Vec<Class>>,
    /// See [`CostConfig::other_domains`].
    pub other_domains: Option<bool>,
    /// See [`CostConfig::confirm`].
    pub confirm: Option<Vec<Class>>,
    /// See [`CostConfig::per_day`].
    pub per_day: Option<Money>,
    /// See [`CostConfig::per_month`].
    pub per_month: Option<Money>,
    /// See [`CostConfig::calls`].
    pub calls: Option<usize>,
}

/// The rules of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules<'a> {
    pub(crate) allow: &'a [Class],
    pub(crate) other_domains: bool,
    pub(crate) confirm: &'a [Class],
    pub(crate) per_day: Option<Money>,
    pub(crate) per_month: Option<Money>,
    pub(crate) calls: usize,
}

/// Every key of `[sip.cost]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new("sip.cost.currency", "\"EUR\"", "the word after amounts"),
    Key::new("sip.cost.notice", "true", "callers are told by chat what a call costs, before it rings"),
    Key::new("sip.cost.confirm", "[]", "classes whose calls are confirmed by chat before they ring"),
    Key::new(
        "sip.cost.announce",
        "false",
        "callers hear it too, before it rings, and why a call is refused; key 1 confirms",
    ),
    Key::new("sip.cost.confirm_within", "\"30s\"", "how long a confirmation is waited for"),
    Key::new(
        "sip.cost.allow",
        "[\"free\", \"pstn\", \"foreign\"]",
        "classes that may be called; emergency calls are never refused",
    ),
    Key::new("sip.cost.other_domains", "true", "other SIP domains may be called"),
    Key::new(
        "sip.cost.per_day",
        "",
        "what an account may spend in a day (UTC), such as \"5.00\"; a call ends when it is used up; none: no limit",
    ),
    Key::new("sip.cost.per_month", "", "what an account may spend in a month (UTC); none: no limit"),
    Key::new("sip.cost.calls", "2", "charged calls of an account at once"),
    Key::new(
        "sip.cost.accounts",
        "[]",
        "other rules for some: { account = \"alice@example.org\", allow = [\"free\"], other_domains = false, confirm = [], per_day = \
         \"1.00\", per_month = \"9.00\", calls = 1 }",
    ),
];

impl CostConfig {
    /// The rules of an account.
    pub(crate) fn of(&self, aor: &Aor) -> Rules<'_> {
        let own = self.accounts.iter().find(|own| own.account.eq_ignore_ascii_case(aor.as_str()));
        Rules {
            allow: own.and_then(|own| own.allow.as_deref()).unwrap_or(&self.allow),
            other_domains: own.and_then(|own| own.other_domains).unwrap_or(self.other_domains),
            confirm: own.and_then(|own| own.confirm.as_deref()).unwrap_or(&self.confirm),
            per_day: own.and_then(|own| own.per_day).or(self.per_day),
            per_month: own.and_then(|own| own.per_month).or(self.per_month),
            calls: own.and_then(|own| own.calls).unwrap_or(self.calls),
        }
    }

    /// Whether anybody's spending has an end.
    pub(crate) fn has_limits(&self) -> bool {
        let of_some = |own: &AccountCost| own.per_day.is_some() || own.per_month.is_some();
        self.per_day.is_some() || self.per_month.is_some() || self.accounts.iter().any(of_some)
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for own in &self.accounts {
            if !own.account.contains('@') {
                faults.push(format!("`sip.cost.accounts`: `{}` is not an address of record", own.account));
            }
        }
        if self.confirm_within.is_zero() {
            faults.push("`sip.cost.confirm_within` is zero: nobody answers in no time".to_owned());
        }
        faults
    }
}

impl Default for CostConfig {
    fn default() -> Self {
        Self {
            currency: "EUR".to_owned(),
            notice: true,
            announce: false,
            confirm: Vec::new(),
            confirm_within: Duration::from_secs(30),
            allow: vec![Class::Free, Class::Pstn, Class::Foreign],
            other_domains: true,
            per_day: None,
            per_month: None,
            calls: 2,
            accounts: Vec::new(),
        }
    }
}
