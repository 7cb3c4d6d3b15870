//! What cannot be taken back is asked about first (WCAG 2.2, 3.3.4): by the script in a dialog, which says so by the field `sure`,
//! or, where there is none, by a page in between with the same form once more.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::account::{form, links};
use super::page;
use super::words::{Words, fill};
use crate::session::Session;

/// The question before an operation, and what its button says; none where it is done at once.
pub(super) fn question<'a>(
    words: &Words,
    operation: &str,
    field: impl Fn(&str) -> &'a str,
) -> Option<(String, &'static str)> {
    let (text, thing, label) = match operation {
        "removeOneAccount" => (words.remove_ask, field("path.address"), words.remove),
        "destroyRoom" => (words.end_room_ask, field("path.room"), words.end_room),
        "removeDevice" => (words.remove_device_ask, field("path.name"), words.remove),
        "revokeInvite" | "revokeOwnInvite" => (words.revoke_ask, field("path.id"), words.remove),
        "removeVoiceMessage" => (words.remove_message_ask, "", words.remove),
        _ => return None,
    };
    Some((fill(text, thing), label))
}

/// What the script's dialog asks before an operation on a thing.
pub(super) fn data_ask(words: &Words, operation: &str, thing: &str) -> Option<String> {
    question(words, operation, |_| thing).map(|(text, _)| text)
}

/// A button that runs such an operation.
pub(super) fn asked_deed(
    words: &Words,
    session: &Session,
    operation: &str,
    back: &str,
    fields: &[(&str, &str)],
    thing: &str,
) -> Markup {
    let field = |name: &str| fields.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| *value);
    let asked = question(words, operation, field);
    html! { @if let Some((text, label)) = asked {
        (form(session, operation, back, html! {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.quiet.small data-ask=(text) aria-label=(format!("{label}: {thing}")) { (label) }
        }))
    } }
}

/// The page in between.
pub(super) fn ask(
    words: &Words,
    session: &Session,
    operation: &str,
    (question, label): (&str, &str),
    back: &str,
    pairs: &[(String, String)],
) -> Response {
    let rest = pairs.iter().filter(|(name, _)| name != "key" && name != "back");
    let body = html! { section {
        p { (question) }
        (form(session, operation, back, html! {
            @for (name, value) in rest { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="sure" value="yes";
            button.grave { (label) }
        }))
        p { a href=(back) { (words.go_back) } }
    } };
    page(StatusCode::OK, words, words.sure_title, &links(words, session), &body)
}
