//! Reading a timeline, beside a running server or without one.
//!
//! In    whose or about what, and since when. Out entries, the oldest first, among them what the timeline says of its own gaps.
//! State where a follower is. Errors the store's.

use std::collections::HashSet;
use std::sync::Arc;

use shared_model::{AccountId, Happened, Past, Pending, Timelines, Unavailable};
use shared_store::{Archive, Position, Query, StoreError};

use super::entry::{Entry, What, account_of, owner};
use super::index::{DAY, Key, Place, place};

/// What is seen of something in all timelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What happened, the oldest first.
    pub entries: Vec<Entry>,
    /// Whether this is all: the newest are followed, up to a bound.
    pub is_whole: bool,
}

/// Reads timelines. Clones share the archive.
#[derive(Clone)]
pub struct Trace {
    archive: Arc<dyn Archive>,
}

impl Trace {
    /// Reads what is in this archive.
    pub fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive }
    }

    /// Begins with what happened to an account at or after `since`, milliseconds since 1970; all that is kept if none.
    pub fn follow(&self, account: AccountId, since: Option<i64>) -> Follow {
        Follow { trace: self.clone(), account, since, shown: HashSet::new(), newest: i64::MIN }
    }

    /// What happened at or after `since` of what somebody names, in whosever timeline: a call by its Call-ID, anything by its correlation, a
    /// room, a network address, a stranger by JID, SIP URI or number.
    ///
    /// It is looked up and nothing is searched through: a row of the index for each timeline and correlation, and the entries of those.
    pub async fn about(&self, sought: &str, since: Option<i64>) -> Result<Sight, StoreError> {
        let mut sight = Sight { entries: Vec::new(), is_whole: true };
        let (mut followed, mut read) = (HashSet::new(), 0);
        for key in Key::all_of(sought) {
            let (places, has_all) = self.places(&key, since).await?;
            sight.is_whole &= has_all;
            for place in places {
                if followed.contains(&place) {
                    continue;
                }
                if followed.len() >= MOST_PLACES || read >= MOST_READ {
                    sight.is_whole = false;
                    break;
                }
                let (entries, has_all) = self.at(&place, since).await?;
                read += entries.len();
                sight.is_whole &= has_all;
                sight.entries.extend(entries.into_iter().filter(|entry| key.means(entry)));
                followed.insert(place);
            }
        }
        sight.entries.sort_by_key(|entry| entry.time);
        let (Some(first), Some(last)) = (sight.entries.first(), sight.entries.last()) else {
            return Ok(sight);
        };
        let gaps = Query {
            start: Some(first.time),
            end: Some(last.time),
            position: Position::Last,
            max: PAGE,
            most_counted: 0,
            ..Query::default()
        };
        let gaps = self.archive.page(&owner(None), &gaps).await?;
        sight.entries.extend(gaps.entries.iter().filter_map(|stored| Entry::read(None, stored)));
        sight.entries.sort_by_key(|entry| entry.time);
        Ok(sight)
    }

    /// Where there is something of a key, the newest first, and whether that is all.
    async fn places(&self, key: &Key, since: Option<i64>) -> Result<(Vec<Place>, bool), StoreError> {
        // A row is of the first that happened on its day.
        let start = since.map(|since| since.saturating_sub(DAY));
        let query =
            Query { start, position: Position::Last, max: MOST_PLACES, most_counted: 0, ..Query::default() };
        let page = self.archive.page(&key.owner(), &query).await?;
        Ok((page.entries.iter().rev().filter_map(place).collect(), page.complete))
    }

    /// The newest of a place, and whether that is all.
    async fn at(
        &self,
        (owner, correlation): &Place,
        since: Option<i64>,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let query = Query {
            with: Some(correlation.clone()),
            start: since,
            position: Position::Last,
            max: PAGE,
            most_counted: 0,
            ..Query::default()
        };
        let page = self.archive.page(owner, &query).await?;
        let account = account_of(owner);
        let entries = page.entries.iter().filter_map(|stored| Entry::read(account, stored)).collect();
        Ok((entries, page.complete))
    }

    /// Everything of one owner at or after `start`, with the ids.
    async fn all(
        &self,
        of: Option<AccountId>,
        start: Option<i64>,
    ) -> Result<Vec<(String, Entry)>, StoreError> {
        let (name, mut all) = (owner(of), Vec::new());
        let mut position = Position::First;
        loop {
            let query = Query { start, position, max: PAGE, most_counted: 0, ..Query::default() };
            let page = match self.archive.page(&name, &query).await {
                Ok(page) => page,
                // The entry that the page follows was removed meanwhile: what is there is enough.
                Err(StoreError::NoSuchEntry) => return Ok(all),
                Err(error) => return Err(error),
            };
            let last = page.entries.last().map(|entry| entry.id.clone());
            let read = page.entries.into_iter();
            all.extend(read.filter_map(|stored| Some((stored.id.clone(), Entry::read(of, &stored)?))));
            match last.filter(|_| !page.complete && all.len() < MOST) {
                Some(last) => position = Position::After(last),
                None => return Ok(all),
            }
        }
    }
}

impl Trace {
    /// The newest entries of an account, or those before one of them, and what the timeline says meanwhile of its own gaps.
    async fn before(
        &self,
        account: AccountId,
        before: Option<&str>,
        most: usize,
    ) -> Result<Option<Past>, StoreError> {
        let own = owner(Some(account));
        let until = match before {
            None => None,
            Some(id) => match self.archive.entry(&own, id).await? {
                Some(entry) => Some(entry.time),
                None => return Ok(None),
            },
        };
        let position = before.map_or(Position::Last, |id| Position::Before(id.to_owned()));
        let query = Query { position, max: most, most_counted: 0, ..Query::default() };
        let page = match self.archive.page(&own, &query).await {
            Ok(page) => page,
            Err(StoreError::NoSuchEntry) => return Ok(None),
            Err(error) => return Err(error),
        };
        let before = page.entries.first().filter(|_| !page.complete).map(|first| first.id.clone());
        // From the oldest that is shown to what was shown before, so that each gap is told of once.
        let start = page.entries.first().filter(|_| before.is_some()).map(|first| first.time);
        let end = until.map(|until| until.saturating_sub(1));
        let gaps =
            Query { start, end, position: Position::Last, max: PAGE, most_counted: 0, ..Query::default() };
        let gaps = self.archive.page(&owner(None), &gaps).await?;
        let read = |of: Option<AccountId>, all: &[shared_store::Entry]| {
            all.iter().filter_map(|stored| Entry::read(of, stored)).collect::<Vec<_>>()
        };
        let mut entries = [read(Some(account), &page.entries), read(None, &gaps.entries)].concat();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        Ok(Some(Past { entries: entries.into_iter().map(Entry::happened).collect(), before }))
    }
}

impl Timelines for Trace {
    fn page<'a>(
        &'a self,
        account: AccountId,
        before: Option<&'a str>,
        most: usize,
    ) -> Pending<'a, Result<Option<Past>, Unavailable>> {
        Box::pin(async move {
            self.before(account, before, most).await.map_err(|error| {
                tracing::error!(%error, "a timeline cannot be read");
                Unavailable
            })
        })
    }

    fn search<'a>(
        &'a self,
        account: AccountId,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Vec<Happened>, Unavailable>> {
        Box::pin(async move {
            let entries = self.follow(account, since).next().await.map_err(|error| {
                tracing::error!(%error, "a timeline cannot be read");
                Unavailable
            })?;
            let text = text.to_lowercase();
            Ok(entries.into_iter().rev().filter(|entry| entry.has(&text)).map(Entry::happened).collect())
        })
    }
}

impl Entry {
    /// As it is shown.
    pub fn happened(self) -> Happened {
        let What { correlation, protocol, event, text, call_id, stream, room, .. } = self.what;
        let (protocol, event) = (protocol.into_owned(), event.into_owned());
        Happened { time: self.time, correlation, protocol, event, text, call_id, stream, room }
    }

    /// Whether the text is in one of its fields; in lower case.
    pub fn has(&self, text: &str) -> bool {
        let what = &self.what;
        let correlation = what.correlation.to_string();
        let ids = [&what.call_id, &what.stream, &what.room].into_iter().flatten();
        let fields = [&what.text, &correlation].into_iter().chain(ids).map(String::as_str);
        text.is_empty()
            || fields
                .chain([what.event.as_ref(), what.protocol.as_ref()])
                .any(|field| field.to_lowercase().contains(text))
    }
}

/// What comes after what was shown.
pub struct Follow {
    trace: Trace,
    account: AccountId,
    since: Option<i64>,
    /// Ids of those that were shown and may come again.
    shown: HashSet<String>,
    newest: i64,
}

impl Follow {
    /// What is new since the last call, the oldest first.
    pub async fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        let mut new = self.trace.all(Some(self.account), self.since).await?;
        new.extend(self.trace.all(None, self.since).await?);
        new.retain(|(id, _)| !self.shown.contains(id));
        new.sort_by_key(|(_, entry)| entry.time);
        if let Some((_, last)) = new.last() {
            self.newest = self.newest.max(last.time);
        }
        self.shown.extend(new.iter().map(|(id, _)| id.clone()));
        if self.newest > i64::MIN {
            // What another process writes late is still seen.
            self.since = Some(self.since.unwrap_or(i64::MIN).max(self.newest - LATENESS));
        }
        if self.shown.len() > 4 * MOST {
            self.shown = new.iter().map(|(id, _)| id.clone()).collect();
        }
        Ok(new.into_iter().map(|(_, entry)| Entry { account: Some(self.account), ..entry }).collect())
    }
}

/// Entries read at once.
const PAGE: usize = 500;
/// Entries that are shown at once.
const MOST: usize = 100_000;
/// Timelines and correlations that a search follows, and entries that it reads there.
const MOST_PLACES: usize = 500;
const MOST_READ: usize = 10_000;
/// Milliseconds by which an entry may come late.
const LATENESS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use shared_model::{Correlation, Protocol};
    use shared_store::Store;

    use super::*;

    #[tokio::test]
    async fn pages_have_each_entry_and_each_gap_once_and_end_with_the_oldest() {
        let archive = Store::in_memory().archive;
        let alice = AccountId(7);
        let put = async |account: Option<AccountId>, time: i64| {
            let what = What::new(Correlation(1), Protocol::Sip, "x", time.to_string());
            archive.append(&[Entry { time, account, what }.stored(format!("{time:05}"))]).await.unwrap();
        };
        for time in 0..10 {
            put(Some(alice), time * 10).await;
        }
        for time in [5, 45, 71, 95] {
            put(None, time).await;
        }
        let trace = Trace::new(Arc::clone(&archive));
        let (mut shown, mut before, mut sizes): (Vec<i64>, Option<String>, Vec<usize>) = Default::default();
        loop {
            let part = trace.page(alice, before.as_deref(), 4).await.unwrap().unwrap();
            sizes.push(part.entries.len());
            shown.extend(part.entries.iter().map(|entry| entry.time));
            before = part.before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(shown, [95, 90, 80, 71, 70, 60, 50, 45, 40, 30, 20, 10, 5, 0]);
        assert_eq!(sizes, [6, 5, 3]);
        archive.remove(&owner(Some(alice)), &["00060".to_owned()]).await.unwrap();
        assert_eq!(trace.page(alice, Some("00060"), 4).await, Ok(None));
        assert_eq!(trace.page(AccountId(8), None, 4).await.unwrap().unwrap().before, None);
    }

    #[tokio::test]
    async fn what_is_read_for_a_search_is_bounded_and_it_says_so() {
        let archive = Store::in_memory().archive;
        let (address, accounts) = ([192, 0, 2, 7].into(), MOST_READ / PAGE + 5);
        for account in 0..accounts as u128 {
            let account = AccountId(account);
            // Of all that an account does, one login alone is from there.
            let entry = |n: usize| {
                let what = What::new(Correlation::of_account(account), Protocol::Auth, "x", "y");
                let what = if n == PAGE - 1 { what.of_address(address) } else { what };
                Entry { time: n as i64, account: Some(account), what }
            };
            let mut stored = Vec::new();
            for n in 0..PAGE {
                let (entry, id) = (entry(n), format!("{account}{n:05}"));
                let at = entry.stored(id);
                stored.extend(super::super::index::rows(&entry, &at));
                stored.push(at);
            }
            archive.append(&stored).await.unwrap();
        }
        let trace = Trace::new(archive);
        let sight = trace.about("192.0.2.7", None).await.unwrap();
        assert_eq!((sight.entries.len(), sight.is_whole), (MOST_READ / PAGE, false));
        assert!(trace.about("192.0.2.8", None).await.unwrap().is_whole);
    }
}
