//! The shape of archives: what was said and who called, in the order in which it was stored.
//!
//! In    entries under ids that their owner chose; pages are asked for as RSM does (XEP-0059).
//! Out   entries in archive order, each once.
//! Errors [`StoreError::NoSuchEntry`] when a page is relative to an entry that is not there.

use crate::StoreError;

/// Entries by (owner, id), in the order of their storing.
#[async_trait::async_trait]
pub trait Archive: Send + Sync {
    /// Appends entries, all or none. An id that its owner has already is passed over, so that retrying is harmless.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError>;
    /// One entry.
    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError>;
    /// One page of what matches.
    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError>;
    /// Replaces the body of an entry, as retraction does. False if there is none.
    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError>;
    /// Removes entries by id; how many there were.
    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError>;
    /// Removes everything of an owner; how many entries that were.
    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError>;
    /// Removes at most `max` entries of a kind, of whatever owner, with a time before `time`, the oldest first.
    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError>;
    /// Removes at most `max` entries of an owner, the oldest first, and none of the newest `keep`; how many that were.
    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError>;
}

/// One thing that was said, or one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose archive: an account, a room, a queue.
    pub owner: String,
    /// Unique in the archive.
    pub id: String,
    /// The other side, as it is searched for; possibly empty.
    pub with: String,
    /// When it happened, milliseconds since 1970.
    pub time: i64,
    /// What kind of thing, a word of the writer's.
    pub kind: String,
    /// The thing itself: a stanza as it was sent, a call record.
    pub body: Vec<u8>,
}

/// Where a page begins (XEP-0059 §2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Position {
    /// With the oldest.
    #[default]
    First,
    /// After this id.
    After(String),
    /// So that it ends before this id.
    Before(String),
    /// So that it ends with the newest.
    Last,
}

/// What to look for. The default is everything, ten at a time, from the oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only with this other side.
    pub with: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only at or after this time, milliseconds since 1970.
    pub start: Option<i64>,
    /// Only at or before this time, milliseconds since 1970.
    pub end: Option<i64>,
    /// Only behind the entry of this id.
    pub after: Option<String>,
    /// Only before the entry of this id.
    pub before: Option<String>,
    /// Where the page begins.
    pub position: Position,
    /// How many entries at most; at most [`Query::LARGEST_PAGE`] are given.
    pub max: usize,
    /// Up to how many entries are counted; counting more would cost more than the page is worth.
    pub most_counted: u64,
}

impl Query {
    /// Entries in one page, whatever was asked for.
    pub const LARGEST_PAGE: usize = 1000;

    /// How many entries a page of this query holds at most.
    pub(crate) fn page_size(&self) -> usize {
        self.max.min(Self::LARGEST_PAGE)
    }

    /// Whether the page is cut from the newest backwards.
    pub(crate) fn is_backward(&self) -> bool {
        matches!(self.position, Position::Before(_) | Position::Last)
    }
}

impl Default for Query {
    fn default() -> Self {
        Self {
            with: None,
            kind: None,
            start: None,
            end: None,
            after: None,
            before: None,
            position: Position::First,
            max: 10,
            most_counted: 100_000,
        }
    }
}

/// One page, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Oldest first, whichever way the page was cut.
    pub entries: Vec<Entry>,
    /// Whether nothing that matches lies beyond the page in the direction of paging (XEP-0313 §4.2, `complete`).
    pub complete: bool,
    /// How many entries match in all; none if they are more than [`Query::most_counted`].
    pub count: Option<u64>,
    /// How many that match come before the page; none where there is no count.
    pub index: Option<u64>,
}

impl Page {
    /// Orders and cuts what a backend fetched: one more than the page holds, in the direction of paging.
    pub(crate) fn cut(mut fetched: Vec<Entry>, query: &Query, count: u64, before_first: u64) -> Self {
        let complete = fetched.len() <= query.page_size();
        fetched.truncate(query.page_size());
        if query.is_backward() {
            fetched.reverse();
        }
        let index = if fetched.is_empty() { 0 } else { before_first };
        let is_counted = count <= query.most_counted;
        Self {
            entries: fetched,
            complete,
            count: is_counted.then_some(count),
            index: is_counted.then_some(index),
        }
    }
}
