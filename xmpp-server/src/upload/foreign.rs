//! What users of other domains left here, all of them together: a bound that no number of their accounts passes.
//!
//! In    slots, and files that came. Out whether there is room, or when there will be.
//! State bytes by the hour in which their files go, one record each; in memory, slots whose file has not come yet, which count too.
//! Errors [`Refusal`]. What cannot be counted is the provider's loss, and no reason to lose a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared_store::{Expected, Records, StoreError};

use super::Refusal;
use super::slot::{Slot, hour};

/// The count of one service.
pub(super) struct Foreign {
    most: u64,
    records: Arc<dyn Records>,
    waiting: Mutex<HashMap<String, Waiting>>,
}

/// A slot whose file has not come.
struct Waiting {
    size: u64,
    /// Milliseconds since 1970.
    until: i64,
}

impl Foreign {
    pub(super) fn new(most: u64, records: Arc<dyn Records>) -> Self {
        Self { most, records, waiting: Mutex::default() }
    }

    /// Counts a file that is to come, if there is room for it.
    pub(super) async fn reserve(&self, slot: &Slot, now: i64) -> Result<(), Refusal> {
        let id = slot.id.as_str();
        let (waiting, soonest) = {
            let mut all = self.waiting();
            all.retain(|_, waiting| waiting.until > now);
            let soonest = all.values().map(|waiting| waiting.until).min();
            if all.len() >= MOST_WAITING {
                return Err(Refusal::NoRoomUntil(soonest.unwrap_or(now)));
            }
            all.insert(id.to_owned(), Waiting { size: slot.size, until: slot.until });
            (sum(all.values().map(|waiting| waiting.size)), soonest)
        };
        // After those that wait: a file that comes meanwhile counts twice, and none not at all.
        let refused = match self.left(now).await {
            Ok(left) if sum(left.iter().map(|(_, size)| *size)).saturating_add(waiting) <= self.most => {
                return Ok(());
            }
            Ok(left) => {
                let first = left.iter().map(|(hour, _)| hour.saturating_add(1).saturating_mul(HOUR)).min();
                Refusal::NoRoomUntil(soonest.into_iter().chain(first).min().unwrap_or(now))
            }
            Err(error) => Refusal::Store(error),
        };
        self.waiting().remove(id);
        Err(refused)
    }

    /// A file came.
    pub(super) async fn received(&self, slot: &Slot) -> Result<(), StoreError> {
        let key = format!("{:012x}", slot.id.hour());
        loop {
            let before = self.records.get(OWNER, COLLECTION, &key).await?;
            let expected =
                before.as_ref().map_or(Expected::Absent, |record| Expected::Version(record.version));
            let bytes = before.and_then(|record| read(&record.value)).unwrap_or(0).saturating_add(slot.size);
            match self.records.put(OWNER, COLLECTION, &key, bytes.to_string().as_bytes(), expected).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.waiting().remove(slot.id.as_str());
        Ok(())
    }

    /// Hours and the bytes that go in them; hours that are over are forgotten.
    async fn left(&self, now: i64) -> Result<Vec<(i64, u64)>, StoreError> {
        let mut left = Vec::new();
        for record in self.records.list(OWNER, COLLECTION, None, MOST_HOURS).await? {
            let goes = i64::from_str_radix(&record.key, 16).ok().filter(|goes| *goes >= hour(now));
            match goes.zip(read(&record.value)) {
                Some(one) => left.push(one),
                None => {
                    self.records.delete(OWNER, COLLECTION, &record.key).await?;
                }
            }
        }
        Ok(left)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(all: impl Iterator<Item = u64>) -> u64 {
    all.fold(0, u64::saturating_add)
}

fn read(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

const OWNER: &str = "foreign-files";
const COLLECTION: &str = "upload-hours";
const HOUR: i64 = 3_600_000;
/// Slots of all of them that wait at once.
const MOST_WAITING: usize = 1000;
/// Hours that are looked at: ten years.
const MOST_HOURS: usize = 88_000;

#[cfg(test)]
mod tests {
    use shared_store::Store;

    use super::super::slot::FileId;
    use super::*;

    fn slot(serial: u8, size: u64, now: i64, expires: i64) -> Slot {
        let id = FileId::new(expires, &format!("{serial:032x}"));
        let owner = format!("u{serial}@elsewhere.example");
        let until = now + 300_000;
        Slot { id, owner, name: "a".to_owned(), size, media_type: None, until, expires, is_foreign: true }
    }

    #[tokio::test]
    async fn there_is_room_again_when_slots_lapse_and_files_go() {
        let records = Store::in_memory().records;
        let foreign = Foreign::new(100, Arc::clone(&records));
        let until = |refused: Result<(), Refusal>| match refused {
            Err(Refusal::NoRoomUntil(at)) => at,
            other => panic!("{other:?}"),
        };
        let day = 24 * HOUR;
        foreign.reserve(&slot(1, 60, 0, day), 0).await.unwrap();
        assert_eq!(until(foreign.reserve(&slot(2, 41, 0, day), 0).await), 300_000, "of whatever user");
        foreign.reserve(&slot(2, 40, 0, day), 0).await.unwrap();
        foreign.received(&slot(2, 40, 0, day)).await.unwrap();
        // The first never came.
        foreign.reserve(&slot(3, 60, 300_001, 2 * day), 300_001).await.unwrap();
        foreign.received(&slot(3, 60, 300_001, 2 * day)).await.unwrap();

        let again = Foreign::new(100, records);
        assert_eq!(until(again.reserve(&slot(4, 1, HOUR, day), HOUR).await), day + 2 * HOUR, "it is kept");
        let later = day + 2 * HOUR;
        again.reserve(&slot(4, 40, later, 2 * day), later).await.unwrap();
        assert!(again.reserve(&slot(5, 1, later, 2 * day), later).await.is_err());
    }
}
