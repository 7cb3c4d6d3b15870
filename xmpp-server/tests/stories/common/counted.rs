//! A store that remembers what it was asked.

use std::sync::{Arc, Mutex};

use shared_store::{Archive, Entry, Page, Place, Query, Record, RecordChange, Records, Store, StoreError};

/// What was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    /// What was asked of accounts since the last time, in order.
    pub(crate) fn take(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.0.lock().unwrap());
        asked.into_iter().filter(|what| what.contains('@')).collect()
    }

    /// The same of everybody.
    pub(crate) fn take_all(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

/// The same store; what is asked of its records and archives is noted.
pub(crate) fn counted(store: &Store) -> (Store, Asked) {
    let asked = Asked::default();
    let records = Arc::new(Counted { inner: Arc::clone(&store.records), asked: asked.clone() });
    let archive = Arc::new(Counted { inner: Arc::clone(&store.archive), asked: asked.clone() });
    (Store { records, archive, ..store.clone() }, asked)
}

struct Counted<T: ?Sized> {
    asked: Asked,
    inner: Arc<T>,
}

#[async_trait::async_trait]
impl Records for Counted<dyn Records> {
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        self.asked.note(format!("get {owner} {collection} {key}"));
        self.inner.get(owner, collection, key).await
    }

    async fn several(&self, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError> {
        if !places.is_empty() {
            let asked = places.iter().map(|at| format!("{} {} {}", at.owner, at.collection, at.key));
            self.asked.note(format!("get {}", asked.collect::<Vec<_>>().join(", ")));
        }
        self.inner.several(places).await
    }

    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.asked.note(format!("list {owner} {collection}"));
        self.inner.list(owner, collection, after, max).await
    }

    async fn among(
        &self,
        owners: &[&str],
        collection: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, Record)>, StoreError> {
        if !owners.is_empty() && !keys.is_empty() {
            self.asked.note(format!("among {} {collection} {}", owners.join(","), keys.join(",")));
        }
        self.inner.among(owners, collection, keys).await
    }

    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Result<Vec<u64>, StoreError> {
        let changed: Vec<_> =
            changes.iter().map(|change| format!("{} {}", change.collection, change.key)).collect();
        self.asked.note(format!("write {owner} {}", changed.join(", ")));
        self.inner.commit(owner, changes).await
    }

    async fn take(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        self.asked.note(format!("write {owner} {collection} {key}"));
        self.inner.take(owner, collection, key).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.asked.note(format!("write {owner}"));
        self.inner.remove_owner(owner).await
    }
}

#[async_trait::async_trait]
impl Archive for Counted<dyn Archive> {
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let owner = entries.first().map_or("", |entry| &entry.owner);
        self.asked.note(format!("write archive {owner}, {} entries", entries.len()));
        self.inner.append(entries).await
    }

    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
        self.asked.note(format!("entry {owner} {id}"));
        self.inner.entry(owner, id).await
    }

    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
        self.asked.note(format!("page {owner}"));
        self.inner.page(owner, query).await
    }

    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
        self.asked.note(format!("write archive {owner}"));
        self.inner.replace(owner, id, body).await
    }

    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
        self.asked.note(format!("write archive {owner}"));
        self.inner.remove(owner, ids).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.asked.note(format!("write archive {owner}"));
        self.inner.remove_owner(owner).await
    }

    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
        self.inner.remove_older(kind, time, max).await
    }

    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
        self.inner.trim(owner, keep, max).await
    }
}
