//! The page of one's own account: both halves and what is unequal about them (RFC 7081 §7), devices, sessions, password,
//! invitations, calls, the own data.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use shared_auth::Source;
use shared_model::Protection;
use shared_runtime::unix_millis;
use shared_store::StoreError;

use super::asked::asked_deed;
use super::blank::Blank;
use super::deeds::Outcome;
use super::words::{Words, fill};
use super::{head, invited, listing, own, page, setup, timeline, trouble};
use crate::Face;
use crate::api::caller::Caller;
use crate::api::{self, Ask};
use crate::calls;
use crate::profile::shown_name;
use crate::session::Session;
use crate::state::{self, Guarded, State as Up};

/// What was done before this page was loaded.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    pub(super) done: String,
    #[serde(flatten)]
    parts: Parts,
}

/// Which part of its long lists the page shows.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parts {
    /// The address of the block list behind which to go on.
    pub(super) blocked: String,
    /// The call before which to go on.
    calls: String,
    /// The entry before which what happened goes on.
    happened: String,
}

pub(super) async fn look(
    State(face): State<Arc<Face>>,
    Query(done): Query<Done>,
    headers: HeaderMap,
) -> Response {
    let session = match Session::needed(&face, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let operation = api::table().find(|operation| operation.id == done.done);
    let outcome = operation.map(|operation| Outcome::Done(operation.id, Value::Null));
    show(&face, Words::of(&headers), &session, &done.parts, outcome.as_ref()).await
}

pub(super) async fn set_up(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    let session = match Session::needed(&face, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let words = Words::of(&headers);
    let body = setup::panel(&face, words, &session.card).await;
    page(StatusCode::OK, words, words.setup_title, &links(words, &session), &body)
}

pub(super) async fn show(
    face: &Face,
    words: &Words,
    session: &Session,
    parts: &Parts,
    outcome: Option<&Outcome>,
) -> Response {
    let Ok(up) = state::of(face, &session.card).await else { return trouble(words) };
    let before = Some(parts.calls.as_str()).filter(|id| !id.is_empty());
    let calls = match calls::page(&*face.archive, session.card.account, before, MOST_CALLS).await {
        // What a link named is gone: the newest are what there is.
        Err(StoreError::NoSuchEntry) => {
            calls::page(&*face.archive, session.card.account, None, MOST_CALLS).await
        }
        calls => calls,
    };
    let Ok(calls) = calls else { return trouble(words) };
    let Ok(keeper) = face.auth.book.keeper(session.card.account).await else { return trouble(words) };
    let lists = [read(face, session, "listDevices").await, read(face, session, "listSessions").await];
    let [Some(devices), Some(sessions)] = lists else { return trouble(words) };
    // To find one's own, all that are open are read: not where there can be none.
    let invites = match face.config.users_invite || session.card.admin {
        true => read(face, session, "listOwnInvites").await,
        false => Some(Value::Null),
    };
    let Some(invites) = invites else { return trouble(words) };
    let Some(chat) = own::sections(face, words, session, &parts.blocked, outcome).await else {
        return trouble(words);
    };
    let Some(listing) = listing::section(face, words, session, outcome).await else { return trouble(words) };
    let happened = timeline::own(face, words, session, &parts.happened).await;
    let status = match outcome {
        Some(Outcome::Refused(refused)) => refused.problem.status,
        _ => StatusCode::OK,
    };
    let body = html! {
        (told(words, outcome))
        (halves(face, words, session, &up, outcome))
        (device_list(words, session, &devices, keeper, outcome))
        (session_list(words, session, &sessions))
        (forms(face, words, session, (keeper, &invites), outcome))
        (chat)
        (listing)
        (call_list(words, &calls))
        (happened)
        (data(words, session, keeper, (face.config.audit, outcome)))
    };
    page(status, words, shown_name(&session.card), &links(words, session), &body)
}

/// The pages that this person has.
pub(super) fn links<'a>(words: &'a Words, session: &Session) -> Vec<(&'static str, &'a str)> {
    let mut links = vec![("/account", words.account), ("/account/setup", words.setup_title)];
    if session.card.admin {
        links.extend([
            ("/admin", words.accounts),
            ("/admin/invites", words.invites),
            ("/admin/groups", words.groups),
            ("/admin/rooms", words.rooms),
            ("/admin/numbers", words.numbers),
            ("/admin/bans", words.bans),
            ("/admin/service", words.service),
            ("/admin/timeline", words.happened),
            ("/admin/doctor", words.doctor),
        ]);
    }
    links
}

/// What came of the form before.
pub(super) fn told(words: &Words, outcome: Option<&Outcome>) -> Markup {
    html! { @match outcome {
        // Its page shows what it answered.
        Some(Outcome::Done("diagnose", _)) => {},
        Some(Outcome::Done(_, value)) if !value.is_null() => section.note role="status" { (shown_once(words, value)) },
        Some(Outcome::Done(..)) => p.done role="status" { (words.done) },
        Some(Outcome::Refused(refused)) => p.error role="alert" { (refused.problem.detail) },
        None => {},
    } }
}

/// What is not shown again: passwords, tokens, links.
fn shown_once(words: &Words, value: &Value) -> Markup {
    let rows = [
        (words.password, "password"),
        (words.calls_as, "calls_as"),
        (words.chats_as, "chats_as"),
        (words.token, "token"),
        (words.link, "link"),
        (words.chat_uri, "xmpp"),
    ];
    html! {
        p { (words.shown_once) }
        dl { @for (label, name) in rows {
            @if let Some(text) = value[name].as_str().filter(|text| !text.is_empty()) {
                dt { (label) }
                dd { code.value data-copy=(words.copy) { (text) } }
            }
        } }
        @if let Some(link) = value["link"].as_str() { (crate::qr::picture(link, words.link)) }
    }
}

fn halves(face: &Face, words: &Words, session: &Session, up: &Up, outcome: Option<&Outcome>) -> Markup {
    let card = &session.card;
    let numbers: Vec<(&str, &str)> =
        card.numbers.iter().map(|number| (number.as_str(), number.as_str())).collect();
    html! {
        section {
            h2 { (words.halves_title) }
            dl {
                dt { (words.address) } dd.value { (card.aor) }
                @if *card.jid != *card.aor { dt { (words.chat_title) } dd.value { (card.jid) } }
                @if !card.numbers.is_empty() { dt { (words.numbers) } dd { (card.numbers.join(", ")) } }
            }
            p.hint { (words.numbers_text) @if !face.config.contact.is_empty() { " " (fill(words.numbers_ask, &face.config.contact)) } }
            @if let Some(url) = face.web_client(&card.jid) { p { a href=(url) { (words.web_client) } } }
            @if card.numbers.len() > 1 { (form(session, "setCallingNumber", "/account", html! {
                (Blank::of(outcome, "setCallingNumber", &[]).choice("number", "number", words.calling_number, &numbers, ""))
                button.quiet { (words.use_number) }
            })) }
            @for finding in &up.findings {
                @let (what, mend) = finding.words(words);
                p.note { strong { (what) } " " (mend) " " a href="/account/setup" { (words.setup_title) } }
            }
            div.pair {
                div {
                    h3 { (words.calls_title) }
                    @if up.phones.is_empty() { p { (words.no_phones) } }
                    ul { @for phone in &up.phones {
                        li.row {
                            span {
                                (phone.name) " – "
                                @if phone.guarded.is_open { span.error { (words.unencrypted) } } @else { (words.encrypted) }
                                (how(phone.guarded))
                            }
                            @if face.registrations.is_some() {
                                (deed(session, "endPhone", "/account", &[("path.id", &phone.id)], words.end, &phone.name))
                            }
                        }
                    } }
                }
                div {
                    h3 { (words.chat_title) }
                    @if up.chats.is_empty() { p { (words.no_chats) } }
                    ul { @for chat in &up.chats {
                        @let resource = &chat.resource;
                        li.row {
                            span {
                                (resource) " – "
                                @if chat.guarded.is_open { span.error { (words.unencrypted) } } @else { (words.encrypted) }
                                (how(chat.guarded))
                            }
                            @if face.own_chat.is_some() {
                                (deed(session, "endChat", "/account", &[("path.resource", resource)], words.end, resource))
                            }
                        }
                    } }
                }
            }
            @if !(up.phones.is_empty() && up.chats.is_empty()) { p.hint { (words.end_hint) } }
        }
    }
}

/// By what it is encrypted and how it logged in, as far as that is known.
fn how(Guarded { protection, proved, .. }: Guarded) -> Markup {
    let tls = protection.map(|Protection { version, suite }| format!("{version}, {suite}"));
    let known: Vec<String> = tls.into_iter().chain(proved.map(|proved| proved.by.to_owned())).collect();
    html! { @if !known.is_empty() { " (" (known.join(", ")) ")" } }
}

fn device_list(
    words: &Words,
    session: &Session,
    devices: &Value,
    keeper: Option<Source>,
    outcome: Option<&Outcome>,
) -> Markup {
    let all = devices["devices"].as_array().cloned().unwrap_or_default();
    html! {
        section {
            h2 { (words.devices_title) }
            p { (words.devices_text) }
            @if keeper.is_some() { p.note { (words.kept_devices) } }
            @if !all.is_empty() {
                table role="table" {
                    (head(&[words.device, words.since], Some(words.deed)))
                    tbody role="rowgroup" { @for device in &all {
                        @let name = device["name"].as_str().unwrap_or_default();
                        tr role="row" { td role="cell" { (name) @if device["opens_chat"] == false { " – " (words.calls_alone) } } td role="cell" data-label=(words.since) { (date(words, &device["created"])) } td role="cell" {
                            (asked_deed(words, session, "removeDevice", "/account", &[("path.name", name)], name))
                        } }
                    } }
                }
            }
            (form(session, "addDevice", "/account", html! {
                (Blank::of(outcome, "addDevice", &[]).needed("name", "device", words.device_name))
                button.quiet { (words.add_device) }
            }))
        }
    }
}

fn session_list(words: &Words, session: &Session, sessions: &Value) -> Markup {
    let all = sessions["sessions"].as_array().cloned().unwrap_or_default();
    html! {
        section {
            h2 { (words.sessions_title) }
            table role="table" {
                (head(&[words.name, words.since], Some(words.deed)))
                tbody role="rowgroup" { @for one in &all {
                    @let (id, name) = (one["id"].as_str().unwrap_or_default(), one["name"].as_str().unwrap_or_default());
                    tr role="row" {
                        td role="cell" { (name) @if one["current"] == true { " (" (words.this_one) ")" } }
                        td role="cell" data-label=(words.since) { (date(words, &one["created"])) }
                        td role="cell" { @if one["current"] != true {
                            (deed(session, "endSession", "/account", &[("path.id", id)], words.end, name))
                        } }
                    }
                } }
            }
            form method="post" action="/sign-out" {
                input type="hidden" name="key" value=(session.key);
                button.quiet { (words.sign_out) }
            }
        }
    }
}

fn forms(
    face: &Face,
    words: &Words,
    session: &Session,
    (keeper, invites): (Option<Source>, &Value),
    outcome: Option<&Outcome>,
) -> Markup {
    let change = Blank::of(outcome, "changePassword", &[]);
    html! {
        div.pair {
            section {
                h2 { (words.invite_name) }
                (form(session, "renameAccount", "/account", html! {
                    (Blank::of(outcome, "renameAccount", &[]).line("name", "name", words.invite_name, &session.card.name))
                    button.quiet { (words.save) }
                }))
                @if face.config.users_invite {
                    h2 { (words.invite_contact_title) }
                    p { (words.invite_contact_text) }
                    (form(session, "inviteContact", "/account", html! { button.quiet { (words.make_link) } }))
                }
                (invited::open(words, session, invites, "revokeOwnInvite", "/account"))
            }
            section {
                h2 { (words.change_password) }
                @if keeper.is_some() { p { (words.kept_password) } }
                @else { (form(session, "changePassword", "/account", html! {
                    input type="hidden" autocomplete="username" name="path.user" value=(session.card.aor);
                    (change.password("current", "current", words.current_password, "current-password"))
                    (change.password("password", "new", words.new_password, "new-password"))
                    button.quiet { (words.change_password) }
                })) }
            }
        }
    }
}

fn call_list(words: &Words, page: &calls::Page) -> Markup {
    let calls = &page.calls;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    html! {
        section #calls {
            h2 { (words.history_title) }
            @if calls.is_empty() { p { (words.no_calls) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(words.history_title) { table role="table" {
                    (head(&[words.time_utc, words.with, words.result], None))
                    tbody role="rowgroup" { @for call in calls {
                        tr role="row" {
                            td role="cell" data-label=(words.time_utc) { (text(&call["time"]).chars().take(16).collect::<String>().replace('T', " ")) }
                            td role="cell" data-label=(words.with) { @if call["outgoing"] == true { "→ " (text(&call["to"])) } @else { "← " (text(&call["from"])) } }
                            td role="cell" data-label=(words.result) { (result(words, &call["result"])) " " (length(words, call["seconds"].as_u64().unwrap_or(0))) }
                        }
                    } }
                } }
            }
            @if let Some(id) = &page.before { p { a href=(format!("/account?calls={id}#calls")) { (words.more) } } }
        }
    }
}

/// How a call ended.
fn result<'a>(words: &'a Words, result: &'a Value) -> &'a str {
    match result.as_str().unwrap_or_default() {
        "completed" => words.completed,
        "cut_off" => words.cut_off,
        "lost" => words.lost,
        "cancelled" => words.cancelled,
        "refused" => words.refused,
        "no_answer" => words.no_answer,
        other => other,
    }
}

fn data(
    words: &Words,
    session: &Session,
    keeper: Option<Source>,
    (audit, outcome): (Duration, Option<&Outcome>),
) -> Markup {
    let kept = match audit.as_secs().div_ceil(86_400) {
        0 => words.kept_many.to_owned(),
        days => fill(words.kept_days, &days.to_string()),
    };
    html! {
        section {
            h2 { (words.data_title) }
            p { a href="/api/v1/account/export" download="account.json" { (words.download_data) } }
            // Whose password we cannot ask for removes nothing here.
            @if keeper != Some(Source::Oidc) {
            p { (fill(words.remove_text, &kept)) }
            form method="post" action="/do/removeAccount" data-ask=(fill(words.remove_ask, session.card.aor.as_str())) {
                input type="hidden" name="key" value=(session.key);
                input type="hidden" name="back" value="/account";
                (Blank::of(outcome, "removeAccount", &[]).password("current", "remove-current", words.current_password, "current-password"))
                button.grave { (words.remove_account) }
            }
            }
        }
    }
}

/// A form that runs one operation.
pub(super) fn form(session: &Session, operation: &str, back: &str, inside: Markup) -> Markup {
    html! {
        form method="post" action=(format!("/do/{operation}")) {
            input type="hidden" name="key" value=(session.key);
            input type="hidden" name="back" value=(back);
            (inside)
        }
    }
}

/// A button that runs one operation on one thing, which its label names for who hears the page.
pub(super) fn deed(
    session: &Session,
    operation: &str,
    back: &str,
    fields: &[(&str, &str)],
    label: &str,
    thing: &str,
) -> Markup {
    form(
        session,
        operation,
        back,
        html! {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.quiet.small aria-label=(format!("{label}: {thing}")) { (label) }
        },
    )
}

/// The answer of an operation that only reads.
pub(super) async fn read(face: &Face, session: &Session, id: &str) -> Option<Value> {
    let operation = api::table().find(|operation| operation.id == id)?;
    let ask = Ask {
        caller: Caller::of_session(session),
        from: None,
        path: Default::default(),
        fields: Default::default(),
    };
    match api::run(operation, face, ask).await {
        Ok(value) => Some(value),
        Err(problem) => {
            tracing::warn!(operation = id, detail = problem.detail, "a page lacks a part");
            None
        }
    }
}

/// How long ago, in words that need no time zone.
pub(super) fn date(words: &Words, millis: &Value) -> String {
    length(words, (unix_millis() - millis.as_i64().unwrap_or_default()).unsigned_abs() / 1_000)
}

/// Seconds as people say them: of hours and days no minutes.
pub(super) fn length(words: &Words, seconds: u64) -> String {
    let (text, count) = match seconds {
        0..120 => (words.seconds, seconds),
        120..3_600 => (words.minutes, seconds / 60),
        3_600..172_800 => (words.hours, seconds / 3_600),
        _ => (words.days_long, seconds / 86_400),
    };
    fill(text, &count.to_string())
}

/// Calls that the page shows at once.
const MOST_CALLS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_seconds_is_said_in_seconds() {
        let words = Words::english();
        for (seconds, said) in [(0, "0 s"), (20, "20 s"), (119, "119 s"), (120, "2 min"), (3_599, "59 min")] {
            assert_eq!(length(words, seconds), said);
        }
        assert_eq!(length(words, 2 * 86_400), fill(words.days_long, "2"));
        let call = serde_json::json!({ "id": "1", "time": "2026-03-01T09:12:03.123Z", "from": "sip:bob@x", "to": "", "outgoing": false, "result": "completed", "seconds": 20 });
        let list = call_list(words, &calls::Page { calls: vec![call], before: None }).into_string();
        assert!(
            list.contains("Time (UTC)</th>") && list.contains("data-label=\"Time (UTC)\">2026-03-01 09:12<"),
            "{list}"
        );
        assert!(list.contains(" 20 s<"), "{list}");
    }
}
