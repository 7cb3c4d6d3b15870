//! Session timers of a leg — RFC 4028 §7 (requests), §9 (UAS), §10 (refreshes and expiry). Pure.
//!
//! In    INVITE and UPDATE of the peer, its answers to ours, and instants. Out what the 2xx says, when to refresh or to give up.
//! State the interval and who refreshes. Errors 422 for an interval below [`SHORTEST`].
//!
//! Who wants a longer interval (422) gets it.
//!
//! Who refreshes is the peer's choice (§9, table 2); the peer, if it chooses nobody and can. We do it by an UPDATE without a body,
//! and by an offer of what is agreed on already to who does not say that it takes UPDATE (§7.4).

use std::time::{Duration, Instant};

use sip_core::Message;
use sip_core::header::{Name, Params};

/// How long a leg lasts without a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    seconds: u32,
    /// What a 422 said that it has to be at least; nothing said so.
    least: Option<u32>,
    is_ours: bool,
    takes_update: bool,
    since: Instant,
    is_refreshing: bool,
    /// A refresh was not the moment: not before.
    put_off: Option<Instant>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// We refresh.
    Refresh,
    /// Nobody did.
    Over,
}

/// RFC 4028 §9: 422 with the least that is taken.
pub(super) fn too_brief(request: &Message, least: u32) -> Message {
    let mut response = Message::response(request, 422, "");
    response.push(Name::MinSe, &least.to_string());
    response
}

impl Session {
    /// What a request asks for: nothing, an interval, or one that is too short (the answer's Min-SE).
    pub(super) fn asked_by(request: &Message, now: Instant) -> Result<Option<Self>, u32> {
        let Some((seconds, refresher)) = interval(request) else { return Ok(None) };
        let knows = has(request, Name::Supported, "timer");
        let seconds = match seconds < SHORTEST {
            // §9: who does not know timers cannot be asked for a longer one.
            true if knows => return Err(SHORTEST),
            true => SHORTEST,
            false => seconds.min(LONGEST),
        };
        let is_ours = !knows || refresher.is_some_and(|who| who.eq_ignore_ascii_case("uas"));
        let takes_update = has(request, Name::Allow, "UPDATE");
        let least = None;
        Ok(Some(Self {
            seconds,
            least,
            is_ours,
            takes_update,
            since: now,
            is_refreshing: false,
            put_off: None,
        }))
    }

    /// What the 2xx to a request of ours says (§7.2): nothing, or who refreshes, which it may decide.
    pub(super) fn answered_by(response: &Message, now: Instant) -> Option<Self> {
        let (seconds, refresher) = interval(response)?;
        let is_ours = refresher.is_none_or(|who| who.eq_ignore_ascii_case("uac"));
        let takes_update = has(response, Name::Allow, "UPDATE");
        let seconds = seconds.clamp(SHORTEST, LONGEST);
        let least = None;
        Some(Self { seconds, least, is_ours, takes_update, since: now, is_refreshing: false, put_off: None })
    }

    /// Whether an UPDATE refreshes it.
    pub(super) fn takes_update(&self) -> bool {
        self.takes_update
    }

    /// Writes what was taken into the 2xx.
    pub(super) fn tell(&self, response: &mut Message) {
        let who = if self.is_ours { "uas" } else { "uac" };
        response.push(Name::SessionExpires, &format!("{};refresher={who}", self.seconds));
        if !self.is_ours {
            // §9, table 2.
            response.push(Name::Require, "timer");
        }
    }

    /// A refresh of ours is under way.
    pub(super) fn refreshing(&mut self) {
        self.is_refreshing = true;
    }

    /// Writes the interval into a request of ours, which refreshes (§7.4); who does so stays.
    pub(super) fn keep(&self, request: &mut Message) {
        let who = if self.is_ours { "uac" } else { "uas" };
        request.push(Name::SessionExpires, &format!("{};refresher={who}", self.seconds));
        if let Some(least) = self.least {
            request.push(Name::MinSe, &least.to_string());
        }
        request.push(Name::Supported, "timer");
    }

    /// A request that refreshes was taken; the answer may say another interval, or another who refreshes.
    pub(super) fn refreshed(&mut self, response: &Message, now: Instant) {
        let (takes_update, least) = (self.takes_update, self.least);
        *self = Self::answered_by(response, now).unwrap_or(Self {
            since: now,
            is_refreshing: false,
            put_off: None,
            ..*self
        });
        self.takes_update |= takes_update;
        self.least = least;
    }

    /// A 422 wants another interval than the one of a refresh, which is made again with that (§7.4); false if it says none that can be.
    pub(super) fn lengthened(&mut self, response: &Message, now: Instant) -> bool {
        // Once: who wants more each time would be asked for ever.
        let least = wanted_by(response, Some(self.seconds)).filter(|_| self.least.is_none());
        if let Some(least) = least {
            (self.seconds, self.least) = (least, Some(least));
            self.put_off(now);
        }
        least.is_some()
    }

    /// The peer could not take a refresh just now.
    pub(super) fn put_off(&mut self, until: Instant) {
        (self.is_refreshing, self.put_off) = (false, Some(until));
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Instant {
        let interval = Duration::from_secs(self.seconds.into());
        // §10: a third, at most 32 s, before it is over.
        let over = self.since + interval - (interval / 3).min(Duration::from_secs(32));
        match self.is_ours && !self.is_refreshing {
            true => self.put_off.unwrap_or(self.since + interval / 2).min(over),
            false => over,
        }
    }

    /// What is due now.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let what = if self.is_ours && !self.is_refreshing { Due::Refresh } else { Due::Over };
        (now >= self.deadline()).then_some(what)
    }
}

/// The seconds that a 422 wants at least, where they are more than what was asked for (§7.3).
pub(super) fn wanted_by(response: &Message, asked: Option<u32>) -> Option<u32> {
    let least = response.value(Name::MinSe)?.split(';').next()?.trim().parse().ok()?;
    (asked.unwrap_or_default()..=LONGEST)
        .contains(&least)
        .then_some(least)
        .filter(|least| Some(*least) != asked)
}

/// The seconds of a message's Session-Expires, and who refreshes if it says so.
fn interval(message: &Message) -> Option<(u32, Option<&str>)> {
    let value = message.value(Name::SessionExpires)?;
    let (seconds, params) = value.find(';').map_or((value, ""), |at| value.split_at(at));
    Some((seconds.trim().parse().ok()?, Params(params).value("refresher")))
}

fn has(message: &Message, name: Name, token: &str) -> bool {
    message.elements(name).any(|word| word.eq_ignore_ascii_case(token))
}

/// §4: seconds.
const SHORTEST: u32 = 90;
/// A day.
const LONGEST: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(Name, &str)]) -> Result<Option<String>, u32> {
        let mut request = Message::request("INVITE", "sip:dev@x");
        headers.iter().for_each(|(name, value)| request.push(*name, value));
        let session = Session::asked_by(&request, Instant::now())?;
        Ok(session.map(|session| {
            let mut response = Message::response(&request, 200, "");
            session.tell(&mut response);
            response.value(Name::SessionExpires).unwrap().to_owned()
        }))
    }

    const KNOWS: (Name, &str) = (Name::Supported, "100rel, timer");
    const UPDATES: (Name, &str) = (Name::Allow, "INVITE, UPDATE");

    #[test]
    fn the_peer_refreshes_if_it_can_and_we_if_it_cannot() {
        let expires = |value| (Name::SessionExpires, value);
        assert_eq!(asked(&[expires("1800"), KNOWS]), Ok(Some("1800;refresher=uac".to_owned())));
        assert_eq!(
            asked(&[expires("1800;refresher=uas"), KNOWS, UPDATES]),
            Ok(Some("1800;refresher=uas".to_owned()))
        );
        assert_eq!(
            asked(&[expires("1800;refresher=uas"), KNOWS]),
            Ok(Some("1800;refresher=uas".to_owned())),
            "the choice is theirs"
        );
        assert_eq!(asked(&[expires("1800"), UPDATES]), Ok(Some("1800;refresher=uas".to_owned())));
        assert_eq!(asked(&[expires("1800")]), Ok(Some("1800;refresher=uas".to_owned())));
        assert_eq!(asked(&[KNOWS]), Ok(None));
        assert_eq!(asked(&[expires("60"), KNOWS]), Err(90));
        assert_eq!(asked(&[expires("60"), UPDATES]), Ok(Some("90;refresher=uas".to_owned())));
        assert_eq!(asked(&[expires("x"), KNOWS]), Ok(None));
    }

    #[test]
    fn an_answer_says_who_refreshes_a_call_of_ours() {
        let answered = |headers: &[(Name, &str)]| {
            let mut response = Message::response(&Message::request("INVITE", "sip:dev@x"), 200, "");
            headers.iter().for_each(|(name, value)| response.push(*name, value));
            Session::answered_by(&response, Instant::now())
        };
        let says = |headers: &[(Name, &str)]| {
            answered(headers).map(|session| (session.seconds, session.is_ours, session.takes_update))
        };
        assert_eq!(says(&[]), None);
        assert_eq!(says(&[(Name::SessionExpires, "1800;refresher=uac"), UPDATES]), Some((1800, true, true)));
        assert_eq!(says(&[(Name::SessionExpires, "600;refresher=uas")]), Some((600, false, false)));
        assert_eq!(says(&[(Name::SessionExpires, "600")]), Some((600, true, false)));
        // What a refresh is answered with holds from then on.
        let mut session = answered(&[(Name::SessionExpires, "1800;refresher=uac"), UPDATES]).unwrap();
        session.refreshing();
        let mut response = Message::response(&Message::request("UPDATE", "sip:dev@x"), 200, "");
        response.push(Name::SessionExpires, "300;refresher=uac");
        session.refreshed(&response, Instant::now());
        assert_eq!((session.seconds, session.is_ours, session.takes_update), (300, true, true));
        assert_eq!(session.due(session.since + Duration::from_secs(150)), Some(Due::Refresh));
    }

    #[test]
    fn who_wants_longer_sessions_gets_them() {
        let answer = |least: &str| {
            let mut response = Message::response(&Message::request("UPDATE", "sip:dev@x"), 422, "");
            response.push(Name::MinSe, least);
            response
        };
        assert_eq!(wanted_by(&answer("2000"), None), Some(2_000));
        for (least, asked) in [("2000", 2_000), ("1800", 2_000), ("90000", 90), ("x", 90)] {
            assert_eq!(wanted_by(&answer(least), Some(asked)), None, "{least}");
        }
        let mut response = Message::response(&Message::request("INVITE", "sip:dev@x"), 200, "");
        response.push(Name::SessionExpires, "600;refresher=uac");
        let mut session = Session::answered_by(&response, Instant::now()).unwrap();
        session.refreshing();
        let now = session.since + Duration::from_secs(300);
        assert!(session.lengthened(&answer("1200"), now) && session.due(now) == Some(Due::Refresh));
        let mut refresh = Message::request("UPDATE", "sip:bob@x");
        session.keep(&mut refresh);
        let said = [Name::SessionExpires, Name::MinSe].map(|name| refresh.value(name).unwrap());
        assert_eq!(said, ["1200;refresher=uac", "1200"]);
        session.refreshing();
        assert!(!session.lengthened(&answer("1200"), now), "it has what it wants");
    }

    #[test]
    fn a_session_is_refreshed_at_half_and_over_before_its_end() {
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        let theirs = Session {
            seconds: 90,
            least: None,
            is_ours: false,
            takes_update: true,
            since: now,
            is_refreshing: false,
            put_off: None,
        };
        assert_eq!((theirs.due(seconds(59)), theirs.due(seconds(60))), (None, Some(Due::Over)));
        let mut ours = Session { is_ours: true, seconds: 1_800, ..theirs };
        assert_eq!((ours.due(seconds(899)), ours.due(seconds(900))), (None, Some(Due::Refresh)));
        ours.refreshing();
        assert_eq!((ours.due(seconds(1_767)), ours.due(seconds(1_768))), (None, Some(Due::Over)));
        ours.put_off(seconds(905));
        assert_eq!((ours.due(seconds(904)), ours.due(seconds(905))), (None, Some(Due::Refresh)));
        ours.refreshing();
        let taken = Message::response(&Message::request("UPDATE", "sip:a@x"), 200, "");
        ours.refreshed(&taken, seconds(1_000));
        assert_eq!((ours.due(seconds(1_899)), ours.due(seconds(1_900))), (None, Some(Due::Refresh)));
    }
}
