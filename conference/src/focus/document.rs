//! The conference document — RFC 4575 §3.4 (versions), §4 (schema), §5; RFC 7106 (`grouptextchat`).
//!
//! ```text
//! conference-info  entity state version
//! ├─ conference-description   display-text subject free-text conf-uris/entry(uri, purpose = participation)
//! │                           service-uris/entry(uri, purpose = grouptextchat) maximum-user-count
//! │                           available-media/entry label (type, status)
//! ├─ host-info                display-text
//! ├─ conference-state         user-count active locked
//! └─ users/user  entity       display-text associated-aors roles languages
//!                             endpoint(referred, status, joining-method, joining-info/when, disconnection-method,
//!                             disconnection-info(when, reason, by), media(type, label, src-id, status), call-info/sip)
//! ```
//! Whom the focus calls is an endpoint that it dials, who left is one that is disconnected, for a few seconds; neither is one of the users who
//! are counted.
//! What is too long for one document comes in several: the whole with those who fit, and the others as if they came after it (§4.4).
//! The order of elements is the schema's. Somebody who only chats is a user with a `text` medium alone (S-38).
//!
//! Whoever chats has a nick, and in a semi-anonymous room (XEP-0045 §4.2) is that nick to all but moderators and
//! themselves, in the call as in the chat: neither JID nor AOR nor contact is said beside it, nor when they leave both. The
//! contact of whoever only calls is not said either; their endpoint has a name of its own. Of a dialog
//! who may remove somebody reads (§5.7.9, §8.2).

mod endpoint;

use std::collections::BTreeSet;

use super::admission::fold;
use super::policy;
use endpoint::{AUDIO, TEXT, VIDEO};
pub(super) use endpoint::{DialogNames, Gone, Method, Person, Referred, Seen, Stage};
use shared_model::{BareJid, Occupant, Participant, RoomAddress, RoomSnapshot};

/// Who reads a document, as far as it matters to what they may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Viewer {
    /// May see everybody's real addresses, and which dialogs those have whom they may remove.
    Moderator(BareJid),
    /// May see everybody's real addresses.
    Trusted,
    /// May see nobody's but their own.
    Ordinary(Option<BareJid>),
}

impl Viewer {
    /// What `jid` may see of a room. Of a room of which nothing is known they see nobody.
    pub(super) fn of(snapshot: Option<&RoomSnapshot>, jid: Option<&BareJid>) -> Self {
        match (snapshot, jid) {
            (Some(room), Some(jid)) if policy::moderates(room, jid) => Self::Moderator(jid.clone()),
            (Some(room), _) if room.access.non_anonymous => Self::Trusted,
            _ => Self::Ordinary(jid.cloned()),
        }
    }

    fn sees(&self, jid: &BareJid) -> bool {
        match self {
            Self::Moderator(_) | Self::Trusted => true,
            Self::Ordinary(own) => own.as_ref() == Some(jid),
        }
    }
}

/// What a document says of the conference, whoever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    /// Who has the conference (§5.4.1).
    pub(super) host: &'a str,
    /// It has a chat room (RFC 7106).
    pub(super) chat: bool,
    /// The chat room's URI asks to join it (RFC 5122 §2.5).
    pub(super) join: bool,
    /// Its own URI is said (RFC 4575 §5.3.1), which those who read the document have already.
    pub(super) call: bool,
    /// Pictures are forwarded.
    pub(super) video: bool,
    /// How many legs it takes (RFC 4575 §5.3.3).
    pub(super) most: usize,
}

/// Everything that a document says, before it is text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View {
    description: String,
    users: Vec<User>,
}

/// One person, in the room, the call, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    entity: String,
    about: String,
    endpoints: String,
    /// How many of these are of calls.
    legs: usize,
    /// Some endpoint is there still.
    is_there: bool,
    /// What the schema has no word for, in a namespace of ours (§5.9.1 lets it in at the end of a user).
    marks: BTreeSet<&'static str>,
}

impl View {
    /// What there is to say to `viewer` about a room and its call.
    pub(super) fn of(
        room: &RoomAddress,
        snapshot: Option<&RoomSnapshot>,
        participants: &[Seen],
        viewer: &Viewer,
        outline: Outline<'_>,
    ) -> Self {
        let name = snapshot.map_or("", |snapshot| snapshot.name.as_str());
        let subject = snapshot.map_or("", |snapshot| snapshot.subject.as_str());
        let free_text = snapshot.map_or("", |snapshot| snapshot.description.as_str());
        let list = |name: &str, uri: &str, purpose: &str| {
            let (uri, purpose) = (element("uri", uri), element("purpose", purpose));
            format!("<{name}><entry>{uri}{purpose}</entry></{name}>")
        };
        let call = outline.call.then(|| list("conf-uris", &room.to_sip_uri(), "participation"));
        let chat = room.to_xmpp_uri() + if outline.join { "?join" } else { "" };
        let chat = outline.chat.then(|| list("service-uris", &chat, "grouptextchat"));
        // §5.3.4: what everybody could have, as they see it.
        let media = [(true, AUDIO), (outline.chat, TEXT), (outline.video, VIDEO)];
        let media: String =
            media.iter().filter(|(is_there, _)| *is_there).map(|(_, medium)| medium.entry()).collect();
        let description = format!(
            "<conference-description>{}{}{}{}{}<maximum-user-count>{}</maximum-user-count>\
             <available-media>{media}</available-media></conference-description><host-info>{}</host-info>",
            element("display-text", if name.is_empty() { room.local() } else { name }),
            element("subject", subject),
            element("free-text", free_text),
            call.unwrap_or_default(),
            chat.unwrap_or_default(),
            outline.most,
            element("display-text", outline.host)
        );
        let occupants = snapshot.map_or(&[][..], |snapshot| &snapshot.occupants);
        let occupant_of = |jid: &BareJid| occupants.iter().find(|occupant| occupant.jid == *jid);
        // Who had somebody come or go, as far as the viewer may know them.
        let name = |who: &Person| match viewer.sees(&who.jid) {
            true => Some(who.uri.clone()),
            false => occupant_of(&who.jid).map(|occupant| room.to_occupant_uri(&occupant.nick)),
        };
        let mut users: Vec<User> = Vec::new();
        for seen in participants {
            let Seen { participant, contact, .. } = seen;
            let is_there = seen.is_there();
            let marks = if is_there { marks(participant, seen.is_speaking) } else { BTreeSet::new() };
            let jid = participant.jid.as_ref();
            let occupant = jid.and_then(occupant_of);
            let sees = jid.is_some_and(|jid| viewer.sees(jid));
            // RFC 3891 §8: by these names somebody's call is ended.
            let has_dialog = match (viewer, snapshot, jid) {
                (Viewer::Moderator(own), Some(room), Some(jid)) => {
                    own == jid || policy::removes(room, own, jid)
                }
                (Viewer::Moderator(_), ..) => true,
                _ => false,
            };
            let endpoint = |entity: &str| seen.endpoint(entity, name, has_dialog);
            let nick = occupant.map(|occupant| &occupant.nick).or(seen.stage.nick());
            if let Some(nick) = nick.filter(|_| !sees) {
                let uri = room.to_occupant_uri(nick);
                // Nothing of the device is in its name, which would tell whose it is.
                let leg = users.iter().find(|user| user.entity == uri).map_or(1, |user| user.legs + 1);
                let endpoints = endpoint(&format!("{uri}#audio-{leg}"));
                let about = occupant.map_or_else(|| element("display-text", nick), nick_and_role);
                let also = occupant.map(|_| endpoint::of_text(&uri)).unwrap_or_default();
                let is_there = is_there || occupant.is_some();
                merge(&mut users, User { entity: uri, about, endpoints, legs: 1, is_there, marks }, &also);
                continue;
            }
            let mut about = element("display-text", &participant.display_name);
            if let Some(jid) = jid.filter(|_| sees) {
                about.push_str(&format!(
                    "<associated-aors><entry><uri>{}</uri></entry></associated-aors>",
                    escape(&jid.to_xmpp_uri())
                ));
            }
            about.push_str(&roles(occupant.map_or("participant", |occupant| occupant.role.as_str())));
            about.push_str(&element("languages", &seen.languages));
            // Where a device is, is for moderators and its owner. Phones read what stands for it as a SIP URI.
            let opaque = format!("{};opaque={:08x}", participant.uri, fold(contact));
            let device = if sees || !matches!(viewer, Viewer::Ordinary(_)) { contact } else { &opaque };
            let endpoints = endpoint(device);
            // Who is in the chat alone has a name there.
            let chats = occupant.filter(|_| is_there);
            let also =
                chats.map(|occupant| endpoint::of_text(&occupant.jid.to_xmpp_uri())).unwrap_or_default();
            let entity = participant.uri.clone();
            merge(&mut users, User { entity, about, endpoints, legs: 1, is_there, marks }, &also);
        }
        for occupant in occupants {
            let is_theirs = |seen: &&Seen| seen.participant.jid.as_ref() == Some(&occupant.jid);
            let sees = viewer.sees(&occupant.jid);
            // Who left the call is there by their first nick already, where a nick stands for them.
            let is_first = occupant_of(&occupant.jid).is_some_and(|first| first.nick == occupant.nick);
            let is_told = |seen: &Seen| seen.is_there() || (!sees && is_first);
            if !participants.iter().filter(is_theirs).any(is_told) {
                let uri = match sees {
                    true => occupant.jid.to_xmpp_uri(),
                    false => room.to_occupant_uri(&occupant.nick),
                };
                let (endpoints, about) = (endpoint::of_text(&uri), nick_and_role(occupant));
                let (marks, is_there) = (BTreeSet::new(), true);
                merge(&mut users, User { entity: uri, about, endpoints, legs: 0, is_there, marks }, "");
            }
        }
        Self { description, users }
    }

    /// The whole, however long it is.
    pub(super) fn full(&self, entity: &str, version: u32) -> String {
        self.piece(&Self::default(), (entity, "full", version), usize::MAX).0
    }

    /// What a new subscription is told first, and how much of this view that is.
    pub(super) fn first(&self, entity: &str, version: u32) -> (String, Self) {
        self.piece(&Self::default(), (entity, "full", version), LONGEST)
    }

    /// What changed since `before`, and what is known with it; `None` if nothing did.
    pub(super) fn partial(&self, before: &Self, entity: &str, version: u32) -> Option<(String, Self)> {
        (self != before).then(|| self.piece(before, (entity, "partial", version), LONGEST))
    }

    /// So many octets of users, and one at least, that `before` has not or has otherwise; what is known with them. The rest is
    /// another document's: to its reader they came, changed or went after these.
    fn piece(
        &self,
        before: &Self,
        (entity, state, version): (&str, &str, u32),
        longest: usize,
    ) -> (String, Self) {
        let description = if self.description == before.description { "" } else { &self.description };
        let mut known = Self { description: self.description.clone(), users: Vec::new() };
        let mut users = String::new();
        let fits = |users: &String, user: &String| users.is_empty() || users.len() + user.len() <= longest;
        for user in &self.users {
            let as_known = before.users.iter().find(|known| known.entity == user.entity);
            if as_known == Some(user) {
                known.users.push(user.clone());
                continue;
            }
            let text = user.print("full");
            if fits(&users, &text) {
                users.push_str(&text);
                known.users.push(user.clone());
            } else {
                known.users.extend(as_known.cloned());
            }
        }
        for gone in &before.users {
            if !self.users.iter().any(|user| user.entity == gone.entity) {
                let text = format!("<user entity=\"{}\" state=\"deleted\"/>", escape(&gone.entity));
                if fits(&users, &text) {
                    users.push_str(&text);
                } else {
                    known.users.push(gone.clone());
                }
            }
        }
        (self.print(entity, state, version, description, &users), known)
    }

    fn print(&self, entity: &str, state: &str, version: u32, description: &str, users: &str) -> String {
        let count = self.users.iter().filter(|user| user.is_there).count();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<conference-info xmlns=\"{NAMESPACE}\" entity=\"{}\" \
             state=\"{state}\" version=\"{version}\">{description}<conference-state><user-count>{count}</user-count>\
             <active>true</active><locked>false</locked></conference-state><users state=\"{state}\">{users}</users></conference-info>\r\n",
            escape(entity)
        )
    }
}

impl User {
    fn print(&self, state: &str) -> String {
        let marks: String = self.marks.iter().map(|mark| format!("<{mark} xmlns=\"{OURS}\"/>")).collect();
        let Self { entity, about, endpoints, .. } = self;
        format!("<user entity=\"{}\" state=\"{state}\">{about}{endpoints}{marks}</user>", escape(entity))
    }
}

/// A second leg or nick of somebody adds its endpoint and its marks to their user; the first has what it has `also`.
fn merge(users: &mut Vec<User>, user: User, also: &str) {
    match users.iter_mut().find(|known| known.entity == user.entity) {
        Some(known) => {
            known.endpoints.push_str(&user.endpoints);
            known.legs += user.legs;
            known.is_there |= user.is_there;
            known.marks.extend(user.marks);
            // Who is heard in the clear anywhere is heard.
            if known.marks.contains(IN_THE_CLEAR) {
                known.marks.remove(ENCRYPTED);
            }
        }
        None => users.push(User { endpoints: user.endpoints + also, ..user }),
    }
}

fn marks(participant: &Participant, is_speaking: bool) -> BTreeSet<&'static str> {
    let all = [
        (participant.is_encrypted, ENCRYPTED),
        (!participant.is_encrypted, IN_THE_CLEAR),
        (participant.is_hand_up, "hand-raised"),
        (is_speaking, "speaking"),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).collect()
}

/// Nobody on the way to the focus hears or sees them, or somebody may.
const ENCRYPTED: &str = "encrypted";
const IN_THE_CLEAR: &str = "unencrypted";

fn nick_and_role(occupant: &Occupant) -> String {
    element("display-text", &occupant.nick) + &roles(occupant.role.as_str())
}

fn roles(role: &str) -> String {
    format!("<roles><entry>{}</entry></roles>", escape(role))
}

fn element(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<{name}>{}</{name}>", escape(text)) }
}

/// Text inside elements and attributes; what XML 1.0 cannot hold is left out (§2.2 there).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// Octets of users in one document, which has to get through in a datagram where there is no other way (RFC 3261 §18.1.1).
const LONGEST: usize = 48_000;
/// RFC 4575 §7.2.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";
/// The extension that tells a room of its call.
const OURS: &str = "urn:cusax:call:0";

#[cfg(test)]
mod tests;
