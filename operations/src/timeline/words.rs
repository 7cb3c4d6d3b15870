//! Facts in words: which are entries, of whom, and what they say.
//!
//! In    facts, one after the other.
//! Out   for each a few drafts: whose timeline, and what it says there; none if nothing changed.
//! State the calls under way ([`Calls`]) and the logins seen ([`Seen`]); both bounded.
//! Errors none: a fact of a call that is not known is nobody's.
//!
//! Nothing that somebody said, no password and no token is in a fact, so none is in a sentence. Who calls anonymously is
//! not named to whom they call.

use std::time::Instant;

use shared_model::{
    AccountEvent, AccountId, Audio, BareJid, BindingChange, BindingEvent, Branches, CallEvent,
    ConferenceEvent, Correlation, Event, Fact, HalvesEvent, LeaveReason, LoginEvent, MailboxEvent,
    MediaEvent, Participant, Protocol, ProvisioningEvent, PushEvent, RoomEvent, SessionEvent, UnboundWhy,
};

use super::calls::{Call, Calls};
use super::entry::What;
use super::pace::Seen;
use super::{index, verdict};

/// Turns facts into drafts.
pub(super) struct Words {
    calls: Calls,
    seen: Seen,
}

/// Whose timeline it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    Account(AccountId),
    /// The account of this JID, if it is one of ours.
    Jid(BareJid),
    /// That of somebody who is not of ours, by address, JID or SIP URI.
    Stranger(String),
    /// Those of all strangers: they share what a minute has.
    Strangers,
    /// Nobody's: about the timeline itself.
    Nobody,
}

/// What an entry will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) whom: Whom,
    pub(super) what: What,
}

impl Draft {
    fn of(account: AccountId, what: What) -> Self {
        Self { whom: Whom::Account(account), what }
    }

    /// Of who is not of ours.
    pub(super) fn of_stranger(who: String, what: What) -> Self {
        let stranger = Some(who.clone());
        Self { whom: Whom::Stranger(who), what: What { stranger, ..what } }
    }

    /// Of who is not of ours, and is named in the sentence.
    pub(super) fn of_guest(name: &str, mut what: What) -> Self {
        what.text.insert_str(0, &format!("{name}: "));
        Self::of_stranger(index::who(name), what)
    }

    /// A login that did not hold.
    pub(super) fn is_failure(&self) -> bool {
        self.what.event == LOGIN_FAILED
    }
}

impl Words {
    pub(super) fn new(now: Instant) -> Self {
        Self { calls: Calls::default(), seen: Seen::new(now) }
    }

    /// What a fact says, and to whom.
    pub(super) fn of(&mut self, fact: Fact, now: Instant) -> Vec<Draft> {
        let at = fact.correlation;
        match fact.event {
            Event::Account(event) => account(at, &event).into_iter().collect(),
            Event::Login(event) => self.login(at, &event, now).into_iter().collect(),
            Event::Binding(event) => binding(at, &event).into_iter().collect(),
            Event::Call(event) => self.call(at, event),
            Event::Session(event) => session(at, &event).into_iter().collect(),
            Event::Room(event) => room(at, &event).into_iter().collect(),
            Event::Conference(event) => conference(at, &event).into_iter().collect(),
            Event::Media(MediaEvent::Ended { room, call_id, account, sound }) => {
                let what = What::new(at, Protocol::Media, "leg_sound", verdict::sentence(&sound));
                let what = what.of_call(&call_id).of_room(room.as_str());
                account.map(|account| Draft::of(account, what)).into_iter().collect()
            }
            Event::Mailbox(MailboxEvent::Changed { .. }) | Event::Protected(_) => Vec::new(),
            Event::Push(event) => vec![push(at, event)],
            Event::Halves(event) => vec![halves(at, &event)],
            Event::Provisioning(event) => vec![provisioning(at, event)],
        }
    }

    fn login(&mut self, at: Correlation, event: &LoginEvent, now: Instant) -> Option<Draft> {
        match *event {
            LoginEvent::Accepted { account, protocol, from, how } => {
                let is_news = self.seen.is_news(account, (protocol, from, how), now);
                let text = format!("{} login from {from} by {how}", protocol.as_str());
                let what = || What::new(at, Protocol::Auth, "login_accepted", text).of_address(from);
                is_news.then(|| Draft::of(account, what()))
            }
            // Challenges that go on are no failure of anybody's.
            LoginEvent::Denied { reason: "stale" | "foreign-nonce" | "replayed", .. } => None,
            LoginEvent::Denied { account, protocol, from, reason } => {
                let why = match (account, reason) {
                    // Who is not there is asked for a proof all the same.
                    (None, "wrong-proof") => why_denied("unknown-account"),
                    _ => why_denied(reason),
                };
                let text = format!("{} login from {from} failed: {why}", protocol.as_str());
                let what = What::new(at, Protocol::Auth, LOGIN_FAILED, text).of_address(from);
                let Some(account) = account else {
                    return Some(Draft::of_stranger(index::who(&from.to_string()), what));
                };
                self.seen.failed(account);
                Some(Draft::of(account, what))
            }
        }
    }

    fn call(&mut self, at: Correlation, event: CallEvent) -> Vec<Draft> {
        match event {
            CallEvent::Attempted { call_id, from, from_uri, is_anonymous, to, to_uri } => {
                let stranger = match (from, to) {
                    (None, _) => (!is_anonymous && !from_uri.is_empty()).then(|| index::who(&from_uri)),
                    (_, None) => Some(index::who(&to_uri)),
                    _ => None,
                };
                // An INVITE that is known comes again, spirals, or was forked by somebody before us.
                let (is_known, is_news) = match self.calls.get(&call_id) {
                    Some(known) => (true, known.branches.reach(to)),
                    None => (false, from.is_some() || to.is_some()),
                };
                if !is_news {
                    return Vec::new();
                }
                if !is_known {
                    let (branches, stranger) = (Branches::new(from, to), stranger.clone());
                    self.calls.begin(&call_id, Call { branches, stranger, has_rung: false });
                }
                let as_whom = if is_anonymous { ", anonymously" } else { "" };
                let caller = from.filter(|_| !is_known);
                let calls = caller.map(|from| (from, format!("calls {to_uri}{as_whom}")));
                let is_called = to.filter(|to| Some(*to) != from).map(|to| {
                    let by = match (is_anonymous, from) {
                        (true, _) => "somebody who stays anonymous",
                        (false, Some(_)) => "an account of this service",
                        (false, None) => "somebody who proved nothing",
                    };
                    (to, format!("is called as {to_uri} by {by}"))
                });
                let sides = calls.into_iter().chain(is_called);
                let of = |(account, text)| {
                    let what = sip(at, "call_begun", text, &call_id);
                    Draft::of(account, What { stranger: stranger.clone(), ..what })
                };
                sides.map(of).collect()
            }
            CallEvent::Ringing { call_id } => {
                let Some(call) = self.calls.get(&call_id) else { return Vec::new() };
                call.has_rung = true;
                both(call, || sip(at, "call_ringing", "it rings", &call_id))
            }
            CallEvent::Answered { call_id, has_video } => {
                let Some(call) = self.calls.get(&call_id) else { return Vec::new() };
                if !call.branches.answer() {
                    return Vec::new();
                }
                let text = if has_video { "it is answered, with pictures" } else { "it is answered" };
                both(call, || sip(at, "call_answered", text, &call_id))
            }
            CallEvent::Ended { call_id, outcome, reason } => {
                if self.calls.get(&call_id).is_some_and(|call| !call.branches.end(outcome)) {
                    return Vec::new();
                }
                let Some(call) = self.calls.end(&call_id) else { return Vec::new() };
                let (event, text) = call.ending(outcome);
                let said = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                both(&call, || sip(at, event, format!("{text}{said}"), &call_id))
            }
            CallEvent::ToldInChat { call_id, caller, callee, text } => {
                let branches = Branches::new(Some(caller), callee);
                let call = Call { branches, ..Call::default() };
                both(&call, || {
                    What::new(at, Protocol::Xmpp, "call_told", format!("the chat says: {text}"))
                        .of_call(&call_id)
                })
            }
        }
    }
}

fn both(call: &Call, what: impl Fn() -> What) -> Vec<Draft> {
    let what = || What { stranger: call.stranger.clone(), ..what() };
    call.branches.sides().map(|account| Draft::of(account, what())).collect()
}

fn sip(at: Correlation, event: &'static str, text: impl Into<String>, call_id: &str) -> What {
    What::new(at, Protocol::Sip, event, text).of_call(call_id)
}

fn account(at: Correlation, event: &AccountEvent) -> Option<Draft> {
    let of = |account: &AccountId, event, text: &str| {
        Draft::of(*account, What::new(at, Protocol::Provisioning, event, text))
    };
    Some(match event {
        AccountEvent::Created { account } => of(account, "account_created", "the account was made"),
        AccountEvent::Changed { account } => {
            of(account, "account_changed", "name, numbers, rights or passwords of the account were changed")
        }
        AccountEvent::Disabled { account } => {
            of(account, "account_disabled", "the account may not log in any more; what is up ends")
        }
        // Its timeline goes with it.
        AccountEvent::Removed { .. } => return None,
        AccountEvent::DeviceEnded { account, device } => {
            of(account, "device_ended", &format!("the password of its device {device} was taken back"))
        }
        AccountEvent::PasswordEnded { account, .. } => {
            of(account, "password_ended", "the password is another one; what the one before opened ends")
        }
    })
}

fn binding(at: Correlation, event: &BindingEvent) -> Option<Draft> {
    let of = |account: &AccountId, event, text: String| {
        Some(Draft::of(*account, What::new(at, Protocol::Sip, event, text)))
    };
    match event {
        BindingEvent::Bound { change: BindingChange::Refreshed, .. } => None,
        BindingEvent::Bound { account, contact, expires_seconds, change: BindingChange::Made, .. } => of(
            account,
            "registration_made",
            format!("a telephone registered: {contact}, for {expires_seconds} s"),
        ),
        BindingEvent::Bound { account, contact, .. } => of(
            account,
            "registration_moved",
            format!("its telephone is reached elsewhere now: {contact}, or by another connection"),
        ),
        BindingEvent::Suspended { account, contact, .. } => of(
            account,
            "registration_suspended",
            format!("the connection to {contact} closed: no call reaches it until it registers again"),
        ),
        BindingEvent::Unbound { account, contact, why, .. } => {
            let why = match why {
                UnboundWhy::Removed => "its device said so, or may not register any more",
                UnboundWhy::Expired => "it was not refreshed in time",
            };
            of(account, "registration_ended", format!("{contact} is registered no more: {why}"))
        }
    }
}

fn session(at: Correlation, event: &SessionEvent) -> Option<Draft> {
    let of = |account: &AccountId, stream: &str, event, text: String| {
        Some(Draft::of(*account, What::new(at, Protocol::Xmpp, event, text).of_stream(stream)))
    };
    match event {
        SessionEvent::Bound { account, jid, resource, stream } => {
            of(account, stream, "session_opened", format!("chat as {jid}/{resource}"))
        }
        SessionEvent::Suspended { account, resource, stream, why, .. } => {
            let text = format!("the chat of {resource} waits for another connection: {why}");
            of(account, stream, "session_suspended", text)
        }
        SessionEvent::Resumed { account, resource, stream, .. } => {
            of(account, stream, "session_resumed", format!("the chat of {resource} goes on"))
        }
        SessionEvent::Ended { account, resource, stream, why, .. } => {
            of(account, stream, "session_ended", format!("the chat of {resource} ended: {why}"))
        }
        // A client says this as often as it likes.
        SessionEvent::PresenceChanged { .. } => None,
    }
}

fn room(at: Correlation, event: &RoomEvent) -> Option<Draft> {
    let of = |jid: &BareJid, room: &shared_model::RoomAddress, event, text: String| {
        let what = What::new(at, Protocol::Xmpp, event, text).of_room(room.as_str());
        Some(Draft { whom: Whom::Jid(jid.clone()), what })
    };
    match event {
        RoomEvent::OccupantJoined { room, jid, nick, role } => {
            of(jid, room, "room_joined", format!("entered {room} as {nick}, {role:?}"))
        }
        RoomEvent::NickChanged { room, jid, before, nick } => {
            of(jid, room, "room_nick", format!("{before} is called {nick} now in {room}"))
        }
        RoomEvent::OccupantRemoved { room, jid, nick, reason } => {
            let (event, why) = match reason {
                LeaveReason::Left => ("room_left", "left"),
                LeaveReason::Kicked => ("room_kicked", "was removed by a moderator of"),
                LeaveReason::Banned => ("room_banned", "was banned from"),
                LeaveReason::NotMember => ("room_left", "is no member any more of"),
                LeaveReason::Destroyed => ("room_left", "lost, since it was destroyed,"),
                LeaveReason::Shutdown => ("room_left", "lost, since the service stops,"),
                LeaveReason::Lost => ("room_left", "was not to be reached in"),
            };
            of(jid, room, event, format!("{nick} {why} {room}"))
        }
        RoomEvent::RoleChanged { room, jid, nick, role } => {
            of(jid, room, "room_role", format!("{nick} is {role:?} in {room}"))
        }
        RoomEvent::AffiliationChanged { room, jid, affiliation } => {
            of(jid, room, "room_affiliation", format!("is {affiliation:?} of {room}"))
        }
        RoomEvent::Created { .. }
        | RoomEvent::Destroyed { .. }
        | RoomEvent::ConfigurationChanged { .. }
        | RoomEvent::SubjectChanged { .. } => None,
    }
}

fn conference(at: Correlation, event: &ConferenceEvent) -> Option<Draft> {
    let (room, call_id, participant, event, text): (_, _, &Participant, _, _) = match event {
        ConferenceEvent::ParticipantJoined { room, call_id, participant } => {
            let protection = if participant.is_encrypted { "encrypted" } else { "in the clear" };
            (room, call_id, participant, "leg_joined", format!("is in the call of {room}, {protection}"))
        }
        ConferenceEvent::ParticipantChanged { room, call_id, participant } => {
            let can = match participant.audio {
                Audio::SendReceive => "hears and is heard",
                Audio::Muted => "is muted",
                Audio::OnHold => "is on hold",
            };
            (room, call_id, participant, "leg_changed", format!("{can} in the call of {room}"))
        }
        ConferenceEvent::ParticipantLeft { room, call_id, participant } => {
            (room, call_id, participant, "leg_left", format!("is no more in the call of {room}"))
        }
        ConferenceEvent::RecordingChanged { .. } => return None,
    };
    let what = What::new(at, Protocol::Conference, event, text).of_call(call_id).of_room(room.as_str());
    Some(match participant.account {
        Some(account) => Draft::of(account, what),
        None => Draft::of_guest(&participant.uri, what),
    })
}

fn push(at: Correlation, event: PushEvent) -> Draft {
    match event {
        PushEvent::ForChat { jid, service } => {
            let text = format!("{service} was asked to wake a client for chat");
            Draft { whom: Whom::Jid(jid), what: What::new(at, Protocol::Xmpp, "push_sent", text) }
        }
        PushEvent::ForCall { account, provider } => {
            let text = format!("{provider} was asked to wake a device for a call");
            Draft::of(account, What::new(at, Protocol::Sip, "push_sent", text))
        }
    }
}

fn halves(at: Correlation, event: &HalvesEvent) -> Draft {
    let (account, event, text) = match event {
        HalvesEvent::PhoneLost { account } => (
            account,
            "half_lost",
            "half connected: the chat is there, and no telephone is registered; its chat was told",
        ),
        HalvesEvent::PhoneBack { account } => (account, "half_back", "whole again: a telephone registered"),
        HalvesEvent::ChatEnded { account } => (
            account,
            "half_ended",
            "no telephone is registered, and this service has both or nothing: the chat is ended",
        ),
    };
    Draft::of(*account, What::new(at, Protocol::Xmpp, event, text))
}

fn provisioning(at: Correlation, event: ProvisioningEvent) -> Draft {
    let (account, event, text) = match event {
        ProvisioningEvent::ConfigurationFetched { account, client } => {
            (account, "configuration_fetched", format!("a client fetched its configuration: {client}"))
        }
        ProvisioningEvent::InvitationFollowed { account } => {
            (account, "invitation_followed", "an invitation became this account".to_owned())
        }
        ProvisioningEvent::PasswordChanged { account } => {
            (account, "password_changed", "the password was changed, for calls and chat at once".to_owned())
        }
        ProvisioningEvent::DevicePasswordMade { account, device } => {
            (account, "device_password_made", format!("a password for the device {device} was made"))
        }
        ProvisioningEvent::TokenMade { account, name, scopes } => {
            (account, "token_made", format!("a token for programs was made: {name}, for {scopes}"))
        }
        ProvisioningEvent::TokenRevoked { account, name } => {
            (account, "token_revoked", format!("a token for programs was taken back: {name}"))
        }
        ProvisioningEvent::Banned { account, who } => {
            return ban(at, account, "banned", format!("banned {who}"), &who);
        }
        ProvisioningEvent::BanLifted { account, who } => {
            return ban(at, account, "ban_lifted", format!("lifted the ban of {who}"), &who);
        }
    };
    Draft::of(account, What::new(at, Protocol::Provisioning, event, text))
}

/// It is found by whom it is of.
fn ban(at: Correlation, by: Option<AccountId>, event: &'static str, text: String, who: &str) -> Draft {
    let (what, who) = (What::new(at, Protocol::Provisioning, event, text), index::who(who));
    match by {
        Some(account) => Draft::of(account, What { stranger: Some(who), ..what }),
        None => Draft::of_stranger(who, what),
    }
}

fn why_denied(reason: &'static str) -> &'static str {
    match reason {
        "unknown-account" => "nobody has that name",
        "wrong-proof" => "wrong password",
        "disabled" => "the account is disabled",
        "wrong-realm" => "another realm than the account's: the client has another domain",
        "throttled" => "too many failed before; none is looked at for a while",
        "malformed" => "what the client sent is malformed",
        "downgraded" => "the client says that channel binding was not offered, and it was",
        "wrong-channel" => "the proof belongs to another connection: somebody is between",
        "foreign-authzid" => "acting as somebody else",
        "bad-token" => "the token is unknown, used or expired",
        "expired" => "the token is too old, or a password was changed since",
        "foreign" => "the other keeper of people says no",
        "unencrypted" => "the connection is not encrypted, and others could read the password",
        "no-key" => {
            "no key of the password is kept for this mechanism, so that it cannot be told whether it was right: sign in once where it is typed (PLAIN over TLS, or a page), or set it once"
        }
        "calls-alone" => "the password of this device opens calls and the directory, and no chat",
        "unwatched" => {
            "the provider gave nothing by which it says when the sign-in ends, and such are refused here"
        }
        "no-verifier" => "nothing is kept that this mechanism could be held against",
        "unavailable" => "the accounts cannot be read now",
        other => other,
    }
}

pub(super) const LOGIN_FAILED: &str = "login_failed";

#[cfg(test)]
mod tests {
    use shared_model::CallOutcome;

    use super::*;

    fn said(words: &mut Words, event: impl Into<Event>) -> Vec<(String, String)> {
        let drafts = words.of(Fact::new(Correlation(1), event), Instant::now());
        let whom = |draft: &Draft| match &draft.whom {
            Whom::Account(account) => account.0.to_string(),
            other => format!("{other:?}"),
        };
        drafts
            .iter()
            .map(|draft| (whom(draft), format!("{}: {}", draft.what.event, draft.what.text)))
            .collect()
    }

    fn attempted(from: Option<u128>, is_anonymous: bool) -> CallEvent {
        let (from, to) = (from.map(AccountId), Some(AccountId(2)));
        let from_uri = "sip:+33123@carrier.example;user=phone".to_owned();
        CallEvent::Attempted {
            call_id: "c".into(),
            from,
            from_uri,
            is_anonymous,
            to,
            to_uri: "sip:bob@x".into(),
        }
    }

    #[test]
    fn both_sides_see_a_call_and_its_end_once() {
        let mut words = Words::new(Instant::now());
        let begun = said(&mut words, attempted(Some(1), false));
        assert_eq!(begun[0], ("1".into(), "call_begun: calls sip:bob@x".into()));
        assert!(begun[1].1.starts_with("call_begun: is called as sip:bob@x by an account"), "{begun:?}");
        assert_eq!(said(&mut words, CallEvent::Ringing { call_id: "c".into() }).len(), 2);
        let end = CallEvent::Ended {
            call_id: "c".into(),
            outcome: CallOutcome::Refused(486),
            reason: Some("SIP;cause=486".into()),
        };
        let ended = said(&mut words, end.clone());
        assert_eq!(ended[1], ("2".into(), "call_refused: busy (486) (SIP;cause=486)".into()));
        assert!(said(&mut words, end).is_empty());
    }

    /// RFC 3261 §16.6, §8.2.2.2: a proxy before us may fork one INVITE to two of ours.
    #[test]
    fn each_to_whom_a_call_was_forked_sees_it_and_it_ends_with_the_last() {
        let mut words = Words::new(Instant::now());
        let fork = |to: u128| match attempted(None, false) {
            CallEvent::Attempted { call_id, from, from_uri, is_anonymous, to_uri, .. } => {
                let to = Some(AccountId(to));
                CallEvent::Attempted { call_id, from, from_uri, is_anonymous, to, to_uri }
            }
            other => other,
        };
        let ended = |outcome| CallEvent::Ended { call_id: "c".into(), outcome, reason: None };
        for to in [2, 3] {
            let begun = said(&mut words, fork(to));
            assert_eq!(begun.iter().map(|(whom, _)| whom.as_str()).collect::<Vec<_>>(), [to.to_string()]);
        }
        assert!(said(&mut words, fork(3)).is_empty(), "it spirals");
        assert!(said(&mut words, ended(CallOutcome::Refused(486))).is_empty());
        assert!(said(&mut words, ended(CallOutcome::Refused(486))).is_empty());
        let answered = CallEvent::Answered { call_id: "c".into(), has_video: false };
        assert_eq!(said(&mut words, answered).len(), 2);
        assert!(said(&mut words, ended(CallOutcome::Cancelled)).is_empty(), "the other one");
        assert_eq!(said(&mut words, ended(CallOutcome::Completed)).len(), 2);
    }

    #[test]
    fn all_of_a_call_with_a_stranger_says_who_it_was_unless_they_stay_anonymous() {
        for (is_anonymous, who) in [(false, Some("+33123@carrier.example")), (true, None)] {
            let mut words = Words::new(Instant::now());
            for event in [attempted(None, is_anonymous), CallEvent::Ringing { call_id: "c".into() }] {
                let drafts = words.of(Fact::new(Correlation(1), event), Instant::now());
                assert_eq!(drafts[0].what.stranger.as_deref(), who);
            }
        }
    }

    #[test]
    fn who_stays_anonymous_is_not_named_to_whom_they_call() {
        let mut words = Words::new(Instant::now());
        let begun = said(&mut words, attempted(Some(1), true));
        assert_eq!(begun[1].1, "call_begun: is called as sip:bob@x by somebody who stays anonymous");
    }

    #[test]
    fn who_refreshes_is_no_news() {
        let mut words = Words::new(Instant::now());
        let bound = |change| BindingEvent::Bound {
            account: AccountId(1),
            aor: "a@x".parse().unwrap(),
            contact: "sip:a@192.0.2.1".into(),
            expires_seconds: 60,
            change,
        };
        assert_eq!(said(&mut words, bound(BindingChange::Made)).len(), 1);
        assert!(said(&mut words, bound(BindingChange::Refreshed)).is_empty());
        let login = LoginEvent::Accepted {
            account: AccountId(1),
            protocol: Protocol::Sip,
            from: [127, 0, 0, 1].into(),
            how: "digest-md5",
        };
        assert_eq!(said(&mut words, login.clone()).len(), 1);
        assert!(said(&mut words, login).is_empty());
    }

    #[test]
    fn who_has_no_name_here_is_a_stranger_and_a_challenge_is_nobodys() {
        let mut words = Words::new(Instant::now());
        let denied = |account, reason| LoginEvent::Denied {
            account,
            protocol: Protocol::Xmpp,
            from: [127, 0, 0, 1].into(),
            reason,
        };
        for reason in ["unknown-account", "wrong-proof"] {
            let stranger = said(&mut words, denied(None, reason));
            let failed = "login_failed: xmpp login from 127.0.0.1 failed: nobody has that name";
            assert_eq!(stranger[0], ("Stranger(\"127.0.0.1\")".to_owned(), failed.to_owned()));
        }
        assert!(said(&mut words, denied(Some(AccountId(1)), "stale")).is_empty());
        let failed = said(&mut words, denied(Some(AccountId(1)), "wrong-proof"));
        assert_eq!(failed[0].1, "login_failed: xmpp login from 127.0.0.1 failed: wrong password");
    }
}
