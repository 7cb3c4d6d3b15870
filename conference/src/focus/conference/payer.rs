//! Calls to who has no account here, which the focus made for somebody: by their rights, and on their bill.
//!
//! In    who is in the call, and in its chat. Out the end of such a call when who asked for it has gone from the call, or never
//!       came there and is not in the chat either, for [`LONGEST`]: nobody else can answer for what it costs.
//! State beside each such leg who asked, and since when they are away.

use std::time::{Duration, Instant};

use shared_model::BareJid;

use super::Conference;
use crate::mixer::LegId;

/// Who answers for a call.
pub(in crate::focus) struct Payer {
    jid: BareJid,
    /// They were in the call while it lasted.
    has_come: bool,
    away: Option<Instant>,
}

impl Payer {
    pub(in crate::focus) fn new(jid: BareJid) -> Self {
        Self { jid, has_come: false, away: None }
    }

    /// When they are away for too long.
    pub(in crate::focus) fn deadline(&self) -> Option<Instant> {
        self.away.map(|since| since + LONGEST)
    }

    /// Looks who is there; whether they are away for too long.
    fn is_gone(&mut self, is_in_call: bool, is_in_chat: bool, now: Instant) -> bool {
        self.has_come |= is_in_call;
        // Who was in the call and left it is not there because a program of theirs is in the chat.
        let is_there = is_in_call || (is_in_chat && !self.has_come);
        self.away = if is_there { None } else { self.away.or(Some(now)) };
        self.deadline().is_some_and(|end| end <= now)
    }
}

impl Conference {
    /// Ends calls for which nobody is there to answer.
    pub(super) async fn end_unpaid(&mut self) {
        if self.participants.iter().all(|participant| participant.payer.is_none()) {
            return;
        }
        let now = Instant::now();
        let callers = self.participants.iter().filter(|participant| participant.is_joined);
        let in_call: Vec<BareJid> = callers.filter_map(|participant| participant.jid().cloned()).collect();
        let in_chat = self.snapshot.as_ref().map(|room| room.occupants.clone()).unwrap_or_default();
        let mut gone: Vec<LegId> = Vec::new();
        for participant in &mut self.participants {
            let Some(payer) = &mut participant.payer else { continue };
            let is_in_chat = in_chat.iter().any(|occupant| occupant.jid == payer.jid);
            if payer.is_gone(in_call.contains(&payer.jid), is_in_chat, now) {
                gone.push(participant.leg);
            }
        }
        for leg in gone {
            self.hang_up(leg, "Who Asked For This Call Has Gone").await;
        }
    }
}

/// Long enough to come, or to call again from elsewhere.
const LONGEST: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_in_the_call_or_in_the_chat_alone() {
        let begin = Instant::now();
        let payer = || Payer::new(BareJid::new("a", "x").unwrap());
        let late = begin + LONGEST;
        let mut from_chat = payer();
        assert!(!from_chat.is_gone(false, true, begin) && !from_chat.is_gone(false, true, late));
        assert!(!from_chat.is_gone(true, true, late), "they came");
        assert!(!from_chat.is_gone(false, true, late) && from_chat.deadline() == Some(late + LONGEST));
        assert!(!from_chat.is_gone(true, true, late), "they called again");
        assert_eq!(from_chat.deadline(), None);
        assert!(!from_chat.is_gone(false, true, late) && from_chat.is_gone(false, true, late + LONGEST));
        let mut from_nowhere = payer();
        assert!(!from_nowhere.is_gone(false, false, begin) && from_nowhere.is_gone(false, false, late));
    }
}
