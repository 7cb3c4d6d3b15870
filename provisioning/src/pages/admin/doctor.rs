//! Whether the service is well: a button that looks, and what was found, the gravest first, with what to do.

use maud::{Markup, html};
use serde_json::Value;

use super::super::account::form;
use super::super::deeds::Outcome;
use super::super::head;
use super::super::words::Words;
use super::text;
use crate::session::Session;

pub(super) fn section(words: &Words, session: &Session, outcome: Option<&Outcome>) -> Markup {
    let looked = match outcome {
        Some(Outcome::Done("diagnose", value)) if !value.is_null() => Some(value),
        _ => None,
    };
    html! {
        section {
            p { (words.doctor_text) }
            (form(session, "diagnose", "/admin/doctor", html! { button { (words.look_now) } }))
        }
        @if let Some(looked) = looked { (found(words, looked)) }
    }
}

fn found(words: &Words, looked: &Value) -> Markup {
    let mut findings: Vec<&Value> = looked["findings"].as_array().into_iter().flatten().collect();
    // A stable sort: those that are equally grave stay in the order of the checks.
    findings.sort_by_key(|finding| !is_ill(finding));
    html! {
        section {
            @if looked["well"] == true { p.done role="status" { (words.is_well) } } @else { p.error role="alert" { (words.is_unwell) } }
            div.scroll tabindex="0" role="region" aria-label=(words.doctor) { table role="table" {
                (head(&[words.check, words.result, words.what, words.to_do], None))
                tbody role="rowgroup" { @for finding in findings.iter().take(MOST) {
                    @let severity = text(&finding["severity"]);
                    tr role="row" {
                        td role="cell" data-label=(words.check) { (words.of_event("check", &text(&finding["check"]))) }
                        td role="cell" data-label=(words.result) { @if is_ill(finding) { span.error { (words.of_event("severity", &severity)) } } @else { (words.of_event("severity", &severity)) } }
                        td role="cell" data-label=(words.what) { (words.said(&text(&finding["text"]))) }
                        @let remedy = text(&finding["remedy"]);
                        td role="cell" data-label=[(!remedy.is_empty()).then_some(words.to_do)] { (words.said(&remedy)) }
                    }
                } }
            } }
        }
    }
}

fn is_ill(finding: &Value) -> bool {
    !matches!(finding["severity"].as_str(), Some("ok" | "note"))
}

/// Findings on the page; the command prints all.
const MOST: usize = 100;
