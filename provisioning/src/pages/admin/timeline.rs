//! What happened over every protocol: to an account, in a call, in a room, from an address, with a stranger; since when, and with which text.
//! Each line leads to the rest of its activity.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::timeline::lines;
use super::super::words::Words;
use super::super::{field, text_field};
use super::{Asked, asking, escape};
use crate::Face;
use crate::api::problem::Problem;
use crate::session::Session;

const PLACE: &str = "/admin/timeline";
/// Entries on one page.
const PART: u32 = 40;

pub(super) async fn section(face: &Face, words: &Words, session: &Session, asked: &Asked) -> Option<Markup> {
    let page: u32 = asked.page.parse().unwrap_or(0);
    let fields = json!({
        "about": asked.about.trim(), "since": asked.since.trim(), "text": asked.text.trim(), "page": page, "max": PART,
    });
    let read = match asked.about.trim().is_empty() {
        true => None,
        false => Some(asking(face, session, "searchTimeline", &[], fields).await),
    };
    let fault = read.as_ref().and_then(|read| read.as_ref().err());
    Some(html! {
        (form(words, asked, fault))
        @match &read {
            Some(Ok(read)) => section {
                h2 { (read["account"].as_str().unwrap_or(&asked.about)) }
                @if read["whole"] == false { p { (words.newest_alone) } }
                (lines(words, read, |entry| rest(read, entry)))
                @if read["more"] == true { p { a href=(link(&asked.about, &asked.since, &asked.text, page.saturating_add(1))) { (words.more) } } }
            },
            Some(Err(problem)) if problem.field.is_empty() => section { p.error role="alert" { (words.said(&problem.detail)) } },
            _ => {},
        }
    })
}

fn form(words: &Words, asked: &Asked, fault: Option<&Problem>) -> Markup {
    let of =
        |name: &str| fault.filter(|problem| problem.field == name).map(|problem| words.say(&problem.detail));
    let since = of("since").map(|rule| ("since", rule.into_owned()));
    html! {
        section {
            form method="get" action=(PLACE) {
                @let about = of("about").map(|rule| ("about", rule.into_owned()));
                (field("about", words.about_whom, words.about_whom_hint, about.as_ref(), |about, is_wrong| html! {
                    input #about name="about" value=(asked.about) maxlength="512" autocapitalize="none" spellcheck="false" required
                        aria-describedby=(about) aria-invalid=[is_wrong.then_some("true")];
                }))
                (field("since", words.within, words.within_hint, since.as_ref(), |about, is_wrong| html! {
                    input #since name="since" value=(asked.since) maxlength="16" autocapitalize="none" aria-describedby=(about)
                        aria-invalid=[is_wrong.then_some("true")];
                }))
                (text_field("text", "text", words.with_text, &asked.text, None))
                button.quiet { (words.search) }
            }
        }
    }
}

/// What belongs to an entry: of a call, a chat session and a room what all sides were told; of an account alone what has its correlation.
fn rest(read: &Value, entry: &Value) -> Option<String> {
    let correlation = entry["correlation"].as_str()?;
    if ["call_id", "stream", "room"].iter().any(|id| entry[id].is_string()) {
        return Some(link(correlation, "", "", 0));
    }
    let account = read["account"].as_str().or(entry["account"].as_str())?;
    Some(link(account, "", correlation, 0))
}

fn link(about: &str, since: &str, text: &str, page: u32) -> String {
    let (about, since, text) = (escape(about.trim()), escape(since.trim()), escape(text.trim()));
    format!("{PLACE}?about={about}&since={since}&text={text}&page={page}")
}

/// Where the timeline of an account is shown.
pub(super) fn place(account: &str) -> String {
    format!("{PLACE}?about={}", escape(account))
}
