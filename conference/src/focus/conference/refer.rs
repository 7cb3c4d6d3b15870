//! What somebody asks the focus for: to call others, into the place of another call too, to have others call it, and to end calls — RFC 4579
//! §5.5 (inviting by REFER), §5.7 (having others dial in), §5.10, §5.11 (removing), RFC 3515 §2.4 (what became of it), RFC 4488 (without
//! being told).
//!
//! In    REFER inside a leg's dialog or outside any, SUBSCRIBE for what is told of one; the wish of somebody outside the call. Out BYE, REFER,
//!       NOTIFY of the package `refer`; the calls themselves are [`super::dial`]'s.
//! State who wants to know what becomes of a call, beside that call; whom we asked to call, until they come.
//! Errors 403 for who may not ask, and for whom another than this conference is to be called; 501 for what is neither a call nor a removal,
//!       403 to a SUBSCRIBE about nothing that is under way (RFC 3515 §2.4.4).
//!
//! Whoever is in the conference, or could join it, may invite; moderators may remove, and everybody their own legs.

use std::time::{Duration, Instant, SystemTime};

use shared_model::{Aor, BareJid, CallOutError, Deed};
use sip_core::header::Name;
use sip_core::subscription::{Package, State};
use sip_core::{Message, Uri};
use sip_endpoint::Incoming;
use tokio::sync::oneshot;

use super::super::Input;
use super::super::admission::{Caller, caller};
use super::super::dialog::Dialog;
use super::super::document::Referred;
use super::super::named::{Referral, referral};
use super::super::notifier::Way;
use super::super::participant::Participant;
use super::super::policy::{self, Voice};
use super::Conference;
use super::departed::person;
use super::dial::{Asker, Device, Dialling, LONGEST_RING, last};
use super::watchers::in_dialog;
use crate::mixer::LegId;

/// Who wants to know what becomes of a call.
pub(super) enum Teller {
    /// By NOTIFY.
    Refer(Told),
    /// Whoever asked from outside the call.
    Outside(oneshot::Sender<Result<(), CallOutError>>),
}

/// Somebody who was asked to call the conference.
pub(super) struct Referring {
    id: u64,
    callee: Caller,
    referred: Referred,
    teller: Option<Teller>,
    /// They said that they will.
    is_accepted: bool,
    /// Who has not come then does not.
    pub(super) until: Instant,
}

/// The subscription that a REFER made (RFC 3515 §2.4.4).
pub(super) struct Told {
    id: u64,
    way: Way,
    /// Of several REFERs in a dialog each is known by its CSeq (§2.4.6).
    event_id: Option<String>,
}

impl Conference {
    /// A REFER to the conference.
    pub(super) async fn refer(&mut self, incoming: Incoming, leg: Option<usize>) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let sender = caller(request, &self.focus.parts().accounts).await;
        let asker = match leg {
            Some(at) => self.participants[at].caller.card.clone(),
            None => sender.card.clone(),
        };
        let Some(asker) = asker else { return refuse(403, "This Needs An Account") };
        if leg.is_none()
            && let Err(refusal) = self.admit(Some(&asker.jid), false).await
        {
            let (status, reason) = refusal.status();
            return refuse(status, reason);
        }
        if request.elements(Name::ReferTo).count() != 1 {
            return refuse(400, "One Refer-To Is Wanted"); // RFC 3515 §2.4.2
        }
        let referral = match referral(request) {
            Ok(referral) => referral,
            Err((status, reason)) => return refuse(status, reason),
        };
        let is_moderator = self.snapshot.as_ref().is_some_and(|room| policy::moderates(room, &asker.jid));
        match referral {
            Referral::Remove(uri) => {
                let meant = self.legs_of(&uri);
                let room = self.snapshot.as_ref();
                let outranks = |p: &Participant| {
                    p.jid().zip(room).is_none_or(|(jid, room)| policy::removes(room, &asker.jid, jid))
                };
                let may = |p: &Participant| p.jid() == Some(&asker.jid) || (is_moderator && outranks(p));
                if meant.is_empty() {
                    return refuse(404, "Nobody Of That Name Is Here");
                }
                if !meant.iter().all(|at| may(&self.participants[*at])) {
                    return refuse(403, "Only Moderators Remove Others");
                }
                let legs: Vec<LegId> = meant.iter().map(|at| self.participants[*at].leg).collect();
                let people = meant.iter().map(|at| &self.participants[*at]);
                // Who names a device means that device.
                let people = people.filter(|p| !p.caller.is_anonymous && is_same(&p.caller.uri, &uri));
                let mut people = people.filter_map(Participant::jid);
                if let Some(jid) = people.find(|jid| **jid != asker.jid) {
                    self.follow_in_chat(jid, Deed::Kick);
                }
                let is_own = |at: &usize| self.participants[*at].jid() == Some(&asker.jid);
                let why = if meant.iter().all(is_own) { "Ended Elsewhere" } else { "Removed By A Moderator" };
                let is_anonymous =
                    sender.is_anonymous || leg.is_some_and(|at| self.participants[at].caller.is_anonymous);
                let by = person(&asker.jid, Some(asker.aor.to_sip_uri()), is_anonymous);
                let teller = self.accept(&incoming, leg);
                // Who has their own call ended hears of it while there is one.
                self.tell_end(teller, 200).await;
                for leg in legs {
                    self.hang_up_by(leg, why, by.clone()).await;
                }
            }
            Referral::Invite(uri, beside) => match self.may_call(&uri, is_moderator).await {
                Ok((callee, voice)) => {
                    let teller = self.accept(&incoming, leg);
                    let is_anonymous = sender.is_anonymous
                        || leg.is_some_and(|at| self.participants[at].caller.is_anonymous);
                    let referred_by = request.value(Name::ReferredBy).map(str::to_owned);
                    let aor = sender.card.map(|card| card.aor);
                    let (jid, when) = (asker.jid, SystemTime::now());
                    let asker = Asker { aor, jid, is_anonymous, when, referred_by, beside, least: None };
                    self.dial(&uri, callee, voice, (teller, asker), Device::Phone).await;
                }
                Err((status, reason)) => refuse(status, reason),
            },
            Referral::Refer(_, to) if !is_same(&to, &self.room.to_sip_uri()) => {
                refuse(403, "Only Into This Conference")
            }
            Referral::Refer(uri, _) => match self.may_call(&uri, is_moderator).await {
                Ok((callee, _)) => {
                    let teller = self.accept(&incoming, leg);
                    let is_anonymous = sender.is_anonymous
                        || leg.is_some_and(|at| self.participants[at].caller.is_anonymous);
                    let asker = Asker {
                        aor: sender.card.map(|card| card.aor),
                        jid: asker.jid,
                        is_anonymous,
                        when: SystemTime::now(),
                        referred_by: request.value(Name::ReferredBy).map(str::to_owned),
                        beside: Vec::new(),
                        least: None,
                    };
                    self.refer_on(&uri, callee, asker, teller).await;
                }
                Err((status, reason)) => refuse(status, reason),
            },
        }
    }

    /// RFC 4579 §5.7: somebody is asked to call the conference. They tell us nothing more (RFC 4488 §4): whether they came is seen.
    async fn refer_on(&mut self, uri: &str, callee: Caller, asker: Asker, mut teller: Option<Teller>) {
        let Some(endpoint) = self.focus.endpoint().cloned() else {
            return self.tell_end(teller, 503).await;
        };
        let mut request = self.begun_by_us("REFER", uri);
        request.push(Name::ReferTo, &format!("<{}>", self.room.to_sip_uri()));
        request.push_other("Refer-Sub", "false");
        let referred = asker.referred();
        if let Some(referred_by) = &asker.referred_by {
            request.push(Name::ReferredBy, referred_by);
        }
        if let Some(aor) = asker.aor.filter(|_| callee.card.is_none()) {
            // RFC 3325 §5: for the proxy, which takes it off.
            request.push(Name::PAssertedIdentity, &format!("<{}>", aor.to_sip_uri()));
        }
        self.tell_begun(&mut teller).await;
        let (id, until) = (self.name(), Instant::now() + LONGEST_RING);
        self.referring.push(Referring { id, callee, referred, teller, is_accepted: false, until });
        let (inbox, shutdown) = (self.inbox.clone(), self.focus.parts().shutdown.clone());
        let flow = endpoint.port(0);
        self.focus.parts().shutdown.spawn(async move {
            let mut sent = endpoint.request(request, flow, "0").await;
            tokio::select! {
                answer = last(&mut sent) => {
                    let status = answer.map_or(408, |answer| answer.status());
                    // A conference waits for it, but at a shutdown.
                    let _ = inbox.send(Input::Referred(id, status)).await;
                }
                () = shutdown.begun() => {}
            }
        });
    }

    /// Whoever was asked to call us said whether they will.
    pub(super) async fn referred(&mut self, id: u64, status: u16) {
        let Some(at) = self.referring.iter().position(|referring| referring.id == id) else { return };
        tracing::info!(status, "somebody was asked to call the conference");
        if status >= 300 {
            let referring = self.referring.remove(at);
            return self.tell_end(referring.teller, status).await;
        }
        self.referring[at].is_accepted = true;
    }

    /// How many were asked to call and did not answer yet.
    pub(super) fn asked(&self) -> usize {
        self.referring.iter().filter(|asked| !asked.is_accepted).count()
    }

    /// Somebody is in the call: whoever had them asked hears so. Who that was, if anybody.
    pub(super) async fn tell_came(&mut self, caller: &Caller) -> Option<Referred> {
        let mut referred = None;
        let account = |caller: &Caller| caller.card.as_ref().map(|card| card.account);
        let is_theirs = |asked: &Referring| match account(&asked.callee) {
            Some(asked) => account(caller) == Some(asked),
            None => is_same(&asked.callee.uri, &caller.uri),
        };
        for came in self.referring.extract_if(.., |asked| is_theirs(asked)).collect::<Vec<_>>() {
            self.tell_end(came.teller, 200).await;
            referred.get_or_insert(came.referred);
        }
        referred
    }

    /// Who has not come by now does not; nobody does who is not there any more.
    pub(super) async fn stop_referring(&mut self, now: Option<Instant>, status: u16) {
        let is_over = |asked: &mut Referring| now.is_none_or(|now| asked.until <= now);
        for asked in self.referring.extract_if(.., is_over).collect::<Vec<_>>() {
            self.tell_end(asked.teller, status).await;
        }
    }

    /// Somebody outside the call, in the chat or elsewhere, asks for one. Their rights are those of a REFER outside any dialog; who is called is not
    /// told who asked, whose address the room may hide.
    pub(super) async fn call_out(
        &mut self,
        asker: &BareJid,
        uri: &str,
        outcome: oneshot::Sender<Result<(), CallOutError>>,
    ) {
        let teller = Teller::Outside(outcome);
        match self.may_ask(asker, uri).await {
            Ok((aor, callee, voice)) => {
                let (aor, jid) = (Some(aor), asker.clone());
                let asker = Asker {
                    aor,
                    jid,
                    is_anonymous: false,
                    when: SystemTime::now(),
                    referred_by: None,
                    beside: Vec::new(),
                    least: None,
                };
                self.dial(uri, callee, voice, (Some(teller), asker), Device::Phone).await;
            }
            Err((status, reason)) => self.tell(teller, status, reason).await,
        }
    }

    async fn may_ask(
        &mut self,
        asker: &BareJid,
        uri: &str,
    ) -> Result<(Aor, Caller, Voice), (u16, &'static str)> {
        if self.mailbox.is_some() {
            return Err((403, "This Is A Mailbox"));
        }
        let card = self.focus.parts().accounts.by_jid(asker).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "an asker's account cannot be read");
            None
        });
        let Some(card) = card.filter(|card| card.enabled) else {
            return Err((403, "This Needs An Account"));
        };
        self.admit(Some(asker), false).await.map_err(policy::Refusal::status)?;
        let is_moderator = self.snapshot.as_ref().is_some_and(|room| policy::moderates(room, asker));
        let (callee, voice) = self.may_call(uri, is_moderator).await?;
        Ok((card.aor, callee, voice))
    }

    /// RFC 3515 §2.4.2: 202, and a subscription unless it is not wanted.
    fn accept(&mut self, incoming: &Incoming, leg: Option<usize>) -> Option<Teller> {
        let request = &incoming.request;
        let wants_none = request.other_values("Refer-Sub").any(|value| value.trim() == "false");
        let mut response = self.taken(request, 202);
        if wants_none {
            response.push_other("Refer-Sub", "false");
        }
        for route in request.elements(Name::RecordRoute).filter(|_| leg.is_none()) {
            response.push(Name::RecordRoute, route);
        }
        let way = match leg {
            Some(at) => Some(Way::Leg(self.participants[at].leg)),
            None => {
                Dialog::begun_by(request, &response, incoming.flow).map(|dialog| Way::Own(Box::new(dialog)))
            }
        };
        let event_id = leg.and(request.cseq()).map(|(number, _)| number.to_string());
        incoming.server.respond(response);
        let id = self.name();
        way.filter(|_| !wants_none).map(|way| Teller::Refer(Told { id, way, event_id }))
    }

    /// RFC 3515 §2.4.4: who is told what becomes of a call wants to hear of it for longer, or no more.
    pub(super) async fn subscribe_to_refer(&mut self, incoming: Incoming, leg: Option<usize>) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let wanted = match PACKAGE.read(request) {
            Ok(wanted) => wanted,
            Err(refusal) => return incoming.server.respond(*refusal),
        };
        let leg = leg.map(|at| (at, self.participants[at].leg));
        let is_meant = |told: &Told| {
            let is_here = match &told.way {
                Way::Leg(of) => leg.is_some_and(|(_, leg)| leg == *of),
                Way::Own(dialog) => dialog.has(request),
            };
            is_here && (wanted.event_id.is_none() || wanted.event_id == told.event_id)
        };
        let is_theirs =
            |teller: &mut Option<Teller>| matches!(teller, Some(Teller::Refer(told)) if is_meant(told));
        let found = tellers(&mut self.dialling, &mut self.referring).position(is_theirs);
        let Some(at) = found else { return refuse(403, "No Call Is Under Way") };
        let teller = tellers(&mut self.dialling, &mut self.referring).nth(at);
        let dialog = match (teller, leg) {
            (Some(Some(Teller::Refer(Told { way: Way::Own(dialog), .. }))), _) => &mut **dialog,
            (_, Some((at, _))) => &mut self.participants[at].dialog,
            _ => return refuse(481, ""),
        };
        if !dialog.accept(request, incoming.flow) {
            return refuse(500, "");
        }
        let mut response = self.taken(request, 200);
        response.push(Name::Expires, &wanted.expires.as_secs().to_string());
        incoming.server.respond(response);
        match wanted.expires.is_zero() {
            true => {
                if let Some(Teller::Refer(told)) = self.take_teller(at) {
                    self.tell_last(told, "timeout", 100, "Trying").await;
                }
            }
            false => self.tell_trying(at).await,
        }
    }

    /// A NOTIFY found nobody who wants to know more.
    pub(super) fn forget_told(&mut self, id: u64) {
        for teller in tellers(&mut self.dialling, &mut self.referring) {
            if matches!(teller, Some(Teller::Refer(told)) if told.id == id) {
                *teller = None;
            }
        }
    }

    /// Tells who had this call made, or had somebody asked to call, that it is under way.
    pub(super) async fn tell_trying(&mut self, at: usize) {
        let mut teller = self.take_teller(at);
        self.tell_begun(&mut teller).await;
        if let Some(place) = tellers(&mut self.dialling, &mut self.referring).nth(at) {
            *place = teller;
        }
    }

    fn take_teller(&mut self, at: usize) -> Option<Teller> {
        tellers(&mut self.dialling, &mut self.referring).nth(at)?.take()
    }

    async fn tell_begun(&mut self, teller: &mut Option<Teller>) {
        let contact = self.contact();
        let Some(Teller::Refer(Told { id, way, event_id })) = teller else { return };
        let Some((mut notify, flow)) = in_dialog(&mut self.participants, way, &contact) else {
            return;
        };
        outcome(&mut notify, event_id.as_deref(), State::Active(LASTS), 100, "Trying");
        let id = *id;
        self.send_all(vec![(Some(id), notify, flow)]).await;
    }

    pub(super) async fn tell_end(&mut self, teller: Option<Teller>, status: u16) {
        if let Some(teller) = teller {
            self.tell(teller, status, sip_core::status::reason(status)).await;
        }
    }

    pub(super) async fn tell(&mut self, teller: Teller, status: u16, reason: &str) {
        match teller {
            Teller::Refer(told) => self.tell_last(told, "noresource", status, reason).await,
            Teller::Outside(sender) => {
                let outcome = match status {
                    200..300 => Ok(()),
                    _ => Err(CallOutError::Refused(format!("{status} {reason}"))),
                };
                let _ = sender.send(outcome); // who asked may have gone
            }
        }
    }

    async fn tell_last(&mut self, mut told: Told, why: &str, status: u16, reason: &str) {
        let contact = self.contact();
        let Some((mut notify, flow)) = in_dialog(&mut self.participants, &mut told.way, &contact) else {
            return;
        };
        outcome(&mut notify, told.event_id.as_deref(), State::Terminated(why), status, reason);
        self.send_all(vec![(None, notify, flow)]).await;
    }

    /// Legs that a URI names: of an AOR, or of a device.
    fn legs_of(&self, uri: &str) -> Vec<usize> {
        let is_meant =
            |p: &Participant| is_same(&p.caller.uri, uri) || p.endpoint().split(';').next() == Some(uri);
        self.participants.iter().enumerate().filter(|(_, p)| is_meant(p)).map(|(at, _)| at).collect()
    }
}

/// Who wants to know of each call of ours, and then of each that somebody was asked for.
fn tellers<'a>(
    dialling: &'a mut [Dialling],
    referring: &'a mut [Referring],
) -> impl Iterator<Item = &'a mut Option<Teller>> {
    let calls = dialling.iter_mut().map(|dialling| &mut dialling.teller);
    calls.chain(referring.iter_mut().map(|referring| &mut referring.teller))
}

/// Whether two URIs are one person's.
pub(super) fn is_same(one: &str, two: &str) -> bool {
    let (Some(one), Some(two)) = (Uri::parse(one), Uri::parse(two)) else { return false };
    one.user_unescaped() == two.user_unescaped() && one.host.eq_ignore_ascii_case(two.host)
}

/// RFC 3515 §2.4.5: the first line of a response stands for it.
fn outcome(notify: &mut Message, event_id: Option<&str>, state: State<'_>, status: u16, reason: &str) {
    PACKAGE.head(notify, event_id, state);
    let line = format!("SIP/2.0 {status} {reason}\r\n");
    notify.set_body(&format!("{};version=2.0", PACKAGE.document), line.into());
}

/// What a REFER tells lasts as long as a call may ring, and a bit.
const LASTS: Duration = LONGEST_RING.saturating_add(Duration::from_secs(10));
/// RFC 3515 §3: how long it lasts is for who tells to say (§3.4).
pub(super) const PACKAGE: Package =
    Package { name: "refer", document: "message/sipfrag", usual: LASTS, briefest: LASTS, longest: LASTS };
