//! Archives in memory, each a list in the order of storing.

use std::collections::HashMap;
use std::sync::Mutex;

use super::lock;
use crate::{Entry, Page, Position, Query, StoreError};

#[derive(Default)]
pub(super) struct Archive(Mutex<HashMap<String, Vec<Entry>>>);

impl Archive {
    /// Appends what is not there yet.
    pub(super) fn add(&self, entries: &[Entry]) {
        let mut archives = lock(&self.0);
        for entry in entries {
            let archive = archives.entry(entry.owner.clone()).or_default();
            if archive.iter().all(|old| old.id != entry.id) {
                archive.push(entry.clone());
            }
        }
    }
}

#[async_trait::async_trait]
impl crate::Archive for Archive {
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.add(entries);
        Ok(())
    }

    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
        Ok(lock(&self.0).get(owner).and_then(|archive| archive.iter().find(|entry| entry.id == id)).cloned())
    }

    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
        let archives = lock(&self.0);
        let archive = archives.get(owner).map_or(&[][..], Vec::as_slice);
        let place =
            |id: &String| archive.iter().position(|entry| entry.id == *id).ok_or(StoreError::NoSuchEntry);
        let first = query.after.as_ref().map(place).transpose()?.map_or(0, |at| at + 1);
        let last = query.before.as_ref().map(place).transpose()?.unwrap_or(archive.len()).max(first);
        let range = match &query.position {
            Position::First | Position::Last => first..last,
            Position::After(id) => (place(id)? + 1).clamp(first, last)..last,
            Position::Before(id) => first..place(id)?.clamp(first, last),
        };
        let matches = |entry: &&Entry| matches(query, entry);
        let wanted = query.page_size() + 1;
        let fetched: Vec<Entry> = match query.is_backward() {
            false => archive[range.clone()].iter().filter(matches).take(wanted).cloned().collect(),
            true => archive[range.clone()].iter().rev().filter(matches).take(wanted).cloned().collect(),
        };
        let count = archive[first..last].iter().filter(matches).count() as u64;
        let before = match query.is_backward() {
            false => archive[first..range.start].iter().filter(matches).count() as u64,
            true => {
                let upto = archive[range].iter().filter(matches).count();
                (upto - fetched.len().min(query.page_size())) as u64
            }
        };
        Ok(Page::cut(fetched, query, count, before))
    }

    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
        let mut archives = lock(&self.0);
        let found =
            archives.get_mut(owner).and_then(|archive| archive.iter_mut().find(|entry| entry.id == id));
        Ok(found.map(|entry| entry.body = body.to_vec()).is_some())
    }

    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
        let mut archives = lock(&self.0);
        Ok(archives.get_mut(owner).map_or(0, |archive| drop_where(archive, |entry| ids.contains(&entry.id))))
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        Ok(lock(&self.0).remove(owner).map_or(0, |archive| archive.len() as u64))
    }

    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
        let mut left = max;
        let mut archives = lock(&self.0);
        for archive in archives.values_mut() {
            drop_where(archive, |entry| {
                let goes = entry.kind == kind && entry.time < time && left > 0;
                left -= usize::from(goes);
                goes
            });
        }
        Ok((max - left) as u64)
    }

    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
        let mut archives = lock(&self.0);
        let Some(archive) = archives.get_mut(owner) else { return Ok(0) };
        let excess = archive.len().saturating_sub(keep).min(max);
        archive.drain(..excess);
        Ok(excess as u64)
    }
}

fn drop_where(archive: &mut Vec<Entry>, mut goes: impl FnMut(&Entry) -> bool) -> u64 {
    let before = archive.len();
    archive.retain(|entry| !goes(entry));
    (before - archive.len()) as u64
}

fn matches(query: &Query, entry: &Entry) -> bool {
    query.with.as_ref().is_none_or(|with| entry.with == *with)
        && query.kind.as_ref().is_none_or(|kind| entry.kind == *kind)
        && query.start.is_none_or(|start| entry.time >= start)
        && query.end.is_none_or(|end| entry.time <= end)
}
