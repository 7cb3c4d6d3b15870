//! What happened to an account, line by line: on the own page one's own, some lines at a time; administrators search that of anybody.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::admin::{asking, escape};
use super::head;
use super::words::Words;
use crate::Face;
use crate::session::Session;

/// What happened to the own account, the newest or what was before an entry; nothing where no timeline is kept.
pub(super) async fn own(face: &Face, words: &Words, session: &Session, before: &str) -> Markup {
    if face.timelines.is_none() {
        return html! {};
    }
    let read = asking(face, session, "ownTimeline", &[], json!({ "before": before, "max": PART })).await;
    html! {
        section #happened {
            h2 { (words.happened) }
            @match &read {
                Ok(read) => {
                    (lines(words, read, |_| None))
                    @if let Some(before) = read["before"].as_str() {
                        p { a href=(format!("/account?happened={}#happened", escape(before))) { (words.more) } }
                    }
                }
                Err(problem) => p.error { (words.said(&problem.detail)) },
            }
        }
    }
}

/// A table of entries; each leads to what shares its correlation, if the page can show that, and says to whom it happened, where that is not
/// said before.
pub(super) fn lines(words: &Words, read: &Value, rest: impl Fn(&Value) -> Option<String>) -> Markup {
    let entries = read["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    html! {
        @if entries.is_empty() { p { (words.nothing_happened) } } @else {
            div.scroll tabindex="0" role="region" aria-label=(words.happened) { table role="table" {
                (head(&[words.time_utc, words.event, words.what], None))
                tbody role="rowgroup" { @for entry in entries {
                    tr role="row" {
                        td role="cell" data-label=(words.time_utc) { (moment(&entry["time"])) }
                        td role="cell" {
                            @let event = text(&entry["event"]);
                            (text(&entry["protocol"])) ": " (words.said(&event.replace('_', " ")))
                            @let correlation = text(&entry["correlation"]);
                            @if let Some(link) = rest(entry) {
                                " " a href=(link) aria-label=(format!("{}: {correlation}", words.rest_of_it)) { (correlation) }
                            }
                        }
                        td role="cell" {
                            @if let Some(account) = entry["account"].as_str() { span.hint { (account) } br; }
                            (words.of_event(&event, &text(&entry["text"])))
                        }
                    }
                } }
            } }
        }
    }
}

/// To the second, since what follows what is the question.
fn moment(millis: &Value) -> String {
    let at = Timestamp::from_millisecond(millis.as_i64().unwrap_or_default()).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Entries that the own page shows at once.
const PART: u32 = 15;
