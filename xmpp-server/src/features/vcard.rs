//! Business cards — vcard-temp (XEP-0054 1.3.1, sections 3.1 to 3.3) and vCard4 over iq (XEP-0292 0.12, sections 3 to 4).
//!
//! In    a get for anybody's card, a set of one's own.
//! Out   the card with the account's SIP addresses in it (RFC 7081 §3.1, rules in `tel`).
//!       Who wrote no FN has the account's name there for whoever finds the account (XEP-0055); vCard4, which must have one (RFC 6350
//!       §6.2.1), makes it of what there is.
//! State one record, collection `vcard`, as vcard-temp; both forms are made of it.
//! Errors a set whose `tel` is a fragment or somebody else's address: `not-acceptable`, with a text that says why.
//!
//! The node `urn:xmpp:vcard4` (XEP-0292 §4.1) shows the same card to all, and who publishes there sets it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_model::{Aor, Spec};
use shared_runtime::unix_millis;
use shared_store::{Expected, Record};
use xmpp_core::payload::form::{Field, Form as DataForm};
use xmpp_core::payload::vcard::{from_vcard4, keep_other_form, to_vcard_temp, to_vcard4};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::directory::finds;
use super::{Answer, Answered, Feature, Request, Target, store_failed};
use crate::pubsub;
use crate::server::Server;
use crate::tel::{self, Addresses};

pub(super) const TEMP: Feature = Feature {
    specs: &[
        Spec::xep(54, "1.3.1").complete(),
        Spec::rfc(7081)
            .note("tel in business cards, rooms that name their call, moderation that the call follows"),
    ],
    takes: &[("vCard", ns::VCARD_TEMP)],
    server: &[ns::VCARD_TEMP],
    account: &[ns::VCARD_TEMP],
    answer: |server, request| Box::pin(answer(server, request, Form::Temp)),
};

pub(super) const FOUR: Feature = Feature {
    specs: &[Spec::xep(292, "0.12").complete(), Spec::rfc(6351).note("the fields that both forms know")],
    takes: &[("vcard", ns::VCARD4)],
    server: &[],
    account: &[ns::VCARD4],
    answer: |server, request| Box::pin(answer(server, request, Form::Four)),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Temp,
    Four,
}

async fn answer(server: &Server, request: &Request, form: Form) -> Answered {
    let Target::Account(owner) = &request.target else { return Err(ErrorKind::ItemNotFound.into()) };
    let addresses = addresses(server, owner).await?;
    if request.is_set {
        let own = request.own_account().ok_or(ErrorKind::Forbidden)?;
        let card = match form {
            Form::Four => from_vcard4(&request.payload),
            Form::Temp => to_vcard_temp(&request.payload),
        };
        let card = keep_other_form(card, &stored(server, own).await?, form == Form::Four);
        let answer = set(server, own, &card, &addresses).await?;
        let has_photo =
            card.get("PHOTO").is_some_and(|photo| photo.text_of("BINVAL").is_some_and(|it| !it.is_empty()));
        if has_photo || form == Form::Four {
            crate::avatar::card_set(server, own, &request.from, &card).await;
        } else {
            crate::avatar::removed(server, own, &request.from).await;
        }
        show(server, own).await?;
        return Ok(answer);
    }
    let card = tel::inject(&stored(server, owner).await?, &addresses);
    let card = named(card, &name_for(server, &request.from, owner).await?);
    Ok(if form == Form::Temp { to_vcard_temp(&card) } else { shown_as_vcard4(card, &addresses) }.into())
}

/// The name of an account for who reads its card, or none. Its owner sees what is written, and so writes back no more than that.
async fn name_for(server: &Server, reader: &Jid, owner: &Jid) -> Result<String, StanzaError> {
    if reader.bare_str() == owner.bare_str() {
        return Ok(String::new());
    }
    let account = server.account(owner).await.map_err(|error| store_failed(&error))?;
    let Some(account) = account.filter(|account| !account.name.is_empty()) else { return Ok(String::new()) };
    Ok(if finds(server, reader, &account).await? { account.name } else { String::new() })
}

/// A card in vCard4's form.
fn shown_as_vcard4(card: Element, addresses: &Addresses) -> Element {
    let name = name_in(&card, &addresses.jid);
    with_impp(to_vcard4(&named(card, &name)), addresses)
}

/// The card with this as FN, if it has none.
fn named(card: Element, name: &str) -> Element {
    let has_name = |child: &Element| child.name == "FN" && !child.text().trim().is_empty();
    if name.is_empty() || card.children().any(has_name) {
        return card;
    }
    let rest = card.children().filter(|child| child.name != "FN").cloned().collect::<Vec<_>>();
    let empty = Element { nodes: Vec::new(), ..card };
    empty.text_child("FN", name).children_from(rest)
}

/// What stands for FN where nobody wrote one: the parts of the name, the nickname, the organisation, or what the address begins with.
fn name_in(card: &Element, jid: &str) -> String {
    let part = |of: &str| card.get("N").and_then(|name| name.text_of(of));
    let parts = ["GIVEN", "MIDDLE", "FAMILY"].into_iter().filter_map(part);
    let name = parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    let others = [card.text_of("NICKNAME"), card.get("ORG").and_then(|org| org.text_of("ORGNAME"))];
    let name = std::iter::once(name.collect::<Vec<_>>().join(" ")).chain(others.into_iter().flatten());
    let first = name.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    first.unwrap_or_else(|| jid.split_once('@').map_or(jid, |(local, _)| local).to_owned())
}

/// A publication of vCard4 sets the card.
pub(crate) async fn publish(server: &Server, own: &Jid, by: &Jid, four: &Element) -> Result<(), StanzaError> {
    let addresses = addresses(server, own).await?;
    let card = keep_other_form(from_vcard4(four), &stored(server, own).await?, true);
    set(server, own, &card, &addresses).await?;
    crate::avatar::card_set(server, own, by, &card).await;
    show(server, own).await
}

/// The node says what the card does, if it did not before: to everybody, as cards are.
pub(crate) async fn show(server: &Server, own: &Jid) -> Result<(), StanzaError> {
    let addresses = addresses(server, own).await?;
    let card = shown_as_vcard4(tel::inject(&stored(server, own).await?, &addresses), &addresses);
    let shown = pubsub::own_items(server, own, NODE).await?;
    if shown.last().is_some_and(|(_, item)| item.children().next() == Some(&card)) {
        return Ok(());
    }
    let open = Field::new("pubsub#access_model", "", "", "open");
    let options = DataForm::new("submit", ns::PUBLISH_OPTIONS).with(open);
    pubsub::publish_own(server, own, own, NODE, "current", &card, options).await
}

/// The card as it was written; an empty one if none was.
async fn stored(server: &Server, owner: &Jid) -> Result<Element, StanzaError> {
    let record = server.store.records.get(owner.bare_str(), COLLECTION, KEY).await;
    let record = record.map_err(|error| store_failed(&error))?;
    let read = |record: Record| Element::parse(std::str::from_utf8(&record.value).ok()?, "").ok();
    Ok(record.and_then(read).unwrap_or_else(|| Element::new("vCard", ns::VCARD_TEMP)))
}

async fn set(server: &Server, owner: &Jid, card: &Element, addresses: &Addresses) -> Answered {
    let sip_domain = addresses.aor.split_once('@').map_or("", |(_, domain)| domain);
    let refuse = |why| StanzaError::because(ErrorKind::NotAcceptable, why);
    let mut domains: Vec<&str> = server.domains.iter().collect();
    domains.extend([server.rooms_domain.as_str(), sip_domain]);
    let (card, numbers) = tel::validate(card, addresses, &domains).map_err(refuse)?;
    for number in numbers {
        let taken = server.auth.directory.do_others_begin_with(&number, addresses.account).await;
        if taken.map_err(|error| store_failed(&error))? {
            let why = "is the number of somebody else on this service, or the beginning of one";
            return Err(refuse(format!("the tel '{number}' {why}")));
        }
    }
    let text = card.to_string();
    let put =
        server.store.records.put(owner.as_str(), COLLECTION, KEY, text.as_bytes(), Expected::Anything).await;
    put.map_err(|error| store_failed(&error))?;
    Ok(Answer::default())
}

/// The photo of a card: what it says that it is, and its bytes.
pub(crate) async fn photo(server: &Server, owner: &Jid) -> Result<Option<(String, Vec<u8>)>, StanzaError> {
    let card = stored(server, owner).await?;
    let Some(photo) = card.get("PHOTO") else { return Ok(None) };
    let text: String = photo.text_of("BINVAL").unwrap_or_default().split_whitespace().collect();
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    Ok(bytes.map(|bytes| (photo.text_of("TYPE").unwrap_or_default(), bytes)))
}

/// Puts another photo into a card, or none.
pub(crate) async fn set_photo(
    server: &Server,
    owner: &Jid,
    photo: Option<Element>,
) -> Result<(), StanzaError> {
    let card = stored(server, owner).await?;
    let rest = card.children().filter(|child| child.name != "PHOTO").cloned();
    let card = Element { nodes: Vec::new(), ..card.clone() }.children_from(rest).children_from(photo);
    let text = card.to_string();
    let put = server
        .store
        .records
        .put(owner.bare_str(), COLLECTION, KEY, text.as_bytes(), Expected::Anything)
        .await;
    put.map(drop).map_err(|error| store_failed(&error))
}

/// liblinphone reads SIP addresses from IMPP, not from TEL.
fn with_impp(card: Element, addresses: &Addresses) -> Element {
    if addresses.sip_uri.is_empty() {
        return card;
    }
    card.child(Element::new("impp", ns::VCARD4).text_child("uri", addresses.sip_uri.clone()))
}

async fn addresses(server: &Server, owner: &Jid) -> Result<Addresses, StanzaError> {
    let account = server.account(owner).await.map_err(|error| store_failed(&error))?;
    let account = account.ok_or(ErrorKind::ServiceUnavailable)?;
    let has_video = account.video || shows_pictures(server, &account.aor).await?;
    Ok(Addresses::of(account, has_video))
}

/// RFC 3840 §9: whether a device that is registered says that it takes `video`.
async fn shows_pictures(server: &Server, aor: &Aor) -> Result<bool, StanzaError> {
    let bindings = server.store.bindings.by_aor(aor, unix_millis()).await;
    let bindings = bindings.map_err(|error| store_failed(&error))?;
    Ok(bindings.iter().any(|binding| says_video(&binding.parameters)))
}

fn says_video(parameters: &str) -> bool {
    let mut is_quoted = false;
    let parts = parameters.split(|c| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    });
    parts.into_iter().any(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case("video") && !value.trim().eq_ignore_ascii_case("\"FALSE\"")
    })
}

/// Where cards are published.
pub(crate) const NODE: &str = "urn:xmpp:vcard4";
pub(crate) const COLLECTION: &str = "vcard";
const KEY: &str = "vcard";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_says_that_it_takes_video() {
        for yes in ["video", ";audio;video", "+sip.instance=\"<urn:x>\";Video;expires=60", "video=\"TRUE\""] {
            assert!(says_video(yes), "{yes}");
        }
        for no in ["", "audio", "video=\"FALSE\"", "+x=\"a;video;b\";audio", "videophone"] {
            assert!(!says_video(no), "{no}");
        }
    }
}
