//! The timeline of an account: what happened to it over every protocol, in one order.
//!
//! In    facts of the bus. Out entries in the archive, and a [`Trace`] that reads them, with or without a running server.
//! State what [`words`], [`pace`] and [`writer`] keep; all bounded.
//! Each process writes what happened in it: what another one announces is passed over, but that an account is gone.
//! Errors facts that came too fast are counted in a metric and said in the timeline itself. What the writer's queue has no
//! room for is dropped and counted: nobody waits for the timeline. Only that an account is gone waits for room; at the
//! start, and after facts were missed, the writer looks for accounts that went unheard.
//!
//! ```text
//! bus ─▶ listener: words, pace ─▶ queue of QUEUE ─▶ writer: whose, group ─▶ archive
//! ```

mod calls;
mod entry;
mod index;
mod pace;
mod trace;
mod verdict;
mod words;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use shared_auth::Auth;
use shared_model::{AccountEvent, AccountId, Correlation, Domains, Event, Fact, Origin, Protocol};
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::{Shutdown, unix_millis};
use shared_store::Archive;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::metrics::Metrics;
use entry::What;
use pace::Pace;
use words::{Draft, LOGIN_FAILED, Whom, Words};
use writer::{Note, Writer};

pub use entry::{Entry, What as Happening};
pub use trace::{Follow, Sight, Trace};

/// What the timeline uses.
pub struct Parts<'a> {
    /// How much is kept.
    pub config: &'a Config,
    /// Facts, from now on.
    pub facts: Subscription<Fact>,
    /// Where entries go.
    pub archive: Arc<dyn Archive>,
    /// Where accounts have addresses: what is said of others is nobody's.
    pub domains: Domains,
    /// Finds whose a JID is, and which accounts are gone.
    pub auth: Auth,
    /// Where what is counted is registered.
    pub registry: &'a Registry,
    /// Ends it; what was told before is written.
    pub shutdown: Shutdown,
}

/// Writes the timeline until shutdown. Who erases what was of accounts that are gone starts after it: they take back the
/// notes that are read here.
pub async fn start(parts: Parts<'_>) -> Result<(), prometheus::Error> {
    let Some((listener, mut writer, notes)) = prepare(&parts)? else { return Ok(()) };
    writer.find_gone().await;
    parts.shutdown.spawn(writer.run(notes));
    parts.shutdown.spawn(listener.run(parts.facts, parts.shutdown.clone()));
    Ok(())
}

/// Writes what was told so far, and is done: for a command, beside a server or without one.
pub async fn write_down(mut parts: Parts<'_>) -> Result<(), prometheus::Error> {
    let Some((mut listener, writer, notes)) = prepare(&parts)? else { return Ok(()) };
    while let Ok(Some(heard)) = tokio::time::timeout(Duration::ZERO, parts.facts.next()).await {
        listener.hear(heard);
    }
    listener.tick(Instant::now());
    drop(listener);
    writer.brief().run(notes).await;
    Ok(())
}

/// Who hears and who writes; none where no timeline is kept.
fn prepare(parts: &Parts<'_>) -> Result<Option<(Listener, Writer, mpsc::Receiver<Note>)>, prometheus::Error> {
    let metrics = Metrics::register(parts.registry)?;
    if parts.config.timeline_entries == 0 {
        return Ok(None);
    }
    let (queue, notes) = mpsc::channel(QUEUE);
    let writer = Writer::new(Arc::clone(&parts.archive), parts.auth.clone(), metrics.clone(), parts.config);
    let listener = Listener {
        words: Words::new(Instant::now()),
        pace: Pace::default(),
        domains: parts.domains.clone(),
        queue,
        metrics,
        missed: 0,
        full: 0,
        removed: Vec::new(),
        must_look: false,
    };
    Ok(Some((listener, writer, notes)))
}

/// Hears facts and never waits for the store.
struct Listener {
    words: Words,
    pace: Pace,
    domains: Domains,
    queue: mpsc::Sender<Note>,
    metrics: Metrics,
    /// Facts that came too fast, and are not told yet.
    missed: u64,
    /// Entries that found the queue full, and are not told yet.
    full: u64,
    /// Accounts that are gone, of which the queue had no room to tell.
    removed: Vec<AccountId>,
    /// Whether accounts may be gone of which nothing was heard.
    must_look: bool,
}

impl Listener {
    async fn run(mut self, mut facts: Subscription<Fact>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                heard = facts.next() => match heard {
                    Some(heard) => self.hear(heard),
                    None => break,
                },
                _ = ticks.tick() => self.tick(Instant::now()),
                () = shutdown.begun() => {
                    // What ends with the service is told as well.
                    while let Ok(Some(heard)) = tokio::time::timeout(QUIET, facts.next()).await {
                        self.hear(heard);
                    }
                    break;
                }
            }
        }
        self.tick(Instant::now());
    }

    fn hear(&mut self, heard: Heard<Fact>) {
        let fact = match heard {
            Heard::Fact(fact) => fact,
            Heard::Missed(missed) => {
                self.metrics.missed.inc_by(missed);
                self.missed += missed;
                self.must_look = true;
                return;
            }
        };
        if let Event::Account(AccountEvent::Removed { account }) = fact.event {
            return self.remove(account);
        }
        if fact.origin == Origin::Elsewhere {
            return;
        }
        let now = Instant::now();
        let drafts = self.words.of(fact, now);
        for draft in drafts {
            // Guests of other services are many: they share a window, and take no look into the directory.
            let draft = match draft.whom {
                Whom::Jid(jid) if !self.domains.has(jid.domain()) => {
                    Draft::of_guest(jid.as_str(), draft.what)
                }
                whom => Draft { whom, ..draft },
            };
            if !self.pace.admits(&draft.whom, draft.is_failure(), now) {
                self.metrics.dropped_pace.inc();
                continue;
            }
            self.put(Note::Entry(unix_millis(), Box::new(draft)));
        }
    }

    /// Says what was not said, now that it can be counted.
    fn tick(&mut self, now: Instant) {
        for account in std::mem::take(&mut self.removed) {
            self.remove(account);
        }
        self.must_look = self.must_look && self.queue.try_send(Note::Look).is_err();
        for passed in self.pace.close(now) {
            let at = match &passed.whom {
                Whom::Account(account) => Correlation::of_account(*account),
                Whom::Jid(_) | Whom::Stranger(_) | Whom::Strangers | Whom::Nobody => Correlation(0),
            };
            let failures = format!("{} more logins failed within the last minute", passed.failures);
            let entries = format!("{} more things happened within a minute than are kept", passed.entries);
            for (count, event, text) in
                [(passed.failures, LOGIN_FAILED, failures), (passed.entries, "entries_passed_over", entries)]
            {
                if count > 0 {
                    let what = What::new(at, Protocol::Auth, event, text);
                    let draft = Draft { whom: passed.whom.clone(), what };
                    self.put(Note::Entry(unix_millis(), Box::new(draft)));
                }
            }
        }
        let missed = std::mem::take(&mut self.missed) + std::mem::take(&mut self.full);
        if missed > 0 {
            let text = format!("{missed} facts came too fast: what they say is in no timeline");
            let what = What::new(Correlation(0), Protocol::Auth, "facts_missed", text);
            self.put(Note::Entry(unix_millis(), Box::new(Draft { whom: Whom::Nobody, what })));
        }
    }

    /// What is not told now is told with a later tick: nobody else would remove that timeline.
    fn remove(&mut self, account: AccountId) {
        if self.queue.try_send(Note::Removed(account)).is_ok() {
            return;
        }
        match self.removed.len() < MOST_REMOVED {
            true => self.removed.push(account),
            false => self.must_look = true,
        }
    }

    fn put(&mut self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.metrics.dropped_full.inc();
            self.full += 1;
        }
    }
}

/// Notes that may wait for the writer.
const QUEUE: usize = 8_192;
/// Accounts that are gone and are kept until the queue has room; the writer looks for those beyond.
const MOST_REMOVED: usize = 1_000;
/// How often it is said what was passed over.
const TICK: Duration = Duration::from_secs(2);
/// Nothing more comes from a service that stops after so long a silence.
const QUIET: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use shared_model::{Affiliation, RoomEvent};

    use super::*;

    fn removed(account: u128) -> Heard<Fact> {
        let account = AccountId(account);
        Heard::Fact(Fact::new(Correlation(1), AccountEvent::Removed { account }))
    }

    fn listener(room: usize) -> (Listener, mpsc::Receiver<Note>) {
        let (queue, notes) = mpsc::channel(room);
        let listener = Listener {
            words: Words::new(Instant::now()),
            pace: Pace::default(),
            domains: Domains::new("example.org", ["example.net"]),
            queue,
            metrics: Metrics::register(&Registry::new()).unwrap(),
            missed: 0,
            full: 0,
            removed: Vec::new(),
            must_look: false,
        };
        (listener, notes)
    }

    #[test]
    fn guests_of_other_services_share_what_room_they_have() {
        let (mut listener, mut notes) = listener(64);
        let mut hear = |jid: &str| {
            let (room, jid) = ("dev@rooms.example.org".parse().unwrap(), jid.parse().unwrap());
            let event = RoomEvent::AffiliationChanged { room, jid, affiliation: Affiliation::Member };
            listener.hear(Heard::Fact(Fact::new(Correlation(1), event)));
        };
        for jid in ["a@example.org", "guest@elsewhere.example", "b@example.net", "c@sub.example.org"] {
            hear(jid);
        }
        for n in 0..100 {
            hear(&format!("guest{n}@elsewhere.example"));
        }
        let told = std::iter::from_fn(|| notes.try_recv().ok());
        let told: Vec<_> = told
            .filter_map(|note| match note {
                Note::Entry(_, draft) => Some(match draft.whom {
                    Whom::Jid(jid) => jid.to_string(),
                    _ => draft.what.text,
                }),
                _ => None,
            })
            .collect();
        assert_eq!(
            told[..4],
            [
                "a@example.org",
                "guest@elsewhere.example: is Member of dev@rooms.example.org",
                "b@example.net",
                "c@sub.example.org: is Member of dev@rooms.example.org"
            ]
        );
        assert_eq!((told.len(), listener.pace.len()), (32, 33));
    }

    #[test]
    fn that_an_account_is_gone_waits_until_the_queue_has_room() {
        let (mut listener, mut notes) = listener(1);
        for account in 0..3 {
            listener.hear(removed(account));
        }
        let mut told = Vec::new();
        for _ in 0..3 {
            while let Ok(Note::Removed(account)) = notes.try_recv() {
                told.push(account);
            }
            listener.tick(Instant::now());
        }
        assert_eq!(told, [AccountId(0), AccountId(1), AccountId(2)]);
        assert!(notes.try_recv().is_err());
        let most = MOST_REMOVED as u128;
        for account in 0..most + 2 {
            listener.hear(removed(account));
        }
        assert!(listener.must_look && listener.removed.len() == MOST_REMOVED);
    }
}
