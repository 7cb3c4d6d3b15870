//! The room's law, held in its call — RFC 7081 §4 (S-39): who may come and watch, who is heard, who has to go.
//!
//! In    what happened in the room, what is known of it, accounts that end. Out gates, BYE, the end of subscriptions.
//! State the room as it was last known, beside the conference. Errors while the chat half is down, what was known last holds.

use std::collections::HashSet;

use shared_auth::BoundBy;
use shared_model::{AccountId, BareJid, RoomEvent, RoomSnapshot, Unavailable};
use sip_core::Message;
use sip_core::header::{Name, NameAddr};

use super::super::admission::Caller;
use super::super::notifier::{Subscription, Way};
use super::super::participant::Participant;
use super::super::policy::{self, Refusal, Removal, Voice};
use super::Conference;
use super::refer::is_same;
use crate::mixer::{Command, Prompt};

impl Conference {
    pub(super) async fn room_changed(&mut self, event: &RoomEvent) {
        if let Some(snapshot) = &mut self.snapshot {
            policy::learn(snapshot, event);
        }
        self.revoked.hear(event);
        if let Some(jid) = policy::given_voice(event) {
            self.lift_mute(jid).await;
        }
        match policy::removal(event) {
            Some(Removal::Of(jid)) => {
                let is_theirs = |p: &Participant| p.caller.card.as_ref().is_some_and(|card| card.jid == jid);
                self.hang_up_where(is_theirs, "Removed From The Room").await;
            }
            Some(Removal::All) => {
                self.stop_dialling().await;
                self.stop_referring(None, 487).await;
                for at in (0..self.participants.len()).rev() {
                    self.say(self.participants[at].leg, Prompt::Ended).await;
                    self.end(at, "Room Destroyed").await;
                }
                return self.end_subscriptions(|_| true, "noresource").await;
            }
            None => {}
        }
        if matches!(event, RoomEvent::ConfigurationChanged { .. } | RoomEvent::Created { .. }) {
            self.refresh().await;
        }
        self.apply_rules().await;
    }

    /// Holds every leg, and everybody who watches, to the room's rules as they are known now.
    pub(super) async fn apply_rules(&mut self) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let strangers = self.focus.parts().config.strangers;
        let mut changed = Vec::new();
        let (mut excluded, mut admitted) = (Vec::new(), Vec::new());
        for (at, participant) in self.participants.iter_mut().enumerate() {
            let jid = participant.caller.card.as_ref().map(|card| &card.jid);
            if let Some(jid) = jid {
                self.revoked.learn(&snapshot, jid);
            }
            let strangers = strangers || participant.caller.is_by_number;
            if policy::excludes(&snapshot, jid, strangers) {
                excluded.push(participant.leg);
            } else if participant.pin.is_some() && policy::admit(&snapshot, jid, strangers).is_ok() {
                admitted.push(participant.leg);
            }
            let voice = policy::voice(&snapshot, jid, &self.revoked);
            if participant.voice != voice {
                participant.voice = voice;
                changed.push(at);
            }
        }
        for at in changed {
            let (leg, gate) = (self.participants[at].leg, self.participants[at].gate());
            self.mixer.tell(Command::SetGate(leg, gate)).await;
            self.seat_anew(at);
            self.tell_changed(at);
        }
        for leg in excluded {
            self.hang_up(leg, "Removed From The Room").await;
        }
        for leg in admitted {
            self.enter(leg).await;
        }
        let excludes = |jid: Option<&BareJid>| policy::excludes(&snapshot, jid, strangers);
        let is_excluded =
            |watcher: &Subscription| matches!(watcher.way, Way::Own(_)) && excludes(watcher.jid.as_ref());
        self.end_subscriptions(is_excluded, "rejected").await;
    }

    /// RFC 3891 §3: whether a caller may take the place of a leg: of their own, of whom they may remove, or of who sent them (RFC 5589 §7.1:
    /// an attended transfer). Who sent them the caller says, who has to know the leg's names for it; nothing signs it (RFC 3892 §4).
    pub(super) fn may_replace(&self, at: usize, caller: &Caller, request: &Message) -> bool {
        let leg = &self.participants[at];
        let account = |caller: &Caller| caller.card.as_ref().map(|card| card.account);
        if account(caller).is_some() && account(caller) == account(&leg.caller) {
            return true;
        }
        let removes = |(jid, room): (&BareJid, &RoomSnapshot)| {
            policy::moderates(room, jid) && leg.jid().is_none_or(|theirs| policy::removes(room, jid, theirs))
        };
        let jid = caller.card.as_ref().map(|card| &card.jid);
        let theirs = leg.caller.card.as_ref().map(|card| card.aor.to_sip_uri());
        let theirs = theirs.unwrap_or_else(|| leg.caller.uri.clone());
        let sender = request.value(Name::ReferredBy).and_then(NameAddr::parse);
        jid.zip(self.snapshot.as_ref()).is_some_and(removes)
            || sender.is_some_and(|sender| is_same(sender.uri, &theirs))
    }

    /// An account may take part no more: its legs end, and it watches nothing.
    pub(super) async fn account_ended(&mut self, account: AccountId) {
        let is_theirs = |p: &Participant| p.caller.card.as_ref().is_some_and(|card| card.account == account);
        self.hang_up_where(is_theirs, "Account Disabled").await;
        self.end_subscriptions(|watcher| watcher.account == Some(account), "rejected").await;
    }

    /// What proved an account is worth nothing since a moment: the legs end that came by it, and what was watched by it.
    pub(super) async fn proof_ended(&mut self, account: AccountId, ended: &BoundBy, at: i64) {
        let is_by_it = |p: &Participant| {
            let card = p.caller.card.as_ref();
            card.is_some_and(|card| card.account == account) && p.caller.proof.ends_with(ended, at)
        };
        self.hang_up_where(is_by_it, "Password Changed").await;
        let is_by_it =
            |watcher: &Subscription| watcher.account == Some(account) && watcher.proof.ends_with(ended, at);
        self.end_subscriptions(is_by_it, "rejected").await;
    }

    /// Ends what accounts have here that may not take part any more, when nobody said so.
    pub(super) async fn end_disabled(&mut self) {
        let accounts = self.focus.parts().accounts.clone();
        let proved = self.participants.iter().filter_map(|p| p.caller.card.as_ref().map(|card| card.account));
        let watching = self.subscriptions.iter().filter_map(|watcher| watcher.account);
        let proved = proved.chain(watching);
        for account in proved.collect::<HashSet<_>>() {
            match accounts.by_id(account).await {
                Ok(card) if card.as_ref().is_some_and(|card| card.enabled) => {}
                Ok(_) => self.account_ended(account).await,
                Err(error) => tracing::error!(%error, "a caller's account cannot be read"),
            }
        }
    }

    /// The room as it is now: as the chat half has it, or as a conference without one is.
    async fn ask_room(&self) -> Result<Option<RoomSnapshot>, Unavailable> {
        match self.focus.made().room(&self.room) {
            Some(made) => Ok(Some(made)),
            None => self.focus.parts().rooms.room(&self.room).await,
        }
    }

    /// Asks the room anew; what was known stays if it does not answer.
    pub(super) async fn refresh(&mut self) {
        match self.ask_room().await {
            Ok(snapshot) => self.snapshot = snapshot,
            Err(unavailable) => tracing::debug!(%unavailable, "the room was not asked"),
        }
    }

    /// Whether somebody may join or watch; a stranger may, too, who called a number of the room. While the chat half is down, what was
    /// known last holds; a room of which nothing is known admits accounts of ours.
    pub(super) async fn admit(
        &mut self,
        jid: Option<&BareJid>,
        is_by_number: bool,
    ) -> Result<Voice, Refusal> {
        if self.mailbox.is_some() {
            return Ok(Voice::Granted);
        }
        let strangers = self.focus.parts().config.strangers || is_by_number;
        if let Some(jid) = jid {
            self.focus.made().own(&self.room, jid);
        }
        match self.ask_room().await {
            Ok(snapshot) => self.snapshot = snapshot,
            Err(_) if self.snapshot.is_none() => {
                return jid.map(|_| Voice::Granted).ok_or(Refusal::MembersOnly);
            }
            Err(_) => {}
        }
        let snapshot = self.snapshot.as_ref().ok_or(Refusal::NoSuchRoom)?;
        policy::admit(snapshot, jid, strangers)?;
        Ok(self.voice(jid))
    }

    /// Whether somebody would be heard.
    pub(super) fn voice(&self, jid: Option<&BareJid>) -> Voice {
        let heard = self.snapshot.as_ref().map(|room| policy::voice(room, jid, &self.revoked));
        heard.unwrap_or(Voice::Granted)
    }
}
