//! Charged calls that are up or about to be: how many an account has, and what they cost so far.
//!
//! State one small entry a call, in its account's list; it goes when its [`Charge`] is dropped, however the call ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// The call that is up, by its place among [`crate::records::Calls`].
    call: Option<Box<str>>,
    is_warned: bool,
    /// When it was told that it ends.
    ended: Option<Instant>,
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
        let so_far: Vec<Money> = calls.iter().map(|open| open.cost(now)).collect();
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
        calls.push(Open { serial, rate, answered: None, call: None, is_warned: false, ended: None });
        Ok(Charge { charges: Arc::clone(self), account, serial })
    }
}

impl Charges {
    /// Who has charged calls that are up.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        let is_up = |calls: &Vec<Open>| calls.iter().any(|open| open.call.is_some());
        self.0.iter().filter(|calls| is_up(calls.value())).map(|calls| *calls.key()).collect()
    }

    /// The calls of an account that would cost more within `ahead` than is left for all of them; each is told once.
    pub(crate) fn beyond(
        &self,
        account: AccountId,
        left: Money,
        now: Instant,
        ahead: Duration,
    ) -> Vec<Box<str>> {
        self.first_time(account, left, now, ahead, |open| {
            let was = open.ended.is_some();
            open.ended.get_or_insert(now);
            was
        })
    }

    /// As [`Charges::beyond`], of those that are not ended.
    pub(crate) fn soon_beyond(
        &self,
        account: AccountId,
        left: Money,
        now: Instant,
        ahead: Duration,
    ) -> Vec<Box<str>> {
        self.first_time(account, left, now, ahead, |open| {
            std::mem::replace(&mut open.is_warned, true) || open.ended.is_some()
        })
    }

    /// A call that should have ended goes on: it is told again.
    pub(crate) fn goes_on(&self, account: AccountId, call: &str) {
        if let Some(mut calls) = self.0.get_mut(&account)
            && let Some(open) = calls.iter_mut().find(|open| open.call.as_deref() == Some(call))
        {
            open.ended = None;
        }
    }

    fn first_time(
        &self,
        account: AccountId,
        left: Money,
        now: Instant,
        ahead: Duration,
        was: impl Fn(&mut Open) -> bool,
    ) -> Vec<Box<str>> {
        let Some(mut calls) = self.0.get_mut(&account) else { return Vec::new() };
        // What ends grows no more, and cuts nobody else off while its carrier is waited for.
        let mut all: Money = calls.iter().map(|open| open.cost(open.ended.unwrap_or(now))).sum();
        let mut up: Vec<&mut Open> = calls.iter_mut().filter(|open| open.call.is_some()).collect();
        up.sort_by_key(|open| open.answered);
        let mut beyond = Vec::new();
        for open in up {
            let more = open.cost(now + ahead).less(open.cost(now));
            if more == Money::ZERO || all + more <= left {
                all += more;
            } else if !was(open) {
                beyond.extend(open.call.clone());
            }
        }
        beyond
    }
}

impl Open {
    /// What it costs by then.
    fn cost(&self, then: Instant) -> Money {
        self.answered.map_or(Money::ZERO, |since| self.rate.cost(then.saturating_duration_since(since)))
    }
}

impl Charge {
    /// Where the call is found that is up.
    pub(crate) fn is_of(&self, call: &str) {
        if let Some(mut calls) = self.charges.0.get_mut(&self.account)
            && let Some(open) = calls.iter_mut().find(|open| open.serial == self.serial)
        {
            open.call = Some(call.into());
        }
    }

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

    #[test]
    fn what_is_left_pays_for_the_older_call_first_and_for_what_was_begun() {
        let (charges, account, start) = (Arc::new(Charges::default()), AccountId(1), Instant::now());
        let second = Duration::from_secs(1);
        let begin = |tariff, call: &str, at: u32| {
            let rate = Rate { class: Class::Pstn, tariff };
            let charge = charges.begin(account, rate, start, |_| Ok::<_, ()>(())).unwrap();
            charge.answered(start + at * second);
            charge.is_of(call);
            charge
        };
        let by_second = Tariff { setup: Money::ZERO, minute: Money(60), step: 1 };
        let _fixed = begin(Tariff { setup: Money(5), minute: Money::ZERO, step: 1 }, "fixed", 0);
        let _old = begin(by_second, "old", 0);
        let young = begin(by_second, "young", 1);
        let beyond = |left, at: u32| {
            charges
                .beyond(account, Money(left), start + at * second, second)
                .iter()
                .map(|call| call.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(charges.accounts(), [account]);
        // 5 + 10 + 9, and one more each.
        assert!(beyond(27, 10).is_empty());
        assert_eq!(charges.soon_beyond(account, Money(27), start + 10 * second, 60 * second).len(), 2);
        assert!(
            charges.soon_beyond(account, Money(27), start + 10 * second, 60 * second).is_empty(),
            "told once"
        );
        assert_eq!(beyond(27, 11), ["young"]);
        assert!(beyond(27, 11).is_empty(), "told once");
        drop(young);
        assert!(beyond(27, 21).is_empty());
        assert_eq!(beyond(27, 22), ["old"]);
        assert!(beyond(0, 30).is_empty(), "what is paid once goes on");
    }
}
