//! The settings of a profile — RFC 7081 §2: calls by SIP, chat by XMPP, and who may say otherwise.
//!
//! Each is set or left open; what is left open is taken from the layer below (S-08). [`Chosen`] is what holds in the end.

use serde::{Deserialize, Deserializer, Serialize};
use shared_model::FoundBy;

use super::Layer;
use super::zone::Zone;

/// One layer's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the two halves are shown as one; not so for accounts that stand alone (S-07). Default: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked: Option<bool>,
    /// Whether clients may call by XMPP (Jingle). Default: not if linked (RFC 7081 §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmpp_calls: Option<bool>,
    /// Whether clients may chat by SIP. Default: not if linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_messages: Option<bool>,
    /// Whether clients may publish presence by SIP. Default: not if linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_presence: Option<bool>,
    /// Whether phones offer video. Default: as the account may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<bool>,
    /// Whether phones encrypt sound. Default: where both can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Calls>,
    /// Seconds for which phones register, 60 to 86400. Default 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register_seconds: Option<u32>,
    /// Who finds the account in address books, by search and by its number. Default: its domain. Who knows an address may look it up
    /// all the same.
    #[serde(deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    pub listed: Option<FoundBy>,
    /// The time zone of desk phones, as POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`. Default: what DHCP or the phone says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The number or address that a telephone dials to hear its messages, where the operator has one. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail: Option<String>,
    /// Groups of an account, whose layers lie below its own; of other layers they are not looked at. The first wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// A word, or what the key held before: everybody of the domain, or nobody.
fn listed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<FoundBy>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`listed` is nobody, contacts or domain")]
    enum Written {
        Word(FoundBy),
        Flag(bool),
    }
    Ok(Option::deserialize(from)?.map(|written| match written {
        Written::Word(by) => by,
        Written::Flag(true) => FoundBy::Domain,
        Written::Flag(false) => FoundBy::Nobody,
    }))
}

/// Whether sound is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calls {
    /// Calls without are refused.
    Required,
    /// Where both can.
    Preferred,
    /// Never.
    Off,
}

impl Settings {
    /// These, and where they are open those below.
    pub fn over(self, below: &Self) -> Self {
        Self {
            linked: self.linked.or(below.linked),
            xmpp_calls: self.xmpp_calls.or(below.xmpp_calls),
            sip_messages: self.sip_messages.or(below.sip_messages),
            sip_presence: self.sip_presence.or(below.sip_presence),
            video: self.video.or(below.video),
            srtp: self.srtp.or(below.srtp),
            register_seconds: self.register_seconds.or(below.register_seconds),
            listed: self.listed.or(below.listed),
            time_zone: self.time_zone.or_else(|| below.time_zone.clone()),
            voicemail: self.voicemail.or_else(|| below.voicemail.clone()),
            groups: self.groups,
        }
    }

    /// What is wrong with them, in words.
    pub fn fault(&self) -> Option<&'static str> {
        match self.register_seconds {
            Some(seconds) if !(60..=86_400).contains(&seconds) => Some("register_seconds is 60 to 86400"),
            _ if self.time_zone.as_ref().is_some_and(|zone| Zone::parse(zone).is_none()) => Some(
                "time_zone is the last line of a file such as /usr/share/zoneinfo/Europe/Paris, with rules by month and week or none",
            ),
            _ if self.voicemail.as_ref().is_some_and(|number| !is_dialled(number)) => {
                Some("voicemail is what a telephone dials: 1 to 64 letters, digits and *#+.-_@")
            }
            _ if self.groups.len() > 16 => Some("an account is in 16 groups at most"),
            _ if self.groups.iter().any(|group| format!("group:{group}").parse::<Layer>().is_err()) => {
                Some("the name of a group is 1 to 64 bytes of text")
            }
            _ => None,
        }
    }
}

/// Whether every phone can dial it, and no file takes it for something else.
fn is_dialled(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*#+.-_@".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
}

/// What holds for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) linked: bool,
    pub(crate) xmpp_calls: bool,
    pub(crate) sip_messages: bool,
    pub(crate) sip_presence: bool,
    pub(crate) video: bool,
    pub(crate) srtp: Calls,
    pub(crate) register_seconds: u32,
    pub(crate) time_zone: Option<Zone>,
    pub(crate) voicemail: Option<String>,
}

impl Chosen {
    /// Fills in what is open.
    pub(crate) fn of(settings: &Settings, may_video: bool) -> Self {
        let linked = settings.linked.unwrap_or(true);
        Self {
            linked,
            xmpp_calls: settings.xmpp_calls.unwrap_or(!linked),
            sip_messages: settings.sip_messages.unwrap_or(!linked),
            sip_presence: settings.sip_presence.unwrap_or(!linked),
            video: settings.video.unwrap_or(may_video) && may_video,
            srtp: settings.srtp.unwrap_or(Calls::Preferred),
            register_seconds: settings.register_seconds.unwrap_or(3600),
            time_zone: settings.time_zone.as_deref().and_then(Zone::parse),
            voicemail: settings.voicemail.clone().filter(|number| is_dialled(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_accounts_call_by_sip_and_chat_by_xmpp_and_others_do_as_they_like() {
        let linked = Chosen::of(&Settings::default(), false);
        assert!(linked.linked && !linked.xmpp_calls && !linked.sip_messages && !linked.sip_presence);
        let alone = Chosen::of(&Settings { linked: Some(false), ..Settings::default() }, false);
        assert!(alone.xmpp_calls && alone.sip_messages && alone.sip_presence);
    }

    #[test]
    fn what_is_dialled_for_messages_is_a_number_or_an_address_and_no_line_of_a_file() {
        let of = |text: &str| Settings { voicemail: Some(text.to_owned()), ..Settings::default() };
        for good in ["*97", "+33123", "voicemail@example.org"] {
            assert_eq!(of(good).fault(), None);
            assert_eq!(Chosen::of(&of(good), true).voicemail.as_deref(), Some(good));
        }
        for bad in ["", "a b", "1\n2", "<x>", &"1".repeat(65)] {
            assert!(of(bad).fault().is_some(), "{bad}");
        }
    }

    #[test]
    fn who_is_listed_is_written_by_a_word_and_read_from_what_was_there_before() {
        let read = |text: &str| serde_json::from_str::<Settings>(text).map(|settings| settings.listed);
        for (text, by) in [
            (r#"{"listed":true}"#, Some(FoundBy::Domain)),
            (r#"{"listed":false}"#, Some(FoundBy::Nobody)),
            (r#"{"listed":"contacts"}"#, Some(FoundBy::Contacts)),
            (r#"{"listed":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(text).unwrap(), by, "{text}");
        }
        assert!(read(r#"{"listed":"all"}"#).unwrap_err().to_string().contains("nobody, contacts or domain"));
        let settings = Settings { listed: Some(FoundBy::Nobody), ..Settings::default() };
        assert_eq!(serde_json::to_string(&settings).unwrap(), r#"{"listed":"nobody"}"#);
    }

    #[test]
    fn an_upper_layer_wins_where_it_says_something() {
        let below = Settings { video: Some(false), srtp: Some(Calls::Required), ..Settings::default() };
        let above = Settings { video: Some(true), ..Settings::default() };
        let both = above.over(&below);
        assert_eq!((both.video, both.srtp, both.linked), (Some(true), Some(Calls::Required), None));
        assert!(!Chosen::of(&both, false).video, "what an account may not do no profile lets it do");
    }
}
