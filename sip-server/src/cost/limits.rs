//! Whether an account may make a call: its rules against what it spent and what it is spending.
//!
//! In    the rules, the destination's rate, amounts. Out nothing, or why not, in words for the caller.

use super::config::Rules;
use crate::numbers::{Class, Money, Rate};

/// What an account spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    /// Today.
    pub(crate) day: Money,
    /// This month.
    pub(crate) month: Money,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The class is not allowed.
    Class(Class),
    /// Other domains are not.
    OtherDomain,
    /// As many charged calls are up as may be.
    Calls(usize),
    /// The day's money is spent.
    Day(Money),
    /// The month's is.
    Month(Money),
    /// Nobody confirmed it in time.
    NotConfirmed,
    /// The caller said no.
    Declined,
}

/// Whether a class may be called at all.
pub(crate) fn may_call(rules: &Rules<'_>, class: Class) -> Result<(), Refusal> {
    if class == Class::Emergency || rules.allow.contains(&class) {
        Ok(())
    } else {
        Err(Refusal::Class(class))
    }
}

/// Whether a charged call may begin: `open` are the costs so far of those that are up, which count as spent.
pub(crate) fn may_charge(
    rules: &Rules<'_>,
    rate: &Rate,
    spent: Spent,
    open: &[Money],
) -> Result<(), Refusal> {
    if open.len() >= rules.calls {
        return Err(Refusal::Calls(rules.calls));
    }
    // The first step of the new call is as good as spent.
    let next = open.iter().copied().sum::<Money>() + rate.cost(std::time::Duration::from_secs(1));
    match (rules.per_day, rules.per_month) {
        (Some(limit), _) if spent.day + next > limit => Err(Refusal::Day(limit)),
        (_, Some(limit)) if spent.month + next > limit => Err(Refusal::Month(limit)),
        _ => Ok(()),
    }
}

impl Refusal {
    /// What the caller is answered: 603 for what they declined themselves.
    pub(crate) fn status(self) -> u16 {
        if self == Self::Declined { 603 } else { 403 }
    }

    /// What the caller is told, in a Warning and by chat.
    pub(crate) fn text(self, currency: &str) -> String {
        match self {
            Self::Class(class) => format!("Calls of class {} are not allowed for you", class.as_str()),
            Self::OtherDomain => "Only calls within this service are allowed for you".to_owned(),
            Self::Calls(1) => "One charged call at once, and it is up".to_owned(),
            Self::Calls(most) => format!("{most} charged calls at once, and all are up"),
            Self::Day(limit) => {
                format!("What is left of your {limit} {currency} of today does not pay for this call")
            }
            Self::Month(limit) => {
                format!("What is left of your {limit} {currency} of this month does not pay for this call")
            }
            Self::NotConfirmed => "The call costs something, and you did not confirm it".to_owned(),
            Self::Declined => "You did not want the call".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CostConfig;
    use super::super::config::AccountCost;
    use super::*;
    use crate::numbers::Tariff;

    fn rate() -> Rate {
        Rate { class: Class::Pstn, tariff: Tariff { setup: Money(10), minute: Money(60), step: 60 } }
    }

    #[test]
    fn what_is_up_and_what_would_begin_count_as_spent() {
        let config = CostConfig {
            per_day: Some(Money(100)),
            per_month: Some(Money(1_000)),
            calls: 2,
            ..CostConfig::default()
        };
        let rules = config.of(&shared_model::Aor::new("alice", "x").unwrap());
        let judge = |day, month, open: &[Money]| {
            may_charge(&rules, &rate(), Spent { day: Money(day), month: Money(month) }, open)
        };
        assert_eq!(judge(30, 0, &[]), Ok(()));
        assert_eq!(judge(31, 0, &[]), Err(Refusal::Day(Money(100))));
        assert_eq!(judge(0, 0, &[Money(31)]), Err(Refusal::Day(Money(100))));
        assert_eq!(judge(0, 931, &[]), Err(Refusal::Month(Money(1_000))));
        assert_eq!(judge(0, 0, &[Money(0), Money(0)]), Err(Refusal::Calls(2)));
    }

    #[test]
    fn an_account_may_have_rules_of_its_own_and_help_is_for_everybody() {
        let own = AccountCost {
            account: "Alice@x".into(),
            allow: Some(vec![Class::Free]),
            ..AccountCost::default()
        };
        let config = CostConfig { accounts: vec![own], ..CostConfig::default() };
        let rules = |name| config.of(&shared_model::Aor::new(name, "x").unwrap());
        assert_eq!(may_call(&rules("alice"), Class::Pstn), Err(Refusal::Class(Class::Pstn)));
        assert_eq!(may_call(&rules("alice"), Class::Emergency), Ok(()));
        assert_eq!(may_call(&rules("bob"), Class::Pstn), Ok(()));
        assert_eq!(may_call(&rules("bob"), Class::Premium), Err(Refusal::Class(Class::Premium)));
        assert_eq!((Refusal::Declined.status(), Refusal::NotConfirmed.status()), (603, 403));
    }
}
