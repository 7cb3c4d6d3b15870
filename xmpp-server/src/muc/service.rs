//! The service itself — XEP-0045 §6.1 to §6.3 (what it is, which rooms it shows), XEP-0059 1.0 (pages), XEP-0307 0.1.
//!
//! In    iqs for the rooms' domain.
//! Out   identity and features; a page of the rooms that are shown, in the order of their addresses; a name that nobody has.
//! State what was listed last, for [`FRESH`]: rooms are asked one by one, and a list that is asked for often costs once.
//! Errors `item-not-found` for a page after or before a room that is not listed; a set is `service-unavailable`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use xmpp_core::payload::disco;
use xmpp_core::payload::rsm::{self, Place, Wish};
use xmpp_core::{Element, ErrorKind, Kind, Stanza, StanzaError, ns};

use super::search::{self, Listing};
use super::task::Command;
use super::{Rooms, describe};
use crate::route::{pass, refuse};
use crate::server::Server;

/// Rooms in the order of their addresses.
type List = Arc<Vec<Listing>>;

/// What was listed last, and when.
#[derive(Default)]
pub(crate) struct Listed(Mutex<Option<(Instant, List)>>);

impl Listed {
    fn fresh(&self) -> Option<List> {
        let listed = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        listed.as_ref().filter(|(since, _)| since.elapsed() < FRESH).map(|(_, list)| Arc::clone(list))
    }

    fn set(&self, list: &List) {
        let mut listed = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *listed = Some((Instant::now(), Arc::clone(list)));
    }
}

impl Rooms {
    /// Takes an iq for the service.
    pub(crate) async fn deliver_to_service(&self, server: &Server, stanza: &Stanza) {
        if stanza.kind == Kind::Message {
            return refuse(server, stanza, &ErrorKind::ServiceUnavailable.into());
        }
        if stanza.kind != Kind::Iq || matches!(stanza.type_.as_deref(), Some("result" | "error")) {
            return;
        }
        let payload = stanza.children().into_iter().next().unwrap_or_default();
        let has_node = payload.attribute("node").is_some();
        let answer = match (payload.name.as_str(), payload.ns.as_str()) {
            _ if stanza.is_type("set") => Err(ErrorKind::ServiceUnavailable.into()),
            ("query", ns::DISCO_INFO | ns::DISCO_ITEMS) if has_node => Err(ErrorKind::ItemNotFound.into()),
            ("query", ns::DISCO_INFO) => Ok(Some(describe::service())),
            ("query", ns::DISCO_ITEMS) => self.page(&payload).await.map(Some),
            ("search", search::NS) => match search::check_rate(server, stanza.from.as_ref(), &payload) {
                Ok(()) => search::answer(&payload, &self.listed().await).map(Some),
                Err(error) => Err(error),
            },
            ("unique", ns::MUC_UNIQUE) => {
                // XEP-0307 §2: nobody guesses it, and nobody has it.
                Ok(Some(Element::new("unique", ns::MUC_UNIQUE).text_node(server.new_id())))
            }
            ("ping", ns::PING) => Ok(None),
            _ => Err(ErrorKind::ServiceUnavailable.into()),
        };
        match answer {
            Ok(answer) => pass(server, stanza.result(answer.as_ref())),
            Err(error) => refuse(server, stanza, &error),
        }
    }

    /// §6.3: all that are shown if they are few, or a page of them.
    async fn page(&self, query: &Element) -> Result<Element, StanzaError> {
        let wish = Wish::parse(query)?;
        let listed = self.listed().await;
        let (from, to) = range(&listed, &wish)?;
        let shown = &listed[from..to];
        let items = shown.iter().map(|room| (room.address.clone(), room.name.clone()));
        let items = disco::items(None, items);
        if wish == Wish::default() && shown.len() == listed.len() {
            return Ok(items);
        }
        let ids = shown
            .first()
            .zip(shown.last())
            .map(|(first, last)| (first.address.as_str(), last.address.as_str()));
        let index = (!shown.is_empty()).then_some(from as u64);
        Ok(items.child(rsm::answer(ids, index, Some(listed.len() as u64))))
    }

    /// Every room that is shown, in order.
    async fn listed(&self) -> List {
        if let Some(listed) = self.listed.fresh() {
            return listed;
        }
        if let Err(error) = self.load().await {
            tracing::error!(%error, "rooms cannot be read");
        }
        let tasks: Vec<_> = self.tasks.iter().map(|entry| entry.value().clone()).collect();
        let mut listed = Vec::new();
        for task in tasks {
            let (answer, asked) = oneshot::channel();
            if task.send(Command::Show(answer)).await.is_ok()
                && let Ok(Some(listing)) = asked.await
            {
                listed.push(listing);
            }
        }
        listed.sort_by(|a, b| a.address.cmp(&b.address));
        let listed = Arc::new(listed);
        self.listed.set(&listed);
        listed
    }
}

/// Where a page begins and ends.
fn range(listed: &[Listing], wish: &Wish) -> Result<(usize, usize), ErrorKind> {
    let most = wish.max.unwrap_or(USUAL_PAGE).min(LARGEST_PAGE);
    let find = |id: &String| {
        listed.binary_search_by(|room| room.address.cmp(id)).map_err(|_| ErrorKind::ItemNotFound)
    };
    let whole = listed.len();
    Ok(match &wish.place {
        Place::First => (0, most.min(whole)),
        Place::After(id) => {
            let from = find(id)? + 1;
            (from, (from + most).min(whole))
        }
        Place::Before(id) => {
            let to = find(id)?;
            (to.saturating_sub(most), to)
        }
        Place::Last => (whole.saturating_sub(most), whole),
    })
}

/// How long a list is shown again: what another process made, and what changed, is seen after it.
const FRESH: Duration = Duration::from_secs(2);
/// Rooms in an answer to who does not say how many.
const USUAL_PAGE: usize = 500;
const LARGEST_PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_list_in_both_directions() {
        let listed: Vec<_> = ["a", "b", "c", "d", "e"].map(Listing::named).into();
        let page = |max, place| range(&listed, &Wish { max, place });
        assert_eq!(page(Some(2), Place::First), Ok((0, 2)));
        assert_eq!(page(Some(2), Place::After("b".into())), Ok((2, 4)));
        assert_eq!(page(Some(2), Place::After("e".into())), Ok((5, 5)));
        assert_eq!(page(Some(2), Place::Before("d".into())), Ok((1, 3)));
        assert_eq!(page(Some(9), Place::Before("b".into())), Ok((0, 1)));
        assert_eq!(page(Some(2), Place::Last), Ok((3, 5)));
        assert_eq!(page(Some(0), Place::First), Ok((0, 0)));
        assert_eq!(page(None, Place::After("x".into())), Err(ErrorKind::ItemNotFound));
    }
}
