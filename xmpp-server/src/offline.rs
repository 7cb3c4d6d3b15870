//! Messages for who is away — RFC 6121 §8.5.2.2, XEP-0160 1.0.1 section 3.
//!
//! In    a message that no resource took.
//! Out   at the next login, each once, marked with `<delay/>` (XEP-0203), in the order in which they came.
//! State the archive of owner `<bare JID>#offline`. A message leaves it when a socket has taken it: a crash between the
//!       two shows it twice rather than never.
//! Errors [`StoreError::TooMany`] above the bound: the sender is told.
//! Not here: XEP-0013 (flexible retrieval).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_store::{Archive, Entry, Query, StoreError};
use xmpp_core::payload::delay;
use xmpp_core::{Stanza, ns};

/// All queues.
pub(crate) struct Offline {
    archive: Arc<dyn Archive>,
    most: usize,
    /// Tells messages of one millisecond apart.
    serial: AtomicU32,
    /// Accounts whose queue a session is being given.
    given: DashMap<String, Giving>,
}

/// A queue that is being given.
struct Giving {
    since: Instant,
    /// Somebody else wanted to give it meanwhile: there may be more in it than is being given.
    is_more: bool,
}

impl Offline {
    pub(crate) fn new(archive: Arc<dyn Archive>, most: usize) -> Self {
        Self { archive, most, serial: AtomicU32::new(0), given: DashMap::new() }
    }

    /// Whether a message is worth keeping (XEP-0160 §3, XEP-0334 §4).
    pub(crate) fn is_kept(message: &Stanza) -> bool {
        if matches!(message.type_.as_deref(), Some("groupchat" | "headline" | "error")) {
            return false;
        }
        if message.mentions(ns::HINTS) {
            let hint = |name: &str| message.find(name, ns::HINTS).is_some();
            if hint("no-store") {
                return false;
            }
            if hint("store") {
                return true;
            }
        }
        // A chat state alone is of the moment.
        !message.mentions(ns::CHAT_STATES) || message.mentions("<body")
    }

    /// Keeps a message; when this returns, it is durable.
    pub(crate) async fn keep(&self, owner: &str, message: &Stanza, now: i64) -> Result<(), StoreError> {
        let queue = queue(owner);
        let held = self.archive.page(&queue, &Query { max: 1, ..Query::default() }).await?.count;
        if held.is_none_or(|held| held >= self.most as u64) {
            return Err(StoreError::TooMany(self.most));
        }
        let marked = if message.mentions(ns::DELAY) {
            message.clone()
        } else {
            let domain = owner.split_once('@').map_or(owner, |(_, domain)| domain);
            message.clone().with(&delay::delay(domain, now))
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let with = message.from.as_ref().map(|from| from.bare_str().to_owned()).unwrap_or_default();
        let entry = Entry {
            owner: queue,
            id: format!("{now:016x}{serial:08x}"),
            with,
            time: now,
            kind: KIND.to_owned(),
            body: marked.to_bytes().to_vec(),
        };
        self.archive.append(&[entry]).await
    }

    /// What waits, with the ids under which it is forgotten. Empty if another session is being given it.
    pub(crate) async fn waiting(&self, owner: &str) -> Result<Vec<(String, Stanza)>, StoreError> {
        if !self.begin_giving(owner) {
            return Ok(Vec::new());
        }
        let page = match self
            .archive
            .page(&queue(owner), &Query { max: Query::LARGEST_PAGE, ..Query::default() })
            .await
        {
            Ok(page) => page,
            Err(error) => {
                self.given.remove(owner);
                return Err(error);
            }
        };
        let read = |entry: Entry| Some((entry.id, Stanza::parse(std::str::from_utf8(&entry.body).ok()?)?));
        let waiting: Vec<_> = page.entries.into_iter().filter_map(read).collect();
        if waiting.is_empty() && self.given.remove(owner).is_some_and(|(_, giving)| giving.is_more) {
            return Box::pin(self.waiting(owner)).await; // something came since we looked
        }
        Ok(waiting)
    }

    /// Forgets what the account's archive has as well (XEP-0386 §3.2).
    pub(crate) async fn forget_archived(&self, owner: &str) -> Result<(), StoreError> {
        let query = Query { max: Query::LARGEST_PAGE, ..Query::default() };
        let page = self.archive.page(&queue(owner), &query).await?;
        let is_archived = |entry: &Entry| {
            let message = std::str::from_utf8(&entry.body).ok().and_then(Stanza::parse);
            message.is_some_and(|message| {
                message
                    .children()
                    .iter()
                    .any(|child| child.is("stanza-id", ns::STANZA_ID) && child.attribute("by") == Some(owner))
            })
        };
        let ids: Vec<String> = page.entries.into_iter().filter(is_archived).map(|entry| entry.id).collect();
        if !ids.is_empty() {
            self.archive.remove(&queue(owner), &ids).await?;
        }
        Ok(())
    }

    fn begin_giving(&self, owner: &str) -> bool {
        let mut is_first = false;
        let mut giving = self.given.entry(owner.to_owned()).or_insert_with(|| {
            is_first = true;
            Giving { since: Instant::now(), is_more: false }
        });
        if !is_first && giving.since.elapsed() >= GIVING {
            giving.since = Instant::now();
            is_first = true;
        }
        giving.is_more |= !is_first;
        is_first
    }

    /// Messages that a client has; nothing is being given any more. Whether there may be more to give.
    pub(crate) async fn given(&self, owner: &str, ids: &[String]) -> Result<bool, StoreError> {
        let done = if ids.is_empty() { Ok(0) } else { self.archive.remove(&queue(owner), ids).await };
        let is_more = self.given.remove(owner).is_some_and(|(_, giving)| giving.is_more);
        done.map(|_| is_more)
    }
}

/// Entries that wait.
pub(crate) const KIND: &str = "offline";
/// How long giving may take; then the session that was being given is taken for dead.
const GIVING: Duration = Duration::from_secs(60);

pub(crate) fn queue(owner: &str) -> String {
    format!("{owner}#offline")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_somebody_said_and_nothing_of_the_moment() {
        let kept = |text: &str| Offline::is_kept(&Stanza::parse(text).unwrap());
        assert!(kept("<message type='chat'><body>x</body></message>") && kept("<message/>"));
        assert!(!kept("<message type='headline'><body>x</body></message>"));
        assert!(!kept("<message><active xmlns='http://jabber.org/protocol/chatstates'/></message>"));
        assert!(!kept("<message><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>"));
    }

    #[tokio::test]
    async fn gives_each_message_once_and_says_when_it_is_full() {
        let offline = Offline::new(shared_store::Store::in_memory().archive, 1);
        let message = Stanza::parse("<message from='b@x/r' to='a@x'><body>hi</body></message>").unwrap();
        offline.keep("a@x", &message, 1000).await.unwrap();
        assert_eq!(offline.keep("a@x", &message, 1001).await, Err(StoreError::TooMany(1)));
        let waiting = offline.waiting("a@x").await.unwrap();
        assert!(waiting[0].1.find("delay", ns::DELAY).is_some());
        assert!(offline.waiting("a@x").await.unwrap().is_empty(), "another session is being given them");
        offline.given("a@x", &[waiting[0].0.clone()]).await.unwrap();
        assert!(offline.waiting("a@x").await.unwrap().is_empty());
    }
}
