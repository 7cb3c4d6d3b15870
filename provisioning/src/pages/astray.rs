//! What a browser is shown whose address leads nowhere, or whose request is not understood: a page in its language. Programs get the
//! status, and no words of a library's.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::words::Words;
use super::{page, put_guards};

/// Every address that nothing is at.
pub(crate) async fn nowhere(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    match page_without_slash(&uri) {
        Some(place) if [Method::GET, Method::HEAD].contains(&method) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response()
        }
        _ => answer(StatusCode::NOT_FOUND, &headers),
    }
}

/// The page that is meant by an address with a slash at its end, as people and chat apps write it.
fn page_without_slash(uri: &Uri) -> Option<String> {
    let path = uri.path().trim_end_matches('/');
    let first = path.strip_prefix('/')?.split('/').next()?;
    let is_page = path != uri.path() && PAGES.contains(&first);
    is_page.then(|| uri.query().map_or(path.to_owned(), |query| format!("{path}?{query}")))
}

/// In place of what the library says of a request that it cannot read, and of no words at all.
pub(super) async fn in_words(request: Request, next: Next) -> Response {
    let wanted = |name| request.headers().get(&name).map(|value| (name, value.clone()));
    let told = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::COOKIE].into_iter().filter_map(wanted);
    let headers = HeaderMap::from_iter(told);
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_bare = kind.is_none_or(|kind| kind.starts_with("text/plain"));
    if !is_bare || !BARE.contains(&response.status()) {
        return response;
    }
    let mut shown = answer(response.status(), &headers);
    shown.headers_mut().extend(response.headers().get(header::ALLOW).map(|all| (header::ALLOW, all.clone())));
    shown
}

fn answer(status: StatusCode, headers: &HeaderMap) -> Response {
    let is_nothing = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return if is_nothing {
            status.into_response()
        } else {
            (status, "this request is not understood\n").into_response()
        };
    }
    let words = Words::of(headers);
    let (heading, text) = match is_nothing {
        true => (words.nowhere_title, words.nowhere_text),
        false => (words.not_understood_title, words.not_understood_text),
    };
    let body = html! { section { p { (text) } p { a href="/account" { (words.account) } } } };
    let mut response = page(status, words, heading, &[], &body);
    put_guards(&mut response);
    response
}

/// What the paths of pages begin with.
const PAGES: [&str; 4] = ["account", "admin", "invite", "sign-in"];
/// What comes without words, or with those of the library.
const BARE: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_too_many_leads_to_pages_of_ours_alone() {
        let leads = |uri: &'static str| page_without_slash(&Uri::from_static(uri));
        assert_eq!(leads("/account/").as_deref(), Some("/account"));
        assert_eq!(leads("/invite/abc//?x=1").as_deref(), Some("/invite/abc?x=1"));
        for other in ["/", "//", "//evil.example/", "/account", "/elsewhere/", "/x/account/"] {
            assert_eq!(leads(other), None, "{other}");
        }
    }
}
