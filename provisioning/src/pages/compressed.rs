//! Pages for strangers in gzip for who takes it (RFC 9110 §12.5.3): what a browser loads cold. [`assets`](super::assets) have their own.
//!
//! In    an answer of this face. Out the same, shorter. Errors none: what cannot be made shorter stays as it is.
//!
//! How long an answer with a secret is tells of the secret whom something lets put words beside it (BREACH). A page of somebody who is
//! signed in holds the key of forms, and beside it what strangers say: names of callers, subjects of rooms, what happened. So answers
//! to whoever shows the cookie are never compressed; nor is an address with a query, which a link says, nor what answers a POST, which
//! is where passwords, tokens and links are shown once.

use std::io::Write;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::session;

pub(super) async fn compress(request: Request, next: Next) -> Response {
    let is_safe = *request.method() == Method::GET
        && request.uri().query().is_none()
        && !session::is_shown(request.headers());
    let is_wanted = takes_gzip(request.headers());
    let mut response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/")) || response.status() != StatusCode::OK {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !(is_safe && is_wanted) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // It is one text in memory, which cannot fail.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match shorter(&whole, Compression::fast()) {
        Some(short) => {
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Body::from(short))
        }
        None => Response::from_parts(head, Body::from(whole)),
    }
}

/// A text in gzip, if that is shorter.
pub(super) fn shorter(text: &[u8], compression: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3), compression);
    let short = encoder.write_all(text).and_then(|()| encoder.finish()).ok()?;
    (short.len() < text.len()).then_some(short)
}

/// Whether a browser takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| {
        let (coding, weight) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        coding.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_who_says_that_it_is_taken() {
        let takes = |text: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]))
        };
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && takes("deflate,gzip , zstd"));
        assert!(
            !takes("") && !takes("br") && !takes("gzip;q=0, br") && !takes("gzip;q=x") && !takes("xgzip")
        );
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
