//! Everything that one device needs: links and codes for those that can read them, values for those that are typed into
//! (RFC 7081 §2, C-29 of the wizards).

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use shared_auth::AccountCard;
use shared_runtime::unix_millis;

use super::page;
use super::words::{Words, fill};
use crate::access::{PURPOSE, TOKEN_LIFETIME};
use crate::render::TABLE;
use crate::{Parts, profile, qr};

/// The page after an invitation or a reset.
pub(super) async fn welcome(parts: &Parts, words: &Words, card: &AccountCard, is_new: bool) -> Response {
    let body = html! {
        @if is_new {
            p { (words.ready_text) }
            p.big { strong.value data-copy=(words.copy) { (card.aor) } }
            p { (words.ready_next) }
        } @else {
            p.done role="status" { (words.reset_done) }
        }
        (panel(parts, words, card).await)
    };
    let heading = fill(words.ready_title, profile::shown_name(card));
    page(StatusCode::OK, words, &heading, &[("/account", words.account)], &body)
}

/// What a device needs, half by half.
pub(super) async fn panel(parts: &Parts, words: &Words, card: &AccountCard) -> Markup {
    let now = unix_millis();
    let token = parts.auth.tokens.issue(PURPOSE, Some(card.account), "", TOKEN_LIFETIME, now).await;
    let linphone = token.ok().map(|token| parts.url(&format!("/provision/linphone.xml?token={token}")));
    html! {
        section {
            h2 { (words.chat_title) }
            div.pair.code {
                div {
                    p { (words.chat_text) }
                    a.button href=(card.jid.to_xmpp_uri()) { (words.chat_open) }
                    @if let Some(url) = parts.web_client(&card.jid) { p { a href=(url) { (words.web_client) } } }
                }
                (qr::picture(&card.jid.to_xmpp_uri(), words.chat_open))
            }
            h3 { (words.by_hand_title) }
            (values(words, &chat_values(parts, words, card)))
        }
        section {
            h2 { (words.calls_title) }
            @if let Some(url) = &linphone {
                div.pair.code {
                    div {
                        h3 { (words.linphone_title) }
                        p { (words.linphone_text) }
                        p { code #linphone data-copy=(words.copy) { (url) } }
                    }
                    (qr::picture(url, words.linphone_code))
                }
            }
            h3 { (words.by_hand_title) }
            (values(words, &call_values(parts, words, card)))
        }
        @if parts.web_client(&card.jid).is_none() { section {
            p { (words.no_web_client) " " a href="/account" { (words.account) } }
            @if card.admin { p.hint { (words.set_web_client) } }
        } }
        @if parts.ca.is_some() { section {
            h2 { (words.authority_title) }
            p { (words.authority_text) " " a href="/provision/ca.pem" { "ca.pem" } }
        } }
        section {
            h2 { (words.files_title) }
            p { (words.files_text) }
            ul { @for renderer in TABLE {
                li { a href=(format!("/provision/{}", renderer.file)) { (renderer.client) } }
            } }
        }
    }
}

type Row<'a> = (&'a str, String);

fn chat_values<'a>(parts: &Parts, words: &'a Words, card: &AccountCard) -> Vec<Row<'a>> {
    let port = |port: Option<u16>| port.map(|port| port.to_string());
    let rows = [
        (words.address, Some(card.jid.to_string())),
        (words.password, Some(words.password_yours.to_owned())),
        (words.server, Some(parts.host.clone())),
        (words.port_starttls, port(parts.ports.xmpp)),
        (words.port_tls, port(parts.ports.xmpp_tls)),
        (words.rooms, Some(parts.rooms_domain.clone())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn call_values<'a>(parts: &Parts, words: &'a Words, card: &AccountCard) -> Vec<Row<'a>> {
    let ways: Vec<String> =
        parts.sip().iter().map(|way| format!("{} ({})", way.transport.to_uppercase(), way.port)).collect();
    vec![
        (words.address, card.aor.to_sip_uri()),
        (words.user_name, card.aor.local().to_owned()),
        (words.domain, card.aor.domain().to_owned()),
        (words.password, words.password_yours.to_owned()),
        (words.proxy, parts.registrar()),
        (words.transport, ways.join(", ")),
    ]
}

fn values(words: &Words, rows: &[Row<'_>]) -> Markup {
    html! {
        dl { @for (name, value) in rows {
            dt { (name) }
            dd { span.value data-copy=[(*value != words.password_yours).then_some(words.copy)] { (value) } }
        } }
    }
}
