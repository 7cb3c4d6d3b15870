//! Who sits at the browser: a bearer in a cookie, and a key in each form so that no other site can send one (RFC 6265).
//!
//! In    the headers of a request, and the `key` of a form. Out the account as it is now.
//! Errors who is not signed in is sent to the page where one does; a form without its key gets 403.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared_auth::{AccountCard, Bearer, Bearers, Holder};
use shared_model::AccountId;
use shared_runtime::unix_millis;

use crate::Parts;
use crate::answer::unkept;

/// A signed-in account.
pub(crate) struct Session {
    pub(crate) card: AccountCard,
    pub(crate) bearer: Bearer,
    /// What its forms must carry.
    pub(crate) key: String,
}

impl Session {
    /// Who shows a cookie that is good.
    pub(crate) async fn of(parts: &Parts, headers: &HeaderMap) -> Option<Self> {
        let text = cookie(headers)?;
        // A store that does not answer signs nobody in; the page to do so says why it fails.
        let (bearer, card) = parts.auth.bearers.find(text, unix_millis()).await.ok()??;
        bearer.scopes.iter().any(|scope| scope == SCOPE).then(|| {
            let key = Bearers::form_key(text);
            Self { card, bearer, key }
        })
    }

    /// The session, or the way to the page where one begins.
    pub(crate) async fn needed(parts: &Parts, headers: &HeaderMap) -> Result<Self, Response> {
        Self::of(parts, headers).await.ok_or_else(|| go("/sign-in"))
    }

    /// The session, for a form that carries its key.
    pub(crate) async fn posted(parts: &Parts, headers: &HeaderMap, key: &str) -> Result<Self, Response> {
        let session = Self::needed(parts, headers).await?;
        if session.key == key && is_from_here(parts, headers) {
            return Ok(session);
        }
        Err(foreign())
    }
}

/// What a form gets that another site sent.
pub(crate) fn foreign() -> Response {
    let text = "this form is not from a page of yours; load the page again\n";
    unkept((StatusCode::FORBIDDEN, text).into_response())
}

/// Begins a session and answers the header that says so.
pub(crate) async fn begin(parts: &Parts, account: AccountId, headers: &HeaderMap) -> Option<HeaderValue> {
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let issued = parts
        .auth
        .bearers
        .issue((account, Holder::Person), &browser_name(browser), &[SCOPE], LIFETIME, unix_millis())
        .await;
    match issued {
        Ok((text, _)) => set_cookie(&text, LIFETIME.as_secs()),
        Err(error) => {
            tracing::warn!(%error, "a session could not begin");
            None
        }
    }
}

/// The header that makes a browser forget.
pub(crate) fn forget() -> Option<HeaderValue> {
    set_cookie("", 0)
}

/// To another page, by GET.
pub(crate) fn go(path: &str) -> Response {
    unkept((StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response())
}

/// Whether the browser says that the request comes from a page of ours, or says nothing.
pub(crate) fn is_from_here(parts: &Parts, headers: &HeaderMap) -> bool {
    is_ours(parts.public_url.as_deref(), headers)
}

/// An origin of ours is the host that was asked, or what `http.public_url` says: a proxy before us may name another host, or no port.
fn is_ours(public_url: Option<&str>, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let is_public =
        |host: &str| public_url.and_then(host_of).is_some_and(|own| own.eq_ignore_ascii_case(host));
    let is_same_origin = text("origin").is_none_or(|origin| {
        let host = origin.strip_prefix("https://");
        host.is_some_and(|host| text("host") == Some(host) || is_public(host))
    });
    is_same_site && is_same_origin
}

/// The host of a URL with its port, as an origin has it (RFC 6454 §6.2).
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    Some(host.strip_suffix(":443").unwrap_or(host))
}

/// Whether somebody shows a cookie, be it good or not.
pub(crate) fn is_shown(headers: &HeaderMap) -> bool {
    cookie(headers).is_some()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, NAME)
}

/// The value of a cookie.
pub(crate) fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn set_cookie(text: &str, seconds: u64) -> Option<HeaderValue> {
    let line = format!("{NAME}={text}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&line).ok()
}

/// A short name for a list of sessions: the browser and its system, as far as they say.
fn browser_name(agent: &str) -> String {
    let find = |names: &[(&'static str, &'static str)]| {
        names.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name)
    };
    let browser =
        find(&[("Firefox", "Firefox"), ("Edg/", "Edge"), ("Chrom", "Chromium"), ("Safari", "Safari")]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (one, other) => one.or(other).unwrap_or("a browser").to_owned(),
    }
}

/// `__Host-`: over TLS alone, for this host alone, for every path (RFC 6265bis §4.1.3.2).
const NAME: &str = "__Host-cusax";
/// What bearers of cookies may do: everything that the account may.
pub(crate) const SCOPE: &str = "session";
/// How long a browser stays signed in.
const LIFETIME: Duration = Duration::from_secs(14 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others_and_cannot_leave_tls() {
        assert_eq!(cookie(&headers(&[("cookie", "a=b; __Host-cusax=x_y; c=d")])), Some("x_y"));
        assert_eq!(cookie(&headers(&[("cookie", "__Host-cusaxx=1")])), None);
        let set = set_cookie("x", 9).unwrap();
        assert!(
            ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"]
                .iter()
                .all(|it| set.to_str().unwrap().contains(it))
        );
    }

    #[test]
    fn forms_of_other_sites_are_not_from_here() {
        assert!(is_ours(
            None,
            &headers(&[("host", "a:1"), ("origin", "https://a:1"), ("sec-fetch-site", "same-origin")])
        ));
        assert!(is_ours(None, &headers(&[("host", "a")])));
        assert!(!is_ours(None, &headers(&[("host", "a"), ("origin", "https://b")])));
        assert!(!is_ours(None, &headers(&[("host", "a"), ("origin", "null")])));
        assert!(!is_ours(None, &headers(&[("host", "a"), ("sec-fetch-site", "cross-site")])));
        let behind = headers(&[
            ("host", "a.example"),
            ("origin", "https://a.example:51337"),
            ("sec-fetch-site", "same-origin"),
        ]);
        assert!(!is_ours(None, &behind) && !is_ours(Some("https://a.example"), &behind));
        assert!(
            is_ours(Some("https://a.example:51337"), &behind)
                && is_ours(Some("https://A.example:51337/x"), &behind)
        );
        let plain = headers(&[("host", "inside"), ("origin", "https://a.example")]);
        assert!(
            is_ours(Some("https://a.example:443/"), &plain) && !is_ours(Some("http://a.example"), &plain)
        );
    }

    #[test]
    fn sessions_have_names_that_people_know() {
        assert_eq!(
            browser_name("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko Firefox/128.0"),
            "Firefox, Linux"
        );
        assert_eq!(browser_name("curl/8"), "a browser");
    }
}
