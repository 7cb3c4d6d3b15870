//! Private storage — XEP-0049 1.2, sections 4.1 (store), 4.2 (get); bookmarks of old clients — XEP-0048 1.2, XEP-0411 1.1.0.
//!
//! In    one element of any namespace, of the account's own user.
//! Out   the element that was stored under that name, or an empty one.
//! State one record an element, collection `private`. Of bookmarks (`storage:bookmarks`) only what is no room is stored here:
//!       rooms are the items of the node `urn:xmpp:bookmarks:1` (XEP-0402 §5), so that old and new clients see the same.
//! Errors `forbidden` for another's storage, `not-acceptable` for an element of a namespace that XMPP itself uses.

use shared_model::Spec;
use shared_store::Expected;
use xmpp_core::{Element, ErrorKind, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::bookmarks;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[
        Spec::xep(49, "1.2").complete(),
        Spec::xep(48, "1.2").complete(),
        Spec::xep(411, "1.1.0").complete(),
    ],
    takes: &[("query", ns::PRIVATE)],
    server: &[ns::PRIVATE],
    account: &[
        "urn:xmpp:bookmarks-conversion:0",
        "urn:xmpp:bookmarks:1#compat",
        "urn:xmpp:bookmarks:1#compat-pep",
    ],
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
    if element.is("storage", bookmarks::OLD) {
        return match request.is_set {
            true => {
                bookmarks::set_old(server, user, &request.from, element).await.map(|()| Answer::default())
            }
            false => Ok(wrapped(bookmarks::old(server, user).await?)),
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

pub(crate) const COLLECTION: &str = "private";
