//! Subscriptions as a notifier sees them — RFC 6665 §4.2: what a SUBSCRIBE asks for, what a NOTIFY says of its state.
//!
//! In    a SUBSCRIBE, and what a package is like. Out what is wanted, or the answer that refuses it.
//! Errors 489 for another package (§4.2.1.1), 406 for who does not take its document, 423 for too short a time (§4.2.1.1).
//! Not here: who may subscribe, and what there is to tell, which are the package's.

use std::time::Duration;

use crate::Message;
use crate::header::{Name, Params};

/// An event package as one notifier keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name in Event.
    pub name: &'static str,
    /// The type of its documents.
    pub document: &'static str,
    /// How long a subscription lasts that says nothing.
    pub usual: Duration,
    /// The shortest subscription.
    pub briefest: Duration,
    /// The longest.
    pub longest: Duration,
}

/// What a SUBSCRIBE asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The `id` parameter of Event, which tells subscriptions of one dialog apart (§8.2.1).
    pub event_id: Option<String>,
    /// Zero fetches, or ends the subscription (§4.4.3).
    pub expires: Duration,
}

impl Package {
    /// Whether a request is about this package.
    pub fn is_of(&self, request: &Message) -> bool {
        let event = request.value(Name::Event).unwrap_or_default();
        event.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(self.name)
    }

    /// Reads a SUBSCRIBE; the error is its answer.
    pub fn read(&self, request: &Message) -> Result<Wanted, Box<Message>> {
        let refuse = |status, name, value: &str| {
            let mut response = Message::response(request, status, "");
            response.push(name, value);
            Box::new(response)
        };
        if !self.is_of(request) {
            return Err(refuse(489, Name::AllowEvents, self.name));
        }
        let accepts = |range: &str| {
            let range = range.split(';').next().unwrap_or_default().trim();
            [self.document, "application/*", "*/*"].iter().any(|ours| ours.eq_ignore_ascii_case(range))
        };
        let mut ranges = request.elements(Name::Accept).peekable();
        if ranges.peek().is_some() && !ranges.any(accepts) {
            return Err(refuse(406, Name::Accept, self.document));
        }
        let seconds = request.value(Name::Expires).and_then(|value| value.trim().parse::<u64>().ok());
        let expires = seconds.map_or(self.usual, Duration::from_secs).min(self.longest);
        if !expires.is_zero() && expires < self.briefest {
            return Err(refuse(423, Name::MinExpires, &self.briefest.as_secs().to_string()));
        }
        let event = request.value(Name::Event).unwrap_or_default();
        let params = event.find(';').map_or("", |at| &event[at..]);
        Ok(Wanted { event_id: Params(params).value("id").map(str::to_owned), expires })
    }

    /// Writes Event and Subscription-State into a NOTIFY.
    pub fn head(&self, notify: &mut Message, event_id: Option<&str>, state: State<'_>) {
        let id = event_id.map_or(String::new(), |id| format!(";id={id}"));
        notify.push(Name::Event, &format!("{}{id}", self.name));
        let state = match state {
            State::Active(left) => format!("active;expires={}", left.as_secs()),
            State::Terminated(reason) => format!("terminated;reason={reason}"),
        };
        notify.push(Name::SubscriptionState, &state);
    }
}

/// What a NOTIFY says of its subscription (§4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// It goes on for so long.
    Active(Duration),
    /// It is over, for this reason.
    Terminated(&'a str),
}

/// Why a subscription ends with a service that stops (§4.1.3): whoever subscribes again does so when there is one again, and not all
/// at once. `chance` is random.
pub fn stopping(chance: u64) -> String {
    format!("probation;retry-after={}", SOONEST + chance % SPREAD)
}

/// Seconds until a service that is started anew is there, and over how many they come that were told of its end.
const SOONEST: u64 = 5;
const SPREAD: u64 = 10;

/// Whether an answer to a NOTIFY ends its subscription (§4.2.2, with RFC 5057 §5.1): 408, too, which is how a proxy tells of the time that is up (§5.2 there).
pub fn is_ended_by(status: u16) -> bool {
    matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: Package = Package {
        name: "conference",
        document: "application/conference-info+xml",
        usual: Duration::from_secs(3_600),
        briefest: Duration::from_secs(30),
        longest: Duration::from_secs(86_400),
    };

    fn wanted(headers: &[(Name, &str)]) -> Result<Wanted, u16> {
        let mut request = Message::request("SUBSCRIBE", "sip:dev@conference.example.org");
        headers.iter().for_each(|(name, value)| request.push(*name, value));
        PACKAGE.read(&request).map_err(|response| response.status())
    }

    #[test]
    fn reads_what_is_wanted() {
        let read = wanted(&[(Name::Event, "Conference; id=7"), (Name::Expires, "60")]);
        assert_eq!(read, Ok(Wanted { event_id: Some("7".to_owned()), expires: Duration::from_secs(60) }));
        assert_eq!(wanted(&[(Name::Event, "conference")]).unwrap().expires, PACKAGE.usual);
        let expires = |text| wanted(&[(Name::Event, "conference"), (Name::Expires, text)]).map(|w| w.expires);
        assert_eq!(expires("0"), Ok(Duration::ZERO));
        assert_eq!((expires("4000000000"), expires("5")), (Ok(PACKAGE.longest), Err(423)));
        assert_eq!((wanted(&[(Name::Event, "presence")]), wanted(&[])), (Err(489), Err(489)));
        assert_eq!(wanted(&[(Name::Event, "conference"), (Name::Accept, "text/plain")]), Err(406));
        assert!(wanted(&[(Name::Event, "conference"), (Name::Accept, "text/plain, */*;q=0.1")]).is_ok());
    }

    #[test]
    fn who_is_told_of_a_stop_comes_again_a_little_later() {
        assert_eq!(stopping(0), "probation;retry-after=5");
        assert_eq!(stopping(u64::MAX), "probation;retry-after=10");
    }

    #[test]
    fn a_subscription_ends_with_who_is_not_there_any_more() {
        for (status, ends) in
            [(200, false), (408, true), (481, true), (491, false), (500, false), (503, false)]
        {
            assert_eq!(is_ended_by(status), ends, "{status}");
        }
    }

    #[test]
    fn a_notify_says_how_long_or_why_not() {
        let head = |state| {
            let mut notify = Message::request("NOTIFY", "sip:b@x");
            PACKAGE.head(&mut notify, Some("7"), state);
            assert_eq!(notify.value(Name::Event), Some("conference;id=7"));
            notify.value(Name::SubscriptionState).unwrap().to_owned()
        };
        assert_eq!(head(State::Active(Duration::from_millis(60_900))), "active;expires=60");
        assert_eq!(head(State::Terminated("timeout")), "terminated;reason=timeout");
    }
}
