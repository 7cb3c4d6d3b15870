//! What a call to a number is and costs: classes, and tariffs by the longest prefix.
//!
//! In    a number as [`super::Plan`] made it. Out its [`Rate`]: class and tariff.
//! Not here: who pays, and whether they may (`cost`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Money;

/// What kind of destination a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Costs nothing: accounts and rooms of ours, numbers whose tariff says so.
    Free,
    /// The telephone network of our country.
    Pstn,
    /// Another country.
    Foreign,
    /// Services that charge more than a call.
    Premium,
    /// Emergency services: never refused, never charged.
    Emergency,
}

impl Class {
    /// Every class, in the order of their declaration.
    pub const ALL: [Self; 5] = [Self::Free, Self::Pstn, Self::Foreign, Self::Premium, Self::Emergency];

    /// The word in configuration, records and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pstn => "pstn",
            Self::Foreign => "foreign",
            Self::Premium => "premium",
            Self::Emergency => "emergency",
        }
    }

    /// Reads the word of a record.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// What a call costs once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tariff {
    /// For being answered.
    pub setup: Money,
    /// For each minute.
    pub minute: Money,
    /// Seconds that are charged at once: a call is as long as the next multiple. At least 1.
    pub step: u32,
}

/// A destination's class and tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Its class.
    pub class: Class,
    /// Its tariff.
    pub tariff: Tariff,
}

impl Rate {
    /// What costs nothing.
    pub fn of_class(class: Class) -> Self {
        Self { class, tariff: Tariff::default() }
    }

    /// Whether a call there may cost something.
    pub fn is_charged(&self) -> bool {
        self.class != Class::Emergency
            && (self.tariff.setup > Money::ZERO || self.tariff.minute > Money::ZERO)
    }

    /// What an answered call of this length costs.
    pub fn cost(&self, length: Duration) -> Money {
        if !self.is_charged() {
            return Money::ZERO;
        }
        let step = u64::from(self.tariff.step.max(1));
        let begun = length.as_secs() + u64::from(length.subsec_nanos() > 0);
        let seconds = u128::from(begun.div_ceil(step).saturating_mul(step));
        let by_time = (u128::from(self.tariff.minute.0) * seconds).div_ceil(60);
        self.tariff.setup + Money(u64::try_from(by_time).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_its_setup_and_every_step_that_was_begun() {
        let rate = |setup, minute, step| Rate {
            class: Class::Pstn,
            tariff: Tariff { setup: Money(setup), minute: Money(minute), step },
        };
        let cost = |rate: Rate, millis| rate.cost(Duration::from_millis(millis)).0;
        assert_eq!(cost(rate(50_000, 60_000, 60), 61_000), 50_000 + 120_000);
        assert_eq!(cost(rate(0, 60_000, 1), 1_001), 2_000);
        assert_eq!(cost(rate(0, 60_000, 0), 0), 0);
        assert_eq!(cost(rate(0, 1, 1), 1_000), 1, "a part of a millionth is one");
        let emergency = Rate { class: Class::Emergency, ..rate(1, 1, 1) };
        assert_eq!((cost(emergency, 9_000), emergency.is_charged()), (0, false));
        assert_eq!(Class::parse("premium"), Some(Class::Premium));
    }
}
