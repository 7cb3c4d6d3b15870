//! Lamps of mailboxes — RFC 3842 over RFC 6665: phones are told what waits for their account.
//!
//! In    SUBSCRIBE for `message-summary` at the mailboxes' name, of accounts that the proxy proved; what waits now, as a fact.
//! Out   200 and NOTIFY with a summary (§5), at once and with each change.
//! State one task for all subscriptions, at most [`MOST`], and [`MOST_OF_ACCOUNT`] of one account.
//! Errors 403 without an account, 489, 406 and 423 as RFC 6665 has them, 481 inside an unknown dialog, 503 when there are
//! too many. Facts that were missed: every account is asked for anew. While it cannot be asked what waits, a lamp stays as
//! it is; of one that was never known nothing is said (RFC 6665 §4.2.1.2), and every [`SWEEP`] is asked again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shared_model::{AccountId, BareJid, Waiting};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::subscription::{Package, State, is_ended_by, stopping};
use sip_endpoint::Incoming;
use tokio::sync::mpsc;

use super::Focus;
use super::admission::caller;
use super::dialog::Dialog;

/// The door of the task; it starts with the first who comes.
#[derive(Default)]
pub(super) struct Lamps(OnceLock<mpsc::Sender<Input>>);

/// What the task hears.
pub(super) enum Input {
    /// A SUBSCRIBE.
    Request(Box<Incoming>),
    /// Something else waits for an account.
    Changed(BareJid, Waiting),
    /// An account was disabled or removed.
    Ended(AccountId),
    /// Facts were missed.
    Refresh,
    /// A NOTIFY found nobody.
    Gone(u64),
}

/// Whether a request is for lamps.
pub(super) fn is_meant(request: &Message) -> bool {
    request.method() == "SUBSCRIBE" && PACKAGE.is_of(request)
}

impl Focus {
    /// A SUBSCRIBE came.
    pub(super) fn light(self: &Arc<Self>, incoming: Incoming) {
        let door = self.lamps().0.get_or_init(|| {
            let (door, inputs) = mpsc::channel(INPUTS);
            let task = Task { focus: Arc::clone(self), lamps: HashMap::new(), next: 0, door: door.clone() };
            self.parts().shutdown.spawn(task.run(inputs));
            door
        });
        if let Err(refused) = door.try_send(Input::Request(Box::new(incoming)))
            && let Input::Request(incoming) = refused.into_inner()
        {
            incoming.server.respond(Message::response(&incoming.request, 503, ""));
        }
    }

    /// Something else waits for an account, or facts were missed (`None`).
    pub(crate) async fn relight(&self, changed: Option<(BareJid, Waiting)>) {
        let Some(door) = self.lamps().0.get() else { return };
        let input = changed.map_or(Input::Refresh, |(owner, waiting)| Input::Changed(owner, waiting));
        // It ends with the process alone.
        let _ = door.send(input).await;
    }

    /// An account was disabled or removed: nothing more is told it.
    pub(crate) async fn unlight(&self, account: AccountId) {
        let Some(door) = self.lamps().0.get() else { return };
        // It ends with the process alone.
        let _ = door.send(Input::Ended(account)).await;
    }
}

struct Task {
    focus: Arc<Focus>,
    lamps: HashMap<u64, Lamp>,
    next: u64,
    door: mpsc::Sender<Input>,
}

/// One subscription.
struct Lamp {
    owner: BareJid,
    /// Whose it is.
    of: AccountId,
    /// Whose AOR the summary names.
    account: String,
    dialog: Dialog,
    event_id: Option<String>,
    expires: Instant,
    /// What it was told last.
    waiting: Option<Waiting>,
    /// What waits could not be asked.
    is_stale: bool,
}

impl Task {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let shutdown = self.focus.parts().shutdown.clone();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                Some(input) = inputs.recv() => self.hear(input).await,
                _ = sweep.tick() => {
                    self.expire().await;
                    self.ask_again().await;
                }
                () = shutdown.begun() => break,
            }
        }
        // RFC 6665 §4.1.3: phones subscribe anew a little later. Who cannot be told in time finds that their lamp is not known.
        let focus = Arc::clone(&self.focus);
        let tell_all = async {
            for id in self.lamps.keys().copied().collect::<Vec<_>>() {
                self.tell(id, None, Some(&stopping(shared_runtime::random()))).await;
            }
        };
        tokio::select! {
            () = tell_all => {}
            () = focus.parts().goodbye() => {}
        }
    }

    async fn hear(&mut self, input: Input) {
        match input {
            Input::Request(incoming) => self.subscribe(*incoming).await,
            Input::Changed(owner, waiting) => self.tell_owner(&owner, waiting).await,
            Input::Refresh => {
                let owners: HashSet<BareJid> = self.lamps.values().map(|lamp| lamp.owner.clone()).collect();
                for owner in owners {
                    if let Some(waiting) = self.waiting(&owner).await {
                        self.tell_owner(&owner, waiting).await;
                    }
                }
            }
            Input::Ended(account) => {
                let ended = self.lamps.iter().filter(|(_, lamp)| lamp.of == account);
                for id in ended.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.tell(id, None, Some("rejected")).await;
                }
            }
            Input::Gone(id) => drop(self.lamps.remove(&id)),
        }
    }

    async fn subscribe(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let wanted = match PACKAGE.read(request) {
            Ok(wanted) => wanted,
            Err(refusal) => return incoming.server.respond(*refusal),
        };
        let known = self.lamps.iter_mut().find(|(_, lamp)| lamp.dialog.has(request));
        let mut response = Message::response(request, 200, "");
        let contact = self.focus.lamp_contact();
        response.push(Name::Contact, &contact);
        response.push(Name::Expires, &wanted.expires.as_secs().to_string());
        let expires = Instant::now() + wanted.expires;
        let id = if let Some((id, lamp)) = known {
            if !lamp.dialog.accept(request, incoming.flow) {
                return refuse(500, "");
            }
            lamp.expires = expires;
            incoming.server.respond(response);
            *id
        } else if request.is_in_dialog() {
            return refuse(481, "");
        } else {
            let caller = caller(request, &self.focus.parts().accounts).await;
            let Some(card) = caller.card else { return refuse(403, "A Mailbox Is Its Account's") };
            let of_account = self.lamps.values().filter(|lamp| lamp.owner == card.jid).count();
            if self.lamps.len() >= MOST || of_account >= MOST_OF_ACCOUNT {
                return refuse(503, "Too Many Subscriptions");
            }
            for route in request.elements(Name::RecordRoute) {
                response.push(Name::RecordRoute, route);
            }
            let Some(dialog) = Dialog::begun_by(request, &response, incoming.flow) else {
                return refuse(400, "No Contact");
            };
            incoming.server.respond(response);
            self.next += 1;
            let (owner, account, event_id) = (card.jid, card.aor.to_sip_uri(), wanted.event_id);
            let known = self.lamps.values().find(|lamp| lamp.owner == owner).and_then(|lamp| lamp.waiting);
            let (waiting, is_stale) = (known, false);
            let lamp =
                Lamp { owner, of: card.account, account, dialog, event_id, expires, waiting, is_stale };
            self.lamps.insert(self.next, lamp);
            self.next
        };
        let Some(owner) = self.lamps.get(&id).map(|lamp| lamp.owner.clone()) else { return };
        let waiting = self.waiting(&owner).await;
        // RFC 6665 §4.4.3: a fetch, and the end, are told once more.
        self.tell(id, waiting, wanted.expires.is_zero().then_some("timeout")).await;
    }

    /// What waits; `None` while it cannot be asked, which its lamps remember.
    async fn waiting(&mut self, owner: &BareJid) -> Option<Waiting> {
        let waiting = match &self.focus.parts().messages {
            Some(messages) => messages.waiting(owner).await,
            None => Ok(Waiting::default()),
        };
        self.lamps
            .values_mut()
            .filter(|lamp| lamp.owner == *owner)
            .for_each(|lamp| lamp.is_stale = waiting.is_err());
        waiting
            .inspect_err(|unavailable| tracing::warn!(%unavailable, "a lamp does not know what waits"))
            .ok()
    }

    /// Asks for what could not be asked, until that fails again.
    async fn ask_again(&mut self) {
        let stale = self.lamps.values().filter(|lamp| lamp.is_stale).map(|lamp| lamp.owner.clone());
        for owner in stale.collect::<HashSet<_>>() {
            let Some(waiting) = self.waiting(&owner).await else { return };
            self.tell_owner(&owner, waiting).await;
        }
    }

    async fn tell_owner(&mut self, owner: &BareJid, waiting: Waiting) {
        let of_owner = self.lamps.iter().filter(|(_, lamp)| lamp.owner == *owner);
        for id in of_owner.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell(id, Some(waiting), None).await;
        }
    }

    async fn expire(&mut self) {
        let now = Instant::now();
        let over = self.lamps.iter().filter(|(_, lamp)| lamp.expires <= now);
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(owner) = self.lamps.get(&id).map(|lamp| lamp.owner.clone()) else { continue };
            let waiting = self.waiting(&owner).await;
            self.tell(id, waiting, Some("timeout")).await;
        }
    }

    /// Tells one subscription what waits, or what it knew; for the last time, if there is a reason.
    async fn tell(&mut self, id: u64, waiting: Option<Waiting>, end: Option<&str>) {
        let contact = self.focus.lamp_contact();
        let Some(lamp) = self.lamps.get_mut(&id) else { return };
        let mut notify = lamp.dialog.request("NOTIFY", &contact);
        let left = lamp.expires.saturating_duration_since(Instant::now());
        let state = end.map_or(State::Active(left), State::Terminated);
        PACKAGE.head(&mut notify, lamp.event_id.as_deref(), state);
        lamp.waiting = waiting.or(lamp.waiting);
        if let Some(waiting) = lamp.waiting {
            notify.set_body(PACKAGE.document, summary(&lamp.account, waiting).into());
        }
        let flow = lamp.dialog.flow;
        if end.is_some() {
            self.lamps.remove(&id);
        }
        let Some(endpoint) = self.focus.endpoint() else { return };
        let sent = endpoint.request(notify, flow, "0").await;
        let (focus, door) = (Arc::clone(&self.focus), self.door.clone());
        // Who stops waits a while for the answers to what is said last.
        self.focus.parts().shutdown.spawn(async move {
            let is_gone = tokio::select! {
                answer = sent.last() => answer.map_or(true, |answer| is_ended_by(answer.status())),
                () = focus.parts().goodbye() => true,
            };
            if is_gone {
                // The task ends with the process alone.
                let _ = door.send(Input::Gone(id)).await;
            }
        });
    }
}

/// §5.2.
fn summary(account: &str, waiting: Waiting) -> String {
    let Waiting { new, old } = waiting;
    let is_waiting = if new > 0 { "yes" } else { "no" };
    format!("Messages-Waiting: {is_waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old}\r\n")
}

/// RFC 3842 §3.
const PACKAGE: Package = Package {
    name: "message-summary",
    document: "application/simple-message-summary",
    usual: Duration::from_secs(3_600),
    briefest: Duration::from_secs(60),
    longest: Duration::from_secs(86_400),
};
/// How often is looked for subscriptions that are over, and for lamps that could not be told.
const SWEEP: Duration = Duration::from_secs(2);
const INPUTS: usize = 1_024;
const MOST: usize = 20_000;
const MOST_OF_ACCOUNT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_how_many_are_new() {
        assert_eq!(
            summary("sip:bob@x", Waiting { new: 2, old: 8 }),
            "Messages-Waiting: yes\r\nMessage-Account: sip:bob@x\r\nVoice-Message: 2/8\r\n"
        );
        assert!(summary("sip:bob@x", Waiting { new: 0, old: 8 }).starts_with("Messages-Waiting: no\r\n"));
    }
}
