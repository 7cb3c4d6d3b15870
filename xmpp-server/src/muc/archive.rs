//! A room's archive — XEP-0313 1.1.3, section 6.1.2: who may read it is the room's affair, what it holds is `history`'s.
//!
//! In    a question of somebody who may ask. Out results from the room, then the answer.
//! Whoever sees real addresses finds them in the results as well. A room that is not kept has no archive.

use shared_store::Entry;
use xmpp_core::payload::muc::{Item, user};
use xmpp_core::{ErrorKind, Jid, Stanza, ns};

use super::history::KIND;
use super::room::Question;
use crate::features::mam;
use crate::route;
use crate::server::Server;

/// Answers a question to the archive of the room `owner`.
pub(crate) async fn answer(server: &Server, owner: &Jid, iq: &Stanza, question: Question, sees_jids: bool) {
    let show = |entry: &Entry, message: Stanza| {
        let content = message.children().into_iter().filter(|child| child.ns != ns::MUC_USER);
        // What they were when they said it is not kept.
        let item = Item { jid: Some(&entry.with), ..Item::default() };
        let real = (sees_jids && !entry.with.is_empty()).then(|| user(Some(&item), &[]));
        let content: Vec<_> = content.chain(real).collect();
        let from = message.from.clone();
        message.with_content(&content).addressed(from.as_ref(), None)
    };
    let _alone = match (&question, &iq.from) {
        (Question::Page(_), Some(from)) => Some(mam::alone(server, from).await),
        _ => None,
    };
    let answered = match question {
        Question::Page(query) if !may_ask_for(owner, query.with.as_ref(), iq.from.as_ref(), sees_jids) => {
            Err(ErrorKind::Forbidden.into())
        }
        Question::Card => return super::avatar::answer(server, owner, iq).await,
        Question::Metadata => mam::metadata(server, owner, KIND).await,
        Question::Page(query) => match mam::page(server, owner, KIND, *query, &show).await {
            Ok(page) => {
                for result in page.results {
                    if let Some(to) = &iq.from {
                        route::pass_copy(server, result.addressed(Some(owner), Some(to)));
                    }
                }
                Ok(page.fin)
            }
            Err(error) => Err(error),
        },
    };
    match answered {
        Ok(payload) => route::pass(server, iq.result(Some(&payload))),
        Err(error) => route::refuse(server, iq, &error),
    }
}

/// §4.1.1: who is not shown whose a nick is learns it by no filter either. A nick (`room/nick`) is what everybody sees.
fn may_ask_for(room: &Jid, with: Option<&Jid>, asker: Option<&Jid>, sees_jids: bool) -> bool {
    let is_shown = |with: &Jid| {
        with.bare_str() == room.as_str() || asker.is_some_and(|asker| asker.bare_str() == with.bare_str())
    };
    sees_jids || with.is_none_or(is_shown)
}
