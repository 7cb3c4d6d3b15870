//! What accounts spent, kept in the store by day and month (UTC).
//!
//! In    the cost of a call that ended. Out what was spent this day and month.
//! State records of the account's, collection `spend`: `2026-11-24` and `2026-11` → millionths in decimal digits.
//! Errors those of the store. Two nodes that add at the same moment both count: the one that comes second reads again.

use std::sync::Arc;

use shared_model::AccountId;
use shared_store::{Expected, Record, RecordChange, Records, StoreError};

use super::limits::Spent;
use crate::numbers::Money;

/// The amounts of every account.
#[derive(Clone)]
pub(crate) struct Spend(Arc<dyn Records>);

impl Spend {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }

    /// What an account spent by now, milliseconds since 1970.
    pub(crate) async fn of(&self, account: AccountId, now: i64) -> Result<Spent, StoreError> {
        let owner = account.to_string();
        let (day, month) = keys(now);
        let day = self.0.get(&owner, COLLECTION, &day).await?;
        let month = self.0.get(&owner, COLLECTION, &month).await?;
        Ok(Spent { day: amount(day.as_ref()), month: amount(month.as_ref()) })
    }

    /// Adds what a call cost. Durable when this returns.
    pub(crate) async fn add(&self, account: AccountId, cost: Money, now: i64) -> Result<(), StoreError> {
        let owner = account.to_string();
        let (day, month) = keys(now);
        for _ in 0..MOST_TRIES {
            let mut changes = Vec::with_capacity(2);
            let mut is_new_day = false;
            for key in [&day, &month] {
                let known = self.0.get(&owner, COLLECTION, key).await?;
                is_new_day |= known.is_none() && key == &day;
                let sum = amount(known.as_ref()) + cost;
                let expected = known.map_or(Expected::Absent, |record| Expected::Version(record.version));
                changes.push(
                    RecordChange::put(COLLECTION, key, sum.0.to_string().as_bytes()).expecting(expected),
                );
            }
            match self.0.commit(&owner, &changes).await {
                Err(StoreError::Conflict) => {}
                Ok(_) if is_new_day => return self.forget_old(&owner, now).await,
                outcome => return outcome.map(drop),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Days and months that nobody asks for any more.
    async fn forget_old(&self, owner: &str, now: i64) -> Result<(), StoreError> {
        let (oldest, _) = keys(now - KEPT);
        let known = self.0.list(owner, COLLECTION, None, MOST_KEYS).await?;
        let old: Vec<_> = known
            .iter()
            .filter(|record| record.key < oldest)
            .map(|record| RecordChange::delete(COLLECTION, &record.key))
            .collect();
        if old.is_empty() { Ok(()) } else { self.0.commit(owner, &old).await.map(drop) }
    }
}

fn amount(record: Option<&Record>) -> Money {
    let digits = record.and_then(|record| std::str::from_utf8(&record.value).ok());
    Money(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0))
}

/// `2026-11-24` and `2026-11`.
fn keys(now: i64) -> (String, String) {
    let day = crate::records::time_text(now);
    let day = day.get(..10).unwrap_or_default().to_owned();
    let month = day.get(..7).unwrap_or_default().to_owned();
    (day, month)
}

const COLLECTION: &str = "spend";
const MOST_TRIES: usize = 5;
/// 62 days, in milliseconds.
const KEPT: i64 = 62 * 86_400_000;
/// Keys that are looked through when a day begins.
const MOST_KEYS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sums_are_by_day_and_month_and_old_ones_go() {
        let store = shared_store::Store::in_memory();
        let spend = Spend::new(Arc::clone(&store.records));
        let (account, day) = (AccountId(7), 86_400_000);
        let november = 1_793_923_200_000 + 86_400_000; // 2026-11-06
        spend.add(account, Money(5), november).await.unwrap();
        spend.add(account, Money(6), november + 1_000).await.unwrap();
        spend.add(account, Money(7), november + day).await.unwrap();
        assert_eq!(spend.of(account, november).await.unwrap(), Spent { day: Money(11), month: Money(18) });
        assert_eq!(spend.of(AccountId(8), november).await.unwrap(), Spent::default());
        spend.add(account, Money(1), november + 100 * day).await.unwrap();
        let left = store.records.list(&account.to_string(), COLLECTION, None, 100).await.unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[tokio::test]
    async fn many_who_add_at_once_all_count() {
        let store = shared_store::Store::in_memory();
        let spend = Spend::new(Arc::clone(&store.records));
        let adds = (0..5).map(|_| {
            let spend = spend.clone();
            tokio::spawn(async move { spend.add(AccountId(7), Money(1), 0).await })
        });
        for add in adds.collect::<Vec<_>>() {
            add.await.unwrap().unwrap();
        }
        assert_eq!(spend.of(AccountId(7), 0).await.unwrap().day, Money(5));
    }
}
