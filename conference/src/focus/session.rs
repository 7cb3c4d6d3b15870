//! Session timers of a leg — RFC 4028 §7 (requests), §9 (UAS), §10 (refreshes and expiry). Pure.
//!
//! In    INVITE and UPDATE of the peer, and instants. Out what the 2xx says, when to refresh or to give up.
//! State the interval and who refreshes. Errors 422 for an interval below [`SHORTEST`].
//!
//! The peer refreshes if it can; if it cannot and takes UPDATE, we do, by an UPDATE without a body (§7.4).

use std::time::{Duration, Instant};

use sip_core::Message;
use sip_core::header::{Name, Params};

/// How long a leg lasts without a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    seconds: u32,
    is_ours: bool,
    since: Instant,
    is_refreshing: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// We refresh.
    Refresh,
    /// Nobody did.
    Over,
}

impl Session {
    /// What a request asks for: nothing, an interval, or one that is too short (the answer's Min-SE).
    pub(super) fn asked_by(request: &Message, now: Instant) -> Result<Option<Self>, u32> {
        let Some(value) = request.value(Name::SessionExpires) else { return Ok(None) };
        let (seconds, params) = value.find(';').map_or((value, ""), |at| value.split_at(at));
        let Ok(seconds) = seconds.trim().parse::<u32>() else { return Ok(None) };
        let has =
            |name: Name, token: &str| request.elements(name).any(|word| word.eq_ignore_ascii_case(token));
        let knows = has(Name::Supported, "timer");
        let seconds = match seconds < SHORTEST {
            // §9: who does not know timers cannot be asked for a longer one.
            true if knows => return Err(SHORTEST),
            true => SHORTEST,
            false => seconds.min(LONGEST),
        };
        let wants_us = Params(params).value("refresher").is_some_and(|who| who.eq_ignore_ascii_case("uas"));
        let can_we = has(Name::Allow, "UPDATE");
        let is_ours = can_we && (wants_us || !knows);
        // §9, table 2: the choice is theirs; we cannot keep it without UPDATE, and take no timer then (§7.2).
        let holds = is_ours || (knows && !wants_us);
        Ok(holds.then_some(Self { seconds, is_ours, since: now, is_refreshing: false }))
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

    /// Writes the interval into a refresh of ours.
    pub(super) fn refresh(&mut self, request: &mut Message) {
        request.push(Name::SessionExpires, &format!("{};refresher=uac", self.seconds));
        request.push(Name::Supported, "timer");
        self.is_refreshing = true;
    }

    /// Writes the interval into another request of ours, which refreshes as well (§7.4); who does so stays.
    pub(super) fn keep(&self, request: &mut Message) {
        let who = if self.is_ours { "uac" } else { "uas" };
        request.push(Name::SessionExpires, &format!("{};refresher={who}", self.seconds));
        request.push(Name::Supported, "timer");
    }

    /// A refresh was answered.
    pub(super) fn refreshed(&mut self, now: Instant) {
        (self.since, self.is_refreshing) = (now, false);
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Instant {
        let interval = Duration::from_secs(self.seconds.into());
        match self.is_ours && !self.is_refreshing {
            true => self.since + interval / 2,
            // §10: a third, at most 32 s, before it is over.
            false => self.since + interval - (interval / 3).min(Duration::from_secs(32)),
        }
    }

    /// What is due now.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let what = if self.is_ours && !self.is_refreshing { Due::Refresh } else { Due::Over };
        (now >= self.deadline()).then_some(what)
    }
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
        assert_eq!(asked(&[expires("1800;refresher=uas"), KNOWS]), Ok(None));
        assert_eq!(asked(&[expires("1800"), UPDATES]), Ok(Some("1800;refresher=uas".to_owned())));
        assert_eq!((asked(&[expires("1800")]), asked(&[KNOWS])), (Ok(None), Ok(None)));
        assert_eq!(asked(&[expires("60"), KNOWS]), Err(90));
        assert_eq!(asked(&[expires("60"), UPDATES]), Ok(Some("90;refresher=uas".to_owned())));
        assert_eq!(asked(&[expires("x"), KNOWS]), Ok(None));
    }

    #[test]
    fn a_session_is_refreshed_at_half_and_over_before_its_end() {
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        let theirs = Session { seconds: 90, is_ours: false, since: now, is_refreshing: false };
        assert_eq!((theirs.due(seconds(59)), theirs.due(seconds(60))), (None, Some(Due::Over)));
        let mut ours = Session { is_ours: true, seconds: 1_800, ..theirs };
        assert_eq!((ours.due(seconds(899)), ours.due(seconds(900))), (None, Some(Due::Refresh)));
        ours.refresh(&mut Message::request("UPDATE", "sip:a@x"));
        assert_eq!((ours.due(seconds(1_767)), ours.due(seconds(1_768))), (None, Some(Due::Over)));
        ours.refreshed(seconds(1_000));
        assert_eq!((ours.due(seconds(1_899)), ours.due(seconds(1_900))), (None, Some(Due::Refresh)));
    }
}
