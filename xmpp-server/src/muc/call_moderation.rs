//! `/mute bob`, `/unmute bob`, `/gain bob +3` in a room: a moderator deals with one person in the room and its call — XEP-0045 §8.3, §8.4, S-40.
//!
//! In    such a message of a moderator, with a nick, or the name that somebody shows who is in the call alone.
//! Out   another role of an occupant, which the call follows; for all else a word to the focus. Who asked is told what came of it, and nobody
//!       else reads the message.
//! Errors who does not moderate, names that nobody has, and what the room's law does not allow, in words to who asked.

use std::sync::Arc;

use shared_model::{BareJid, Deed, ModerationError, Role, RoomAddress};
use xmpp_core::{Element, Jid, Stanza, ns};

use super::admin::Change;
use super::call_out::notice;
use super::room::{Effects, Occupant, Room, bare};
use crate::route;
use crate::server::Server;

/// What a moderator wants done to somebody in the call.
pub(crate) struct Wish {
    deed: Deed,
    name: String,
}

/// The same, for the focus.
pub(crate) struct Errand {
    asker: Jid,
    by: BareJid,
    wish: Wish,
}

/// What a message wants, if it is such a word; of one without a name, or a number, nothing is known.
pub(crate) fn asked(children: &[Element]) -> Option<Option<Wish>> {
    let text = children.iter().find(|child| child.is("body", ns::CLIENT))?.text();
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (deed, name) = match (word, rest.trim()) {
        ("/mute", name) => (Some(Deed::Mute), name),
        ("/unmute", name) => (Some(Deed::Unmute), name),
        ("/gain", rest) => {
            let (name, decibels) = rest.rsplit_once(char::is_whitespace).unwrap_or_default();
            let decibels = decibels.parse().ok().filter(|decibels: &i8| decibels.unsigned_abs() <= MOST_GAIN);
            (decibels.map(Deed::Gain), name.trim())
        }
        _ => return None,
    };
    let name = Some(name).filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
    Some(deed.zip(name).map(|(deed, name)| Wish { deed, name: name.to_owned() }))
}

impl Room {
    /// Does what a moderator wants.
    pub(crate) fn moderate_call(
        &mut self,
        message: &Stanza,
        wish: Option<Wish>,
        speaker: &Occupant,
        out: &mut Effects,
    ) {
        let text = match (wish, bare(&speaker.jid)) {
            _ if speaker.role != Role::Moderator => NOT_YOURS.to_owned(),
            (None, _) => USAGE.to_owned(),
            (Some(wish), by) => match (self.by_nick(&wish.name), wish.deed) {
                (Some(whom), Deed::Mute | Deed::Unmute) => {
                    self.change_voice(&whom.clone(), wish.deed, speaker, out)
                }
                _ => match by {
                    Some(by) => return out.errands.push(Errand { asker: speaker.jid.clone(), by, wish }),
                    None => NOT_YOURS.to_owned(),
                },
            },
        };
        out.stanzas.push(notice(&self.jid, &speaker.jid, message.id.as_deref(), text));
    }

    /// The call follows.
    fn change_voice(&mut self, whom: &Occupant, deed: Deed, by: &Occupant, out: &mut Effects) -> String {
        let (role, done) = match deed {
            Deed::Mute => (Role::Visitor, "has no voice any more"),
            _ => (whom.role.max(Role::Participant), "has a voice"),
        };
        if self.check(&Change::Role(whom.nick.clone(), role), &by.jid).is_err() {
            return format!("Not done: the voice of {} is not yours to give or take.", whom.nick);
        }
        self.set_role(&whom.nick, role, Some(&by.nick), None, out);
        format!("{} {done}.", whom.nick)
    }
}

/// Has the focus do it, and tells who wanted it.
pub(crate) async fn run(server: &Arc<Server>, room: &RoomAddress, jid: &Jid, errand: &Errand) {
    let Errand { asker, by, wish: Wish { deed, name } } = errand;
    let done = match server.calls.get() {
        Some(calls) => calls.adjust(room, by, name, *deed).await,
        None => Err(ModerationError::Unavailable),
    };
    let text = match (done, deed) {
        (Err(why), _) => format!("Not done: {why}."),
        (Ok(()), Deed::Mute) => format!("{name} is muted in the call."),
        (Ok(()), Deed::Gain(0)) => format!("{name} is heard as before."),
        (Ok(()), Deed::Gain(decibels)) => {
            let louder = if *decibels > 0 { "louder" } else { "quieter" };
            format!(
                "{name} is heard {} dB {louder} than before, as far as that goes.",
                decibels.unsigned_abs()
            )
        }
        (Ok(()), _) => format!("{name} is heard in the call."),
    };
    route::pass(server, notice(jid, asker, None, text));
}

const NOT_YOURS: &str = "Not done: only moderators do that.";
const USAGE: &str = "Not done: it is /mute NAME, /unmute NAME, or /gain NAME +3, by how many decibels louder (at most 12) or quieter.";
/// Decibels.
const MOST_GAIN: u8 = 12;
/// Bytes of a nick or name.
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_words_and_no_others() {
        let wish = |text: &str| {
            asked(&[Element::new("body", ns::CLIENT).text_node(text)])
                .map(|wish| wish.map(|wish| (wish.deed, wish.name)))
        };
        let to = |deed, name: &str| Some(Some((deed, name.to_owned())));
        assert_eq!(wish("/mute  Bob B "), to(Deed::Mute, "Bob B"));
        assert_eq!(wish("/unmute bob"), to(Deed::Unmute, "bob"));
        assert_eq!(wish("/gain Bob B +3"), to(Deed::Gain(3), "Bob B"));
        assert_eq!(wish("/gain bob -12"), to(Deed::Gain(-12), "bob"));
        for wrong in ["/mute", "/gain bob", "/gain bob 13", "/gain +3", "/gain bob loud"] {
            assert_eq!(wish(wrong), Some(None), "{wrong}");
        }
        assert_eq!(wish("/muted is he"), None);
        assert_eq!(wish("mute bob"), None);
    }
}
