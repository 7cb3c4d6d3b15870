//! On the phone — XEP-0108 1.3 (`talking/on_the_phone`, `talking/on_video_phone`) by PEP, RFC 6121 §4.7.2.1 (`dnd`), from facts of calls (RFC 7081 §3, B-05).
//!
//! In    facts of calls; what each account said that it wants shown ([`Wish`], asked for by a command).
//! Out   while an account that wants it is in an answered call: the activity on its node, and presence that says `dnd`. After
//!       its last call the activity that was there before, and the presence as the client sent it.
//! State calls under way, and who is shown as busy: bounded. What to restore is in the store, so that a crash leaves nobody on
//!       the phone: records of [`OWNER`], collection `before`.
//! Errors an activity that the user publishes during the call stays; a `dnd` of the user's is not touched, nor ended.
//! Not here: pictures that begin or end during a call; accounts without a session here, which show nothing anyhow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Branches, CallEvent, Event, Fact, Spec};
use shared_runtime::bus::{Heard, Subscription};
use shared_store::{Expected, Record, RecordChange, StoreError};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, Stanza, StanzaError, ns};

use crate::features::store_failed;
use crate::server::Server;
use crate::{presence, pubsub};

pub(crate) const SPEC: Spec = Spec::xep(108, "1.3").note("served as others, and set while somebody calls");

/// What an account wants shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    /// The activity.
    pub(crate) activity: bool,
    /// That it does not want to be disturbed.
    pub(crate) dnd: bool,
}

impl Wish {
    pub(crate) async fn read(server: &Server, user: &Jid) -> Result<Self, StoreError> {
        let record = server.store.records.get(user.bare_str(), COLLECTION, KEY).await?;
        Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default())
    }

    pub(crate) async fn write(self, server: &Server, user: &Jid) -> Result<(), StoreError> {
        let value = serde_json::to_vec(&self).unwrap_or_default();
        server.store.records.put(user.bare_str(), COLLECTION, KEY, &value, Expected::Anything).await?;
        Ok(())
    }
}

/// Who is shown as busy.
#[derive(Default)]
pub(crate) struct OnThePhone(DashMap<String, ()>);

/// A presence as others are to see it: `dnd` while the account is on the phone, or wants it so ([`crate::undisturbed`]).
pub(crate) fn shown(server: &Server, from: &Jid, presence: &Stanza) -> Stanza {
    let is_busy = !server.on_the_phone.0.is_empty() && server.on_the_phone.0.contains_key(from.bare_str());
    let is_busy = is_busy || server.router.is_undisturbed(from.bare_str()) == Some(true);
    match is_busy && presence.type_.is_none() {
        true => busy(presence.clone()),
        false => presence.clone(),
    }
}

fn busy(presence: Stanza) -> Stanza {
    presence
        .retain(|child| !child.is("show", ns::CLIENT))
        .with(&Element::new("show", ns::CLIENT).text_node("dnd"))
}

/// Shows who is on the phone, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>) {
    let mut calls = Calls::default();
    restore_all(&server).await;
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = server.shutdown.begun() => return,
        };
        match heard {
            None => return,
            Some(Heard::Fact(Fact { event: Event::Call(event), .. })) => match calls.take(event) {
                Some(Change::Began(accounts, how)) => {
                    for account in accounts {
                        show(&server, account, Some(how)).await;
                    }
                }
                Some(Change::Ended(accounts)) => {
                    for account in accounts {
                        show(&server, account, None).await;
                    }
                }
                None => {}
            },
            Some(Heard::Fact(_)) => {}
            Some(Heard::Missed(missed)) => {
                tracing::debug!(
                    missed,
                    "facts were missed; nobody is shown on the phone until the next call"
                );
                calls = Calls::default();
                restore_all(&server).await;
            }
        }
    }
}

/// Calls under way, and who is in an answered one.
#[derive(Default)]
struct Calls {
    attempted: HashMap<String, Branches>,
    on: HashMap<AccountId, HashSet<String>>,
}

/// With what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Voice,
    Pictures,
}

/// Whose first call was answered, or whose last is over.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Began(Vec<AccountId>, How),
    Ended(Vec<AccountId>),
}

impl Calls {
    fn take(&mut self, event: CallEvent) -> Option<Change> {
        match event {
            CallEvent::Attempted { call_id, from, to, .. } => {
                if let Some(call) = self.attempted.get_mut(&call_id) {
                    call.reach(to);
                } else if self.attempted.len() < MOST_CALLS {
                    self.attempted.insert(call_id, Branches::new(from, to));
                }
                None
            }
            CallEvent::Answered { call_id, has_video } => {
                let call = self.attempted.get_mut(&call_id)?;
                call.answer();
                let mut began = Vec::new();
                for account in call.sides() {
                    let calls = self.on.entry(account).or_default();
                    let is_first = calls.is_empty();
                    if calls.insert(call_id.clone()) && is_first {
                        began.push(account);
                    }
                }
                Some(Change::Began(began, if has_video { How::Pictures } else { How::Voice }))
            }
            CallEvent::Ended { call_id, outcome, .. } => {
                if !self.attempted.get_mut(&call_id)?.end(outcome) {
                    return None;
                }
                let call = self.attempted.remove(&call_id)?;
                let over = |account: &AccountId| {
                    let Some(calls) = self.on.get_mut(account) else { return false };
                    calls.remove(&call_id);
                    let is_over = calls.is_empty();
                    if is_over {
                        self.on.remove(account);
                    }
                    is_over
                };
                Some(Change::Ended(call.sides().filter(over).collect()))
            }
            CallEvent::Ringing { .. } | CallEvent::ToldInChat { .. } => None,
        }
    }
}

/// Shows that an account is on the phone, or no longer; says when that fails.
async fn show(server: &Arc<Server>, account: AccountId, how: Option<How>) {
    let card = server.auth.directory.by_id(account).await;
    let card = card.inspect_err(|error| tracing::error!(%error, "an account of a call cannot be read"));
    let Some(jid) = card.ok().flatten().and_then(|card| card.jid.as_str().parse::<Jid>().ok()) else {
        return;
    };
    let shown = match how {
        Some(how) => begin(server, &jid, how).await,
        None => end(server, &jid).await,
    };
    if let Err(error) = shown {
        tracing::warn!(condition = error.kind.as_str(), "that somebody is on the phone could not be shown");
    }
}

async fn begin(server: &Server, user: &Jid, how: How) -> Result<(), StanzaError> {
    if server.router.sessions(user.bare_str()).is_empty() {
        return Ok(());
    }
    let wish = Wish::read(server, user).await.map_err(|error| store_failed(&error))?;
    if wish.dnd && server.on_the_phone.0.len() < MOST_CALLS {
        server.on_the_phone.0.insert(user.bare_str().to_owned(), ());
        show_again(server, user).await;
    }
    if wish.activity {
        let items = pubsub::own_items(server, user, NODE).await?;
        let before = items.last().filter(|(id, _)| id != ID);
        let before = before.map(|(_, item)| item.to_string()).unwrap_or_default();
        let records = &server.store.records;
        let put = records.put(OWNER, BEFORE, user.bare_str(), before.as_bytes(), Expected::Anything).await;
        put.map_err(|error| store_failed(&error))?;
        publish(server, user, ID, &on_the_phone(how)).await?;
    }
    Ok(())
}

async fn end(server: &Server, user: &Jid) -> Result<(), StanzaError> {
    if server.on_the_phone.0.remove(user.bare_str()).is_some() {
        show_again(server, user).await;
    }
    restore(server, user).await
}

/// Puts back the activity from before the call, if the user has not published another meanwhile. What is to be restored is
/// forgotten when it is; a call that began in between has its own.
async fn restore(server: &Server, user: &Jid) -> Result<(), StanzaError> {
    let records = &server.store.records;
    let before = records.get(OWNER, BEFORE, user.bare_str()).await;
    let Some(before) = before.map_err(|error| store_failed(&error))? else { return Ok(()) };
    let items = pubsub::own_items(server, user, NODE).await?;
    if items.last().is_some_and(|(id, _)| id == ID) {
        put_back(server, user, &before).await?;
    }
    let gone = RecordChange::delete(BEFORE, &before.key).expecting(Expected::Version(before.version));
    match records.commit(OWNER, &[gone]).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(store_failed(&error)),
    }
}

async fn put_back(server: &Server, user: &Jid, before: &Record) -> Result<(), StanzaError> {
    let before = std::str::from_utf8(&before.value).ok().and_then(|text| Element::parse(text, "").ok());
    let payload = before.as_ref().and_then(|item| item.children().next());
    match before.as_ref().zip(payload) {
        Some((item, payload)) => publish(server, user, item.attribute("id").unwrap_or(ID), payload).await,
        // XEP-0108 §3.2: an empty one says that there is none.
        None => publish(server, user, NOTHING, &Element::new("activity", NODE)).await,
    }
}

/// Nobody is on the phone, as far as is known.
async fn restore_all(server: &Server) {
    let busy: Vec<String> = server.on_the_phone.0.iter().map(|entry| entry.key().clone()).collect();
    server.on_the_phone.0.clear();
    for user in busy.iter().filter_map(|user| user.parse::<Jid>().ok()) {
        show_again(server, &user).await;
    }
    let mut after = None;
    loop {
        let page = match server.store.records.list(OWNER, BEFORE, after.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return tracing::error!(%error, "activities from before calls cannot be read"),
        };
        let Some(last) = page.last() else { return };
        after = Some(last.key.clone());
        for user in page.iter().filter_map(|record| record.key.parse::<Jid>().ok()) {
            if let Err(error) = restore(server, &user).await {
                // It stays, and is tried at the next start.
                tracing::warn!(condition = error.kind.as_str(), "an activity could not be restored");
            }
        }
    }
}

/// Sends each presence of an account again, as it is to be seen now. A `dnd` of the user's looks the same before and after.
pub(crate) async fn show_again(server: &Server, user: &Jid) {
    for session in server.router.sessions(user.bare_str()) {
        let Some(own) = session.presence.as_ref() else { continue };
        let show = own.find("show", ns::CLIENT).map(|show| show.text());
        if show.as_deref().map(str::trim) != Some("dnd") {
            let _ = presence::broadcast(server, &session.jid, own, false).await; // the log has why
        }
    }
}

async fn publish(server: &Server, user: &Jid, id: &str, payload: &Element) -> Result<(), StanzaError> {
    let access = Field::new("pubsub#access_model", "", "", "presence");
    let options = Form::new("submit", ns::PUBLISH_OPTIONS).with(access);
    pubsub::publish_own(server, user, user, NODE, id, payload, options).await
}

fn on_the_phone(how: How) -> Element {
    let how = match how {
        How::Voice => "on_the_phone",
        How::Pictures => "on_video_phone",
    };
    let talking = Element::new("talking", NODE).child(Element::new(how, NODE));
    Element::new("activity", NODE).child(talking)
}

/// Where activities are.
const NODE: &str = "http://jabber.org/protocol/activity";
/// Ours among the items of the node, and that there is none.
const ID: &str = "on-the-phone";
const NOTHING: &str = "current";
const COLLECTION: &str = "settings";
const KEY: &str = "on-the-phone";
/// Who owns what is to be restored.
const OWNER: &str = "on-the-phone";
const BEFORE: &str = "before";
const PAGE: usize = 200;
/// Calls under way that are followed.
const MOST_CALLS: usize = 50_000;

#[cfg(test)]
mod tests {
    use shared_model::CallOutcome;

    use super::*;

    #[test]
    fn who_has_two_calls_is_on_the_phone_until_the_second_ends() {
        let mut calls = Calls::default();
        let (alice, bob) = (AccountId(1), AccountId(2));
        let attempted = |id: &str, from, to| CallEvent::Attempted {
            call_id: id.to_owned(),
            from,
            from_uri: String::new(),
            is_anonymous: false,
            to,
            to_uri: String::new(),
        };
        let answered = |id: &str| CallEvent::Answered { call_id: id.to_owned(), has_video: id == "2" };
        let ended = |id: &str| CallEvent::Ended {
            call_id: id.to_owned(),
            outcome: CallOutcome::Completed,
            reason: None,
        };
        calls.take(attempted("1", Some(alice), Some(bob)));
        calls.take(attempted("2", Some(bob), None));
        assert_eq!(calls.take(answered("1")), Some(Change::Began(vec![alice, bob], How::Voice)));
        assert_eq!(calls.take(answered("1")), Some(Change::Began(vec![], How::Voice)), "once");
        assert_eq!(calls.take(answered("2")), Some(Change::Began(vec![], How::Pictures)));
        assert_eq!(calls.take(ended("1")), Some(Change::Ended(vec![alice])));
        assert_eq!(calls.take(ended("1")), None);
        assert_eq!(calls.take(ended("2")), Some(Change::Ended(vec![bob])));
        calls.take(attempted("3", Some(alice), None));
        assert_eq!(calls.take(ended("3")), Some(Change::Ended(vec![])), "it was never answered");
        assert!(calls.on.is_empty() && calls.attempted.is_empty());
    }

    /// RFC 3261 §16.6, §8.2.2.2: a proxy before us may fork one INVITE to two of ours.
    #[test]
    fn a_branch_that_is_refused_takes_no_call_from_the_other() {
        let mut calls = Calls::default();
        let (alice, bob, carol) = (AccountId(1), AccountId(2), AccountId(3));
        for to in [bob, carol] {
            calls.take(CallEvent::Attempted {
                call_id: "1".to_owned(),
                from: Some(alice),
                from_uri: String::new(),
                is_anonymous: false,
                to: Some(to),
                to_uri: String::new(),
            });
        }
        let ended = |outcome| CallEvent::Ended { call_id: "1".to_owned(), outcome, reason: None };
        assert_eq!(calls.take(ended(CallOutcome::Refused(486))), None);
        let answered = CallEvent::Answered { call_id: "1".to_owned(), has_video: false };
        let all = vec![alice, bob, carol];
        assert_eq!(calls.take(answered), Some(Change::Began(all.clone(), How::Voice)));
        assert_eq!(calls.take(ended(CallOutcome::Completed)), Some(Change::Ended(all)));
        assert!(calls.on.is_empty() && calls.attempted.is_empty());
    }

    #[test]
    fn a_busy_presence_keeps_all_but_its_show() {
        let own = Stanza::parse("<presence><show>away</show><status>x</status></presence>").unwrap();
        let shown = String::from_utf8(busy(own).to_bytes().to_vec()).unwrap();
        assert_eq!(shown, "<presence><status>x</status><show>dnd</show></presence>");
    }
}
