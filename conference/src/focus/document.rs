//! The conference document — RFC 4575 §3.4 (versions), §4 (schema), §5; RFC 7106 (`grouptextchat`).
//!
//! ```text
//! conference-info  entity state version
//! ├─ conference-description   display-text subject conf-uris/entry(uri, purpose = participation)
//! │                           service-uris/entry(uri, purpose = grouptextchat) maximum-user-count
//! │                           available-media/entry label (type, status)
//! ├─ conference-state         user-count active locked
//! └─ users/user  entity       display-text associated-aors roles
//!                             endpoint(status, joining-method, joining-info/when, media(type, label, src-id, status))
//! ```
//! What is too long for one document comes in several: the whole with those who fit, and the others as if they came after it (§4.4).
//! The order of elements is the schema's. Somebody who only chats is a user with a `text` medium alone (S-38).
//!
//! Whoever chats has a nick, and in a semi-anonymous room (XEP-0045 §4.2) is that nick to all but moderators and
//! themselves, in the call as in the chat: neither JID nor AOR nor contact is said beside it. The contact of whoever only
//! calls is not said either; their endpoint has a name of its own.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::admission::fold;
use super::moment::utc;
use shared_model::{Affiliation, Audio, BareJid, Occupant, Participant, Role, RoomAddress, RoomSnapshot};
use sip_core::sdp::Direction;

/// Who reads a document, as far as it matters to what they may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Viewer {
    /// May see everybody's real addresses.
    Trusted,
    /// May see nobody's but their own.
    Ordinary(Option<BareJid>),
}

impl Viewer {
    /// What `jid` may see of a room. Of a room of which nothing is known they see nobody.
    pub(super) fn of(snapshot: Option<&RoomSnapshot>, jid: Option<&BareJid>) -> Self {
        let is_trusted = snapshot.is_some_and(|room| {
            let moderates = |jid: &BareJid| {
                let mut occupants = room.occupants.iter().filter(|occupant| occupant.jid == *jid);
                room.affiliation(jid) >= Affiliation::Admin || occupants.any(|o| o.role == Role::Moderator)
            };
            room.access.non_anonymous || jid.is_some_and(moderates)
        });
        if is_trusted { Self::Trusted } else { Self::Ordinary(jid.cloned()) }
    }

    fn sees(&self, jid: &BareJid) -> bool {
        match self {
            Self::Trusted => true,
            Self::Ordinary(own) => own.as_ref() == Some(jid),
        }
    }
}

/// One leg, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) participant: Participant,
    /// What the document calls their device.
    pub(super) contact: String,
    /// They are the one who speaks.
    pub(super) is_speaking: bool,
    /// The focus called them.
    pub(super) is_called: bool,
    /// What they may do with pictures, as they see it; nothing if they have none.
    pub(super) video: Option<Direction>,
    /// When they came into the call.
    pub(super) since: Option<SystemTime>,
    /// The source of their sound, once some came.
    pub(super) source: Option<u32>,
}

/// What a document says of the conference, whoever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline {
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
        outline: Outline,
    ) -> Self {
        let name = snapshot.map_or("", |snapshot| snapshot.name.as_str());
        let subject = snapshot.map_or("", |snapshot| snapshot.subject.as_str());
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
            "<conference-description>{}{}{}{}<maximum-user-count>{}</maximum-user-count>\
             <available-media>{media}</available-media></conference-description>",
            element("display-text", if name.is_empty() { room.local() } else { name }),
            if subject.is_empty() { String::new() } else { element("subject", subject) },
            call.unwrap_or_default(),
            chat.unwrap_or_default(),
            outline.most
        );
        let occupants = snapshot.map_or(&[][..], |snapshot| &snapshot.occupants);
        let mut users: Vec<User> = Vec::new();
        for seen in participants {
            let Seen { participant, contact, .. } = seen;
            let marks = marks(participant, seen.is_speaking);
            let jid = participant.jid.as_ref();
            let occupant = jid.and_then(|jid| occupants.iter().find(|occupant| occupant.jid == *jid));
            let sees = jid.is_some_and(|jid| viewer.sees(jid));
            if let Some(occupant) = occupant.filter(|_| !sees) {
                let uri = room.to_occupant_uri(&occupant.nick);
                // Nothing of the device is in its name, which would tell whose it is.
                let known = users.iter().find(|user| user.entity == uri);
                let leg = known.map_or(1, |user| user.endpoints.matches("<type>audio</type>").count() + 1);
                let endpoint = seen.endpoint(&format!("{uri}#audio-{leg}"));
                let also = text_endpoint(&uri);
                let user = User { entity: uri, about: nick_and_role(occupant), endpoints: endpoint, marks };
                merge(&mut users, user, &also);
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
            // Where a device is, is for moderators and its owner. Phones read what stands for it as a SIP URI.
            let opaque = format!("{};opaque={:08x}", participant.uri, fold(contact));
            let device = if sees || *viewer == Viewer::Trusted { contact } else { &opaque };
            let endpoints = seen.endpoint(device);
            let also =
                occupant.map(|occupant| text_endpoint(&occupant.jid.to_xmpp_uri())).unwrap_or_default();
            merge(&mut users, User { entity: participant.uri.clone(), about, endpoints, marks }, &also);
        }
        for occupant in occupants {
            let is_in_call =
                participants.iter().any(|seen| seen.participant.jid.as_ref() == Some(&occupant.jid));
            if !is_in_call {
                let uri = match viewer.sees(&occupant.jid) {
                    true => occupant.jid.to_xmpp_uri(),
                    false => room.to_occupant_uri(&occupant.nick),
                };
                let endpoints = text_endpoint(&uri);
                let about = nick_and_role(occupant);
                merge(&mut users, User { entity: uri, about, endpoints, marks: BTreeSet::new() }, "");
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
        let count = self.users.len();
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
            known.marks.extend(user.marks);
            // Who is heard in the clear anywhere is heard.
            if known.marks.contains(IN_THE_CLEAR) {
                known.marks.remove(ENCRYPTED);
            }
        }
        None => users.push(User { endpoints: user.endpoints + also, ..user }),
    }
}

impl Seen {
    fn endpoint(&self, name: &str) -> String {
        // §5.7.3 and §5.8.5: what the endpoint does, as it sees itself.
        let (status, direction) = match self.participant.audio {
            Audio::SendReceive => ("connected", "sendrecv"),
            Audio::Muted => ("muted-via-focus", "recvonly"),
            Audio::OnHold => ("on-hold", "inactive"),
        };
        let method = if self.is_called { "dialed-out" } else { "dialed-in" };
        let when =
            self.since.map(|since| format!("<joining-info><when>{}</when></joining-info>", utc(since)));
        let video = self.video.map(|video| VIDEO.stream(None, video.as_str()));
        format!(
            "<endpoint entity=\"{}\"><status>{status}</status><joining-method>{method}</joining-method>{}{}{}</endpoint>",
            escape(name),
            when.unwrap_or_default(),
            AUDIO.stream(self.source, direction),
            video.unwrap_or_default()
        )
    }
}

fn text_endpoint(uri: &str) -> String {
    format!(
        "<endpoint entity=\"{}\"><status>connected</status><joining-method>dialed-in</joining-method>{}</endpoint>",
        escape(uri),
        TEXT.stream(None, "sendrecv")
    )
}

/// A medium of the conference: its name in an endpoint, and its type, which is its label, too (§5.8.3).
struct Medium(u8, &'static str);

const AUDIO: Medium = Medium(1, "audio");
const TEXT: Medium = Medium(2, "text");
const VIDEO: Medium = Medium(3, "video");

impl Medium {
    /// What everybody could have.
    fn entry(&self) -> String {
        let Self(_, kind) = self;
        format!("<entry label=\"{kind}\"><type>{kind}</type><status>sendrecv</status></entry>")
    }

    /// What an endpoint has, by a source that is told in decimals (§5.8.4).
    fn stream(&self, source: Option<u32>, direction: &str) -> String {
        let Self(id, kind) = self;
        let source = source.map_or(String::new(), |ssrc| format!("<src-id>{ssrc}</src-id>"));
        format!(
            "<media id=\"{id}\"><type>{kind}</type><label>{kind}</label>{source}<status>{direction}</status></media>"
        )
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
