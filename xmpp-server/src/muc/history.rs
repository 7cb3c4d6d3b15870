//! A room's history — XEP-0045 §7.2.13 (delivery), §7.2.14 (how much).
//!
//! In    messages as they were sent to all; a wish at entry.
//! Out   the newest that fit the wish, each marked with `<delay/>`.
//! State the newest in memory, all of a kept room in the archive.

use shared_store::{Entry, Position, Query, Store, StoreError};
use xmpp_core::payload::delay;
use xmpp_core::payload::muc::HistoryWish;
use xmpp_core::{Jid, Stanza, ns};

use super::room::{Effects, Room};

/// Reads the newest messages of a kept room.
pub(crate) async fn load(store: &Store, room: &mut Room) -> Result<(), StoreError> {
    let (kind, max) = (Some(KIND.to_owned()), room.most_history.max(1));
    let query = Query { kind, position: Position::Last, max, most_counted: 0, ..Query::default() };
    let page = store.archive.page(room.address.as_str(), &query).await?;
    let read = |entry: Entry| Some((entry.time, Stanza::parse(std::str::from_utf8(&entry.body).ok()?)?));
    room.history =
        page.entries.into_iter().filter_map(read).filter(|(_, message)| is_shown(message)).collect();
    Ok(())
}

impl Room {
    /// Keeps what is about to be sent to all; `id` is its stanza-id. What has no body is not shown to who enters.
    pub(crate) fn remember(&mut self, message: &Stanza, id: &str, with: &Jid, now: i64, out: &mut Effects) {
        if is_shown(message) {
            self.history.push_back((now, message.clone()));
        }
        while self.history.len() > self.most_history {
            self.history.pop_front();
        }
        out.archive.push(Entry {
            owner: self.address.as_str().to_owned(),
            id: id.to_owned(),
            with: with.bare_str().to_owned(),
            time: now,
            kind: KIND.to_owned(),
            body: message.to_bytes().to_vec(),
        });
    }

    /// Sends what somebody who enters wants and may have.
    pub(crate) fn send_history(&self, to: &Jid, wish: &HistoryWish, now: i64, out: &mut Effects) {
        let most = wish.max_stanzas.unwrap_or(self.config.history).min(self.config.history);
        let since = [wish.seconds.map(|s| now.saturating_sub(s.saturating_mul(1000))), wish.since];
        let since = since.into_iter().flatten().max().unwrap_or(i64::MIN);
        let mut characters = wish.max_chars.unwrap_or(usize::MAX);
        let mut chosen = Vec::new();
        for (time, message) in self.history.iter().rev().take(most).take_while(|(time, _)| *time >= since) {
            let mut old = message.clone();
            // §7.9: what an owner brought says itself when it was said.
            if message.find("delay", ns::DELAY).is_none() {
                old = old.with(&delay::delay(self.jid.as_str(), *time));
            }
            let old = old.addressed(message.from.as_ref(), Some(to));
            let Some(left) = characters.checked_sub(old.to_bytes().len()) else { break };
            characters = left;
            chosen.push(old);
        }
        debug_assert!(chosen.iter().all(|message| message.mentions(ns::DELAY)));
        out.stanzas.extend(chosen.into_iter().rev());
    }
}

fn is_shown(message: &Stanza) -> bool {
    message.mentions("<body") || message.mentions("<retracted")
}

/// Entries that are messages.
pub(crate) const KIND: &str = "groupchat";
