//! Entries on their way to the store, many at once.
//!
//! In    drafts, over a bounded channel; accounts that are gone.
//! Out   entries in the archive, in groups of [`GROUP`], or of what came within [`MOMENT`].
//! State how many entries each account got since it was last trimmed; which rows of the index were written.
//! Errors what the store refuses is counted, logged once a minute, and said in the timeline when it writes again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_auth::Auth;
use shared_model::{AccountEvent, AccountId, Correlation, Protocol};
use shared_runtime::{random, unix_millis};
use shared_store::{Archive, StoreError};
use tokio::sync::mpsc;

use super::entry::{Entry, KIND, What, owner};
use super::index;
use super::words::{Draft, Whom};
use crate::config::Config;
use crate::metrics::Metrics;

/// What the writer is told.
pub(super) enum Note {
    /// Something happened, at that time.
    Entry(i64, Box<Draft>),
    /// An account is gone, and its timeline goes with it.
    Removed(AccountId),
    /// Accounts may be gone of which nothing was heard.
    Look,
}

pub(super) struct Writer {
    archive: Arc<dyn Archive>,
    auth: Auth,
    metrics: Metrics,
    keep: usize,
    age: Duration,
    /// Names this process in the ids of its entries.
    process: u64,
    serial: u64,
    since_trimmed: HashMap<String, usize>,
    /// An account's entries are counted after so many new ones.
    trims: usize,
    /// Rows of the index that are in the store: owner and id.
    indexed: HashSet<(String, String)>,
    removed: VecDeque<AccountId>,
    /// Accounts that were found gone, and whose timelines are still to remove.
    gone: Vec<AccountId>,
    /// Whether accounts that are gone must be looked for.
    must_look: bool,
    /// Entries that the store refused and the timeline does not tell of yet, and when that began.
    lost: u64,
    lost_since: i64,
    complained: Option<Instant>,
    forgot: Instant,
}

impl Writer {
    pub(super) fn new(archive: Arc<dyn Archive>, auth: Auth, metrics: Metrics, config: &Config) -> Self {
        Self {
            archive,
            auth,
            metrics,
            keep: config.timeline_entries,
            age: config.timeline_keep,
            process: random(),
            serial: 0,
            since_trimmed: HashMap::new(),
            trims: TRIMS,
            indexed: HashSet::new(),
            removed: VecDeque::new(),
            gone: Vec::new(),
            must_look: false,
            lost: 0,
            lost_since: 0,
            complained: None,
            forgot: Instant::now(),
        }
    }

    /// The same that counts at each entry, since it ends before there are many.
    pub(super) fn brief(self) -> Self {
        Self { trims: 1, ..self }
    }

    /// Writes until there is nobody who could tell anything any more.
    pub(super) async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        let mut group = Vec::with_capacity(GROUP);
        self.remove_gone().await;
        loop {
            if let Ok(came) = tokio::time::timeout(FORGETS, notes.recv_many(&mut group, GROUP)).await {
                if came == 0 {
                    return;
                }
                if came < GROUP && !notes.is_closed() {
                    // What comes in the same moment goes with it.
                    tokio::time::sleep(MOMENT).await;
                }
                while group.len() < GROUP
                    && let Ok(note) = notes.try_recv()
                {
                    group.push(note);
                }
                self.write(std::mem::take(&mut group)).await;
            }
            if self.forgot.elapsed() >= FORGETS {
                self.forgot = Instant::now();
                self.forget_old().await;
                if self.must_look {
                    self.find_gone().await;
                    self.remove_gone().await;
                }
            }
        }
    }

    async fn write(&mut self, group: Vec<Note>) {
        let (mut entries, mut rows) = (Vec::with_capacity(group.len()), Vec::new());
        let told = self.lost;
        if told > 0 {
            let text = format!("{told} entries could not be written to the store");
            let what = What::new(Correlation(0), Protocol::Auth, "entries_lost", text);
            entries.push(self.stored(Entry { time: self.lost_since, account: None, what }));
        }
        for note in group {
            match note {
                Note::Entry(time, draft) => {
                    let Draft { whom, what } = *draft;
                    if let Some(account) = self.whose(whom).await {
                        let entry = Entry { time, account, what };
                        let stored = self.stored(entry.clone());
                        rows.extend(index::rows(&entry, &stored));
                        entries.push(stored);
                    }
                }
                Note::Removed(account) => {
                    let of = owner(Some(account));
                    entries.retain(|entry| entry.owner != of);
                    self.remove(account).await;
                }
                Note::Look => {
                    self.find_gone().await;
                    let gone: HashSet<String> = self.gone.iter().map(|gone| owner(Some(*gone))).collect();
                    entries.retain(|entry| !gone.contains(&entry.owner));
                    self.remove_gone().await;
                }
            }
        }
        if entries.is_empty() {
            return;
        }
        let written = entries.len();
        entries.extend(self.new_rows(rows));
        let appended = self.archive.append(&entries).await;
        let rows = entries.split_off(written);
        match appended {
            Ok(()) => {
                self.lost -= told;
                self.indexed.extend(rows.into_iter().map(|row| (row.owner, row.id)));
                self.metrics.written.inc_by(entries.len() as u64);
                for entry in &entries {
                    let count = self.since_trimmed.entry(entry.owner.clone()).or_default();
                    *count += 1;
                    if *count >= self.trims {
                        *count = 0;
                        self.trim(&entry.owner).await;
                    }
                }
                if self.since_trimmed.len() > MOST_COUNTED {
                    // The age bounds those who are forgotten.
                    self.since_trimmed.clear();
                }
            }
            Err(error) => {
                // That entries are lost is no entry lost.
                let lost = entries.len() as u64 - u64::from(told > 0);
                self.lose(lost);
                self.complain(&error, "entries of the timeline could not be written");
            }
        }
    }

    /// Those of the index that are not in the store, as far as is known: one that is written again is passed over there.
    fn new_rows(&mut self, mut rows: Vec<shared_store::Entry>) -> Vec<shared_store::Entry> {
        if self.indexed.len() > MOST_COUNTED {
            self.indexed.clear();
        }
        let mut new = HashSet::new();
        rows.retain(|row| {
            let row = (row.owner.clone(), row.id.clone());
            !self.indexed.contains(&row) && new.insert(row)
        });
        rows
    }

    /// Whose entry it is; none if it is nobody's of ours. The outer `None`: no entry at all.
    async fn whose(&mut self, whom: Whom) -> Option<Option<AccountId>> {
        let account = match whom {
            Whom::Nobody | Whom::Stranger(_) | Whom::Strangers => return Some(None),
            Whom::Account(account) => account,
            Whom::Jid(jid) => match self.auth.directory.by_jid(&jid).await {
                Ok(card) => card?.account,
                Err(error) => {
                    self.lose(1);
                    self.complain(&error, "whose an entry of the timeline is, is not known");
                    return None;
                }
            },
        };
        (!self.removed.contains(&account)).then_some(Some(account))
    }

    fn stored(&mut self, entry: Entry) -> shared_store::Entry {
        self.serial += 1;
        entry.stored(format!("{:016x}{:012x}", self.process, self.serial))
    }

    async fn trim(&mut self, of: &str) {
        if let Err(error) = self.archive.trim(of, self.keep, MOST_TRIMMED).await {
            self.complain(&error, "old entries of the timeline could not be removed");
        }
    }

    /// Finds the accounts that went while nobody listened, or unheard: those of which something is still to erase, and those
    /// that ended in the last hour.
    pub(super) async fn find_gone(&mut self) {
        let found = gone(&self.auth).await;
        self.must_look = found.is_err();
        match found {
            Ok(gone) => self.gone = gone,
            Err(error) => self.complain(&error, "which accounts are gone is not known; it is asked again"),
        }
    }

    async fn remove_gone(&mut self) {
        for account in std::mem::take(&mut self.gone) {
            self.remove(account).await;
        }
    }

    async fn remove(&mut self, account: AccountId) {
        if !self.removed.contains(&account) {
            self.removed.push_back(account);
        }
        if self.removed.len() > MOST_REMOVED {
            self.removed.pop_front();
        }
        if let Err(error) = self.archive.remove_owner(&owner(Some(account))).await {
            // If the account is to be found no more by then, its age bounds it.
            self.must_look = true;
            self.complain(&error, "the timeline of an account that is gone is still there");
        }
    }

    async fn forget_old(&mut self) {
        let age = i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX);
        let before = unix_millis().saturating_sub(age);
        for _ in 0..MOST_PAGES_FORGOTTEN {
            match self.archive.remove_older(KIND, before, MOST_FORGOTTEN).await {
                Ok(removed) if removed == MOST_FORGOTTEN as u64 => {}
                Ok(_) => return,
                Err(error) => {
                    return self.complain(&error, "old entries of the timeline could not be removed");
                }
            }
        }
    }

    fn lose(&mut self, entries: u64) {
        if self.lost == 0 {
            self.lost_since = unix_millis();
        }
        self.lost += entries;
        self.metrics.dropped_store.inc_by(entries);
    }

    fn complain(&mut self, error: &StoreError, what: &str) {
        if self.complained.is_none_or(|last| last.elapsed() > COMPLAINS) {
            self.complained = Some(Instant::now());
            tracing::warn!(%error, "{what}");
        }
    }
}

async fn gone(auth: &Auth) -> Result<Vec<AccountId>, StoreError> {
    let mut gone: Vec<_> = auth.gone.list().await?.into_iter().map(|gone| gone.account).collect();
    for (_, event) in auth.ended_lately().await? {
        if let AccountEvent::Removed { account } = event
            && !gone.contains(&account)
            && auth.directory.by_id(account).await?.is_none()
        {
            gone.push(account);
        }
    }
    Ok(gone)
}

/// Entries that are written at once.
const GROUP: usize = 256;
/// How long the first of a group waits for others.
const MOMENT: Duration = Duration::from_millis(100);
/// New entries of an account after which all of its are counted.
const TRIMS: usize = 50;
/// Entries that one trim removes at most.
const MOST_TRIMMED: usize = 1_000;
/// Accounts whose new entries are counted; rows of the index that are known to be there.
const MOST_COUNTED: usize = 50_000;
/// Accounts that are gone and of which facts may still come.
const MOST_REMOVED: usize = 1_000;
/// How often old entries are removed, how many at once, and how often that is done in a row: 2,000 a second.
const FORGETS: Duration = Duration::from_secs(30);
const MOST_FORGOTTEN: usize = 1_000;
const MOST_PAGES_FORGOTTEN: usize = 60;
const COMPLAINS: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::*;

    fn writer(store: &Store) -> Writer {
        let folder = std::env::temp_dir().join(format!("cusax-writer-{:016x}", random()));
        let registry = prometheus::Registry::new();
        let auth =
            Auth::open(&shared_auth::Config::default(), store, &folder, &Bus::new(), &registry).unwrap();
        // It is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&folder);
        let metrics = Metrics::register(&registry).unwrap();
        Writer::new(Arc::clone(&store.archive), auth, metrics, &Config::default())
    }

    fn what() -> What {
        What::new(Correlation(1), Protocol::Auth, "facts_missed", "one")
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_waits_is_written_at_once() {
        let store = Store::in_memory();
        let (queue, notes) = mpsc::channel(GROUP * 32);
        for _ in 0..GROUP * 32 {
            let draft = Draft { whom: Whom::Account(AccountId(1)), what: what() };
            queue.try_send(Note::Entry(1, Box::new(draft))).unwrap_or_else(|_| panic!("it is full"));
        }
        drop(queue);
        let writer = writer(&store);
        let (metrics, began) = (writer.metrics.clone(), tokio::time::Instant::now());
        writer.run(notes).await;
        assert_eq!(metrics.written.get(), GROUP as u64 * 32);
        assert_eq!(began.elapsed(), Duration::ZERO, "no moment is waited for what is there");
    }

    #[tokio::test]
    async fn all_that_is_too_old_goes_in_one_round() {
        let store = Store::in_memory();
        let mut writer = writer(&store);
        let now = unix_millis();
        let mut entries = Vec::new();
        for n in 0..MOST_FORGOTTEN as i64 * 3 + 5 {
            let time = if n < 5 { now } else { n };
            entries.push(writer.stored(Entry { time, account: None, what: what() }));
        }
        store.archive.append(&entries).await.unwrap();
        writer.forget_old().await;
        assert_eq!(store.archive.remove_owner(&owner(None)).await, Ok(5));
    }
}
