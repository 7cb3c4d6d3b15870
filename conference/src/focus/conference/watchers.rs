//! Those who watch a conference — RFC 4575 §3, RFC 6665 §4.2, inside the dialog of a call or outside any.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use shared_model::BareJid;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::subscription::is_ended_by;
use sip_endpoint::{Flow, Incoming};

use super::super::admission::caller;
use super::super::dialog::Dialog;
use super::super::document::{Outline, View, Viewer};
use super::super::notifier::{PACKAGE, Subscription, Way};
use super::super::participant::Participant;
use super::super::{Focus, Input};
use super::Conference;

impl Conference {
    pub(super) async fn subscribe(&mut self, incoming: Incoming, leg: Option<usize>, own: Option<usize>) {
        let request = &incoming.request;
        let wanted = match PACKAGE.read(request) {
            Ok(wanted) => wanted,
            Err(refusal) => return incoming.server.respond(*refusal),
        };
        let known = own.or_else(|| {
            let leg = self.participants[leg?].leg;
            let is_it = |subscription: &Subscription| {
                matches!(subscription.way, Way::Leg(of) if of == leg)
                    && subscription.event_id == wanted.event_id
            };
            self.subscriptions.iter().position(is_it)
        });
        let mut response = self.taken(request, 200);
        response.push(Name::Expires, &wanted.expires.as_secs().to_string());
        let expires = Instant::now() + wanted.expires;
        if let Some(at) = known {
            let watcher = &self.subscriptions[at];
            if let (Way::Own(_), Some(jid)) = (&watcher.way, watcher.jid.clone()) {
                // RFC 6665 §4.2.1.1: each asks anew whether it may.
                let id = watcher.id;
                if let Err(refusal) = self.admit(Some(&jid), false).await {
                    let (status, reason) = refusal.status();
                    incoming.server.respond(Message::response(request, status, reason));
                    return self.end_subscriptions(|watcher| watcher.id == id, "rejected").await;
                }
            }
            incoming.server.respond(response);
            self.subscriptions[at].expires = expires;
            self.subscriptions[at].forget();
        } else {
            let (way, who) = match leg {
                Some(at) => {
                    let participant = &self.participants[at];
                    let account = participant.caller.card.as_ref().map(|card| card.account);
                    let proof = participant.caller.proof.clone();
                    (Way::Leg(participant.leg), (account, participant.jid().cloned(), proof))
                }
                None => {
                    let refuse = |status, reason| {
                        incoming.server.respond(Message::response(request, status, reason));
                    };
                    let caller = caller(request, &self.focus.parts().accounts).await;
                    // §8 of RFC 4575: who is inside is not for everybody.
                    let Some(card) = caller.card else { return refuse(403, "Watching Needs An Account") };
                    if let Err(refusal) = self.admit(Some(&card.jid), false).await {
                        let (status, reason) = refusal.status();
                        return refuse(status, reason);
                    }
                    for route in request.elements(Name::RecordRoute) {
                        response.push(Name::RecordRoute, route);
                    }
                    match Dialog::begun_by(request, &response, incoming.flow) {
                        Some(dialog) => {
                            (Way::Own(Box::new(dialog)), (Some(card.account), Some(card.jid), caller.proof))
                        }
                        None => return refuse(400, "No Contact"),
                    }
                }
            };
            let of_account = || {
                let is_own = |it: &&Subscription| who.0.is_some() && it.account == who.0;
                self.subscriptions.iter().filter(is_own).count()
            };
            if self.subscriptions.len() >= MOST_SUBSCRIPTIONS || of_account() >= MOST_OF_ACCOUNT {
                return incoming.server.respond(Message::response(request, 503, ""));
            }
            incoming.server.respond(response);
            let id = self.name();
            self.subscriptions.push(Subscription::new(id, way, who, wanted.event_id, expires));
        }
        if wanted.expires.is_zero() {
            let at = known.unwrap_or(self.subscriptions.len() - 1);
            self.finish(at).await;
        }
    }

    /// RFC 6665 §4.4.3: a fetch, and the end of a subscription, get the whole in one last NOTIFY.
    async fn finish(&mut self, at: usize) {
        let mut subscription = self.subscriptions.remove(at);
        let shown = self.shown();
        let viewer = Viewer::of(self.snapshot.as_ref(), subscription.jid.as_ref());
        let view = View::of(&self.room, self.snapshot.as_ref(), &shown, &viewer, self.outline(&self.focus));
        let contact = self.contact();
        let begun = in_dialog(&mut self.participants, &mut subscription.way, &contact);
        if let Some((mut notify, flow)) = begun {
            subscription.tell_last(&view, &self.room.to_sip_uri(), &mut notify);
            self.send_all(vec![(None, notify, flow)]).await;
        }
    }

    /// The whole document, for an occupant who asks for it in the chat (XEP-0298 §6).
    pub(super) fn document_for(&self, viewer: &BareJid) -> String {
        let viewer = Viewer::of(self.snapshot.as_ref(), Some(viewer));
        let view =
            View::of(&self.room, self.snapshot.as_ref(), &self.shown(), &viewer, self.outline(&self.focus));
        view.full(&self.room.to_sip_uri(), 0)
    }

    /// What a document says of the conference, whoever is in it.
    fn outline<'a>(&self, focus: &'a Focus) -> Outline<'a> {
        let config = &focus.parts().config;
        Outline {
            host: &focus.parts().domain,
            chat: !focus.made().has(&self.room),
            join: config.join_links,
            call: config.conf_uris,
            video: config.video,
            most: config.legs,
        }
    }

    /// Tells every subscription what it does not know yet.
    pub(super) async fn notify(&mut self) {
        let shown = self.shown();
        let now = Instant::now();
        let is_news = self.told.0 != self.snapshot || self.told.1 != shown;
        let is_due = self.telling.is_some_and(|telling| telling <= now);
        if !is_news && !is_due && !self.subscriptions.iter().any(Subscription::is_new) {
            return;
        }
        self.telling = None;
        self.told = (self.snapshot.clone(), shown.clone());
        let mut views: HashMap<Viewer, View> = HashMap::new();
        let entity = self.room.to_sip_uri();
        let (contact, focus) = (self.contact(), Arc::clone(&self.focus));
        let outline = self.outline(&focus);
        let mut due = Vec::new();
        for subscription in &mut self.subscriptions {
            let viewer = Viewer::of(self.snapshot.as_ref(), subscription.jid.as_ref());
            let view = views.entry(viewer).or_insert_with_key(|viewer| {
                View::of(&self.room, self.snapshot.as_ref(), &shown, viewer, outline)
            });
            if !subscription.is_behind(view) {
                continue;
            }
            if let Some(until) = subscription.waits_until(now) {
                self.telling = self.telling.into_iter().chain([until]).min();
                continue;
            }
            let Some((mut notify, flow)) = in_dialog(&mut self.participants, &mut subscription.way, &contact)
            else {
                continue;
            };
            if subscription.tell(view, &entity, &mut notify, now) {
                due.push((Some(subscription.id), notify, flow));
            }
            // What one document did not hold is told by the next.
            let rest = subscription.waits_until(now).filter(|_| subscription.is_behind(view));
            self.telling = self.telling.into_iter().chain(rest).min();
        }
        self.send_all(due).await;
    }

    pub(super) async fn end_subscriptions(&mut self, ends: impl Fn(&Subscription) -> bool, reason: &str) {
        let contact = self.contact();
        let (ended, kept) = self.subscriptions.drain(..).partition(|subscription| ends(subscription));
        self.subscriptions = kept;
        let ended: Vec<Subscription> = ended;
        let mut due = Vec::new();
        for mut subscription in ended {
            let Some((mut notify, flow)) = in_dialog(&mut self.participants, &mut subscription.way, &contact)
            else {
                continue;
            };
            subscription.end(reason, &mut notify);
            due.push((None, notify, flow));
        }
        self.send_all(due).await;
    }

    /// Sends requests and listens, beside this task, whether their subscriptions are still wanted.
    pub(super) async fn send_all(&mut self, requests: Vec<(Option<u64>, Message, Flow)>) {
        let Some(endpoint) = self.focus.endpoint() else { return };
        for (subscription, request, flow) in requests {
            let sent = endpoint.request(request, flow, "0").await;
            let (focus, inbox) = (Arc::clone(&self.focus), self.inbox.clone());
            // Who stops waits a while for the answers to what is said last.
            self.focus.parts().shutdown.spawn(async move {
                let is_gone = tokio::select! {
                    answer = sent.last() => answer.map_or(true, |answer| is_ended_by(answer.status())),
                    () = focus.parts().goodbye() => true,
                };
                if let Some(id) = subscription.filter(|_| is_gone) {
                    // A conference that has ended has no subscriptions either.
                    let _ = inbox.send(Input::Unsubscribed(id)).await;
                }
            });
        }
    }
}

/// Begins a NOTIFY in the subscription's dialog.
pub(super) fn in_dialog(
    participants: &mut [Participant],
    way: &mut Way,
    contact: &str,
) -> Option<(Message, Flow)> {
    let dialog = match way {
        Way::Own(dialog) => dialog,
        Way::Leg(leg) => &mut participants.iter_mut().find(|participant| participant.leg == *leg)?.dialog,
    };
    Some((dialog.request("NOTIFY", contact), dialog.flow))
}

const MOST_SUBSCRIPTIONS: usize = 1000;
/// Of one account: a few devices, a few programs.
const MOST_OF_ACCOUNT: usize = 20;
