//! The style and the script: each at an address that names its content, so that browsers keep it for good, and none for longer than
//! a release (RFC 8246).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file.
pub(super) struct Asset {
    pub(super) name: String,
    ending: &'static str,
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(ending: &'static str, media_type: &'static str, text: &'static str) -> Self {
        // It keeps no secret; nodes of one release make the same of it.
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self { name: format!("cusax-{:016x}{ending}", hasher.finish()), ending, media_type, text }
    }
}

pub(super) async fn get(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT];
    let Some(asset) = all.into_iter().find(|it| name.starts_with("cusax") && name.ends_with(it.ending))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Pages of a node of another release ask by another name for what looks well enough meanwhile.
    let kept = if asset.name == name { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, kept)], asset.text).into_response()
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(".css", "text/css; charset=utf-8", include_str!("style.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(".js", "text/javascript; charset=utf-8", include_str!("cusax.js")));
