//! How the sound of a leg went, told when it is over.
//!
//! In    legs that leave, and what the mixer says of them afterwards.
//! Out   one `MediaEvent::Ended` for each leg that had sound.
//! State the legs of which the mixer did not speak yet, at most [`MOST`].
//! Errors what the mixer does not say in time is told to nobody.

use std::time::Duration;

use shared_model::{AccountId, Correlation, Fact, HeardThere, MediaEvent, Sound};
use sip_core::sdp::Direction;
use tokio::sync::mpsc;

use super::{Conference, Participant};
use crate::media::quality::Quality;
use crate::mixer::{LegId, Spoken};

/// A leg that left, and what the mixer does not know of it.
pub(super) struct Gone {
    call_id: String,
    account: Option<AccountId>,
    codec: &'static str,
    is_encrypted: bool,
    /// As we see it.
    direction: Direction,
}

impl Conference {
    /// A leg leaves. Of messages to a mailbox nothing is told.
    pub(super) fn note_gone(&mut self, participant: &Participant) {
        let Some(sound) = participant.sound.as_ref().filter(|_| self.mailbox.is_none()) else { return };
        let gone = Gone {
            call_id: participant.dialog.call_id.clone(),
            account: participant.caller.card.as_ref().map(|card| card.account),
            codec: sound.encoding.format.rtpmap(),
            is_encrypted: sound.is_encrypted() || participant.web.is_some(),
            direction: participant.direction,
        };
        if self.gone.len() < MOST {
            self.gone.push((participant.leg, gone));
        }
    }

    /// The mixer says how it went.
    pub(super) fn tell_sound(&mut self, leg: LegId, quality: &Quality) {
        let Some(at) = self.gone.iter().position(|(gone, _)| *gone == leg) else { return };
        let (_, Gone { call_id, account, codec, is_encrypted, direction }) = self.gone.swap_remove(at);
        let sound = Sound {
            codec,
            is_encrypted,
            was_to_send: matches!(direction, Direction::SendReceive | Direction::ReceiveOnly),
            was_to_receive: matches!(direction, Direction::SendReceive | Direction::SendOnly),
            received: quality.received,
            silent_for: quality.silent_for,
            lost: quality.lost,
            sent: quality.sent,
            disbelieved: quality.disbelieved,
            lost_there: quality.lost_there,
            has_reported: quality.has_reported,
            there: quality.there.map(|heard| HeardThere {
                lost: heard.lost,
                discarded: heard.discarded,
                burst: Duration::from_millis(heard.burst.1.into()),
                mos: heard.mos(),
            }),
            jitter: quality.jitter,
            round_trip: quality.round_trip,
            mos: quality.mos(),
        };
        let at = Correlation::of_call(&call_id);
        let ended = MediaEvent::Ended { room: self.room.clone(), call_id, account, sound };
        self.focus.parts().bus.publish(Fact::new(at, ended));
    }

    /// The conference is over: the mixer has a last word about those who left last.
    pub(super) async fn hear_the_last(&mut self, heard: &mut mpsc::Receiver<Spoken>) {
        while !self.gone.is_empty()
            && let Ok(Some(spoken)) = tokio::time::timeout(LAST_WORD, heard.recv()).await
        {
            if matches!(spoken, Spoken::Gone(..)) {
                self.notice(spoken).await;
            }
        }
    }
}

/// Legs of which the mixer did not speak yet.
const MOST: usize = 1_000;
/// The mixer's thread ticks every 20 ms.
const LAST_WORD: Duration = Duration::from_millis(500);
