//! Queries of archives — XEP-0313 1.1.3, sections 4 (query), 4.2 (results), 4.3 (pages), 5 (metadata); XEP-0441 (preferences).
//!
//! In    `<query/>`, `<metadata/>` or `<prefs/>` of the account's own user; rooms ask by [`page`] as well.
//! Out   one `<result/>` a message, then `<fin/>`.
//! State [`crate::archive`]'s.
//! Errors `item-not-found` for an id that is not there, `feature-not-implemented` for a field that nobody knows; somebody
//!        else's archive is `forbidden`.

use shared_model::Spec;
use shared_store::{Entry, Position, Query as Search, StoreError};
use xmpp_core::payload::delay::{date_time, delay};
use xmpp_core::payload::forward;
use xmpp_core::payload::mam::{Preferences, Query, form};
use xmpp_core::payload::rsm::{self, Place};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::archive;
use crate::in_order::Turn;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[
        Spec::xep(313, "1.1.3").complete(),
        Spec::xep(441, "0.2.0").complete(),
        Spec::xep(59, "1.0").note("all but pages by number, which nobody asks for"),
        Spec::xep(359, "0.7.0").complete(),
        Spec::xep(334, "1.0.0").complete(),
    ],
    takes: &[("query", ns::MAM), ("metadata", ns::MAM), ("prefs", ns::MAM)],
    server: &[],
    account: &[ns::RETRACT, ns::MAM, ns::MAM_EXTENDED, "urn:xmpp:mam:2#groupchat-field", ns::STANZA_ID],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    match (request.payload.name.as_str(), request.is_set) {
        ("query", false) => Ok(Element::new("query", ns::MAM).child(form()).into()),
        ("query", true) => {
            let query = Query::parse(&request.payload)?;
            let _alone = alone(server, &request.from).await;
            let page = page(server, user, archive::KIND, query, &|_, stanza| stanza).await?;
            let before =
                page.results.into_iter().map(|result| result.addressed(Some(user), Some(&request.from)));
            Ok(Answer { payload: Some(page.fin), before: before.collect(), ..Answer::default() })
        }
        ("metadata", false) => Ok(metadata(server, user, archive::KIND).await?.into()),
        ("prefs", false) => {
            let read = archive::read(server, user).await.map_err(|error| store_failed(&error))?;
            Ok(read.0.to_element().into())
        }
        ("prefs", true) => {
            let preferences = Preferences::parse(&request.payload)?;
            let applied = preferences.to_element();
            let kept = archive::prefer(server, user, preferences, shared_store::Expected::Anything).await;
            kept.map_err(|error| store_failed(&error))?;
            Ok(applied.into())
        }
        _ => Err(ErrorKind::BadRequest.into()),
    }
}

/// A page as it is sent: messages without addresses, and what ends them.
pub(crate) struct Page {
    pub(crate) results: Vec<Stanza>,
    pub(crate) fin: Element,
}

/// Who asks for pages gets one at a time, whatever sessions ask: others read the store, too.
pub(crate) async fn alone(server: &Server, asker: &Jid) -> Turn {
    server.in_order.alone(&format!("{} reads", asker.bare_str())).await
}

/// One page of an archive of messages of this kind, each shown as `show` makes it.
pub(crate) async fn page(
    server: &Server,
    owner: &Jid,
    kind: &str,
    query: Query,
    show: &(dyn Fn(&Entry, Stanza) -> Stanza + Sync),
) -> Result<Page, StanzaError> {
    let found = match query.ids.is_empty() {
        true => find(server, owner, kind, &query).await,
        false => find_by_id(server, owner, &query).await.map(|page| (page, None)),
    };
    let (mut found, mut stopped) = found.map_err(|error| match error {
        StoreError::NoSuchEntry => ErrorKind::ItemNotFound.into(), // §4.1.3, §4.3.2
        error => store_failed(&error),
    })?;
    // XEP-0059 §2.6 wants an index where it can be had; clients who page backwards (slixmpp) take one that reaches the count for
    // the end of their way, and would see one page.
    let is_backwards = matches!(query.page.place, Place::Before(_) | Place::Last);
    if query.ids.is_empty() && cut(&mut found.entries, is_backwards) {
        (found.complete, stopped) = (false, None);
    }
    let ids = found.entries.first().zip(found.entries.last());
    let mut ids = ids.map(|(first, last)| (first.id.as_str(), last.id.as_str()));
    if let Some(stopped) = &stopped {
        // Who goes on does so from there.
        let (first, last) = ids.unwrap_or((stopped, stopped));
        ids = Some(if is_backwards { (stopped, last) } else { (first, stopped) });
    }
    let index = found.index.filter(|_| !is_backwards);
    let set = rsm::answer(ids, index, found.count);
    let fin = Element::new("fin", ns::MAM).with_some("complete", found.complete.then_some("true")).child(set);
    let mut results: Vec<Stanza> =
        found.entries.iter().filter_map(|entry| result(entry, &query, show)).collect();
    if query.is_flipped {
        results.reverse();
    }
    Ok(Page { results, fin })
}

/// Keeps of a page what is nearest to where it begins, and no more bytes than one should have: who asks goes on from there (XEP-0059
/// §2.1: a page may have fewer than were asked for). Whether something is not in it.
fn cut(entries: &mut Vec<Entry>, is_backwards: bool) -> bool {
    let mut bytes = 0;
    let mut fits = |entry: &&Entry| {
        bytes += entry.body.len();
        bytes <= LARGEST_PAGE_BYTES
    };
    let count = match is_backwards {
        true => entries.iter().rev().take_while(&mut fits).count(),
        false => entries.iter().take_while(&mut fits).count(),
    };
    let excess = entries.len().saturating_sub(count.max(1));
    match is_backwards {
        true => drop(entries.drain(..excess)),
        false => entries.truncate(entries.len() - excess),
    }
    excess > 0
}

async fn find(
    server: &Server,
    owner: &Jid,
    kind: &str,
    query: &Query,
) -> Result<(shared_store::Page, Option<String>), StoreError> {
    let position = match query.page.place.clone() {
        Place::First => Position::First,
        Place::Last => Position::Last,
        Place::After(id) => Position::After(id),
        Place::Before(id) => Position::Before(id),
    };
    // The index knows bare addresses, and in a room who is behind a nick: its own address is that of all, with the nick that of one.
    let is_indexed = |with: &&Jid| kind == archive::KIND || with.bare_str() != owner.bare_str();
    let mut search = Search {
        with: query.with.as_ref().filter(is_indexed).map(|with| with.bare_str().to_owned()),
        kind: Some(kind.to_owned()),
        start: query.start,
        end: query.end,
        after: query.after_id.clone(),
        before: query.before_id.clone(),
        position,
        max: query.page.max.unwrap_or(USUAL_PAGE).min(LARGEST_PAGE),
        most_counted: MOST_COUNTED,
    };
    match query.with.as_ref().filter(|with| !with.is_bare()) {
        None => Ok((server.store.archive.page(owner.bare_str(), &search).await?, None)),
        Some(with) => {
            search.most_counted = 0;
            of_one_resource(server, owner, with, search).await
        }
    }
}

/// A page of what a full address said or was told, which is looked for among what the index found, and not counted; and where the
/// search stopped, if it did so before it was through.
async fn of_one_resource(
    server: &Server,
    owner: &Jid,
    with: &Jid,
    mut search: Search,
) -> Result<(shared_store::Page, Option<String>), StoreError> {
    let is_backwards = matches!(search.position, Position::Last | Position::Before(_));
    let max = std::mem::replace(&mut search.max, LARGEST_PAGE);
    let is_with = |entry: &Entry| {
        parse(entry).is_some_and(|message| [&message.from, &message.to].contains(&&Some(with.clone())))
    };
    let (mut found, mut stopped) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = server.store.archive.page(owner.bare_str(), &search).await?;
        let end = if is_backwards { page.entries.first() } else { page.entries.last() };
        let end = end.map(|entry| entry.id.clone());
        let mut entries: Vec<Entry> = page.entries.into_iter().filter(is_with).collect();
        if is_backwards {
            std::mem::swap(&mut found, &mut entries);
        }
        found.append(&mut entries);
        let is_enough = found.len() >= max;
        if let (false, false, Some(end)) = (is_enough, page.complete, end) {
            stopped = Some(end.clone());
            search.position = if is_backwards { Position::Before(end) } else { Position::After(end) };
            continue;
        }
        let complete = page.complete && found.len() <= max;
        let excess = found.len().saturating_sub(max);
        if is_backwards {
            found.drain(..excess);
        } else {
            found.truncate(max);
        }
        return Ok((shared_store::Page { entries: found, complete, count: None, index: None }, None));
    }
    Ok((shared_store::Page { entries: found, complete: false, count: None, index: None }, stopped))
}

async fn find_by_id(server: &Server, owner: &Jid, query: &Query) -> Result<shared_store::Page, StoreError> {
    let mut entries = Vec::new();
    for id in query.ids.iter().take(LARGEST_PAGE) {
        let entry = server.store.archive.entry(owner.bare_str(), id).await?;
        entries.push(entry.ok_or(StoreError::NoSuchEntry)?);
    }
    entries.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    entries.dedup_by(|a, b| a.id == b.id);
    let count = Some(entries.len() as u64);
    Ok(shared_store::Page { entries, complete: true, count, index: Some(0) })
}

fn parse(entry: &Entry) -> Option<Stanza> {
    Stanza::parse(std::str::from_utf8(&entry.body).ok()?)
}

/// §4.2: the message as it was, in an envelope.
fn result(entry: &Entry, query: &Query, show: &dyn Fn(&Entry, Stanza) -> Stanza) -> Option<Stanza> {
    let message = show(entry, parse(entry)?);
    let envelope =
        Element::new("result", ns::MAM).with_some("queryid", query.queryid.as_ref()).with("id", &entry.id);
    let stamp = delay(&entry.owner, entry.time);
    Some(Stanza::new(Kind::Message, None).with_raw(forward::wrap(
        &envelope,
        &message.to_bytes(),
        Some(&stamp),
    )))
}

/// §5: the ends of an archive.
pub(crate) async fn metadata(server: &Server, owner: &Jid, kind: &str) -> Result<Element, StanzaError> {
    let mut metadata = Element::new("metadata", ns::MAM);
    for (name, position) in [("start", Position::First), ("end", Position::Last)] {
        let search =
            Search { kind: Some(kind.to_owned()), position, max: 1, most_counted: 0, ..Search::default() };
        let page = server.store.archive.page(owner.bare_str(), &search).await;
        for entry in page.map_err(|error| store_failed(&error))?.entries {
            let end = Element::new(name, ns::MAM).with("id", entry.id);
            metadata = metadata.child(end.with("timestamp", date_time(entry.time)));
        }
    }
    Ok(metadata)
}

/// Messages in a page where nobody says how many.
const USUAL_PAGE: usize = 50;
const LARGEST_PAGE: usize = 250;
/// Bytes of one, but for its first message.
const LARGEST_PAGE_BYTES: usize = 1024 * 1024;
/// Pages that are read to find one of what a resource said.
const MOST_PAGES: usize = 20;
/// Up to how many messages are counted.
const MOST_COUNTED: u64 = 10_000;
