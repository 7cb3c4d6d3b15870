//! Who finds the account without its address, on its owner's page.

use maud::{Markup, html};

use super::account::{form, read};
use super::blank::Blank;
use super::deeds::Outcome;
use super::words::{Words, fill};
use crate::Face;
use crate::session::Session;

/// The section; `None` if it cannot be read.
pub(super) async fn section(
    face: &Face,
    words: &Words,
    session: &Session,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let now = read(face, session, "showListing").await?;
    let everybody = fill(words.found_domain, session.card.aor.domain());
    let choices =
        [("nobody", words.found_nobody), ("contacts", words.found_contacts), ("domain", everybody.as_str())];
    let (blank, listed) = (Blank::of(outcome, "setListing", &[]), now["listed"].as_str().unwrap_or_default());
    Some(html! {
        section {
            h2 { (words.found_title) }
            (form(session, "setListing", "/account", html! {
                (blank.choice_with_hint("listed", "listed", words.found_by, words.found_hint, &choices, listed))
                button.quiet { (words.save) }
            }))
        }
    })
}
