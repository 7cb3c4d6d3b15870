//! The conference document — RFC 4575 §3.4 (versions), §4 (schema), §5; RFC 7106 (`grouptextchat`).
//!
//! ```text
//! conference-info  entity state version
//! ├─ conference-description   display-text subject conf-uris/entry(uri, purpose = participation)
//! │                           service-uris/entry(uri, purpose = grouptextchat) maximum-user-count
//! ├─ conference-state         user-count active
//! └─ users/user  entity       display-text associated-aors roles endpoint(status, joining-method, media)
//! ```
//! What is too long for one document comes in several: the whole with those who fit, and the others as if they came after it (§4.4).
//! The order of elements is the schema's. Somebody who only chats is a user with a `text` medium alone (S-38).
//!
//! Whoever chats has a nick, and in a semi-anonymous room (XEP-0045 §4.2) is that nick to all but moderators and
//! themselves, in the call as in the chat: neither JID nor AOR nor contact is said beside it. The contact of whoever only
//! calls is not said either; their endpoint has a name of its own.

use std::collections::BTreeSet;

use super::admission::fold;
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
        let description = format!(
            "<conference-description>{}{}{}{}<maximum-user-count>{}</maximum-user-count></conference-description>",
            element("display-text", if name.is_empty() { room.local() } else { name }),
            if subject.is_empty() { String::new() } else { element("subject", subject) },
            call.unwrap_or_default(),
            chat.unwrap_or_default(),
            outline.most
        );
        let occupants = snapshot.map_or(&[][..], |snapshot| &snapshot.occupants);
        let mut users: Vec<User> = Vec::new();
        for Seen { participant, contact, is_speaking, is_called, video } in participants {
            let method = if *is_called { "dialed-out" } else { "dialed-in" };
            let marks = marks(participant, *is_speaking);
            let jid = participant.jid.as_ref();
            let occupant = jid.and_then(|jid| occupants.iter().find(|occupant| occupant.jid == *jid));
            let sees = jid.is_some_and(|jid| viewer.sees(jid));
            if let Some(occupant) = occupant.filter(|_| !sees) {
                let uri = room.to_occupant_uri(&occupant.nick);
                // Nothing of the device is in its name, which would tell whose it is.
                let known = users.iter().find(|user| user.entity == uri);
                let leg = known.map_or(1, |user| user.endpoints.matches("<type>audio</type>").count() + 1);
                let endpoint =
                    call_endpoint(&format!("{uri}#audio-{leg}"), method, participant.audio, *video);
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
            let endpoints = call_endpoint(device, method, participant.audio, *video);
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
             <active>true</active></conference-state><users state=\"{state}\">{users}</users></conference-info>\r\n",
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

fn call_endpoint(contact: &str, method: &str, audio: Audio, video: Option<Direction>) -> String {
    // §5.7.3 and §5.8.4: what the endpoint does, as it sees itself.
    let (status, direction) = match audio {
        Audio::SendReceive => ("connected", "sendrecv"),
        Audio::Muted => ("muted-via-focus", "recvonly"),
        Audio::OnHold => ("on-hold", "inactive"),
    };
    let video = video.map_or(String::new(), |video| {
        format!("<media id=\"3\"><type>video</type><status>{}</status></media>", video.as_str())
    });
    format!(
        "<endpoint entity=\"{}\"><status>{status}</status><joining-method>{method}</joining-method>\
         <media id=\"1\"><type>audio</type><status>{direction}</status></media>{video}</endpoint>",
        escape(contact)
    )
}

fn text_endpoint(uri: &str) -> String {
    format!(
        "<endpoint entity=\"{}\"><status>connected</status><joining-method>dialed-in</joining-method>\
         <media id=\"2\"><type>text</type><status>sendrecv</status></media></endpoint>",
        escape(uri)
    )
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
mod tests {
    use super::*;
    use shared_model::RoomAccess;

    const OUTLINE: Outline = Outline { chat: true, join: true, call: false, most: 9 };

    fn snapshot() -> RoomSnapshot {
        let occupant = |nick: &str, name: &str| Occupant {
            nick: nick.to_owned(),
            jid: format!("{name}@example.org").parse().unwrap(),
            role: Role::Participant,
            affiliation: Affiliation::None,
        };
        RoomSnapshot {
            room: "dev@conference.example.org".parse().unwrap(),
            name: "R&D".to_owned(),
            subject: String::new(),
            access: RoomAccess::default(),
            affiliations: Vec::new(),
            occupants: vec![occupant("Al", "alice"), occupant("Bo", "bob")],
        }
    }

    fn alice(audio: Audio) -> Seen {
        let participant = Participant {
            account: None,
            jid: "alice@example.org".parse().ok(),
            uri: "sip:alice@example.org".to_owned(),
            display_name: "Alice".to_owned(),
            audio,
            has_video: false,
            is_hand_up: false,
            is_encrypted: false,
        };
        let contact = "sip:alice@192.0.2.1".to_owned();
        Seen { participant, contact, is_speaking: false, is_called: false, video: None }
    }

    #[test]
    fn shows_who_has_text_and_who_has_audio() {
        let room = snapshot();
        let text = View::of(&room.room, Some(&room), &[alice(Audio::SendReceive)], &Viewer::Trusted, OUTLINE)
            .full("sip:dev@x", 0);
        assert!(text.contains("<display-text>R&amp;D</display-text>"), "{text}");
        assert!(
            text.contains("<uri>xmpp:dev@conference.example.org?join</uri><purpose>grouptextchat</purpose>")
        );
        let (alice, bob) = text.split_once("entity=\"xmpp:bob@example.org\"").unwrap();
        assert!(alice.contains("<type>audio</type>") && alice.contains("<type>text</type>"));
        assert!(bob.contains("<type>text</type>") && !bob.contains("<type>audio</type>"));
        assert!(text.contains("<user-count>2</user-count>"));
    }

    #[test]
    fn shows_where_devices_are_to_moderators_and_their_owner_alone() {
        let room = snapshot();
        let mut empty = room.clone();
        empty.occupants.clear();
        let seen = |viewer| {
            View::of(&room.room, Some(&empty), &[alice(Audio::SendReceive)], &viewer, OUTLINE)
                .full("sip:dev@x", 0)
        };
        let of = |name: &str| Viewer::Ordinary(format!("{name}@example.org").parse().ok());
        assert!(seen(Viewer::Trusted).contains("192.0.2.1") && seen(of("alice")).contains("192.0.2.1"));
        let to_bob = seen(of("bob"));
        assert!(
            !to_bob.contains("192.0.2.1") && to_bob.contains("entity=\"sip:alice@example.org;opaque="),
            "{to_bob}"
        );
        let entity =
            to_bob.split("entity=\"").find(|rest| rest.starts_with("sip:alice@example.org;")).unwrap();
        let uri = sip_core::Uri::parse(entity.split('"').next().unwrap()).unwrap();
        assert_eq!(uri.host, "example.org", "phones read it as a SIP URI");
    }

    #[test]
    fn says_who_speaks_and_whose_hand_is_up() {
        let room = snapshot();
        let text = |seen: Seen| {
            View::of(&room.room, Some(&room), &[seen], &Viewer::Trusted, OUTLINE).full("sip:dev@x", 0)
        };
        let quiet = alice(Audio::Muted);
        let clear = "</endpoint><unencrypted xmlns=\"urn:cusax:call:0\"/></user>";
        assert!(text(quiet.clone()).contains(clear) && !text(quiet.clone()).contains("speaking"));
        let mut busy = Seen { is_speaking: true, video: Some(Direction::SendOnly), ..quiet };
        busy.participant.is_hand_up = true;
        let text = text(busy);
        assert!(
            text.contains("<media id=\"3\"><type>video</type><status>sendonly</status></media></endpoint>")
        );
        let end = "<hand-raised xmlns=\"urn:cusax:call:0\"/><speaking xmlns=\"urn:cusax:call:0\"/>";
        assert!(text.contains(&format!("</endpoint>{end}<unencrypted")), "{text}");
    }

    #[test]
    fn legs_of_one_person_are_endpoints_before_what_we_say_of_them() {
        let room = snapshot();
        let mut secret = alice(Audio::SendReceive);
        (secret.participant.is_encrypted, secret.contact) = (true, "sip:alice@192.0.2.2".to_owned());
        let clear = Seen { is_speaking: true, ..alice(Audio::SendReceive) };
        for viewer in [Viewer::Trusted, Viewer::Ordinary(None)] {
            let text = |legs: &[Seen]| {
                let document = View::of(&room.room, Some(&room), legs, &viewer, OUTLINE).full("sip:dev@x", 0);
                document.split("<user ").find(|user| user.contains("<type>audio")).unwrap().to_owned()
            };
            assert!(text(std::slice::from_ref(&secret)).contains("</endpoint><encrypted"));
            let both = text(&[secret.clone(), clear.clone()]);
            let (endpoints, marks) = both.rsplit_once("</endpoint>").unwrap();
            assert_eq!(endpoints.matches("<endpoint ").count(), 3, "two of sound, one of text: {both}");
            assert!(!endpoints.contains(OURS), "{both}");
            assert!(
                marks.starts_with("<speaking")
                    && marks.contains("<unencrypted")
                    && !marks.contains("<encrypted")
            );
            let entities: BTreeSet<&str> = endpoints.split("<endpoint entity=\"").skip(1).collect();
            assert_eq!(entities.len(), 3, "{both}");
        }
    }

    #[test]
    fn says_where_else_the_conference_is_if_it_is_to() {
        let room = snapshot();
        let of = |chat, call| {
            let outline = Outline { chat, join: false, call, most: 9 };
            View::of(&room.room, None, &[], &Viewer::Trusted, outline).full("sip:dev@x", 0)
        };
        let conf = "<conf-uris><entry><uri>sip:dev@conference.example.org</uri><purpose>participation</purpose></entry></conf-uris>";
        assert!(of(true, true).contains(&format!("{conf}<service-uris>")));
        assert!(!of(false, false).contains("-uris"));
        assert!(
            of(true, false).contains("<uri>xmpp:dev@conference.example.org</uri><purpose>grouptextchat<")
        );
    }

    #[test]
    fn says_what_changed_and_nothing_else() {
        let room = snapshot();
        let view =
            |participants: &[_]| View::of(&room.room, Some(&room), participants, &Viewer::Trusted, OUTLINE);
        let (before, after) = (view(&[alice(Audio::SendReceive)]), view(&[alice(Audio::Muted)]));
        assert_eq!(before.partial(&before, "sip:dev@x", 1), None);
        let (muted, known) = after.partial(&before, "sip:dev@x", 1).unwrap();
        assert_eq!(known, after);
        assert!(muted.contains("state=\"partial\" version=\"1\"") && muted.contains("muted-via-focus"));
        assert!(!muted.contains("bob") && !muted.contains("conference-description"));
        let (left, _) = view(&[]).partial(&before, "sip:dev@x", 2).unwrap();
        assert!(left.contains("<user entity=\"sip:alice@example.org\" state=\"deleted\"/>"));
        assert!(left.contains("<user entity=\"xmpp:alice@example.org\" state=\"full\">"));
    }

    #[test]
    fn what_is_too_long_for_one_document_comes_in_several() {
        let mut room = snapshot();
        room.occupants = (0..400)
            .map(|n| Occupant { nick: format!("nick-{n}"), ..room.occupants[n % 2].clone() })
            .collect();
        let view =
            |room: &RoomSnapshot| View::of(&room.room, Some(room), &[], &Viewer::Ordinary(None), OUTLINE);
        let (all, none) = (view(&room), view(&RoomSnapshot { occupants: Vec::new(), ..room.clone() }));
        let (first, mut known) = all.first("sip:dev@x", 0);
        assert!(first.contains("state=\"full\" version=\"0\"") && first.contains("<user-count>400<"));
        let mut told = vec![first];
        while let Some((text, next)) = all.partial(&known, "sip:dev@x", told.len() as u32) {
            told.push(text);
            known = next;
        }
        assert!(told.len() > 2 && told.iter().all(|text| text.len() < LONGEST + 1_000));
        assert!(
            told[1].contains("<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\"")
                && !told[1].contains("<conference-description>")
        );
        let users = |text: &String| text.matches("<user entity=").count();
        assert_eq!(told.iter().map(users).sum::<usize>(), 400, "each once");
        // All go at once.
        let mut deleted = 0;
        while let Some((text, next)) = none.partial(&known, "sip:dev@x", 9) {
            deleted += text.matches("state=\"deleted\"").count();
            known = next;
        }
        assert_eq!((deleted, known), (400, none));
    }
}
