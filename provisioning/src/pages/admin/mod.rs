//! Pages for administrators: accounts, groups and domains, invitations, rooms, numbers, bans, and the service: calls that are up, and who
//! changed what; what happened to an account; whether the service is well.

mod bans;
mod doctor;
mod groups;
mod numbers;
mod rooms;
mod timeline;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_model::{Address, Aor};

use super::account::{date, form, links, told};
use super::asked::data_ask;
use super::blank::Blank;
use super::deeds::Outcome;
use super::words::{Words, fill};
use super::{head, invited, page, trouble};
use crate::Face;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::api::{self, Ask};
use crate::session::Session;

/// Where to go on, and what was done before.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
    edit: String,
    done: String,
    /// The entry of the audit before which to go on.
    before: String,
    room: String,
    /// Who is in which group; what somebody is in a room, and behind whom to go on with those.
    group: String,
    affiliation: String,
    behind: String,
    /// Whose rooms.
    address: String,
    dialled: String,
    caller: String,
    /// Whose timeline or what of all, within which time, with which text, and which page of it.
    about: String,
    since: String,
    text: String,
    page: String,
}

pub(super) async fn look(
    State(face): State<Arc<Face>>,
    uri: Uri,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let session = match Session::needed(&face, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let done = api::table().find(|operation| operation.id == asked.done);
    let outcome = done.map(|operation| Outcome::Done(operation.id, Value::Null));
    draw(&face, Words::of(&headers), &session, uri.path(), &asked, outcome.as_ref()).await
}

pub(super) async fn show(
    face: &Face,
    words: &Words,
    session: &Session,
    (place, query): (&str, &str),
    outcome: Option<&Outcome>,
) -> Response {
    let uri: Uri = format!("{place}?{query}").parse().unwrap_or_default();
    let asked = Query::<Asked>::try_from_uri(&uri).map(|Query(asked)| asked).unwrap_or_default();
    draw(face, words, session, place, &asked, outcome).await
}

async fn draw(
    face: &Face,
    words: &Words,
    session: &Session,
    place: &str,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Response {
    if !session.card.admin {
        let body = html! { section { p role="alert" { (words.not_admin) } } };
        return page(StatusCode::FORBIDDEN, words, words.title, &links(words, session), &body);
    }
    let (heading, body) = match place {
        "/admin/invites" => (words.invites, invites(face, words, session, outcome).await),
        "/admin/service" => (words.service, service(face, words, session, asked).await),
        "/admin/rooms" => (words.rooms, rooms::section(face, words, session, asked, outcome).await),
        "/admin/numbers" => (words.numbers, numbers::section(face, words, session, asked).await),
        "/admin/bans" => (words.bans, bans::section(face, words, session, asked, outcome).await),
        "/admin/timeline" => (words.happened, timeline::section(face, words, session, asked).await),
        "/admin/doctor" => (words.doctor, Some(doctor::section(words, session, outcome))),
        "/admin/groups" => (words.groups, groups::section(face, words, session, asked, outcome).await),
        _ => (words.accounts, accounts(face, words, session, asked, outcome).await),
    };
    let Some(body) = body else { return trouble(words) };
    let status = match outcome {
        Some(Outcome::Refused(refused)) => refused.problem.status,
        _ => StatusCode::OK,
    };
    page(status, words, heading, &links(words, session), &html! { (told(words, outcome)) (body) })
}

async fn accounts(
    face: &Face,
    words: &Words,
    session: &Session,
    asked: &Asked,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let (text_part, group) = (asked.text.trim(), asked.group.trim());
    let fields = json!({ "after": asked.after, "max": 50, "text": text_part, "group": group });
    let listed = read(face, session, "listAccounts", fields).await?;
    let edited = Address::kept(&asked.edit).ok().map(Aor);
    let edited = match edited {
        Some(aor) => face.auth.directory.by_aor(&aor).await.ok()?,
        None => None,
    };
    let groups = match &edited {
        Some(card) => read_at(face, session, "showGroups", &[("address", &card.aor.to_string())]).await?,
        None => Value::Null,
    };
    let all = listed["accounts"].as_array()?;
    let new = Blank::of(outcome, "createAccount", &[]);
    let next = listed["after"].as_str().map(|after| {
        format!("/admin?after={}&text={}&group={}", escape(after), escape(text_part), escape(group))
    });
    Some(html! {
        @if edited.is_none() && !asked.edit.is_empty() { p.error role="alert" { (fill(words.no_account, &asked.edit)) } }
        @if let Some(card) = &edited {
            (edit(words, session, card, outcome))
            (groups::of_account(words, session, &card.aor, &groups, outcome))
        }
        section {
            form.row method="get" action="/admin" role="search" {
                (super::text_field("text", "text", words.with_text, text_part, None))
                (super::text_field("group", "group", words.group, group, None))
                button.quiet { (words.search) }
            }
            @if all.is_empty() { p { (words.none_found) } }
            @else { div.scroll tabindex="0" role="region" aria-label=(words.accounts) { table role="table" {
                (head(&[words.address, words.name, words.numbers], Some(words.deed)))
                tbody role="rowgroup" { @for account in all {
                    @let aor = text(&account["aor"]);
                    @let enabled = account["enabled"] == true;
                    @let numbers: Vec<String> = account["numbers"].as_array().into_iter().flatten().map(text).collect();
                    tr role="row" {
                        td role="cell" { a href=(format!("/admin?edit={}", escape(&aor))) { (aor) } @if account["admin"] == true { " (" (words.administrator) ")" } @if !enabled { " " span.error { (words.disabled) } } }
                        @let name = text(&account["name"]);
                        td role="cell" data-label=[(!name.is_empty()).then_some(words.name)] { (name) }
                        td role="cell" data-label=[(!numbers.is_empty()).then_some(words.numbers)] { (numbers.join(", ")) }
                        td role="cell" { (account_deeds(words, session, &aor, enabled)) }
                    }
                } }
            } } }
            @if let Some(next) = next { p { a href=(next) { (words.more) } } }
        }
        section {
            h2 { (words.new_account) }
            p { (words.new_account_text) }
            (form(session, "createAccount", "/admin", html! {
                (new.line("address", "address", words.address, ""))
                (new.line("name", "name", words.invite_name, ""))
                (new.lines("numbers", "numbers", words.numbers, ""))
                (new.tick("video", words.video))
                (new.tick("admin", words.administrator))
                button { (words.new_account) }
            }))
        }
    })
}

/// What is done to an account by one button, all of them in one form, since a page has many.
fn account_deeds(words: &Words, session: &Session, aor: &str, is_enabled: bool) -> Markup {
    let named = |label: &str| format!("{label}: {aor}");
    let (wish, label) = if is_enabled { ("false", words.disable) } else { ("true", words.enable) };
    form(
        session,
        "makeResetLink",
        "/admin",
        html! { div.row {
            input type="hidden" name="path.address" value=(aor);
            button.quiet.small aria-label=(named(words.reset_link)) { (words.reset_link) }
            button.quiet.small formaction="/do/changeAccount" name="enabled" value=(wish) aria-label=(named(label)) { (label) }
            button.grave.small formaction="/do/removeOneAccount" data-ask=[data_ask(words, "removeOneAccount", aor)]
                aria-label=(named(words.remove)) { (words.remove) }
        } },
    )
}

/// What an administrator changes about an account; what is left empty is to be empty.
fn edit(words: &Words, session: &Session, card: &AccountCard, outcome: Option<&Outcome>) -> Markup {
    let blank = Blank::of(outcome, "changeAccount", &[("path.address", card.aor.as_str())]);
    let choice = |label: &str, name: &str, is: bool| {
        let choices = [("true", words.yes), ("false", words.no)];
        blank.choice(name, &format!("edit-{name}"), label, &choices, if is { "true" } else { "false" })
    };
    let place = format!("/admin?edit={}", escape(card.aor.as_str()));
    html! {
        section {
            h2 { (card.aor) }
            p { a href=(timeline::place(card.aor.as_str())) { (words.happened) } }
            (form(session, "changeAccount", &place, html! {
                input type="hidden" name="path.address" value=(card.aor);
                (blank.line("name", "edit-name", words.invite_name, &card.name))
                (blank.lines("numbers", "edit-numbers", words.numbers, &card.numbers.join("\n")))
                (choice(words.video, "video", card.video))
                (choice(words.administrator, "admin", card.admin))
                button { (words.save) }
            }))
        }
    }
}

async fn invites(face: &Face, words: &Words, session: &Session, outcome: Option<&Outcome>) -> Option<Markup> {
    let listed = read(face, session, "listInvites", json!({})).await?;
    let all = listed["invites"].as_array()?;
    let new = Blank::of(outcome, "createInvite", &[]);
    let domains: Vec<(&str, &str)> = face.domains.iter().map(|domain| (domain, domain)).collect();
    Some(html! {
        section {
            @if all.is_empty() { p { (words.no_invites) } }
            (invited::open(words, session, &listed, "revokeInvite", "/admin/invites"))
        }
        section {
            h2 { (words.make_link) }
            (form(session, "createInvite", "/admin/invites", html! {
                (new.line("user", "user", words.user_name, ""))
                @if domains.len() > 1 { (new.choice("domain", "domain", words.domain, &domains, face.domains.main())) }
                (new.line("name", "name", words.invite_name, ""))
                @let wrong = new.fault("days");
                label for="days" { (words.days) }
                input #days name="days" type="number" min="1" max="60" value=(new.value("days", "7")) aria-invalid=[wrong.map(|_| "true")]
                    aria-describedby=[wrong.map(|_| "days-about")];
                @if let Some(rule) = wrong { p.error #days-about { (rule) } }
                (new.tick("admin", words.administrator))
                button { (words.make_link) }
            }))
        }
    })
}

async fn service(face: &Face, words: &Words, session: &Session, asked: &Asked) -> Option<Markup> {
    let up = read(face, session, "listConferences", json!({})).await?;
    let changes = read(face, session, "listChanges", json!({ "max": PAGE, "before": asked.before })).await?;
    let (conferences, listed) = (up["conferences"].as_array()?, changes["changes"].as_array()?);
    Some(html! {
        section {
            h2 { (words.conferences) }
            @if conferences.is_empty() { p { (words.no_conferences) } }
            @for conference in conferences {
                @let room = text(&conference["room"]);
                h3 { a href=(format!("/admin/rooms?room={}", escape(&room))) { (room) } }
                ul { @for one in conference["participants"].as_array().into_iter().flatten() {
                    li {
                        (text(&one["name"])) " " (text(&one["uri"])) " – " (rooms::sound(words, one))
                        @if one["encrypted"] != true { " " span.error { (words.unencrypted) } }
                    }
                } }
            }
        }
        section {
            h2 { (words.changes) }
            div.scroll tabindex="0" role="region" aria-label=(words.changes) { table role="table" {
                (head(&[words.time, words.who, words.what, words.on, words.before, words.after], None))
                tbody role="rowgroup" { @for change in listed {
                    tr role="row" {
                        td role="cell" data-label=(words.time) { (date(words, &change["time"])) }
                        td role="cell" data-label=(words.who) { (change["who"].as_str().unwrap_or("–")) @if let Some(from) = change["from"].as_str() { br; span.hint { (from) } } }
                        td role="cell" data-label=(words.what) { (words.said(&text(&change["what"]))) }
                        td role="cell" data-label=(words.on) { (text(&change["on"])) }
                        (states(words, &change["before"], &change["after"]))
                    }
                } }
            } }
            @if let Some(last) = listed.last().filter(|_| listed.len() == PAGE) {
                p { a href=(format!("/admin/service?before={}", escape(&text(&last["id"])))) { (words.more) } }
            }
        }
    })
}

/// What was and what is, in two cells: of states that are there, what differs.
fn states(words: &Words, before: &Value, after: &Value) -> Markup {
    let cell = |label: &str, state: &Value, other: &Value| {
        let shown = match (state.as_object(), other.as_object()) {
            (Some(fields), Some(others)) => {
                let differs = |(name, value): &(&String, &Value)| others.get(*name) != Some(*value);
                let differing =
                    fields.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone()));
                Value::Object(differing.collect())
            }
            _ => state.clone(),
        };
        let lines: Vec<String> = match &shown {
            Value::Null => Vec::new(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| format!("{name}: {}", word(value))).collect()
            }
            other => vec![word(other)],
        };
        html! { td role="cell" data-label=[(!lines.is_empty()).then_some(label)] { @for line in lines { div { (line) } } } }
    };
    html! { (cell(words.before, before, after)) (cell(words.after, after, before)) }
}

/// A value of a state, a text without its quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn read(face: &Face, session: &Session, id: &str, mut fields: Value) -> Option<Value> {
    let answer = asking(face, session, id, &[], fields.clone()).await;
    // A page that goes on from what is no place, or from what is last, begins again.
    let begins_again = match &answer {
        Ok(read) => read.as_object()?.values().filter_map(Value::as_array).all(Vec::is_empty),
        Err(problem) => problem.status.is_client_error(),
    };
    let all = fields.as_object_mut()?;
    let parts = [all.remove("after"), all.remove("before")];
    match begins_again && parts.into_iter().flatten().any(|part| part != "") {
        true => asking(face, session, id, &[], fields).await.ok(),
        false => answer.ok(),
    }
}

/// The same of an operation with variable parts in its path.
async fn read_at(face: &Face, session: &Session, id: &str, path: &[(&str, &str)]) -> Option<Value> {
    asking(face, session, id, path, json!({})).await.ok()
}

/// What an operation answers that only reads.
pub(super) async fn asking(
    face: &Face,
    session: &Session,
    id: &str,
    path: &[(&str, &str)],
    fields: Value,
) -> Result<Value, Problem> {
    let (Some(operation), Value::Object(fields)) = (api::table().find(|it| it.id == id), fields) else {
        return Err(Problem::nothing("operation"));
    };
    let path = path.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    api::run(operation, face, Ask { caller: Caller::of_session(session), from: None, path, fields }).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An address as the value of a query: what is neither letter, digit nor one of `.-_@`, by its bytes.
pub(super) fn escape(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Entries of the audit on one page.
const PAGE: usize = 30;
