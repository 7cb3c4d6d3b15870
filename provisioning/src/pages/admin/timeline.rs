//! What happened to an account over every protocol: searched by address, time and text; each line leads to the rest of its activity.

use maud::{Markup, html};
use serde_json::json;

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
        "account": asked.account.trim(), "since": asked.since.trim(), "text": asked.text.trim(), "page": page, "max": PART,
    });
    let read = match asked.account.trim().is_empty() {
        true => None,
        false => Some(asking(face, session, "searchTimeline", &[], fields).await),
    };
    let fault = read.as_ref().and_then(|read| read.as_ref().err());
    Some(html! {
        (form(words, asked, fault))
        @match &read {
            Some(Ok(read)) => section {
                h2 { (asked.account) }
                (lines(words, read, |correlation| Some(link(asked, "", correlation, 0))))
                @if read["more"] == true { p { a href=(link(asked, &asked.since, &asked.text, page.saturating_add(1))) { (words.more) } } }
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
                (text_field("account", "account", words.address, &asked.account, of("account").as_deref()))
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

fn link(asked: &Asked, since: &str, text: &str, page: u32) -> String {
    let (account, since, text) = (escape(asked.account.trim()), escape(since.trim()), escape(text.trim()));
    format!("{PLACE}?account={account}&since={since}&text={text}&page={page}")
}

/// Where the timeline of an account is shown.
pub(super) fn place(account: &str) -> String {
    format!("{PLACE}?account={}", escape(account))
}
