//! Trunks as they are now, the number plan, and where a number would go.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::account::date;
use super::super::text_field;
use super::super::words::Words;
use super::{Asked, asking, read, text};
use crate::Face;
use crate::session::Session;

pub(super) async fn section(face: &Face, words: &Words, session: &Session, asked: &Asked) -> Option<Markup> {
    if face.telephony.is_none() {
        return Some(html! { section { p { (words.elsewhere_served) } } });
    }
    let trunks = read(face, session, "listTrunks", json!({})).await?;
    let plan = read(face, session, "showPlan", json!({})).await?;
    Some(html! {
        (look_up(face, words, session, asked, &plan).await)
        section {
            h2 { (words.trunks) }
            @let all = trunks["trunks"].as_array()?;
            @if all.is_empty() { p { (words.no_trunks) } }
            @for trunk in all { (shown(words, trunk)) }
        }
        section {
            h2 { (words.plan) }
            dl { @for (name, says) in plan.as_object()? {
                @if let Some(says) = says.as_array().filter(|says| !says.is_empty()) {
                    dt { code { (name) } }
                    dd { @for line in says { (text(line)) br; } }
                }
            } }
        }
    })
}

fn shown(words: &Words, trunk: &Value) -> Markup {
    let registered = match trunk["registered"].as_bool() {
        Some(true) => words.registered,
        Some(false) => words.unregistered,
        None => words.no_registration,
    };
    let list =
        |name: &str| trunk[name].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    html! {
        h3 { (text(&trunk["name"])) " – " @if trunk["up"] == true { (words.up) } @else { span.error { (words.down) } } }
        dl {
            dt { (words.server) } dd { (text(&trunk["server"])) " " span.hint { (list("addresses")) } }
            dt { (words.numbers) } dd { (list("prefixes")) }
            dt { (words.registration) } dd { (registered) }
            dt { (words.probe) } dd { @if trunk["probed"] == true { (words.probed) } @else { (words.unprobed) } }
            @if !trunk["answered"].is_null() { dt { (words.answered) } dd { (date(words, &trunk["answered"])) } }
            @if let Some(failed) = trunk["failed"].as_object() {
                dt { (words.failed) } dd { (date(words, &failed["time"])) ": " (text(&failed["how"])) }
            }
            dt { (words.history_title) } dd { "→ " (trunk["calls_out"]) ", ← " (trunk["calls_in"]) }
        }
    }
}

async fn look_up(face: &Face, words: &Words, session: &Session, asked: &Asked, plan: &Value) -> Markup {
    let fields = json!({ "dialled": asked.dialled, "caller": asked.caller });
    let found = match asked.dialled.is_empty() {
        true => None,
        false => Some(asking(face, session, "lookUpNumber", &[], fields).await),
    };
    let fault = |field: &str| match &found {
        Some(Err(problem)) if problem.field == field => Some(words.say(&problem.detail)),
        _ => None,
    };
    html! {
        section {
            h2 { (words.where_to) }
            form method="get" action="/admin/numbers" {
                (text_field("dialled", "dialled", words.dialled, &asked.dialled, fault("dialled").as_deref()))
                (text_field("caller", "caller", words.caller, &asked.caller, fault("caller").as_deref()))
                button.quiet { (words.look_up) }
            }
            @match &found {
                Some(Ok(route)) => div role="status" { (leads(words, route)) },
                Some(Err(problem)) if problem.field.is_empty() => p.error role="alert" { (words.said(&problem.detail)) },
                _ => {},
            }
            @if plan["enum_zones"].as_array().is_some_and(|zones| !zones.is_empty()) { p.hint { (words.enum_first) } }
        }
    }
}

fn leads(words: &Words, route: &Value) -> Markup {
    let trunks = route["trunks"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    let is_outside = !route["price"].is_null();
    html! {
        dl {
            @if let Some(to) = route["to"].as_str() { dt { (words.number) } dd.value { (to) } }
            @if let Some(account) = route["account"].as_str() { dt { (words.account_of) } dd.value { (account) } }
            @if let Some(address) = route["elsewhere"].as_str() { dt { (words.by_enum) } dd.value { (address) } }
            @if is_outside {
                dt { (words.trunks) }
                dd { @if trunks.is_empty() { span.error { (words.no_trunk_takes) } } @else { (trunks) } }
                @let price = &route["price"];
                dt { (words.cost) }
                dd {
                    (text(&price["class"])) ": " (text(&price["setup"])) " + " (text(&price["minute"])) " "
                    (text(&price["currency"])) " / min"
                }
            }
            @if route["allowed"] != true { dt { (words.rules) } dd { span.error { (words.not_allowed) } } }
        }
        @if !is_outside && route["account"].is_null() && route["elsewhere"].is_null() && route["kind"] != "ours" { p { (words.leads_nowhere) } }
    }
}
