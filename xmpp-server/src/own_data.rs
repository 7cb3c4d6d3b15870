//! All that an account keeps here and has no call of its own for: the rest of its data, for whoever hands them to it.
//!
//! In    an account, a part, and where to go on. Out a page of entries, as clients would get them.
//! Bounds of what is read at once ([`PAGE`]): neither many nodes nor a long queue are in memory as a whole.
//! Errors those of the store.
//! Not here: block list, archive, its preferences, voice messages, which have calls of their own; files, to which the archive has the links.

use shared_model::{BareJid, KeptEntry, KeptPage, KeptPart};
use shared_store::{Position, Query, Record, Records, StoreError};
use xmpp_core::{Element, Jid, ns};

use crate::callers::Callers;
use crate::features::{certificates, private, vcard};
use crate::on_the_phone::Wish;
use crate::pubsub::kept::{self, Node};
use crate::push::{self, Registration};
use crate::roster::{self, Contact};
use crate::server::Server;
use crate::{offline, voicemail};

/// Some of a part.
pub(crate) async fn page(
    server: &Server,
    of: &BareJid,
    part: KeptPart,
    from: Option<&str>,
) -> Result<KeptPage, StoreError> {
    let (records, owner) = (&*server.store.records, of.as_str());
    match part {
        KeptPart::Contacts => list(records, owner, roster::COLLECTION, from, contact).await,
        KeptPart::Card => list(records, owner, vcard::COLLECTION, from, as_it_is).await,
        KeptPart::Nodes => nodes(records, owner, from).await,
        KeptPart::Private => list(records, owner, private::COLLECTION, from, as_it_is).await,
        KeptPart::Waiting => waiting(server, owner, from).await,
        KeptPart::Rooms => {
            let (rooms, next) = server.rooms.of_account(owner, from).await?;
            let entries = rooms.into_iter().map(|(name, item)| entry(name, item.to_string())).collect();
            Ok(KeptPage { entries, next })
        }
        KeptPart::Preferences => preferences(server, of).await,
        KeptPart::Certificates => {
            let all = server.auth.certificates.list(of).await?;
            let all = all.into_iter().map(|own| entry(own.name.clone(), certificates::item(own).to_string()));
            Ok(KeptPage { entries: all.collect(), next: None })
        }
        KeptPart::Pushes => list(records, owner, push::COLLECTION, from, woken).await,
    }
}

/// Records of a collection, of which each becomes some entries.
async fn list(
    records: &dyn Records,
    owner: &str,
    collection: &str,
    after: Option<&str>,
    entries: fn(Record) -> Vec<KeptEntry>,
) -> Result<KeptPage, StoreError> {
    let page = records.list(owner, collection, after, PAGE).await?;
    let next = (page.len() == PAGE).then(|| page.last().map(|record| record.key.clone())).flatten();
    Ok(KeptPage { entries: page.into_iter().flat_map(entries).collect(), next })
}

fn contact(record: Record) -> Vec<KeptEntry> {
    let contact = serde_json::from_slice::<Contact>(&record.value).ok();
    let (Some(contact), Ok(jid)) = (contact, record.key.parse::<Jid>()) else { return Vec::new() };
    let item = contact.is_listed.then(|| contact.to_item(&jid).to_element().to_string());
    [item, contact.request].into_iter().flatten().map(|text| entry(record.key.clone(), text)).collect()
}

/// What its service is told beside is a secret of the two.
fn woken(record: Record) -> Vec<KeptEntry> {
    let Ok(it) = serde_json::from_slice::<Registration>(&record.value) else { return Vec::new() };
    let enable = Element::new("enable", ns::PUSH).with("jid", &it.service).with("node", &it.node);
    vec![entry(it.service, enable.to_string())]
}

fn as_it_is(record: Record) -> Vec<KeptEntry> {
    vec![entry(record.key, String::from_utf8_lossy(&record.value).into_owned())]
}

/// A node's configuration, or some of its items. One goes on behind a node, or inside it behind an item.
async fn nodes(records: &dyn Records, owner: &str, from: Option<&str>) -> Result<KeptPage, StoreError> {
    if let Some((node, item)) = from.and_then(|from| from.split_once(INSIDE)) {
        let after = Some(item).filter(|item| !item.is_empty());
        let page = records.list(owner, &kept::items_of(node), after, PAGE).await?;
        let last = page.last().filter(|_| page.len() == PAGE).map(|item| item.key.as_str());
        let next = last.map_or_else(|| node.to_owned(), |last| format!("{node}{INSIDE}{last}"));
        let items = page.into_iter().flat_map(as_it_is).map(|item| entry(node.to_owned(), item.text));
        return Ok(KeptPage { entries: items.collect(), next: Some(next) });
    }
    let Some(record) = records.list(owner, kept::NODES, from, 1).await?.pop() else {
        return Ok(KeptPage::default());
    };
    let rules = serde_json::from_slice::<Node>(&record.value).ok().map(|node| {
        let form = node.config.to_form("result");
        Element::new("configure", ns::PUBSUB_OWNER).with("node", &record.key).child(form).to_string()
    });
    let entries = rules.map(|rules| entry(record.key.clone(), rules)).into_iter().collect();
    Ok(KeptPage { entries, next: Some(format!("{}{INSIDE}", record.key)) })
}

async fn waiting(server: &Server, owner: &str, from: Option<&str>) -> Result<KeptPage, StoreError> {
    let position = from.map_or(Position::First, |id| Position::After(id.to_owned()));
    let query = Query { position, max: PAGE, most_counted: 0, ..Query::default() };
    let page = server.store.archive.page(&offline::queue(owner), &query).await?;
    let next = page.entries.last().map(|entry| entry.id.clone()).filter(|_| !page.complete);
    let text = |it: shared_store::Entry| entry(it.id, String::from_utf8_lossy(&it.body).into_owned());
    Ok(KeptPage { entries: page.entries.into_iter().map(text).collect(), next })
}

async fn preferences(server: &Server, of: &BareJid) -> Result<KeptPage, StoreError> {
    let Ok(user) = Jid::kept(of.as_str()) else { return Ok(KeptPage::default()) };
    let callers = serde_json::to_value(Callers::read(server, of.as_str()).await?);
    let shown = Wish::read(server, &user).await?;
    let mailbox = voicemail::wants(server, of.as_str()).await?;
    let callers = callers.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    let all = [
        ("callers", callers),
        ("on the phone: shown to contacts", shown.activity.to_string()),
        ("on the phone: not to be disturbed", shown.dnd.to_string()),
        ("voicemail", mailbox.to_string()),
    ];
    let entries = all.into_iter().map(|(name, word)| entry(name.to_owned(), word)).collect();
    Ok(KeptPage { entries, next: None })
}

fn entry(name: String, text: String) -> KeptEntry {
    KeptEntry { name, text }
}

/// Records and entries that are read at once; each is at most a stanza.
const PAGE: usize = 50;
/// Between a node and the item behind which one goes on: no character of XML, so in neither's name.
const INSIDE: char = '\0';
