//! Groups and domains: who is in which, and what their clients are told.

use maud::{Markup, html};
use serde_json::{Value, json};
use shared_model::Aor;

use super::super::account::form;
use super::super::blank::Blank;
use super::super::deeds::Outcome;
use super::super::words::{Words, fill};
use super::{Asked, escape, read, text};
use crate::Face;
use crate::session::Session;

const PLACE: &str = "/admin/groups";
/// Groups on one page, and members of each.
const PART: usize = 10;
const MOST_SHOWN: usize = 50;

pub(super) async fn section(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let groups = read(face, session, "listGroups", json!({})).await?;
    let domains = read(face, session, "listDomains", json!({})).await?;
    let all = groups["groups"].as_array()?;
    // In the order of their names.
    let at = all.partition_point(|group| text(&group["group"]) <= asked.after);
    // Who goes on from what is last, or not there any more, begins again.
    let behind = if at < all.len() { &all[at..] } else { all };
    let (part, rest) = behind.split_at(behind.len().min(PART));
    Some(html! {
        section {
            @if all.is_empty() { p { (words.no_groups) } }
            @for group in part {
                @let name = text(&group["group"]);
                h3 { (name) }
                @let members = group["members"].as_array()?;
                p {
                    (members.iter().take(MOST_SHOWN).map(text).collect::<Vec<_>>().join(", "))
                    @if members.len() > MOST_SHOWN { " … (" (members.len()) ")" }
                }
                (settings(words, session, &format!("group:{name}"), &group["settings"], outcome))
            }
            @if let Some(last) = part.last().filter(|_| !rest.is_empty()) {
                p { a href=(format!("{PLACE}?after={}", escape(&text(&last["group"])))) { (words.more) } }
            }
        }
        section { p { a href="/admin" { (words.set_groups) } } }
        section {
            h2 { (words.domains) }
            @for domain in domains["domains"].as_array()? {
                @let name = text(&domain["domain"]);
                h3 { (name) }
                @if domain["serves"] == "accounts" { (settings(words, session, &format!("domain:{name}"), &domain["settings"], outcome)) }
                @else { p { (words.rooms) } }
            }
        }
    })
}

/// The groups of one account, as they are now; those from elsewhere are that system's.
pub(super) fn of_account(
    words: &Words,
    session: &Session,
    aor: &Aor,
    groups: &Value,
    outcome: Option<&Outcome>,
) -> Markup {
    let list = |name: &str| groups[name].as_array().into_iter().flatten().map(text).collect::<Vec<String>>();
    let elsewhere = list("elsewhere");
    let place = format!("/admin?edit={}", escape(&aor.to_string()));
    html! {
        section {
            h2 { (words.set_groups) }
            (form(session, "setGroups", &place, html! {
                input type="hidden" name="path.address" value=(aor);
                (Blank::of(outcome, "setGroups", &[]).lines("groups", "groups", words.set_groups_text, &list("groups").join("\n")))
                @if !elsewhere.is_empty() { p.hint { (fill(words.groups_elsewhere, &elsewhere.join(", "))) } }
                button.quiet { (words.save) }
            }))
        }
    }
}

/// A layer's settings for clients, as its JSON is: there are few, and their names are in the manual.
fn settings(
    words: &Words,
    session: &Session,
    layer: &str,
    settings: &Value,
    outcome: Option<&Outcome>,
) -> Markup {
    let (id, blank) =
        (format!("settings-{layer}"), Blank::of(outcome, "setProfile", &[("path.layer", layer)]));
    html! {
        (form(session, "setProfile", PLACE, html! {
            input type="hidden" name="path.layer" value=(layer);
            (blank.lines("settings", &id, words.client_settings, &settings.to_string()))
            button.quiet.small { (words.save) }
        }))
    }
}
