//! Sessions that we refresh — RFC 4028 §7.4, §10.
//!
//! In    a leg whose session is due; the answer to what refreshes it. Out an UPDATE without a description, or an offer of what is
//!       agreed on already to who does not say that it takes UPDATE.
//! Errors a dialog that is gone ends the leg; who cannot just now is asked again, and who refuses not: its session ends by itself.

use std::time::Instant;

use sip_core::Message;

use super::super::Input;
use super::Conference;
use super::again::glare;
use crate::mixer::LegId;

impl Conference {
    pub(super) async fn refresh_session(&mut self, leg: LegId) {
        let contact = self.contact();
        let Some(endpoint) = self.focus.endpoint().cloned() else { return };
        let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) else {
            return;
        };
        let participant = &mut self.participants[at];
        let Some(session) = &mut participant.session else { return };
        session.refreshing();
        if !session.takes_update() {
            return self.offer_the_same(at).await;
        }
        let mut update = participant.dialog.request("UPDATE", &contact);
        session.keep(&mut update);
        let sent = endpoint.request(update, participant.dialog.flow, "0").await;
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            // A conference that has ended has no sessions either.
            let _ = inbox.send(Input::Refreshed(leg, sent.last().await.ok().map(Box::new))).await;
        });
    }

    /// Unless an offer is under way, which refreshes, too.
    async fn offer_the_same(&mut self, at: usize) {
        let participant = &mut self.participants[at];
        if participant.sound.is_some() && participant.unacknowledged.is_none() && !participant.has_offered() {
            participant.asking.is_refresh = true;
            let offered = self.offered_again(at);
            self.offer_to(at, offered, None).await;
        }
    }

    pub(super) async fn refreshed(&mut self, leg: LegId, answer: Option<Box<Message>>) {
        let Some(answer) = answer.filter(|answer| !matches!(answer.status(), 408 | 481)) else {
            return self.hang_up(leg, "Session Expired").await; // §10: the dialog is gone
        };
        let (now, random) = (Instant::now(), self.random());
        let Some(participant) = self.participants.iter_mut().find(|participant| participant.leg == leg)
        else {
            return;
        };
        let pause = glare(participant.is_called, random);
        let Some(session) = &mut participant.session else { return };
        match answer.status() {
            200..300 => session.refreshed(&answer, now),
            491 | 500 => session.put_off(now + pause),
            422 if session.lengthened(&answer, now) => self.refresh_session(leg).await,
            _ => {}
        }
    }
}
