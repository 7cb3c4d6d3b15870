//! Pages, the style and the script in gzip for who takes it (RFC 9110 §12.5.3).
//!
//! In    an answer of this face. Out the same, shorter. Errors none: what cannot be made shorter stays as it is.
//!
//! How long an answer with a secret is tells of the secret whom its address lets put words beside it (BREACH). So answers to GET without
//! a query alone are compressed: nothing that a link says stands on such a page. What is shown once (passwords, tokens, links) answers
//! a POST; the key of forms is on pages that no other site can make a browser load as somebody, since the cookie is `SameSite=Strict`;
//! and the token on the page to set up a device is another each time.

use std::io::Write;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

pub(super) async fn compress(request: Request, next: Next) -> Response {
    let is_safe = *request.method() == Method::GET && request.uri().query().is_none();
    let is_wanted = takes_gzip(request.headers());
    let mut response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/")) || response.status() != StatusCode::OK {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !(is_safe && is_wanted) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // It is one text in memory, which cannot fail.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 3), Compression::fast());
    match encoder.write_all(&whole).and_then(|()| encoder.finish()) {
        Ok(short) if short.len() < whole.len() => {
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Body::from(short))
        }
        _ => Response::from_parts(head, Body::from(whole)),
    }
}

/// Whether a browser takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
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
