//! An endpoint of somebody in the document — RFC 4575 §5.7, §5.8: whether it is called, how it came, what it has, how it left, and which
//! dialog is its.
//!
//! In    a leg, or what is left of one; its name there. Out the element, in the order of the schema (§6).
//! State none. What viewers of less right may not see was taken out before, but who asked for what, whose name is the viewer's to see.

use std::time::SystemTime;

use super::super::moment::utc;
use super::{element, escape};
use shared_model::{Audio, BareJid, Participant};
use sip_core::sdp::Direction;

/// One leg, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) struct Seen {
    pub(in crate::focus) participant: Participant,
    /// What the document calls their device.
    pub(in crate::focus) contact: String,
    /// They are the one who speaks.
    pub(in crate::focus) is_speaking: bool,
    /// The focus called them.
    pub(in crate::focus) is_called: bool,
    /// What they may do with pictures, as they see it; nothing if they have none.
    pub(in crate::focus) video: Option<Direction>,
    /// When they came into the call.
    pub(in crate::focus) since: Option<SystemTime>,
    /// The sources of their sound and of their pictures, once some came.
    pub(in crate::focus) sources: [Option<u32>; 2],
    /// The languages that their device names (§5.6.4), with spaces between.
    pub(in crate::focus) languages: String,
    /// Who had them come, and when.
    pub(in crate::focus) referred: Option<Referred>,
    /// The dialog of their leg, unless they want to stay unknown.
    pub(in crate::focus) names: Option<DialogNames>,
    pub(in crate::focus) stage: Stage,
}

/// Whether somebody is in the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) enum Stage {
    /// The focus calls them.
    Dialled,
    There,
    Gone(Gone),
}

/// Whose wish brought somebody into the conference (§5.7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) struct Referred {
    pub(in crate::focus) when: SystemTime,
    pub(in crate::focus) by: Option<Person>,
}

/// Somebody who did something to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) struct Person {
    pub(in crate::focus) jid: BareJid,
    pub(in crate::focus) uri: String,
}

/// A dialog, by the names that a Replaces or a Join to the focus gives it (RFC 3891 §3: `to-tag` is that of who gets it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) struct DialogNames {
    pub(in crate::focus) call_id: String,
    pub(in crate::focus) from_tag: String,
    pub(in crate::focus) to_tag: String,
}

/// How somebody left, or why they did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::focus) struct Gone {
    pub(in crate::focus) method: Method,
    pub(in crate::focus) when: SystemTime,
    /// As a Reason says it (RFC 3326), if it is known.
    pub(in crate::focus) reason: Option<String>,
    pub(in crate::focus) by: Option<Person>,
    /// What the room called them, which they may have left too.
    pub(in crate::focus) nick: Option<String>,
}

/// §5.7.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::focus) enum Method {
    /// They hung up.
    Departed,
    /// The focus hung up.
    Booted,
    /// They were called, and did not come.
    Failed,
    /// They were called, and were busy.
    Busy,
}

impl Seen {
    /// Whether they are in the call.
    pub(super) fn is_there(&self) -> bool {
        self.stage == Stage::There
    }

    /// The element. `name` says who somebody is to the viewer.
    pub(super) fn endpoint(
        &self,
        entity: &str,
        name: impl Fn(&Person) -> Option<String>,
        has_dialog: bool,
    ) -> String {
        let by = |who: &Option<Person>| element("by", &who.as_ref().and_then(&name).unwrap_or_default());
        let when = |moment: SystemTime| element("when", &utc(moment));
        let mut text = format!("<endpoint entity=\"{}\">", escape(entity));
        if let Some(referred) = &self.referred {
            text.push_str(&format!("<referred>{}{}</referred>", when(referred.when), by(&referred.by)));
        }
        // §5.7.3 and §5.8.5: what the endpoint does, as it sees itself.
        let (status, direction) = match (&self.stage, self.participant.audio) {
            (Stage::Dialled, _) => ("dialing-out", "inactive"),
            (Stage::Gone(_), _) => ("disconnected", "inactive"),
            (Stage::There, Audio::SendReceive) => ("connected", "sendrecv"),
            (Stage::There, Audio::Muted) => ("muted-via-focus", "recvonly"),
            (Stage::There, Audio::OnHold) => ("on-hold", "inactive"),
        };
        text.push_str(&element("status", status));
        if let Some(since) = self.since {
            let method = if self.is_called { "dialed-out" } else { "dialed-in" };
            text.push_str(&element("joining-method", method));
            text.push_str(&format!("<joining-info>{}</joining-info>", when(since)));
        }
        if let Stage::Gone(gone) = &self.stage {
            let reason = element("reason", gone.reason.as_deref().unwrap_or_default());
            text.push_str(&element("disconnection-method", gone.method.as_str()));
            let info = [when(gone.when), reason, by(&gone.by)].concat();
            return text + &format!("<disconnection-info>{info}</disconnection-info></endpoint>");
        }
        if !self.is_there() {
            return text + "</endpoint>";
        }
        let [sound, pictures] = self.sources;
        text.push_str(&AUDIO.stream(sound, direction));
        text.extend(self.video.map(|video| VIDEO.stream(pictures, video.as_str())));
        if let Some(names) = self.names.as_ref().filter(|_| has_dialog) {
            let call_id = element("call-id", &names.call_id);
            let tags = [element("from-tag", &names.from_tag), element("to-tag", &names.to_tag)].concat();
            text.push_str(&format!("<call-info><sip>{call_id}{tags}</sip></call-info>"));
        }
        text + "</endpoint>"
    }
}

impl Stage {
    /// What the room called who left.
    pub(super) fn nick(&self) -> Option<&String> {
        match self {
            Self::Gone(gone) => gone.nick.as_ref(),
            _ => None,
        }
    }
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Departed => "departed",
            Self::Booted => "booted",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }
}

/// What who only chats has.
pub(super) fn of_text(uri: &str) -> String {
    format!(
        "<endpoint entity=\"{}\"><status>connected</status><joining-method>dialed-in</joining-method>{}</endpoint>",
        escape(uri),
        TEXT.stream(None, "sendrecv")
    )
}

/// A medium of the conference: its name in an endpoint, and its type, which is its label, too (§5.8.3).
pub(super) struct Medium(u8, &'static str);

pub(super) const AUDIO: Medium = Medium(1, "audio");
pub(super) const TEXT: Medium = Medium(2, "text");
pub(super) const VIDEO: Medium = Medium(3, "video");

impl Medium {
    /// What everybody could have.
    pub(super) fn entry(&self) -> String {
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
