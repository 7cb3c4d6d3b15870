//! Private storage — XEP-0049 1.2, sections 4.1 (store), 4.2 (get); bookmarks of old clients — XEP-0048 1.2, XEP-0411 1.1.0.
//!
//! In    one element of any namespace, of the account's own user.
//! Out   the element that was stored under that name, or an empty one.
//! State one record an element, collection `private`. Bookmarks (`storage:bookmarks`) are not stored here: they are the
//!       items of the node `urn:xmpp:bookmarks:1` (XEP-0402 §5), so that old and new clients see the same.
//! Errors `forbidden` for another's storage, `not-acceptable` for an element of a namespace that XMPP itself uses.

use shared_model::Spec;
use shared_store::Expected;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::pubsub;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[
        Spec::xep(49, "1.2").complete(),
        Spec::xep(48, "1.2").note("in private storage, as the items of XEP-0402"),
        Spec::xep(411, "1.1.0").complete(),
    ],
    takes: &[("query", ns::PRIVATE)],
    server: &[ns::PRIVATE],
    account: &["urn:xmpp:bookmarks-conversion:0", "urn:xmpp:bookmarks:1#compat"],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    let mut children = request.payload.children();
    let (Some(element), None) = (children.next(), children.next()) else {
        return Err(ErrorKind::BadRequest.into()); // §4.1
    };
    if element.ns.is_empty() {
        return Err(ErrorKind::BadRequest.into());
    }
    if element.ns.starts_with("jabber:")
        || element.ns.starts_with("http://jabber.org/")
        || element.ns == ns::VCARD_TEMP
    {
        return Err(ErrorKind::NotAcceptable.into()); // §4.1, example 9
    }
    if element.is("storage", BOOKMARKS) {
        return match request.is_set {
            true => set_bookmarks(server, user, &request.from, element).await,
            false => Ok(wrapped(bookmarks(server, user).await?)),
        };
    }
    let key = format!("{} {}", element.ns, element.name);
    let records = &server.store.records;
    if request.is_set {
        let text = element.to_string();
        let put = records.put(user.as_str(), COLLECTION, &key, text.as_bytes(), Expected::Anything).await;
        put.map_err(|error| store_failed(&error))?;
        return Ok(Answer::default());
    }
    let record = records.get(user.as_str(), COLLECTION, &key).await.map_err(|error| store_failed(&error))?;
    let stored = record.and_then(|record| Element::parse(std::str::from_utf8(&record.value).ok()?, "").ok());
    Ok(wrapped(stored.unwrap_or_else(|| Element::new(&element.name, &element.ns))))
}

fn wrapped(element: Element) -> Answer {
    Element::new("query", ns::PRIVATE).child(element).into()
}

/// XEP-0402's items as XEP-0048 has them.
async fn bookmarks(server: &Server, user: &Jid) -> Result<Element, StanzaError> {
    let items = pubsub::own_items(server, user, NODE).await?;
    let conferences = items.into_iter().filter_map(|(jid, item)| {
        let conference = item.find("conference", NODE)?;
        let mut old = Element::new("conference", BOOKMARKS)
            .with("jid", jid)
            .with_some("name", conference.attribute("name"))
            .with_some("autojoin", conference.attribute("autojoin"));
        for name in ["nick", "password"] {
            if let Some(text) = conference.text_of(name) {
                old = old.text_child(name, text);
            }
        }
        Some(old)
    });
    Ok(Element::new("storage", BOOKMARKS).children_from(conferences))
}

/// The items become what an old client stored; what they alone can say (`<extensions/>`) stays.
async fn set_bookmarks(server: &Server, user: &Jid, by: &Jid, storage: &Element) -> Answered {
    let before = pubsub::own_items(server, user, NODE).await?;
    let mut wanted = Vec::new();
    for (id, conference) in from_old(storage) {
        let known = before.iter().find(|(known, _)| *known == id).map(|(_, item)| item);
        let extensions = known.and_then(|item| item.find("conference", NODE)?.get("extensions").cloned());
        wanted.push((id, conference.children_from(extensions)));
    }
    let is_same = |id: &String, conference: &Element| {
        before.iter().any(|(known, item)| known == id && item.find("conference", NODE) == Some(conference))
    };
    for (id, conference) in wanted.iter().filter(|(id, conference)| !is_same(id, conference)) {
        pubsub::publish_own(server, user, by, NODE, id, conference, pubsub::private_options()).await?;
    }
    let gone: Vec<String> = before
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| wanted.iter().all(|(wanted, _)| wanted != id))
        .collect();
    if !gone.is_empty() {
        pubsub::retract_own(server, user, NODE, &gone).await?;
    }
    Ok(Answer::default())
}

/// What an old client stored, as XEP-0402 has it: ids and payloads of items.
pub(crate) fn from_old(storage: &Element) -> Vec<(String, Element)> {
    let mut items = Vec::new();
    for old in storage.children().filter(|child| child.is("conference", BOOKMARKS)) {
        let Some(jid) = old.attribute("jid").and_then(|jid| jid.parse::<Jid>().ok()) else { continue };
        let mut conference = Element::new("conference", NODE)
            .with_some("name", old.attribute("name"))
            .with_some("autojoin", old.attribute("autojoin"));
        for name in ["nick", "password"] {
            if let Some(text) = old.text_of(name).filter(|text| !text.is_empty()) {
                conference = conference.text_child(name, text);
            }
        }
        items.push((jid.to_string(), conference));
    }
    items
}

pub(crate) const COLLECTION: &str = "private";
pub(crate) const BOOKMARKS: &str = "storage:bookmarks";
/// XEP-0402: the node, and the namespace of its items.
const NODE: &str = "urn:xmpp:bookmarks:1";
