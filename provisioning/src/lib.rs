//! The HTTPS face: discovery for everybody, configuration for those who prove an account (RFC 7081 §2).
//!
//! In    GET and POST requests; a password or a single-use token.
//! Out   JRD, XRD, JSON, Linphone's XML, Jitsi's properties. One renderer is one file.
//! Errors 401 with one text for every wrong proof, 429 while throttled, 400 and 404 for what is not understood.
//! Not here: invites and pages for people.

mod access;
mod cusax_json;
mod host_meta;
mod jitsi;
mod linphone;
mod profile;
mod webfinger;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared_auth::Auth;
use shared_model::Spec;

pub use access::PURPOSE;

/// What this crate implements.
pub const SPECS: &[Spec] = &[
    Spec::rfc(6415).note("host-meta and host-meta.json with the WebFinger template"),
    Spec::xep(156, "1.4.0").complete(),
    Spec::rfc(7033).note("acct, sip and xmpp resources; the private links for the proven account alone"),
    Spec::rfc(7081).note("section 2: both halves, their relationship, feature switches"),
];

/// What the face is given.
#[derive(Clone)]
pub struct Parts {
    /// The domain of addresses of record and JIDs.
    pub domain: String,
    /// The host of rooms and their calls.
    pub rooms_domain: String,
    /// The host that clients connect to.
    pub host: String,
    /// The ports of the other faces; `None` where nothing listens.
    pub ports: Ports,
    /// Accounts and proofs.
    pub auth: Auth,
}

/// Where the other faces listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// SIP over UDP.
    pub sip_udp: Option<u16>,
    /// SIP over TCP.
    pub sip_tcp: Option<u16>,
    /// SIP over TLS.
    pub sip_tls: Option<u16>,
    /// XMPP with STARTTLS.
    pub xmpp: Option<u16>,
    /// XMPP with direct TLS.
    pub xmpp_tls: Option<u16>,
    /// This face.
    pub https: Option<u16>,
}

/// Every route.
pub fn router(parts: Parts) -> Router {
    Router::new()
        .route("/.well-known/webfinger", get(webfinger::answer))
        .route("/.well-known/host-meta", get(host_meta::xml))
        .route("/.well-known/host-meta.json", get(host_meta::json))
        .route("/provision/cusax.json", get(cusax_json::answer))
        .route("/provision/linphone.xml", get(linphone::answer))
        .route("/provision/jitsi.properties", get(jitsi::get).post(jitsi::post))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(Arc::new(parts))
}

/// A text of one media type that nobody may keep: it is private, and may be made of a token that is used up.
fn private(media_type: &'static str, text: String) -> Response {
    unkept(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// An answer that depends on who asked, so that no cache may give it to another.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A text of one media type that anybody may read, in browsers too (RFC 7033 §5).
fn public(media_type: &'static str, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, text).into_response()
}

/// Text inside XML.
fn escape_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The longest form that is read, in bytes; more gets 413.
const LONGEST_FORM: usize = 8 * 1024;

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
        assert_eq!(escape_xml("<a b='\"'>&\u{0}"), "&lt;a b=&apos;&quot;&apos;&gt;&amp;");
    }
}
