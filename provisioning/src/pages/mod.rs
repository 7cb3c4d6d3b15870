//! Pages for people: HTML made here, readable without a script, on a phone, in the dark, and aloud (WCAG 2.2 AA).
//!
//! In    requests of browsers. Out pages of a few KiB, one style and one short script, nothing from elsewhere.
//! Errors each form names the field and the rule; every link that is not good leads to one and the same page.

mod account;
mod admin;
mod asked;
mod assets;
pub(crate) mod astray;
mod blank;
mod compressed;
mod deeds;
mod elsewhere;
mod forgotten;
mod invite;
mod invited;
mod listing;
mod own;
mod setup;
mod sign_in;
mod timeline;
mod upload;
mod voicemail;
pub(crate) mod web_client;
pub(crate) mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{DOCTYPE, Markup, html};
use words::Words;

use crate::Face;
use crate::render::Renderer;

/// The routes of all pages.
pub(crate) fn router(face: &Arc<Face>) -> Router<Arc<Face>> {
    Router::new()
        .route("/invite/{token}", get(invite::look).post(invite::accept))
        .route("/", get(|| async { crate::session::go("/account") }))
        .route("/sign-in", get(sign_in::look).post(sign_in::enter))
        .route("/sign-in/oidc", get(elsewhere::go_there))
        .route("/sign-in/oidc/callback", get(elsewhere::come_back))
        .route("/sign-in/oidc/logout", post(elsewhere::told_of_end))
        .route("/sign-in/forgotten", get(forgotten::look).post(forgotten::ask))
        .route("/sign-out", post(sign_in::leave))
        .route("/account", get(account::look))
        .route("/account/setup", get(account::set_up))
        .route("/account/picture", get(own::picture))
        .route("/account/voicemail/{id}", get(voicemail::sound))
        .route("/admin", get(admin::look))
        .route("/admin/invites", get(admin::look))
        .route("/admin/service", get(admin::look))
        .route("/admin/rooms", get(admin::look))
        .route("/admin/numbers", get(admin::look))
        .route("/admin/bans", get(admin::look))
        .route("/admin/groups", get(admin::look))
        .route("/admin/timeline", get(admin::look))
        .route("/admin/doctor", get(admin::look))
        .route(
            "/do/setPicture",
            post(deeds::run_with_file).layer(DefaultBodyLimit::max(crate::most_bytes("/do/setPicture"))),
        )
        .route("/do/{operation}", post(deeds::run))
        .route("/chat", get(|| async { crate::session::go("/chat/") }))
        .route("/chat/", get(web_client::look))
        .route("/chat/files/{version}/{*name}", get(web_client::file))
        .route("/language/{tag}", get(words::choose))
        .route("/assets/{name}", get(assets::get))
        .layer(from_fn_with_state(Arc::clone(face), web_client::apart))
        .layer(from_fn(astray::in_words))
        .layer(map_response(guard))
        .layer(from_fn(compressed::compress))
}

/// A whole page.
fn page(status: StatusCode, words: &Words, heading: &str, links: &[(&str, &str)], body: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang=(words.lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                title { (heading) " – " (words.title) }
                link rel="stylesheet" href=(format!("/assets/{}", assets::STYLE.name));
                script src=(format!("/assets/{}", assets::SCRIPT.name)) defer {}
            }
            body {
                header {
                    strong { (words.title) }
                    @if !links.is_empty() {
                        nav aria-label=(words.title) { @for (path, text) in links { a href=(path) { (text) } } }
                    }
                }
                main { h1 { (heading) } (body) }
                footer { (words::links(words)) }
            }
        }
    };
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], whole.into_string()).into_response()
}

/// What every link gets that is spent, expired, revoked, forged, or half.
fn not_good(words: &Words) -> Response {
    let body = html! { section { p { (words.not_found_text) } } };
    page(StatusCode::NOT_FOUND, words, words.not_found_title, &[], &body)
}

/// What a person gets whose request failed by no fault of theirs.
fn trouble(words: &Words) -> Response {
    let body = html! { section { p role="alert" { (words.trouble) } } };
    page(StatusCode::SERVICE_UNAVAILABLE, words, words.title, &[], &body)
}

/// What a person gets whose picture is longer than what is read at all.
pub(crate) fn too_long(headers: &HeaderMap) -> Response {
    let words = Words::of(headers);
    let body = html! { section {
        p.error role="alert" { (words.picture_rule) }
        p { a href="/account" { (words.account) } }
    } };
    let mut response = page(StatusCode::PAYLOAD_TOO_LARGE, words, words.picture, &[], &body);
    put_guards(&mut response);
    response
}

/// What a browser gets that follows a link to a file: the button that fetches it, and spends the link.
pub(crate) fn fetch(headers: &HeaderMap, renderer: &Renderer, token: &str) -> Response {
    let words = Words::of(headers);
    let body = html! { section {
        p { (words.fetch_text) }
        form method="post" action=(format!("/provision/{}", renderer.file)) {
            input type="hidden" name="token" value=(token);
            button { (words.fetch) }
        }
    } };
    let heading = words::fill(words.fetch_title, renderer.client);
    let mut response = page(StatusCode::OK, words, &heading, &[], &body);
    put_guards(&mut response);
    response
}

/// What a network gets that tried too often.
fn throttled(words: &Words, wait: std::time::Duration) -> Response {
    let body = html! { section { p role="alert" { (words.throttled) } } };
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, words, words.title, &[], &body);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
}

/// What is wrong with a form: the field, and the rule in words.
type Fault = (&'static str, String);

/// One line of a form: label, hint, field, and what is wrong with it.
fn field(
    name: &str,
    label: &str,
    hint: &str,
    fault: Option<&Fault>,
    input: impl Fn(&str, bool) -> Markup,
) -> Markup {
    let wrong = fault.filter(|(field, _)| *field == name);
    let described = format!("{name}-about");
    html! {
        label for=(name) { (label) }
        (input(&described, wrong.is_some()))
        p.hint id=(described) {
            @if let Some((_, rule)) = wrong { span.error role="alert" { (rule) ". " } }
            (hint)
        }
    }
}

/// The head of a table; above buttons it says to those who only hear it what the column is.
fn head(columns: &[&str], deed: Option<&str>) -> Markup {
    html! {
        thead role="rowgroup" { tr role="row" {
            @for column in columns { th role="columnheader" { (column) } }
            @if let Some(deed) = deed { th role="columnheader" { span.unseen { (deed) } } }
        } }
    }
}

/// A line of text that may be left empty.
fn text_field(name: &str, id: &str, label: &str, value: &str, fault: Option<&str>) -> Markup {
    let about = format!("{id}-about");
    html! {
        label for=(id) { (label) }
        input id=(id) name=(name) value=(value) maxlength="256" autocapitalize="none" aria-invalid=[fault.map(|_| "true")]
            aria-describedby=[fault.map(|_| about.as_str())];
        @if let Some(rule) = fault { p.error id=(about) { (rule) } }
    }
}

/// What holds for each page: nothing from elsewhere, in no frame, kept by nobody, and no address told to others.
async fn guard(mut response: Response) -> Response {
    put_guards(&mut response);
    response
}

fn put_guards(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
}

const GUARDS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Not `no-referrer`, by which browsers hide the origin of forms from us as well.
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
];
