//! Invitations that nobody followed yet, each to be taken back: one's own on the page of the account, all of them for administrators.

use maud::{Markup, html};
use serde_json::Value;

use super::account::date;
use super::asked::asked_deed;
use super::head;
use super::words::Words;
use crate::session::Session;

/// The list, as an operation of the API answers it; nothing where there are none.
pub(super) fn open(words: &Words, session: &Session, listed: &Value, revoke: &str, back: &str) -> Markup {
    let all = listed["invites"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    html! { @if !all.is_empty() { table role="table" {
        (head(&[words.invites, words.left], Some(words.deed)))
        tbody role="rowgroup" { @for invite in all {
            @let id = text(&invite["id"]);
            tr role="row" {
                td role="cell" { (words.of_event("invite", &text(&invite["kind"]))) " " (text(&invite["user"])) " " (text(&invite["domain"])) " " (text(&invite["contact"])) }
                td role="cell" data-label=(words.left) { (date(words, &invite["expires"])) }
                td role="cell" { (asked_deed(words, session, revoke, back, &[("path.id", &id)], &id)) }
            }
        } }
    } } }
}
