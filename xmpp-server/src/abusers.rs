//! Lists of abusers that others keep and publish — XEP-0060 1.30.0, sections 6.1 (subscribe), 6.5 (items), 7.1.2.1 and 7.2.2.1 (news), as
//! lists in real time are published: an item's id is the SHA-256, in hexadecimal, of a bare address or of a domain, and its
//! payload is a report (XEP-0377).
//!
//! ```text
//! subscribe ─▶ items, page by page ─▶ listed: what comes from there is refused ◀─ news: published, retracted, purged
//!     ▲                                                                  │
//!     └──────────────── in a while, after a failure, once a day ─────────┘
//! ```
//!
//! In    the lists of `xmpp.block_lists`; answers and news of their services.
//! Out   whether an address is listed. What a listed one sends to who does not know them is refused, and so is entering rooms.
//! State hashes in memory, bounded for each list; nothing is kept over a restart.
//!       So is whoever an administrator banned, known or not, and whoever comes from a network that is banned loses their session.
//! Errors a list that cannot be read lists nobody until it can; a list that is full takes no more. Both are logged.
//! Not here: reports of ours to whoever keeps a list.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use aws_lc_rs::digest;
use dashmap::DashMap;
use tokio::sync::oneshot;
use tokio::time::timeout;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use crate::route;
use crate::router::Session;
use crate::server::Server;

type Hash = [u8; 32];

/// All lists.
pub(crate) struct Abusers {
    lists: Vec<List>,
    /// Questions that are not answered yet, by the id of their iq.
    asked: DashMap<String, (String, oneshot::Sender<Stanza>)>,
}

/// One list.
struct List {
    service: String,
    node: String,
    listed: RwLock<Listed>,
}

#[derive(Default)]
struct Listed {
    hashes: HashSet<Hash>,
    /// What happened since we began to read the list, if we do: pages may be older.
    news: Option<Vec<Element>>,
}

impl Abusers {
    /// The lists of the configuration, each `SERVICE/NODE`; what is none is left out, and `faults` says so.
    pub(crate) fn new(names: &[String]) -> Self {
        let lists = names.iter().filter_map(|name| place(name)).map(|(service, node)| List {
            service,
            node,
            listed: RwLock::default(),
        });
        Self { lists: lists.collect(), asked: DashMap::new() }
    }

    /// Whether somebody, or their domain, is on a list.
    pub(crate) fn name(&self, who: &Jid) -> bool {
        let is_listed = |text: &str| {
            let hash = hash(text);
            self.lists.iter().any(|list| list.read(|listed| listed.contains(&hash)))
        };
        let is_any = self.lists.iter().any(|list| list.read(|listed| !listed.is_empty()));
        is_any && (is_listed(who.bare_str()) || (who.local().is_some() && is_listed(who.domain())))
    }

    /// Whether an iq answers a question of ours.
    pub(crate) fn answered(&self, iq: &Stanza) -> bool {
        let (Some(id), Some(from)) = (&iq.id, &iq.from) else { return false };
        let asked = self.asked.remove_if(id, |_, (service, _)| service == from.as_str());
        // Who asked may have given up this moment.
        asked.is_some_and(|(_, (_, asker))| asker.send(iq.clone()).is_ok())
    }

    /// Whether a message is news of a list.
    pub(crate) fn hear(&self, message: &Stanza) -> bool {
        let Some(from) = &message.from else { return false };
        let Some(event) = message.find("event", ns::PUBSUB_EVENT) else { return false };
        let mut is_ours = false;
        for list in self.lists.iter().filter(|list| list.service == from.as_str()) {
            let is_of = |element: &&Element| element.attribute("node") == Some(&list.node);
            for element in event.children().filter(is_of) {
                is_ours = true;
                list.change(element);
            }
        }
        is_ours
    }
}

impl List {
    fn read<T>(&self, look: impl FnOnce(&HashSet<Hash>) -> T) -> T {
        look(&self.listed.read().unwrap_or_else(PoisonError::into_inner).hashes)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Listed> {
        self.listed.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened on the node.
    fn change(&self, news: &Element) {
        let mut listed = self.write();
        if !apply(&mut listed.hashes, news) {
            tracing::warn!(service = self.service, "a list of abusers is full");
        }
        if let Some(since) = listed.news.as_mut().filter(|since| since.len() < MOST_NEWS) {
            since.push(news.clone());
        }
    }

    /// The list is read from now on.
    fn begin(&self) {
        self.write().news = Some(Vec::new());
    }

    /// What was read is listed, with what happened meanwhile, and nobody else.
    fn replace(&self, mut all: HashSet<Hash>) -> usize {
        let mut listed = self.write();
        for news in listed.news.take().into_iter().flatten() {
            apply(&mut all, &news);
        }
        listed.hashes = all;
        listed.hashes.len()
    }
}

/// Changes a list as the news say; false if it has no room for all of them.
fn apply(hashes: &mut HashSet<Hash>, news: &Element) -> bool {
    let mut has_room = true;
    match news.name.as_str() {
        "purge" | "delete" => hashes.clear(),
        "items" => {
            for item in news.children() {
                let Some(hash) = item.attribute("id").and_then(parse) else { continue };
                match item.name.as_str() {
                    "retract" => drop(hashes.remove(&hash)),
                    "item" if hashes.len() < MOST => drop(hashes.insert(hash)),
                    "item" => has_room = false,
                    _ => {}
                }
            }
        }
        _ => {}
    }
    has_room
}

/// Why a list cannot be read now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("its service does not answer in time")]
    Silence,
    #[error("its service answers {0}")]
    Refused(String),
}

/// Subscribes to every list, and again, until shutdown.
pub(crate) fn follow(server: &Arc<Server>) {
    for at in 0..server.abusers.lists.len() {
        let (task, stop) = (Arc::clone(server), Arc::clone(server));
        server.shutdown.spawn(async move {
            tokio::select! {
                () = keep_up(&task, at) => {}
                () = stop.shutdown.begun() => {}
            }
        });
    }
}

async fn keep_up(server: &Server, at: usize) {
    let list = &server.abusers.lists[at];
    let mut wait = FIRST_WAIT;
    loop {
        let pause = match take(server, list).await {
            Ok(listed) => {
                tracing::info!(
                    service = list.service,
                    node = list.node,
                    listed,
                    "a list of abusers is kept to"
                );
                wait = FIRST_WAIT;
                RENEWAL
            }
            Err(trouble) => {
                tracing::warn!(service = list.service, node = list.node, %trouble, "a list of abusers cannot be read");
                wait = (wait * 2).min(LONGEST_WAIT);
                wait / 2
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Subscribes first, so that nothing is missed between the two; then reads what is there.
async fn take(server: &Server, list: &List) -> Result<usize, Trouble> {
    let pubsub = || Element::new("pubsub", ns::PUBSUB);
    list.begin();
    let subscribe =
        Element::new("subscribe", ns::PUBSUB).with("node", &list.node).with("jid", &server.domain);
    ask(server, list, "set", &pubsub().child(subscribe)).await?;
    let mut all = HashSet::new();
    let mut after: Option<String> = None;
    loop {
        let mut page = Element::new("set", ns::RSM).text_child("max", PAGE.to_string());
        if let Some(after) = &after {
            page = page.text_child("after", after);
        }
        let items = Element::new("items", ns::PUBSUB).with("node", &list.node);
        let answer = ask(server, list, "get", &pubsub().child(items).child(page)).await?;
        let answer = answer.find("pubsub", ns::PUBSUB).unwrap_or_default();
        let ids = answer.find("items", ns::PUBSUB).into_iter().flat_map(Element::children);
        let before = all.len();
        all.extend(ids.filter_map(|item| item.attribute("id").and_then(parse)).take(MOST - before));
        let last = answer.find("set", ns::RSM).and_then(|set| set.text_of("last"));
        // A service that knows no pages says all at once, and one that goes in a circle is not followed.
        if last.is_none() || last == after || all.len() == before || all.len() >= MOST {
            break;
        }
        after = last;
    }
    Ok(list.replace(all))
}

async fn ask(server: &Server, list: &List, type_: &str, payload: &Element) -> Result<Stanza, Trouble> {
    let (Ok(from), Ok(to)) = (server.domain.parse::<Jid>(), list.service.parse::<Jid>()) else {
        return Err(Trouble::Silence);
    };
    let id = server.new_id();
    let (asker, answer) = oneshot::channel();
    server.abusers.asked.insert(id.clone(), (list.service.clone(), asker));
    let iq = Stanza::new(Kind::Iq, Some(type_)).with_id(Some(&id)).addressed(Some(&from), Some(&to));
    Box::pin(route::route(server, iq.with(payload))).await;
    let answer = timeout(PATIENCE, answer).await;
    server.abusers.asked.remove(&id);
    match answer {
        Ok(Ok(answer)) if answer.is_type("result") => Ok(answer),
        Ok(Ok(answer)) => {
            let error = answer.children().into_iter().find(|child| child.name == "error");
            let condition = error.and_then(|error| error.children().next().map(|child| child.name.clone()));
            Err(Trouble::Refused(condition.unwrap_or_else(|| "with an error".to_owned())))
        }
        _ => Err(Trouble::Silence),
    }
}

/// Whether a stanza for an account is refused: its sender is of elsewhere, listed, and not known to the account.
pub(crate) async fn refuses(server: &Server, to: &Jid, stanza: &Stanza) -> bool {
    let Some(from) = stanza.from.as_ref().filter(|from| !server.hosts(from.domain())) else { return false };
    if is_banned(server, from) {
        return true;
    }
    if !server.abusers.name(from) {
        return false;
    }
    let contact = server.rosters.get(to.bare_str(), &from.to_bare()).await;
    let is_known = contact.is_ok_and(|contact| contact.is_listed);
    if !is_known {
        server.metrics.abusers_refused.inc();
    }
    !is_known
}

/// Whether a stanza for a room is refused.
pub(crate) fn refuses_in_rooms(server: &Server, stanza: &Stanza) -> bool {
    let is_leaving = stanza.kind == Kind::Presence && stanza.type_.is_some();
    let Some(from) = stanza.from.as_ref().filter(|from| !is_leaving && !server.hosts(from.domain())) else {
        return false;
    };
    if is_banned(server, from) {
        return true;
    }
    let is_listed = server.abusers.name(from);
    if is_listed {
        server.metrics.abusers_refused.inc();
    }
    is_listed
}

/// Whether an administrator keeps somebody of elsewhere out, or everybody of their domain.
pub(crate) fn is_name_kept_out(server: &Server, from: &Jid) -> bool {
    !server.hosts(from.domain()) && server.auth.bans.refuses(from.local().unwrap_or_default(), from.domain())
}

/// The same of whoever sends something: whoever knows them.
fn is_banned(server: &Server, from: &Jid) -> bool {
    let is_banned = is_name_kept_out(server, from);
    if is_banned {
        server.metrics.abusers_refused.inc();
    }
    is_banned
}

/// Ends sessions of networks that an administrator keeps out, and puts out of rooms whom one keeps out by name, as soon as that is so,
/// until shutdown.
pub(crate) async fn put_out(server: Arc<Server>) {
    let mut changes = server.auth.bans.watch();
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = server.shutdown.begun() => return,
        }
        server.router.end_whose(|session| is_kept_out(&server, session), &network_refusal());
        if server.auth.bans.has_names() {
            server.rooms.put_out();
        }
    }
}

/// Whether an administrator keeps the network out that a session comes from.
pub(crate) fn is_kept_out(server: &Server, session: &Session) -> bool {
    session.access.from.is_some_and(|from| server.auth.bans.keeps_out(from))
}

/// How such a session ends.
pub(crate) fn network_refusal() -> StreamError {
    StreamError::because(StreamCondition::PolicyViolation, "your network is banned here")
}

/// What a listed one is told.
pub(crate) fn refusal() -> StanzaError {
    StanzaError::because(ErrorKind::PolicyViolation, "you, or your server, are on a list of abusers")
}

/// What is wrong with the names of lists.
pub(crate) fn faults(names: &[String]) -> Vec<String> {
    let bad = |name: &&String| place(name).is_none();
    let fault = |name: &String| format!("`xmpp.block_lists`: `{name}` is not a service, `/` and a node");
    names.iter().filter(bad).map(fault).collect()
}

/// `SERVICE/NODE`.
fn place(name: &str) -> Option<(String, String)> {
    let (service, node) = name.split_once('/').filter(|(_, node)| !node.is_empty())?;
    let jid: Jid = service.parse().ok()?;
    Some((jid.to_string(), node.to_owned()))
}

fn hash(text: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

/// Sixty-four hexadecimal digits.
fn parse(id: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if id.len() != 64 || !id.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&id[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

/// Entries of one list.
const MOST: usize = 100_000;
/// News that may come while a list is read.
const MOST_NEWS: usize = 10_000;
/// Entries that are asked for at once.
const PAGE: usize = 500;
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is waited after a failure, at first and at most.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How often a list is subscribed to and read anew.
const RENEWAL: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn news(inner: &str) -> Stanza {
        let text = format!(
            "<message from='lists.example' to='x' xmlns='jabber:client'><event xmlns='{}'>{inner}</event></message>",
            ns::PUBSUB_EVENT
        );
        Stanza::parse(&text).unwrap()
    }

    #[test]
    fn what_happens_while_a_list_is_read_is_not_undone_by_older_pages() {
        let lists = Abusers::new(&["lists.example/bans".to_owned()]);
        let jid = |text: &str| text.parse::<Jid>().unwrap();
        let item = |name: &str, text: &str| {
            format!("<items node='bans'><{name} id='{}'/></items>", shared_runtime::hex(&hash(text)))
        };
        lists.lists[0].begin();
        lists.hear(&news(&item("item", "new.example")));
        lists.hear(&news(&item("retract", "old.example")));
        assert!(lists.name(&jid("new.example")), "it holds at once");
        let pages = ["old.example", "other.example"].map(hash).into_iter().collect();
        assert_eq!(lists.lists[0].replace(pages), 2);
        assert!(lists.name(&jid("new.example")) && lists.name(&jid("other.example")));
        assert!(!lists.name(&jid("old.example")));
        lists.hear(&news(&item("item", "old.example")));
        assert_eq!(lists.lists[0].replace(HashSet::new()), 0, "what came before it was read is not news");
    }

    #[test]
    fn addresses_and_domains_are_listed_until_they_are_not() {
        let lists = Abusers::new(&["lists.example/bans".to_owned(), "no list".to_owned()]);
        let jid = |text: &str| text.parse::<Jid>().unwrap();
        let id = |text: &str| shared_runtime::hex(&hash(text));
        assert!(!lists.name(&jid("a@bad.example/r")));
        let item = |name: &str, text: &str| format!("<items node='bans'><{name} id='{}'/></items>", id(text));
        assert!(lists.hear(&news(&item("item", "a@bad.example"))));
        let loud =
            item("item", "worse.example").replace(&id("worse.example"), &id("worse.example").to_uppercase());
        assert!(lists.hear(&news(&loud)));
        assert!(lists.name(&jid("a@bad.example/r")) && !lists.name(&jid("b@bad.example")));
        assert!(lists.name(&jid("b@worse.example/r")) && lists.name(&jid("worse.example")));
        assert!(lists.hear(&news(&item("retract", "a@bad.example"))) && !lists.name(&jid("a@bad.example")));
        assert!(!lists.hear(&news(&item("item", "a@x").replace("bans", "other"))), "another node");
        assert!(lists.hear(&news("<items node='bans'><item id='zz'/><item/><item id='é'/></items>")));
        assert!(lists.hear(&news("<purge node='bans'/>")) && !lists.name(&jid("worse.example")));
        let stranger = Stanza::parse(
            &String::from_utf8_lossy(&news(&item("item", "a@x")).to_bytes())
                .replace("lists.example", "evil.example"),
        );
        assert!(!lists.hear(&stranger.unwrap()) && !lists.name(&jid("a@x")), "of somebody else");
        assert_eq!(faults(&["a.example/b".to_owned(), "a.example".to_owned(), "/b".to_owned()]).len(), 2);
    }
}
