//! One entry of a timeline, as it is stored and as it is shown.
//!
//! In    what happened, to whom. Out an [`Entry`] of the archive and back; a line for people, an object for programs.
//! State none. Errors an entry that another release wrote and this one cannot read is passed over.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Correlation, Protocol};

/// One thing that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub time: i64,
    /// To whom; none if it is of the timeline itself, such as facts that were missed.
    pub account: Option<AccountId>,
    /// What happened.
    pub what: What,
}

/// What happened, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct What {
    /// What events of one activity share.
    pub correlation: Correlation,
    /// The face of the service: sip, xmpp, conference, media, auth, provisioning.
    pub protocol: Cow<'static, str>,
    /// The word for it, such as `call_begun`.
    pub event: Cow<'static, str>,
    /// The sentence for it. Never a password, a token or what somebody said.
    pub text: String,
    /// The Call-ID, if it is about a call or a binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The id of the stream, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The room, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The network address that it came from, if it is about a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Who it was, if nobody of ours: a network address, a JID, a SIP URI without its scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stranger: Option<String>,
}

impl What {
    /// Something that has no ids of its protocol yet.
    pub(crate) fn new(
        correlation: Correlation,
        protocol: Protocol,
        event: &'static str,
        text: impl Into<String>,
    ) -> Self {
        let (protocol, event) = (Cow::Borrowed(protocol.as_str()), Cow::Borrowed(event));
        let text = bounded(text.into(), LONGEST_TEXT);
        Self {
            correlation,
            protocol,
            event,
            text,
            call_id: None,
            stream: None,
            room: None,
            from: None,
            stranger: None,
        }
    }

    pub(crate) fn of_address(self, from: IpAddr) -> Self {
        Self { from: Some(from.to_canonical()), ..self }
    }

    pub(crate) fn of_call(self, call_id: &str) -> Self {
        Self { call_id: Some(bounded(call_id.to_owned(), LONGEST_ID)), ..self }
    }

    pub(crate) fn of_stream(self, stream: &str) -> Self {
        Self { stream: Some(bounded(stream.to_owned(), LONGEST_ID)), ..self }
    }

    pub(crate) fn of_room(self, room: &str) -> Self {
        Self { room: Some(bounded(room.to_owned(), LONGEST_ID)), ..self }
    }
}

impl Entry {
    /// As the archive keeps it.
    pub(crate) fn stored(&self, id: String) -> shared_store::Entry {
        shared_store::Entry {
            owner: match &self.what.stranger {
                Some(stranger) if self.account.is_none() => format!("{STRANGERS}{stranger}"),
                _ => owner(self.account),
            },
            id,
            with: self.what.correlation.to_string(),
            time: self.time,
            kind: KIND.to_owned(),
            // Text and numbers: they always print.
            body: serde_json::to_vec(&self.what).unwrap_or_default(),
        }
    }

    /// As the archive kept it.
    pub(crate) fn read(account: Option<AccountId>, stored: &shared_store::Entry) -> Option<Self> {
        let what = serde_json::from_slice(&stored.body).ok()?;
        Some(Self { time: stored.time, account, what })
    }

    /// An object for programs; `name` is the account's address, `None` for what is of no account.
    pub fn to_json(&self, name: Option<&str>) -> serde_json::Value {
        let what = &self.what;
        let mut line = serde_json::json!({
            "time": format!("{:.3}", timestamp(self.time)),
            "account": name,
            "correlation": what.correlation,
            "protocol": what.protocol,
            "event": what.event,
            "text": what.text,
        });
        for (field, value) in [("call_id", &what.call_id), ("stream", &what.stream), ("room", &what.room)] {
            if let Some(value) = value {
                line[field] = value.as_str().into();
            }
        }
        line
    }

    /// A line for people, with the time of where they are.
    pub fn to_line(&self, zone: &TimeZone) -> String {
        let time = timestamp(self.time).to_zoned(zone.clone());
        let correlation = self.what.correlation.to_string();
        format!(
            "{}  {:12}  {correlation}  {:22}  {}",
            time.strftime("%Y-%m-%d %H:%M:%S%.3f%:z"),
            self.what.protocol,
            self.what.event,
            self.what.text
        )
    }
}

/// Whose archive it is.
pub(crate) fn owner(account: Option<AccountId>) -> String {
    match account {
        Some(account) => format!("{ACCOUNTS}{account}"),
        None => ACCOUNTS.to_owned(),
    }
}

/// Whose timeline that archive is; none if nobody's of ours.
pub(super) fn account_of(owner: &str) -> Option<AccountId> {
    owner.strip_prefix(ACCOUNTS)?.parse().ok()
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// Controls would break lines, and terminals.
fn bounded(text: String, most: usize) -> String {
    if text.len() <= most && !text.contains(char::is_control) {
        return text;
    }
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// Before the account, or nothing: whose archive it is.
const ACCOUNTS: &str = "timeline:";
/// Before a stranger.
const STRANGERS: &str = "timeline@";
/// The kind of these entries in the archive.
pub(crate) const KIND: &str = "timeline";
/// Characters of a sentence.
const LONGEST_TEXT: usize = 500;
/// Characters of an id of a protocol.
const LONGEST_ID: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let what = What::new(Correlation(7), Protocol::Sip, "call_begun", "calls\r\n bob").of_call("c1");
        Entry { time: 1_500, account: Some(AccountId(1)), what }
    }

    #[test]
    fn survives_the_store() {
        let stored = entry().stored("1".to_owned());
        assert_eq!(stored.owner, "timeline:00000000000000000000000000000001");
        assert_eq!(Entry::read(Some(AccountId(1)), &stored), Some(entry()));
    }

    #[test]
    fn is_one_line_for_people_and_one_object_for_programs() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            entry().to_line(&zone),
            "1970-01-01 02:00:01.500+02:00  sip           0000000000000007  call_begun              calls bob"
        );
        let json = entry().to_json(Some("alice@example.org"));
        assert_eq!(json["time"], "1970-01-01T00:00:01.500Z");
        assert_eq!(json["correlation"], "0000000000000007");
        assert_eq!((&json["call_id"], json.get("room")), (&"c1".into(), None));
    }
}
