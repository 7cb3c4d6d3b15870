//! The `reg` event package — RFC 3680 over RFC 6665: the owner of an AOR is told what is bound to it.
//!
//! In    SUBSCRIBE by the proved owner, outside a dialog or in that of their subscription.
//! Out   200 and a NOTIFY with the whole; NOTIFYs of what changed, not more often than `sip.notify_interval` (§4.10).
//! State a task for each subscription; at most [`MOST`], and [`MOST_OF_AOR`] for one AOR.
//! Errors 403 for others than the owner (§4.6), 489, 406, 423 as RFC 6665 has them, 481 inside an unknown dialog.
//! Not here: groups of AORs, `shortened`, `probation` and their like, which nobody causes.

mod document;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use shared_auth::Identity;
use shared_model::{Aor, Spec};
use sip_core::header::Name;
use sip_core::subscription::{Package, Wanted};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Incoming, ServerHandle};
use tokio::sync::mpsc;

use crate::destination;
use crate::server::Server;
use watch::Watch;

/// RFC 3680.
pub(crate) const SPEC: Spec = Spec::rfc(3680)
    .note("for the owner; registered, refreshed, expired, unregistered; names that devices give themselves");
/// RFC 5628.
pub(crate) const GRUUS: Spec = Spec::rfc(5628).note("public GRUUs");
/// RFC 6665.
pub(crate) const EVENTS: Spec = Spec::rfc(6665).note("notifier of reg; the focus is one of conference");

/// Subscriptions that are alive.
#[derive(Default)]
pub(crate) struct Subscriptions {
    /// By our tag and the Call-ID of their dialog.
    by_dialog: DashMap<Box<str>, mpsc::Sender<Incoming>>,
    by_aor: DashMap<Aor, usize>,
}

/// The place of one subscription; free again when it is dropped.
pub(super) struct Place {
    server: Arc<Server>,
    aor: Aor,
    dialog: Box<str>,
}

/// Whether a request is for this package: a subscription to an AOR of ours.
pub(crate) fn is_meant(request: &Message) -> bool {
    request.method() == "SUBSCRIBE" && PACKAGE.is_of(request)
}

/// Begins a subscription, or says why not. `subscriber` is who proved to have sent it.
pub(crate) async fn subscribe(
    server: &Arc<Server>,
    request: Message,
    flow: Flow,
    handle: ServerHandle,
    subscriber: Option<Identity>,
) {
    match begin(server, &request, flow, subscriber).await {
        Ok((response, watch)) => {
            server.metrics.response("SUBSCRIBE", response.status());
            handle.respond(response);
            if let Some((watch, inbox)) = watch {
                server.goodbye.spawn(watch.run(inbox));
            }
        }
        Err(refusal) => {
            server.metrics.response("SUBSCRIBE", refusal.status());
            handle.respond(*refusal);
        }
    }
}

/// The subscription that a SUBSCRIBE inside its dialog is for.
pub(crate) fn within(server: &Server, request: &Message) -> Option<mpsc::Sender<Incoming>> {
    let tag = request.to_tag().filter(|_| request.method() == "SUBSCRIBE")?;
    server.subscriptions.by_dialog.get(&key(tag, request.call_id())).map(|inbox| inbox.clone())
}

type Begun = (Message, Option<(Watch, mpsc::Receiver<Incoming>)>);

async fn begin(
    server: &Arc<Server>,
    request: &Message,
    flow: Flow,
    subscriber: Option<Identity>,
) -> Result<Begun, Box<Message>> {
    let refuse = |status, reason| Box::new(Message::response(request, status, reason));
    crate::routing::refuse_required(request)?;
    if server.goodbye.is_begun() {
        let mut later = refuse(503, "Stopping");
        later.push(Name::RetryAfter, "5");
        return Err(later);
    }
    let wanted = PACKAGE.read(request)?;
    let owner = owner(server, request).await;
    // §4.6: to others it looks the same whether somebody has this address.
    let is_own = |subscriber: &Identity| owner == Some(subscriber.account);
    let Some(subscriber) = subscriber.filter(is_own) else {
        return Err(refuse(403, "Not Your Address Of Record"));
    };
    let mut response = Message::response(request, 200, "");
    response.set(Name::To, &tagged(request, &format!("{:016x}", shared_runtime::random())));
    for route in request.elements(Name::RecordRoute) {
        response.push(Name::RecordRoute, route);
    }
    let contact = contact(server, &flow);
    accept(&mut response, &contact, &wanted);
    let dialog = sip_core::dialog::Dialog::begun_by(request, &response, flow);
    let dialog = dialog.ok_or_else(|| refuse(400, "No Contact"))?;
    let (inbox, incoming) = mpsc::channel(INBOX);
    let place = server.clone().place(&subscriber.aor, &dialog.local_tag, &dialog.call_id, inbox);
    let place = place.ok_or_else(|| refuse(503, "Too Many Subscriptions"))?;
    let watch = Watch::new(Arc::clone(server), place, subscriber.aor, dialog, contact, wanted);
    Ok((response, Some((watch, incoming))))
}

/// Whose AOR the Request-URI names.
async fn owner(server: &Server, request: &Message) -> Option<shared_model::AccountId> {
    let uri = Uri::parse(request.uri())?;
    // A store that does not answer proves nothing.
    destination::account_of(server, &uri).await.ok().flatten().map(|account| account.account)
}

/// Puts into a 2xx what a SUBSCRIBE is told.
fn accept(response: &mut Message, contact: &str, wanted: &Wanted) {
    response.push(Name::Contact, contact);
    response.push(Name::Expires, &wanted.expires.as_secs().to_string());
}

/// Our address in a dialog over a flow.
fn contact(server: &Server, flow: &Flow) -> String {
    format!("<sip:{};transport={}>", server.endpoint().address_on(flow), flow.transport.as_param())
}

fn tagged(request: &Message, tag: &str) -> String {
    format!("{};tag={tag}", request.value(Name::To).unwrap_or_default())
}

fn key(local_tag: &str, call_id: &str) -> Box<str> {
    format!("{local_tag} {call_id}").into()
}

impl Server {
    fn place(
        self: Arc<Self>,
        aor: &Aor,
        local_tag: &str,
        call_id: &str,
        inbox: mpsc::Sender<Incoming>,
    ) -> Option<Place> {
        let subscriptions = &self.subscriptions;
        let mut count = subscriptions.by_aor.entry(aor.clone()).or_insert(0);
        if *count >= MOST_OF_AOR || subscriptions.by_dialog.len() >= MOST {
            return None;
        }
        *count += 1;
        drop(count);
        let dialog = key(local_tag, call_id);
        subscriptions.by_dialog.insert(dialog.clone(), inbox);
        Some(Place { aor: aor.clone(), dialog, server: self })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let subscriptions = &self.server.subscriptions;
        subscriptions.by_dialog.remove(&self.dialog);
        if let Some(mut count) = subscriptions.by_aor.get_mut(&self.aor) {
            *count -= 1;
        }
        subscriptions.by_aor.remove_if(&self.aor, |_, count| *count == 0);
    }
}

/// RFC 3680 §4.4, §4.5.
const PACKAGE: Package = Package {
    name: "reg",
    document: "application/reginfo+xml",
    usual: Duration::from_secs(3_761),
    briefest: Duration::from_secs(60),
    longest: Duration::from_secs(86_400),
};
/// Subscriptions at once.
const MOST: usize = 20_000;
/// Subscriptions to one AOR: as many devices as somebody has, and some that are gone.
const MOST_OF_AOR: usize = 20;
/// Requests that wait for a subscription.
const INBOX: usize = 4;
