//! Charged calls that are up or about to be: how many an account has, and what they cost so far.
//!
//! State one small entry a call, in its account's list; it goes when its [`Charge`] is dropped, however the call ended.

use std::sync::Arc;
use std::time::Instant;

use dashmap::DashMap;
use shared_model::AccountId;

use crate::numbers::{Money, Rate};

/// Every charged call by account.
#[derive(Default)]
pub(crate) struct Charges(DashMap<AccountId, Vec<Open>>);

struct Open {
    serial: u64,
    rate: Rate,
    answered: Option<Instant>,
}

/// One charged call.
pub(crate) struct Charge {
    charges: Arc<Charges>,
    account: AccountId,
    serial: u64,
}

impl Charges {
    /// Begins a charged call, if `may` says so of what those that are up cost so far. Of calls that begin at the same
    /// moment each sees the others.
    pub(crate) fn begin<E>(
        self: &Arc<Self>,
        account: AccountId,
        rate: Rate,
        now: Instant,
        may: impl FnOnce(&[Money]) -> Result<(), E>,
    ) -> Result<Charge, E> {
        let mut calls = self.0.entry(account).or_default();
        let cost = |open: &Open| {
            open.answered.map_or(Money::ZERO, |since| open.rate.cost(now.saturating_duration_since(since)))
        };
        let so_far: Vec<Money> = calls.iter().map(cost).collect();
        let judged = may(&so_far);
        if let Err(refusal) = judged {
            let is_empty = calls.is_empty();
            drop(calls);
            if is_empty {
                self.0.remove_if(&account, |_, calls| calls.is_empty());
            }
            return Err(refusal);
        }
        let serial = calls.iter().map(|open| open.serial + 1).max().unwrap_or(0);
        calls.push(Open { serial, rate, answered: None });
        Ok(Charge { charges: Arc::clone(self), account, serial })
    }
}

impl Charge {
    /// The call was answered: from now on it costs.
    pub(crate) fn answered(&self, now: Instant) {
        if let Some(mut calls) = self.charges.0.get_mut(&self.account)
            && let Some(open) = calls.iter_mut().find(|open| open.serial == self.serial)
        {
            open.answered = Some(now);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(mut calls) = self.charges.0.get_mut(&self.account) {
            calls.retain(|open| open.serial != self.serial);
        }
        self.charges.0.remove_if(&self.account, |_, calls| calls.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::numbers::{Class, Tariff};

    #[test]
    fn calls_that_are_up_are_seen_with_their_cost_and_go_when_they_end() {
        let charges = Arc::new(Charges::default());
        let (now, account) = (Instant::now(), AccountId(1));
        let rate =
            Rate { class: Class::Pstn, tariff: Tariff { setup: Money(5), minute: Money(60), step: 1 } };
        let begin = |seen: &mut Vec<Money>, now| {
            charges.begin(account, rate, now, |open| {
                *seen = open.to_vec();
                if open.len() < 2 { Ok(()) } else { Err("two") }
            })
        };
        let mut seen = Vec::new();
        let first = begin(&mut seen, now).ok().unwrap();
        first.answered(now);
        let second = begin(&mut seen, now + Duration::from_secs(30)).ok().unwrap();
        assert_eq!(seen, [Money(35)]);
        assert!(begin(&mut seen, now).is_err());
        drop(first);
        let third = begin(&mut seen, now).ok().unwrap();
        assert_eq!(seen, [Money(0)], "the second only rings");
        drop((second, third));
        assert!(charges.0.is_empty());
        let refused: Result<Charge, ()> = charges.begin(account, rate, now, |_| Err(()));
        assert!(refused.is_err() && charges.0.is_empty());
    }
}
