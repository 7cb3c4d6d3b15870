//! Messages for who is away — RFC 6121 §8.5.2.2, XEP-0160 1.0.1 section 3.
//!
//! In    a message that no resource took, or that waits for one without connection and is in no archive.
//! Out   at the next login, each once, marked with `<delay/>` (XEP-0203), in the order in which they came, whatever the clock
//!       did meanwhile. Those that have no number, an older version's and those of another server, come first, by their time.
//! State the archive of owner `<bare JID>#offline`. A message leaves it when a socket has taken it: a crash between the
//!       two shows it twice rather than never, and so does a session that still writes after [`ENDING`], or a client that has
//!       messages and loses its session before it acks them. In memory, which session has which of them in its outbox,
//!       or is to have it next, and of which other sessions have a copy ([`Among`]): what one of them has waits no more.
//! Errors what is above the bound is not kept: the sender is told.
//! Not here: XEP-0013 (flexible retrieval).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_runtime::unix_millis;
use shared_store::{Archive, Entry, Position, Query, StoreError};
use xmpp_core::payload::delay;
use xmpp_core::{Stanza, ns};

use crate::archive;
use crate::router::Among;

/// All queues.
pub(crate) struct Offline {
    archive: Arc<dyn Archive>,
    most: usize,
    /// Tells this run of the process from others, whose numbers begin anew.
    run: u64,
    /// By account, the messages that a session was given and does not have yet, by their ids.
    given: DashMap<String, HashMap<String, Given>>,
}

/// To which session a message was given.
struct Given {
    session: u64,
    stage: Stage,
    since: Instant,
    /// Of what other sessions of the account have a copy, too.
    among: Option<Arc<Among>>,
}

/// How far a message is on its way to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Behind what the session is given before.
    Behind,
    /// In its outbox.
    InOutbox,
    /// No more, and another client has it, or may still get it.
    Spare,
}

impl Given {
    fn now(session: u64, stage: Stage) -> Self {
        Self { session, stage, since: Instant::now(), among: None }
    }
}

/// When a message came: what its mark says, and behind which others it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Milliseconds since 1970, as the clock said.
    at: i64,
    /// Later is more, while the process runs.
    number: u64,
}

impl Came {
    /// At this moment.
    pub(crate) fn now() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { at: unix_millis(), number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Offline {
    pub(crate) fn new(archive: Arc<dyn Archive>, most: usize) -> Self {
        let run = RandomState::new().hash_one(unix_millis());
        Self { archive, most, run, given: DashMap::new() }
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

    /// Keeps messages in one commit, each as of when it came; when this returns, they are durable. The ids of as many
    /// as there is room for. Those that are a session's are given to nobody else while it lasts.
    pub(crate) async fn keep(
        &self,
        owner: &str,
        messages: &[(&Stanza, Came)],
        whose: Option<(u64, Stage)>,
    ) -> Result<Vec<String>, StoreError> {
        let held = self.archive.page(&queue(owner), &Query { max: 1, ..Query::default() }).await?.count;
        let held = held.and_then(|held| usize::try_from(held).ok()).unwrap_or(usize::MAX);
        let messages = messages.iter().take(self.most.saturating_sub(held));
        let entries: Vec<Entry> = messages.map(|(message, came)| self.entry(owner, message, *came)).collect();
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        if let Some((session, stage)) = whose {
            self.give(owner, &ids, session, stage);
        }
        match self.archive.append(&entries).await {
            Ok(()) => Ok(ids),
            Err(error) => {
                // Another session may have the same to get.
                let is_its = |given: &Given| whose.is_some_and(|(session, _)| session == given.session);
                self.take(owner, |id, given| is_its(given) && ids.iter().any(|own| own == id));
                Err(error)
            }
        }
    }

    fn entry(&self, owner: &str, message: &Stanza, came: Came) -> Entry {
        let marked = if message.mentions(ns::DELAY) {
            message.clone()
        } else {
            let domain = owner.split_once('@').map_or(owner, |(_, domain)| domain);
            message.clone().with(&delay::delay(domain, came.at))
        };
        Entry {
            owner: queue(owner),
            id: format!("{:016x}-{:016x}", self.run, came.number),
            with: message.from.as_ref().map(|from| from.bare_str().to_owned()).unwrap_or_default(),
            time: came.at,
            kind: KIND.to_owned(),
            body: marked.to_bytes().to_vec(),
        }
    }

    /// What waits and no other session was given, oldest first, with the ids under which it is forgotten: from now on this session
    /// has it. `bound` are the sessions that the account has: what was given to none of them waits again after a while.
    pub(crate) async fn waiting(
        &self,
        owner: &str,
        session: u64,
        bound: &[u64],
    ) -> Result<Vec<(String, Stanza)>, StoreError> {
        self.forget_spare(owner).await;
        let mut all = in_order(&*self.archive, owner).await?;
        let mut given = self.given.entry(owner.to_owned()).or_default();
        all.retain(|entry| {
            let is_free = given.get(&entry.id).is_none_or(|given| match given.session == session {
                true => given.stage == Stage::Behind,
                false => !bound.contains(&given.session) && given.since.elapsed() >= ENDING,
            });
            if is_free {
                let now = Given::now(session, Stage::InOutbox);
                let among = given.remove(&entry.id).and_then(|before| before.among);
                given.insert(entry.id.clone(), Given { among, ..now });
            }
            is_free
        });
        drop(given);
        self.given.remove_if(owner, |_, given| given.is_empty());
        let read = |entry: Entry| Some((entry.id, Stanza::parse(std::str::from_utf8(&entry.body).ok()?)?));
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// Forgets what the account's archive has as well (XEP-0386 §3.2), but for what another session is to have next.
    pub(crate) async fn forget_archived(&self, owner: &str) -> Result<(), StoreError> {
        let query = Query { max: Query::LARGEST_PAGE, ..Query::default() };
        let page = self.archive.page(&queue(owner), &query).await?;
        let is_behind = |id: &str| {
            let given = self.given.get(owner);
            given.is_some_and(|given| given.get(id).is_some_and(|given| given.stage == Stage::Behind))
        };
        let is_archived = |entry: &Entry| {
            let message = std::str::from_utf8(&entry.body).ok().and_then(Stanza::parse);
            !is_behind(&entry.id) && message.is_some_and(|message| archive::has(&message, owner))
        };
        let ids: Vec<String> = page.entries.into_iter().filter(is_archived).map(|entry| entry.id).collect();
        if !ids.is_empty() {
            self.archive.remove(&queue(owner), &ids).await?;
        }
        Ok(())
    }

    /// Forgets messages that a client has.
    pub(crate) async fn forget(&self, owner: &str, ids: &[String]) -> Result<(), StoreError> {
        self.archive.remove(&queue(owner), ids).await?;
        for among in self.take(owner, |id, _| ids.iter().any(|own| own == id)) {
            among.had();
        }
        Ok(())
    }

    /// A session has these, or is to have them.
    pub(crate) fn give(&self, owner: &str, ids: &[String], session: u64, stage: Stage) {
        let mut given = self.given.entry(owner.to_owned()).or_default();
        for id in ids {
            let among = given.remove(id).and_then(|before| before.among);
            given.insert(id.clone(), Given { among, ..Given::now(session, stage) });
        }
    }

    /// Other sessions have a copy of what waits for one under this id. If it waits for all meanwhile, nobody else gives it.
    pub(crate) fn share(&self, owner: &str, id: &str, among: &Arc<Among>) {
        let mut all = self.given.get_mut(owner);
        match all.as_mut().and_then(|given| given.get_mut(id)) {
            Some(given) => given.among = Some(Arc::clone(among)),
            None => among.had(),
        }
    }

    /// A session does not get these any more.
    pub(crate) fn wait_again(&self, owner: &str, ids: &[String]) {
        self.let_go(owner, |id, _| ids.iter().any(|own| own == id));
    }

    /// What a session was to have next waits for others as well.
    pub(crate) fn release(&self, owner: &str, session: u64) {
        self.let_go(owner, |_, given| given.session == session && given.stage == Stage::Behind);
    }

    /// A session is over: what it was given and did not get waits again. Whether there is any. In the queue's turn.
    pub(crate) async fn session_ended(&self, owner: &str, session: u64) -> bool {
        let waits = self.let_go(owner, |_, given| given.session == session);
        self.forget_spare(owner).await;
        waits
    }

    /// Others of whom it was unclear whether they would get something did not: it waits again. Whether there is any.
    pub(crate) fn settle(&self, owner: &str) -> bool {
        self.given.contains_key(owner) && self.let_go(owner, |_, _| false)
    }

    /// Lets go of what a session does not get. What another client has waits for nobody, and what one may still get waits until that is
    /// known. Whether any waits for others now.
    fn let_go(&self, owner: &str, which: impl Fn(&str, &Given) -> bool) -> bool {
        let mut waits = false;
        self.given.remove_if_mut(owner, |_, all| {
            all.retain(|id, given| {
                if given.stage != Stage::Spare && !which(id, given) {
                    return true;
                }
                given.stage = Stage::Spare;
                let is_others =
                    given.among.as_ref().is_some_and(|it| it.is_had() || Arc::strong_count(it) > 1);
                waits |= !is_others;
                is_others
            });
            all.is_empty()
        });
        waits
    }

    /// What waits for nobody, since another client has it.
    pub(crate) fn spare(&self, owner: &str) -> Vec<String> {
        let is_spare = |given: &Given| {
            given.stage == Stage::Spare && given.among.as_ref().is_some_and(|among| among.is_had())
        };
        let given = self.given.get(owner);
        let all = given.iter().flat_map(|given| given.iter());
        all.filter(|(_, given)| is_spare(given)).map(|(id, _)| id.clone()).collect()
    }

    async fn forget_spare(&self, owner: &str) {
        let spare = self.spare(owner);
        if !spare.is_empty()
            && let Err(error) = self.forget(owner, &spare).await
        {
            tracing::error!(%error, "messages that another client has could not be forgotten");
        }
    }

    /// Takes out of what was given, and answers of what of it other sessions have a copy.
    fn take(&self, owner: &str, which: impl Fn(&str, &Given) -> bool) -> Vec<Arc<Among>> {
        let mut among = Vec::new();
        self.given.remove_if_mut(owner, |_, all| {
            all.retain(|id, given| {
                let stays = !which(id, given);
                if !stays {
                    among.extend(given.among.take());
                }
                stays
            });
            all.is_empty()
        });
        among
    }
}

/// All that waits for an account, in the order of its coming.
pub(crate) async fn in_order(archive: &dyn Archive, owner: &str) -> Result<Vec<Entry>, StoreError> {
    let mut all = Vec::new();
    let mut position = Position::First;
    loop {
        let query = Query { max: Query::LARGEST_PAGE, position, ..Query::default() };
        let page = archive.page(&queue(owner), &query).await?;
        let last = page.entries.last().map(|entry| entry.id.clone());
        all.extend(page.entries);
        match last.filter(|_| !page.complete) {
            Some(last) => position = Position::After(last),
            None => break,
        }
    }
    // A run stored all of its own before the next one began, but not in order: what a session did not get it says at its end.
    let mut runs: HashMap<String, usize> = HashMap::new();
    for (run, _) in all.iter().filter_map(|entry| entry.id.split_once('-')) {
        let next = runs.len() + 1;
        runs.entry(run.to_owned()).or_insert(next);
    }
    all.sort_by_cached_key(|entry| match entry.id.split_once('-') {
        Some((run, number)) => (runs[run], 0, number.to_owned()),
        None => (0, entry.time, String::new()),
    });
    Ok(all)
}

/// Entries that wait.
pub(crate) const KIND: &str = "offline";
/// How long a session that is bound no more may take to say what it did not get.
const ENDING: Duration = Duration::from_secs(60);

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
        let two = [(&message, Came::now()), (&message, Came::now())];
        assert_eq!(offline.keep("a@x", &two, None).await.unwrap().len(), 1);
        assert_eq!(offline.keep("a@x", &two, None).await.unwrap().len(), 0);
        let waiting = offline.waiting("a@x", 1, &[1]).await.unwrap();
        assert!(waiting[0].1.find("delay", ns::DELAY).is_some());
        assert!(offline.waiting("a@x", 1, &[1]).await.unwrap().is_empty(), "it was given them");
        assert!(
            offline.waiting("a@x", 2, &[1, 2]).await.unwrap().is_empty(),
            "another session was given them"
        );
        offline.session_ended("a@x", 1).await;
        assert_eq!(offline.waiting("a@x", 2, &[2]).await.unwrap(), waiting);
        offline.forget("a@x", &[waiting[0].0.clone()]).await.unwrap();
        assert!(offline.waiting("a@x", 3, &[3]).await.unwrap().is_empty());
        assert!(offline.given.is_empty());
    }

    #[tokio::test]
    async fn what_is_to_come_behind_is_its_sessions_alone_while_that_lasts() {
        let offline = Offline::new(shared_store::Store::in_memory().archive, 9);
        let message = "<message from='b@x/r' to='a@x/r'><body>hi</body>\
                       <stanza-id xmlns='urn:xmpp:sid:0' by='a@x' id='1'/></message>";
        let message = Stanza::parse(message).unwrap();
        let behind = [(&message, Came::now())];
        offline.keep("a@x", &behind, Some((1, Stage::Behind))).await.unwrap();
        offline.forget_archived("a@x").await.unwrap();
        assert!(offline.waiting("a@x", 2, &[1, 2]).await.unwrap().is_empty(), "it is the first one's");
        assert_eq!(offline.waiting("a@x", 1, &[1, 2]).await.unwrap().len(), 1);
        assert!(offline.waiting("a@x", 1, &[1, 2]).await.unwrap().is_empty(), "it has it");
        assert!(offline.session_ended("a@x", 1).await && !offline.session_ended("a@x", 1).await);
        assert_eq!(offline.waiting("a@x", 2, &[2]).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn gives_what_waits_as_it_came_whatever_the_clock_did_and_whoever_stored_first() {
        let archive = shared_store::Store::in_memory().archive;
        let message = |text: &str| {
            Stanza::parse(&format!("<message from='b@x/r' to='a@x'><body>{text}</body></message>")).unwrap()
        };
        let [zero, one, two, three, four, five] = ["0", "1", "2", "3", "4", "5"].map(message);
        // An earlier run, whose clock was ahead, and a session of it that told late what it did not get.
        let [first, second] = [9000, 8000].map(|at| Came { at, ..Came::now() });
        let before = Offline::new(Arc::clone(&archive), 10);
        before.keep("a@x", &[(&three, second)], None).await.unwrap();
        before.keep("a@x", &[(&two, first)], None).await.unwrap();
        // What another server brought, which came before all that is numbered.
        let imported = |id: &str, time, message: &Stanza| Entry {
            id: id.to_owned(),
            time,
            ..before.entry("a@x", message, Came::now())
        };
        let late = imported("00000000000003e8abcdef01", 1000, &one);
        archive.append(&[late, imported("00000000000003e7abcdef01+", 999, &zero)]).await.unwrap();
        let [fourth, fifth] = [7000, 6000].map(|at| Came { at, ..Came::now() });
        let offline = Offline::new(Arc::clone(&archive), 10);
        offline.keep("a@x", &[(&five, fifth)], None).await.unwrap();
        offline.keep("a@x", &[(&four, fourth)], None).await.unwrap();
        let waiting = offline.waiting("a@x", 1, &[1]).await.unwrap();
        let said = waiting.iter().map(|(_, message)| message.find("body", ns::CLIENT).unwrap().text());
        assert_eq!(said.collect::<String>(), "012345");
    }
}
