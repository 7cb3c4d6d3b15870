//! The notifier — RFC 4575 §3, RFC 6665 §4.2: who watches a conference, and what they were told last.
//!
//! In    SUBSCRIBE inside the dialog of a call or outside any. Out NOTIFY, full first and then what changed.
//! State for each subscription its expiry, its version counter, the view that it was told, which is a part of the whole where that is
//! long, and when it may be told more.
//!
//! §3.9 recommends five seconds between notifications; we leave [`PAUSE`], since who is muted or speaks is of no use later.

use std::time::{Duration, Instant};

use shared_model::{AccountId, BareJid};
use sip_core::Message;
use sip_core::subscription::{Package, State};

use super::admission::Proof;
use super::dialog::Dialog;
use super::document::View;
use crate::mixer::LegId;

/// What a subscription's NOTIFY travels in.
pub(super) enum Way {
    /// The dialog of a call, which the leg keeps.
    Leg(LegId),
    /// A dialog of its own.
    Own(Box<Dialog>),
}

/// One who watches.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) way: Way,
    /// Whose it is, if the proxy proved them.
    pub(super) jid: Option<BareJid>,
    pub(super) account: Option<AccountId>,
    /// What proved them.
    pub(super) proof: Proof,
    /// The `id` parameter of Event, which tells subscriptions of one dialog apart (RFC 6665 §8.2.1).
    pub(super) event_id: Option<String>,
    pub(super) expires: Instant,
    version: u32,
    told: Option<View>,
    /// Nothing is told before.
    next: Instant,
}

impl Subscription {
    pub(super) fn new(
        id: u64,
        way: Way,
        (account, jid, proof): (Option<AccountId>, Option<BareJid>, Proof),
        event_id: Option<String>,
        expires: Instant,
    ) -> Self {
        Self { id, way, jid, account, proof, event_id, expires, version: 0, told: None, next: Instant::now() }
    }

    /// The next SUBSCRIBE wants the whole again (RFC 6665 §4.4.1).
    pub(super) fn forget(&mut self) {
        self.told = None;
    }

    /// When it may be told more; `None` if that is now.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        Some(self.next).filter(|next| self.told.is_some() && *next > now)
    }

    /// Writes into `notify` what is new since the last one; false if nothing is.
    pub(super) fn tell(&mut self, view: &View, entity: &str, notify: &mut Message, now: Instant) -> bool {
        let document = match &self.told {
            None => Some(view.first(entity, self.version)),
            Some(told) => view.partial(told, entity, self.version),
        };
        let Some((document, told)) = document else { return false };
        self.version += 1;
        self.told = Some(told);
        self.next = now + PAUSE;
        self.head(notify, State::Active(self.expires.saturating_duration_since(now)));
        notify.set_body(DOCUMENT, document.into());
        true
    }

    /// Writes into `notify` the whole and that it is over, for who only fetches or wants no more (RFC 6665 §4.4.3).
    pub(super) fn tell_last(&self, view: &View, entity: &str, notify: &mut Message) {
        self.head(notify, State::Terminated("timeout"));
        let (document, told) = view.first(entity, self.version);
        if told != *view {
            tracing::info!("who asked for one document was told of a part: it holds no more");
        }
        notify.set_body(DOCUMENT, document.into());
    }

    /// Writes into `notify` that it is over, and why (RFC 6665 §4.1.3).
    pub(super) fn end(&self, reason: &str, notify: &mut Message) {
        self.head(notify, State::Terminated(reason));
    }

    /// Whether nothing was told yet.
    pub(super) fn is_new(&self) -> bool {
        self.told.is_none()
    }

    /// Whether there is something to tell.
    pub(super) fn is_behind(&self, view: &View) -> bool {
        self.told.as_ref() != Some(view)
    }

    fn head(&self, notify: &mut Message, state: State<'_>) {
        PACKAGE.head(notify, self.event_id.as_deref(), state);
    }
}

/// RFC 4575 §3: an hour is what §3.4 recommends.
pub(super) const PACKAGE: Package = Package {
    name: "conference",
    document: DOCUMENT,
    usual: Duration::from_secs(3_600),
    briefest: Duration::from_secs(30),
    longest: Duration::from_secs(86_400),
};
/// Between two notifications of one subscription; what happens meanwhile is told together.
const PAUSE: Duration = Duration::from_secs(1);
/// §3.3: the package's document.
const DOCUMENT: &str = "application/conference-info+xml";
