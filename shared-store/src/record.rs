//! The shape of records: small things under a key, each with a version.
//!
//! In    changes, each with what the caller believes is there; several changes are one transaction.
//! Out   records, alone or a collection at a time in the order of their keys.
//! Errors [`StoreError::Conflict`] when the belief is wrong; then nothing of the transaction was done.

use crate::StoreError;

/// Bytes under (owner, collection, key).
#[async_trait::async_trait]
pub trait Records: Send + Sync {
    /// The record, if there is one.
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError>;
    /// Many records, of many owners perhaps, in one look; in the order in which they are asked for.
    async fn several(&self, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError>;
    /// At most `max` records of a collection in the order of their keys, beginning after the key `after`.
    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError>;
    /// Of each owner the records of a collection that have one of these keys, in no order; owners are named once.
    async fn among(
        &self,
        owners: &[&str],
        collection: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, Record)>, StoreError>;
    /// Makes all changes or none; the versions that the put ones have now, and 0 for the deleted ones.
    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Result<Vec<u64>, StoreError>;
    /// Removes a record and answers it; of many callers one gets it. For single-use tokens.
    async fn take(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError>;
    /// Removes everything of an owner; how many records that were.
    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError>;

    /// Writes one record and answers its version.
    async fn put(
        &self,
        owner: &str,
        collection: &str,
        key: &str,
        value: &[u8],
        expected: Expected,
    ) -> Result<u64, StoreError> {
        let change = RecordChange::put(collection, key, value).expecting(expected);
        Ok(self.commit(owner, &[change]).await?.into_iter().next().unwrap_or_default())
    }

    /// Removes one record. False if there was none.
    async fn delete(&self, owner: &str, collection: &str, key: &str) -> Result<bool, StoreError> {
        Ok(self.take(owner, collection, key).await?.is_some())
    }
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose it is.
    pub owner: &'a str,
    /// Which collection of theirs.
    pub collection: &'a str,
    /// Which key in it.
    pub key: &'a str,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key in the collection.
    pub key: String,
    /// What is stored.
    pub value: Vec<u8>,
    /// Counts the writes since it was made; 1 when new.
    pub version: u64,
}

/// What the caller believes is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// No belief: the last writer wins.
    #[default]
    Anything,
    /// Nothing.
    Absent,
    /// This version.
    Version(u64),
}

impl Expected {
    /// Whether the belief is true of a record with this version, or of none.
    pub(crate) fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => version.is_none(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}

/// One change of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Which collection.
    pub collection: String,
    /// Which key in it.
    pub key: String,
    /// What shall be there; `None` deletes.
    pub value: Option<Vec<u8>>,
    /// What the caller believes is there.
    pub expected: Expected,
}

impl RecordChange {
    /// Writes a record, whatever is there.
    pub fn put(collection: &str, key: &str, value: &[u8]) -> Self {
        Self {
            collection: collection.to_owned(),
            key: key.to_owned(),
            value: Some(value.to_vec()),
            expected: Expected::Anything,
        }
    }

    /// Deletes a record, if it is there.
    pub fn delete(collection: &str, key: &str) -> Self {
        Self { value: None, ..Self::put(collection, key, &[]) }
    }

    /// The same change, if the belief holds.
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }
}
