//! Answers: what may be kept and by whom, and text that stays inside what it is written into.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A text of one media type that nobody may keep: it is private, and may be made of a token that is used up.
pub(crate) fn private(media_type: &'static str, text: String) -> Response {
    unkept(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// An answer that depends on who asked, so that no cache may give it to another.
pub(crate) fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A text of one media type that anybody may read, in browsers too (RFC 7033 §5).
pub(crate) fn public(media_type: &'static str, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, text).into_response()
}

/// Text inside XML, without the characters that XML 1.0 §2.2 has not.
pub(crate) fn escape_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_answers_may_be_kept_and_read_by_other_pages() {
        let (open, own) = (public("text/plain", String::new()), private("text/plain", String::new()));
        assert!(open.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(!own.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(own.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[test]
    fn xml_text_cannot_leave_its_element() {
        assert_eq!(
            escape_xml("<a b='\"'>&\u{0}\u{b}\u{fffe}\u{ffff}"),
            "&lt;a b=&apos;&quot;&apos;&gt;&amp;"
        );
    }
}
