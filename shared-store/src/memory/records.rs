//! Records in memory, ordered by owner, collection and key.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use super::lock;
use crate::{Along, FullKey, Place, Record, RecordChange, StoreError};

#[derive(Default)]
pub(super) struct Records(Mutex<BTreeMap<FullKey, Record>>);

impl Records {
    /// What is done along with the change of an account, or nothing of it.
    pub(super) fn make_along(&self, along: &Along) -> Result<(), StoreError> {
        let mut records = lock(&self.0);
        if along.spent.iter().any(|key| !records.contains_key(key)) {
            return Err(StoreError::Conflict);
        }
        for key in &along.spent {
            records.remove(key);
        }
        for (key, value) in &along.put {
            let version = records.get(key).map_or(0, |record| record.version) + 1;
            records.insert(key.clone(), Record { key: key.2.clone(), value: value.clone(), version });
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl crate::Records for Records {
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(lock(&self.0).get(&full(owner, collection, key)).cloned())
    }

    async fn several(&self, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError> {
        let records = lock(&self.0);
        let found = |at: &Place<'_>| records.get(&full(at.owner, at.collection, at.key)).cloned();
        Ok(places.iter().map(found).collect())
    }

    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let start = match after {
            Some(after) => Bound::Excluded(full(owner, collection, after)),
            None => Bound::Included(full(owner, collection, "")),
        };
        let records = lock(&self.0);
        let rest = records.range((start, Bound::Unbounded));
        let own = rest.take_while(|((o, c, _), _)| o == owner && c == collection);
        Ok(own.take(max).map(|(_, record)| record.clone()).collect())
    }

    async fn among(
        &self,
        owners: &[&str],
        collection: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, Record)>, StoreError> {
        let records = lock(&self.0);
        let places = owners.iter().flat_map(|owner| keys.iter().map(move |key| (*owner, *key)));
        let found = places.filter_map(|(owner, key)| {
            let record = records.get(&full(owner, collection, key))?;
            Some((owner.to_owned(), record.clone()))
        });
        Ok(found.collect())
    }

    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Result<Vec<u64>, StoreError> {
        let mut records = lock(&self.0);
        let mut versions = Vec::with_capacity(changes.len());
        let mut undo = Vec::with_capacity(changes.len());
        for change in changes {
            let key = full(owner, &change.collection, &change.key);
            let old = records.remove(&key);
            let version = old.as_ref().map(|record| record.version);
            undo.push((key.clone(), old));
            if !change.expected.holds(version) {
                roll_back(&mut records, undo);
                return Err(StoreError::Conflict);
            }
            let Some(value) = &change.value else {
                versions.push(0);
                continue;
            };
            let version = version.unwrap_or_default() + 1;
            records.insert(key, Record { key: change.key.clone(), value: value.clone(), version });
            versions.push(version);
        }
        Ok(versions)
    }

    async fn take(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(lock(&self.0).remove(&full(owner, collection, key)))
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        let mut records = lock(&self.0);
        let before = records.len();
        records.retain(|(of, _, _), _| of != owner);
        Ok((before - records.len()) as u64)
    }
}

/// Restores what was there, the newest change first.
fn roll_back(records: &mut BTreeMap<FullKey, Record>, undo: Vec<(FullKey, Option<Record>)>) {
    for (key, old) in undo.into_iter().rev() {
        match old {
            Some(old) => records.insert(key, old),
            None => records.remove(&key),
        };
    }
}

fn full(owner: &str, collection: &str, key: &str) -> FullKey {
    (owner.to_owned(), collection.to_owned(), key.to_owned())
}
