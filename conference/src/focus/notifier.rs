//! The notifier — RFC 4575 §3, RFC 6665 §4.2: who watches a conference, and what they were told last.
//!
//! In    SUBSCRIBE inside the dialog of a call or outside any. Out NOTIFY, full first and then what changed.
//! State for each subscription its expiry, its version counter and the view that it was told.

use std::time::{Duration, Instant};

use shared_model::BareJid;
use sip_core::Message;
use sip_core::header::Name;

use super::dialog::Dialog;
use super::document::View;
use crate::mixer::LegId;

/// What a subscription's NOTIFY travels in.
pub(super) enum Way {
    /// The dialog of a call, which the leg keeps.
    Leg(LegId),
    /// A dialog of its own.
    Own(Box<Dialog>),
}

/// One who watches.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) way: Way,
    /// Whose it is, if the proxy proved them.
    pub(super) jid: Option<BareJid>,
    /// The `id` parameter of Event, which tells subscriptions of one dialog apart (RFC 6665 §8.2.1).
    pub(super) event_id: Option<String>,
    pub(super) expires: Instant,
    version: u32,
    told: Option<View>,
}

/// Why there is no subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// 489: not the event package `conference`.
    Event,
    /// 406: documents of our kind are not accepted.
    Accept,
    /// 423: shorter than we keep subscriptions.
    TooBrief,
}

/// What a SUBSCRIBE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) event_id: Option<String>,
    /// Zero ends the subscription.
    pub(super) expires: Duration,
}

impl Wanted {
    /// Reads a SUBSCRIBE.
    pub(super) fn read(request: &Message) -> Result<Self, Wrong> {
        let event = request.value(Name::Event).unwrap_or_default();
        let (package, params) = event.split_once(';').unwrap_or((event, ""));
        if package.trim() != "conference" {
            return Err(Wrong::Event);
        }
        let accepts = |range: &str| {
            let range = range.split(';').next().unwrap_or_default().trim();
            [DOCUMENT, "application/*", "*/*"].iter().any(|ours| ours.eq_ignore_ascii_case(range))
        };
        let mut ranges = request.elements(Name::Accept).peekable();
        if ranges.peek().is_some() && !ranges.any(accepts) {
            return Err(Wrong::Accept);
        }
        let seconds = request.value(Name::Expires).and_then(|value| value.trim().parse::<u64>().ok());
        let expires = Duration::from_secs(seconds.unwrap_or(DEFAULT.as_secs())).min(LONGEST);
        if !expires.is_zero() && expires < BRIEFEST {
            return Err(Wrong::TooBrief);
        }
        let event_id =
            params.split(';').find_map(|param| param.trim().strip_prefix("id=")).map(str::to_owned);
        Ok(Self { event_id, expires })
    }
}

impl Subscription {
    pub(super) fn new(
        id: u64,
        way: Way,
        jid: Option<BareJid>,
        event_id: Option<String>,
        expires: Instant,
    ) -> Self {
        Self { id, way, jid, event_id, expires, version: 0, told: None }
    }

    /// The next SUBSCRIBE wants the whole again (RFC 6665 §4.4.1).
    pub(super) fn forget(&mut self) {
        self.told = None;
    }

    /// Writes into `notify` what is new since the last one; false if nothing is.
    pub(super) fn tell(&mut self, view: &View, entity: &str, notify: &mut Message, now: Instant) -> bool {
        let document = match &self.told {
            None => Some(view.full(entity, self.version)),
            Some(told) => view.partial(told, entity, self.version),
        };
        let Some(document) = document else { return false };
        self.version += 1;
        self.told = Some(view.clone());
        let left = self.expires.saturating_duration_since(now).as_secs();
        self.head(notify, &format!("active;expires={left}"));
        notify.set_body(DOCUMENT, document.into());
        true
    }

    /// Writes into `notify` the whole and that it is over, for who only fetches or wants no more (RFC 6665 §4.4.3).
    pub(super) fn tell_last(&self, view: &View, entity: &str, notify: &mut Message) {
        self.head(notify, "terminated;reason=timeout");
        notify.set_body(DOCUMENT, view.full(entity, self.version).into());
    }

    /// Writes into `notify` that it is over, and why (RFC 6665 §4.1.3).
    pub(super) fn end(&self, reason: &str, notify: &mut Message) {
        self.head(notify, &format!("terminated;reason={reason}"));
    }

    /// Whether nothing was told yet.
    pub(super) fn is_new(&self) -> bool {
        self.told.is_none()
    }

    /// Whether there is something to tell.
    pub(super) fn is_behind(&self, view: &View) -> bool {
        self.told.as_ref() != Some(view)
    }

    fn head(&self, notify: &mut Message, state: &str) {
        let event = match &self.event_id {
            Some(id) => format!("conference;id={id}"),
            None => "conference".to_owned(),
        };
        notify.push(Name::Event, &event);
        notify.push(Name::SubscriptionState, state);
    }
}

/// RFC 4575 §3.3: the package's document.
pub(super) const DOCUMENT: &str = "application/conference-info+xml";
/// RFC 4575 §3.4 recommends one hour.
const DEFAULT: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(86_400);
/// What `Min-Expires` says.
pub(super) const BRIEFEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(headers: &[(Name, &str)]) -> Result<Wanted, Wrong> {
        let mut request = Message::request("SUBSCRIBE", "sip:dev@conference.example.org");
        headers.iter().for_each(|(name, value)| request.push(*name, value));
        Wanted::read(&request)
    }

    #[test]
    fn reads_what_is_wanted() {
        let read = wanted(&[(Name::Event, "conference;id=7"), (Name::Expires, "60")]);
        assert_eq!(read, Ok(Wanted { event_id: Some("7".to_owned()), expires: Duration::from_secs(60) }));
        assert_eq!(wanted(&[(Name::Event, "conference")]).unwrap().expires, DEFAULT);
        assert_eq!(
            wanted(&[(Name::Event, "conference"), (Name::Expires, "0")]).unwrap().expires,
            Duration::ZERO
        );
        assert_eq!(wanted(&[(Name::Event, "presence")]), Err(Wrong::Event));
        assert_eq!(wanted(&[]), Err(Wrong::Event));
        assert_eq!(wanted(&[(Name::Event, "conference"), (Name::Expires, "5")]), Err(Wrong::TooBrief));
        assert_eq!(wanted(&[(Name::Event, "conference"), (Name::Accept, "text/plain")]), Err(Wrong::Accept));
        assert!(wanted(&[(Name::Event, "conference"), (Name::Accept, "text/plain, */*;q=0.1")]).is_ok());
    }
}
