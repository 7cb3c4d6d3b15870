//! One subscription — RFC 6665 §4.2: what it was told, and what it is told next.
//!
//! In    that something was bound or is gone; a SUBSCRIBE that refreshes, fetches or ends; answers to NOTIFYs; the clock.
//! Out   NOTIFYs, one at a time.
//! State the view that was told last. What changes meanwhile is one change, so that there is no queue.
//! Errors a NOTIFY that finds nobody, or is answered 481 or its like, ends it (§4.2.2); so does the end of its account.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::Aor;
use shared_runtime::unix_millis;
use sip_core::Message;
use sip_core::dialog::Dialog;
use sip_core::subscription::{State, Wanted, is_ended_by, stopping};
use sip_core::transaction::Failure;
use sip_endpoint::{Flow, Incoming};
use tokio::sync::mpsc;

use super::document::View;
use super::{PACKAGE, Place, accept};
use crate::server::Server;

/// A NOTIFY that waits for its answer.
type Notifying = Pin<Box<dyn Future<Output = Result<Message, Failure>> + Send>>;

/// One subscription.
pub(super) struct Watch {
    server: Arc<Server>,
    _place: Place,
    aor: Aor,
    dialog: Dialog<Flow>,
    contact: String,
    event_id: Option<String>,
    expires: Instant,
    /// It was ended by its subscriber, or was a fetch: what is told next is the last.
    is_last: bool,
    version: u32,
    /// `None` if the whole is to be told.
    told: Option<View>,
    /// Something may have changed.
    is_behind: bool,
    /// Before this nothing is told but what was asked for.
    quiet_until: Instant,
    notifying: Option<Notifying>,
}

/// What ended a wait.
enum Woken {
    Asked(Option<Box<Incoming>>),
    Changed,
    Answered(Result<Message, Failure>),
    Time,
    Goodbye,
    Shutdown,
}

impl Watch {
    pub(super) fn new(
        server: Arc<Server>,
        place: Place,
        aor: Aor,
        dialog: Dialog<Flow>,
        contact: String,
        wanted: Wanted,
    ) -> Self {
        let now = Instant::now();
        Self {
            server,
            _place: place,
            aor,
            dialog,
            contact,
            event_id: wanted.event_id,
            expires: now + wanted.expires,
            is_last: wanted.expires.is_zero(),
            version: 0,
            told: None,
            is_behind: true,
            quiet_until: now,
            notifying: None,
        }
    }

    /// Serves it until it ends. Who asks at that moment is told that it is over.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Incoming>) {
        self.serve(&mut inbox).await;
        inbox.close();
        while let Some(late) = inbox.recv().await {
            late.server.respond(Message::response(&late.request, 481, ""));
        }
    }

    async fn serve(mut self, inbox: &mut mpsc::Receiver<Incoming>) {
        let server = Arc::clone(&self.server);
        let mut changes = server.awaited.wait(self.aor.clone());
        loop {
            if self.notifying.is_none() && self.is_due(Instant::now()) {
                if is_forbidden(&server, &self.aor).await {
                    return self.end("rejected", inbox).await;
                }
                self.tell().await;
            }
            if self.is_last && self.notifying.is_none() {
                return;
            }
            let (deadline, is_over) = (self.deadline(), self.is_over());
            let woken = tokio::select! {
                asked = inbox.recv() => Woken::Asked(asked.map(Box::new)),
                answer = answered(&mut self.notifying) => Woken::Answered(answer),
                () = changes.bound(), if !self.is_behind => Woken::Changed,
                () = tokio::time::sleep_until(deadline.into()), if !is_over => Woken::Time,
                () = server.goodbye.begun() => Woken::Goodbye,
                () = server.begun_shutdown() => Woken::Shutdown,
            };
            match woken {
                Woken::Asked(Some(incoming)) => self.take(*incoming),
                Woken::Changed => self.is_behind = true,
                Woken::Answered(answer) => {
                    self.notifying = None;
                    let is_over = answer.as_ref().map_or(true, |answer| is_ended_by(answer.status()));
                    if is_over || self.is_last {
                        return;
                    }
                }
                Woken::Time if Instant::now() >= self.expires => {
                    return self.end("timeout", inbox).await;
                }
                Woken::Time => {}
                Woken::Goodbye => {
                    // §4.1.3: who watches subscribes anew a little later. Who is gone is not waited for.
                    let why = stopping(shared_runtime::random());
                    let _ = tokio::time::timeout(GOODBYE, self.end(&why, inbox)).await;
                    return;
                }
                Woken::Asked(None) | Woken::Shutdown => return,
            }
        }
    }

    /// RFC 6665 §4.4.1: with its last NOTIFY a subscription is over.
    fn is_over(&self) -> bool {
        self.is_last && self.told.is_some()
    }

    /// Whether something is to be told now.
    fn is_due(&self, now: Instant) -> bool {
        self.told.is_none() || (self.is_behind && now >= self.quiet_until)
    }

    fn deadline(&self) -> Instant {
        if self.is_behind && self.notifying.is_none() {
            self.quiet_until.min(self.expires)
        } else {
            self.expires
        }
    }

    /// Tells the whole, or what changed.
    async fn tell(&mut self) {
        self.is_behind = false;
        let now = unix_millis();
        let view = match self.server.store.bindings.by_aor(&self.aor, now).await {
            Ok(bindings) => View::new(bindings),
            Err(error) => {
                tracing::warn!(%error, "a subscriber is not told what is bound");
                (self.is_behind, self.quiet_until) = (true, Instant::now() + RETRY);
                return;
            }
        };
        let document = match &self.told {
            None => Some(view.full(&self.aor, self.version, now)),
            Some(told) => view.partial(told, &self.aor, self.version, now),
        };
        let Some(document) = document else { return };
        self.version += 1;
        self.told = Some(view);
        let left = self.expires.saturating_duration_since(Instant::now());
        let state = if self.is_last { State::Terminated("timeout") } else { State::Active(left) };
        self.notify(state, Some(document)).await;
        self.quiet_until = Instant::now() + self.server.config.notify_interval;
    }

    async fn end(mut self, reason: &str, inbox: &mut mpsc::Receiver<Incoming>) {
        self.notify(State::Terminated(reason), None).await;
        loop {
            tokio::select! {
                // It changes nothing any more.
                _ = answered(&mut self.notifying) => return,
                Some(late) = inbox.recv() => late.server.respond(Message::response(&late.request, 481, "")),
            }
        }
    }

    async fn notify(&mut self, state: State<'_>, document: Option<String>) {
        let mut notify = self.dialog.request("NOTIFY", &self.contact);
        PACKAGE.head(&mut notify, self.event_id.as_deref(), state);
        if let Some(document) = document {
            notify.set_body(PACKAGE.document, document.into());
        }
        let sent = self.server.endpoint().request(notify, self.dialog.flow, "").await;
        self.notifying = Some(Box::pin(sent.last()));
    }

    /// A request inside its dialog.
    fn take(&mut self, incoming: Incoming) {
        let Incoming { request, flow, server } = incoming;
        let response = self.answer(&request, flow);
        self.server.metrics.response("SUBSCRIBE", response.status());
        server.respond(response);
    }

    fn answer(&mut self, request: &Message, flow: Flow) -> Message {
        if self.is_over() || !self.dialog.has(request) {
            return Message::response(request, 481, "");
        }
        let wanted = match PACKAGE.read(request) {
            Ok(wanted) if wanted.event_id == self.event_id => wanted,
            // RFC 6665 §4.5.2: no second subscription in a dialog.
            Ok(_) => return Message::response(request, 403, "One Subscription A Dialog"),
            Err(refusal) => return *refusal,
        };
        if !self.dialog.accept(request, flow) {
            return Message::response(request, 500, "CSeq Out Of Order");
        }
        let mut response = Message::response(request, 200, "");
        accept(&mut response, &self.contact, &wanted);
        self.expires = Instant::now() + wanted.expires;
        self.is_last = wanted.expires.is_zero();
        // §4.4.1: a refresh is told the whole.
        self.told = None;
        response
    }
}

/// RFC 6665 §4.1.3: whether the account is gone, or may not log in any more. A store that does not answer forbids nothing.
async fn is_forbidden(server: &Server, aor: &Aor) -> bool {
    let card = server.auth.directory.by_aor(aor).await;
    card.is_ok_and(|card| !card.is_some_and(|card| card.enabled))
}

/// The answer to a NOTIFY. Cancel safe.
async fn answered(notifying: &mut Option<Notifying>) -> Result<Message, Failure> {
    match notifying {
        Some(notifying) => notifying.await,
        None => std::future::pending().await,
    }
}

/// How long the answer to the last NOTIFY of a service that stops is waited for.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long a store that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(5);
