//! The style and the script: each at an address that names its content, so that browsers keep it for good, and none for longer than
//! a release (RFC 8246).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;

use super::compressed::{shorter, takes_gzip};

/// One file.
pub(super) struct Asset {
    pub(super) name: String,
    begins: &'static str,
    ending: &'static str,
    media_type: &'static str,
    text: &'static str,
    /// The same in gzip, made once: it keeps no secret.
    short: Option<Vec<u8>>,
}

impl Asset {
    fn new(begins: &'static str, ending: &'static str, media_type: &'static str, text: &'static str) -> Self {
        // It keeps no secret; nodes of one release make the same of it.
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let short = shorter(text.as_bytes(), Compression::best());
        Self {
            name: format!("{begins}-{:016x}{ending}", hasher.finish()),
            begins,
            ending,
            media_type,
            text,
            short,
        }
    }
}

pub(super) async fn get(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*CHAT];
    let Some(asset) = all.into_iter().find(|it| name.starts_with(it.begins) && name.ends_with(it.ending))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Pages of a node of another release ask by another name for what looks well enough meanwhile.
    let kept = if asset.name == name { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, kept)];
    match asset.short.as_deref().filter(|_| takes_gzip(&headers)) {
        Some(short) => (head, [(header::CONTENT_ENCODING, "gzip")], short).into_response(),
        None => (head, asset.text).into_response(),
    }
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("cusax", ".css", "text/css; charset=utf-8", include_str!("style.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("cusax", ".js", "text/javascript; charset=utf-8", include_str!("cusax.js")));
/// What sets the [web client](super::web_client) up.
pub(super) static CHAT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("chat", ".js", "text/javascript; charset=utf-8", include_str!("chat.js")));
