//! One avatar in two places — XEP-0398 1.0.0, sections 3.1 (node to card), 3.2 (card to node), 4 (presence); XEP-0153 1.1.1.
//!
//! In    a publication of `urn:xmpp:avatar:metadata`, a card that is set, presence on its way out.
//! Out   the photo of the card, or the items of both nodes; presence with the photo's hash in it.
//! State one record an account, collection `vcard`: the hash, at hand in every session.
//! Errors a picture whose hash is not its id, or that is none, changes nothing; what fails is logged, since the publication
//!        or the card that led here is kept already.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_model::{Picture, Spec};
use shared_store::{Expected, Place, Record};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, Stanza, StanzaError, ns};

use crate::features::{store_failed, vcard};
use crate::server::Server;
use crate::{presence, pubsub};

pub(crate) const SPECS: &[Spec] = &[
    Spec::xep(398, "1.0.0").complete(),
    Spec::xep(153, "1.1.1").complete().note("the hash is put into presence by the server"),
];

/// What disco says of an account.
pub(crate) const FEATURE: &str = "urn:xmpp:pep-vcard-conversion:0";

/// §3.1: what an account published becomes the photo of its card.
pub(crate) async fn published(server: &Server, user: &Jid) {
    if let Err(error) = to_card(server, user).await {
        tracing::warn!(condition = error.kind.as_str(), "an avatar did not reach its card");
    }
}

async fn to_card(server: &Server, user: &Jid) -> Result<(), StanzaError> {
    let metadata = pubsub::own_items(server, user, METADATA).await?;
    let Some((_, item)) = metadata.last() else { return Ok(()) };
    let infos = item.find("metadata", METADATA).into_iter().flat_map(Element::children);
    // One that is at a URL is not here.
    let info = infos.filter(|info| info.is("info", METADATA)).find(|info| info.attribute("url").is_none());
    let Some(info) = info else {
        vcard::set_photo(server, user, None).await?;
        return remember(server, user, "").await;
    };
    let id = info.attribute("id").unwrap_or_default();
    let data = pubsub::own_items(server, user, DATA).await?;
    let data = data.iter().find(|(known, _)| known == id).and_then(|(_, item)| item.find("data", DATA));
    let Some(text) = data.map(|data| data.text().split_whitespace().collect::<String>()) else {
        return Ok(());
    };
    if sha1(&text).as_deref() != Some(id) {
        return Ok(());
    }
    let photo = Element::new("PHOTO", ns::VCARD_TEMP)
        .text_child("TYPE", info.attribute("type").unwrap_or("image/png"))
        .text_child("BINVAL", text);
    vcard::set_photo(server, user, Some(photo)).await?;
    remember(server, user, id).await
}

/// §3.2: the photo of a card becomes the account's avatar.
pub(crate) async fn card_set(server: &Server, user: &Jid, by: &Jid, card: &Element) {
    let Some(photo) = card.get("PHOTO") else { return };
    let text: String = photo.text_of("BINVAL").unwrap_or_default().split_whitespace().collect();
    let Some((id, bytes)) =
        sha1(&text).zip(STANDARD.decode(&text).ok()).filter(|(_, bytes)| !bytes.is_empty())
    else {
        return;
    };
    if server.router.avatar(user.bare_str()).as_deref() == Some(id.as_str()) {
        return;
    }
    let media_type = photo.text_of("TYPE").unwrap_or_else(|| "image/png".to_owned());
    if let Err(error) = publish(server, user, by, &id, (text, bytes.len()), &media_type).await {
        tracing::warn!(condition = error.kind.as_str(), "a photo did not become an avatar");
    }
}

/// Both nodes show the picture, and presence its hash.
async fn publish(
    server: &Server,
    user: &Jid,
    by: &Jid,
    id: &str,
    (text, bytes): (String, usize),
    media_type: &str,
) -> Result<(), StanzaError> {
    let data = Element::new("data", DATA).text_node(text);
    let info = Element::new("info", METADATA).with("id", id).with("bytes", bytes).with("type", media_type);
    let metadata = Element::new("metadata", METADATA).child(info);
    pubsub::publish_own(server, user, by, DATA, id, &data, options()).await?;
    pubsub::publish_own(server, user, by, METADATA, id, &metadata, options()).await?;
    remember(server, user, id).await
}

/// An account's picture is another from now on, or none: in its card, in both nodes (XEP-0084 §4.2), in presence.
pub(crate) async fn set(server: &Server, user: &Jid, picture: Option<Picture>) -> Result<(), StanzaError> {
    match picture {
        Some(Picture { media_type, bytes }) => {
            let text = STANDARD.encode(&bytes);
            let id = sha1(&text).unwrap_or_default();
            let photo = Element::new("PHOTO", ns::VCARD_TEMP)
                .text_child("TYPE", &media_type)
                .text_child("BINVAL", &text);
            vcard::set_photo(server, user, Some(photo)).await?;
            publish(server, user, user, &id, (text, bytes.len()), &media_type).await?;
        }
        None => {
            vcard::set_photo(server, user, None).await?;
            hide(server, user, user).await?;
        }
    }
    vcard::show(server, user).await
}

/// Nothing is to be shown any more (XEP-0084 §4.2.4).
async fn hide(server: &Server, user: &Jid, by: &Jid) -> Result<(), StanzaError> {
    let shown = pubsub::own_items(server, user, DATA).await?;
    if !shown.is_empty() {
        let nothing = Element::new("metadata", METADATA);
        pubsub::publish_own(server, user, by, METADATA, NOTHING, &nothing, options()).await?;
        let ids: Vec<String> = shown.into_iter().map(|(id, _)| id).collect();
        pubsub::retract_own(server, user, DATA, &ids).await?;
    }
    remember(server, user, "").await
}

/// A card without a photo was set: there is no avatar any more.
pub(crate) async fn removed(server: &Server, user: &Jid, by: &Jid) {
    if read(server, user).await.is_empty() {
        return;
    }
    if let Err(error) = hide(server, user, by).await {
        tracing::warn!(condition = error.kind.as_str(), "an avatar could not be taken away");
    }
}

fn options() -> Form {
    Form::new("submit", ns::PUBLISH_OPTIONS).with(Field::new("pubsub#access_model", "", "", "presence"))
}

/// Keeps the hash, and shows it to who sees the account's presence.
async fn remember(server: &Server, user: &Jid, id: &str) -> Result<(), StanzaError> {
    let put =
        server.store.records.put(user.bare_str(), COLLECTION, KEY, id.as_bytes(), Expected::Anything).await;
    put.map_err(|error| store_failed(&error))?;
    let avatar: Arc<str> = id.into();
    server.router.set_avatar(user.bare_str(), &avatar);
    for session in server.router.sessions(user.bare_str()) {
        if let Some(shown) = &session.presence {
            let (kept, shown) = match avatar.is_empty() {
                true => without_hash(shown),
                false => (with_hash(Stanza::clone(shown), &avatar), with_hash(Stanza::clone(shown), &avatar)),
            };
            let kept = Arc::new(kept);
            server.router.update(&session.jid, session.serial, |session| session.presence = Some(kept));
            let _ = presence::broadcast(server, &session.jid, &shown, false).await; // the log has why
        }
    }
    Ok(())
}

/// Where the hash of an account's avatar is.
pub(crate) fn place(owner: &str) -> Place<'_> {
    Place { owner, collection: COLLECTION, key: KEY }
}

/// The hash that is kept; empty if there is none.
pub(crate) fn hash(record: Option<Record>) -> Arc<str> {
    record.and_then(|record| String::from_utf8(record.value).ok()).unwrap_or_default().into()
}

/// The hash of an account's avatar; empty if it has none.
async fn read(server: &Server, user: &Jid) -> Arc<str> {
    match server.store.records.get(user.bare_str(), COLLECTION, KEY).await {
        Ok(record) => hash(record),
        Err(error) => {
            tracing::error!(%error, "the hash of an avatar could not be read");
            "".into()
        }
    }
}

/// §4: presence with the hash in it, or with an empty `<photo/>` in place of one that is not shown any more. A client that says
/// that it is not ready to (`<photo/>` without text) is left alone.
pub(crate) fn with_hash(presence: Stanza, avatar: &str) -> Stanza {
    let own = presence.find("x", UPDATE).map(|x| x.text_of("photo"));
    match own.as_ref().map(|photo| photo.as_deref()) {
        None | Some(None) if avatar.is_empty() => presence,
        Some(Some("")) => presence,
        Some(Some(hash)) if hash == avatar => presence,
        _ => {
            let x = Element::new("x", UPDATE).text_child("photo", avatar);
            presence.retain(|child| !child.is("x", UPDATE)).with(&x)
        }
    }
}

/// Presence as the client sent it, and once as it says that there is no picture any more (XEP-0153 §3.1).
fn without_hash(presence: &Stanza) -> (Stanza, Stanza) {
    let bare = Stanza::clone(presence).retain(|child| !child.is("x", UPDATE));
    let none = Element::new("x", UPDATE).child(Element::new("photo", UPDATE));
    (bare.clone(), bare.with(&none))
}

pub(crate) fn sha1(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64).ok()?;
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    Some(shared_runtime::hex(hash.as_ref()))
}

/// XEP-0084's nodes.
pub(crate) const METADATA: &str = "urn:xmpp:avatar:metadata";
pub(crate) const DATA: &str = "urn:xmpp:avatar:data";
/// The item that says that there is no avatar.
const NOTHING: &str = "current";
const UPDATE: &str = "vcard-temp:x:update";
const COLLECTION: &str = "vcard";
pub(crate) const KEY: &str = "avatar";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_goes_where_the_client_lets_it() {
        let put = |inner: &str| {
            let presence = Stanza::parse(&format!("<presence>{inner}</presence>")).unwrap();
            String::from_utf8(with_hash(presence, "h").to_bytes().to_vec()).unwrap()
        };
        let hashed = "<presence><x xmlns='vcard-temp:x:update'><photo>h</photo></x></presence>";
        assert_eq!(put(""), hashed);
        assert_eq!(put("<x xmlns='vcard-temp:x:update'/>"), hashed);
        assert_eq!(put("<x xmlns='vcard-temp:x:update'><photo>old</photo></x>"), hashed);
        let bare = |inner: &str| {
            let presence = Stanza::parse(&format!("<presence>{inner}</presence>")).unwrap();
            String::from_utf8(with_hash(presence, "").to_bytes().to_vec()).unwrap()
        };
        assert_eq!(bare(""), "<presence/>");
        assert_eq!(
            bare("<x xmlns='vcard-temp:x:update'/>"),
            "<presence><x xmlns='vcard-temp:x:update'/></presence>"
        );
        let gone = "<presence><x xmlns='vcard-temp:x:update'><photo></photo></x></presence>";
        assert_eq!(bare("<x xmlns='vcard-temp:x:update'><photo>old</photo></x>"), gone);
        let unready = "<x xmlns='vcard-temp:x:update'><photo/></x>";
        assert_eq!(put(unready), format!("<presence>{unready}</presence>"));
    }
}
