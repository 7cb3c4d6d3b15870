//! Files over HTTP — XEP-0363 1.2.0, sections 7 (PUT), 8 (CORS), 9.1 (isolation); RFC 9110 §14 (one range).
//!
//! In    PUT with the words of a slot, its length and its media type; GET and HEAD by whoever knows the URL; OPTIONS.
//! Out   201 when the file is durable; the file, whole or a range of it.
//! Errors PUT: 403 (no slot, or not any more), 409 (done before), 411, 413 (length), 415 (type), 408 (the body does not come),
//!        503 (too many at once), 507 (no space). GET: 404, 416.
//!
//! No file is ever run here: browsers show pictures, sound and text, save the rest, and may do nothing else with it.

use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::{StreamExt, stream};
use shared_runtime::http::{Deadline, Range, is_known};
use shared_runtime::unix_millis;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::timeout;

use super::files::{About, Incoming};
use super::slot::{FileId, Slot};
use super::{Left, UNSAFE, Uploads};

/// The routes below `/upload`.
pub(crate) fn route(uploads: Arc<Uploads>) -> Router {
    Router::new()
        .route("/upload/{id}/{name}", get(download).put(upload).options(preflight))
        .with_state(uploads)
}

/// §8: pages of other hosts may leave and fetch files, too.
async fn preflight() -> Response {
    shared(StatusCode::NO_CONTENT.into_response())
}

async fn upload(
    State(uploads): State<Arc<Uploads>>,
    Path((id, _)): Path<(String, String)>,
    Extension(deadline): Extension<Deadline>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    deadline.waive();
    let answer = match receive(&uploads, &id, &headers, body).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err((status, why)) => (status, format!("{why}\n")).into_response(),
    };
    shared(answer)
}

type Refused = (StatusCode, &'static str);

async fn receive(uploads: &Uploads, id: &str, headers: &HeaderMap, body: Body) -> Result<(), Refused> {
    let words = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let words = words.strip_prefix("Bearer ").unwrap_or_default();
    let slot = Slot::prove(words, &uploads.key, unix_millis()).filter(|slot| slot.id.as_str() == id);
    let slot = slot.ok_or((StatusCode::FORBIDDEN, "no slot for this file, or not any more"))?;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
    if length.ok_or((StatusCode::LENGTH_REQUIRED, "the length must be told"))? != slot.size {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "another length than the slot is for"));
    }
    let media_type = text(header::CONTENT_TYPE);
    if let (Some(wanted), Some(sent)) = (&slot.media_type, media_type)
        && essence(wanted) != essence(sent)
    {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "another media type than the slot is for"));
    }
    let busy = (StatusCode::SERVICE_UNAVAILABLE, "too many files at once");
    let _place = uploads.places.try_acquire().map_err(|_| busy)?;
    let mut incoming = uploads.files.receive(&slot.id).await.map_err(|error| failed(&error))?;
    let whole = timeout(PATIENCE, pour(body, &mut incoming, slot.size)).await;
    whole.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the file took too long"))??;
    let media_type = slot.media_type.as_deref().or(media_type).unwrap_or(UNKNOWN);
    let about = About {
        owner: slot.owner.clone(),
        name: slot.name.clone(),
        size: slot.size,
        media_type: media_type.to_owned(),
        expires: slot.expires,
    };
    uploads.files.keep(incoming, &slot, &about).await.map_err(|error| failed(&error))?;
    uploads.metrics.uploads.inc();
    uploads.metrics.upload_bytes.inc_by(slot.size);
    let left = Left { size: slot.size, until: slot.expires, is_there: true, is_of_others: false };
    if let Err(error) = uploads.note(&slot.owner, &slot.id, &left).await {
        // It is there all the same; what is not counted is the provider's loss, and no reason to lose the file.
        tracing::error!(%error, "a file that was received could not be counted");
    }
    if slot.is_foreign
        && let Err(error) = uploads.foreign.received(&slot).await
    {
        tracing::error!(%error, "a file of another domain could not be counted");
    }
    Ok(())
}

/// Writes the body as it comes: exactly `size` bytes, and no pause longer than [`PAUSE`].
async fn pour(body: Body, incoming: &mut Incoming, size: u64) -> Result<(), Refused> {
    let mut left = size;
    let mut chunks = body.into_data_stream();
    loop {
        let late = |_| (StatusCode::REQUEST_TIMEOUT, "the file stopped coming");
        match timeout(PAUSE, chunks.next()).await.map_err(late)? {
            None if left == 0 => return Ok(()),
            None | Some(Err(_)) => return Err((StatusCode::BAD_REQUEST, "the file ended before its length")),
            Some(Ok(chunk)) => {
                let long = (StatusCode::PAYLOAD_TOO_LARGE, "more than the slot is for");
                left = left.checked_sub(chunk.len() as u64).ok_or(long)?;
                incoming.write(&chunk).await.map_err(|error| failed(&error))?;
            }
        }
    }
}

fn failed(error: &io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::AlreadyExists => (StatusCode::CONFLICT, "this slot was used"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::error!("there is no space for files of users");
            (StatusCode::INSUFFICIENT_STORAGE, "no space")
        }
        _ => {
            tracing::error!(%error, "a file of a user could not be kept");
            (StatusCode::INTERNAL_SERVER_ERROR, "it could not be kept")
        }
    }
}

async fn download(
    State(uploads): State<Arc<Uploads>>,
    Path((id, _)): Path<(String, String)>,
    Extension(deadline): Extension<Deadline>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    deadline.waive();
    let Ok(id) = FileId::try_from(id) else { return shared(StatusCode::NOT_FOUND.into_response()) };
    let now = unix_millis();
    let (file, about) = match uploads.files.open(&id, now).await {
        Ok(Some(found)) => found,
        Ok(None) => return shared(StatusCode::NOT_FOUND.into_response()),
        Err(error) => {
            tracing::error!(%error, "a file of a user cannot be read");
            return shared(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
    };
    let tag = format!("\"{}\"", id.as_str());
    let mut response = match Range::asked(&method, &headers, &tag, about.size) {
        _ if is_known(&headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Range::Whole => send(file, 0, about.size).await,
        Range::Part(from, to) => {
            let mut part = send(file, from, to - from + 1).await;
            *part.status_mut() = StatusCode::PARTIAL_CONTENT;
            put(&mut part, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{}", about.size));
            part
        }
        Range::Nowhere => {
            let mut nowhere = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            put(&mut nowhere, header::CONTENT_RANGE, &format!("bytes */{}", about.size));
            nowhere
        }
    };
    uploads.metrics.downloads.inc();
    describe(&mut response, &about, &tag, now);
    if method == Method::GET {
        uploads.fetched(&about, id.as_str());
    }
    shared(response)
}

fn describe(response: &mut Response, about: &About, tag: &str, now: i64) {
    let age = (about.expires - now).max(0) / 1000;
    put(response, header::ETAG, tag);
    put(response, header::ACCEPT_RANGES, "bytes");
    put(response, header::CACHE_CONTROL, &format!("private, max-age={age}, immutable"));
    put(response, header::CONTENT_TYPE, said(&about.media_type));
    let how = if is_shown(&about.media_type) { "inline" } else { "attachment" };
    // RFC 6266 §4.3: the name in UTF-8, and nothing that could end the header.
    let name = percent_encoding::utf8_percent_encode(&about.name, UNSAFE);
    put(response, header::CONTENT_DISPOSITION, &format!("{how}; filename*=UTF-8''{name}"));
}

/// A piece of a file, read as the client takes it.
async fn send(mut file: File, from: u64, length: u64) -> Response {
    if from > 0
        && let Err(error) = file.seek(SeekFrom::Start(from)).await
    {
        tracing::error!(%error, "a file of a user cannot be read");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let chunks = stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok::<_, io::Error>(None);
        }
        let mut chunk = vec![0_u8; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(read);
        Ok(Some((Bytes::from(chunk), (file, left - read as u64))))
    });
    let mut response = Body::from_stream(chunks).into_response();
    put(&mut response, header::CONTENT_LENGTH, &length.to_string());
    response
}

/// What a browser may show in its own window.
fn is_shown(media_type: &str) -> bool {
    let essence = essence(media_type);
    let is_kind = ["image/", "audio/", "video/"].iter().any(|kind| essence.starts_with(kind));
    (is_kind && !essence.contains("svg") && !essence.contains("xml")) || essence == "text/plain"
}

/// The media type that is told: pages of this host may load what is of it, and with `nosniff` this is neither a script nor a style.
fn said(media_type: &str) -> &str {
    let essence = essence(media_type);
    let is_loaded =
        ["javascript", "ecmascript", "jscript", "livescript", "wasm"].iter().any(|it| essence.contains(it));
    if is_loaded || essence == "text/css" { "application/octet-stream" } else { media_type }
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What goes for every answer (§8, §9.1).
fn shared(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "OPTIONS, HEAD, GET, PUT"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Range"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CROSS_ORIGIN_RESOURCES, HeaderValue::from_static("cross-origin"));
    response
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

const CROSS_ORIGIN_RESOURCES: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const UNKNOWN: &str = "application/octet-stream";
const CHUNK: usize = 64 * 1024;
/// How long the next piece of a file may take, and all of it.
const PAUSE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_act_is_saved_and_not_shown() {
        for shown in ["image/png", "video/mp4; codecs=x", "text/plain; charset=utf-8", "AUDIO/OGG"] {
            assert!(is_shown(shown), "{shown}");
        }
        for saved in ["image/svg+xml", "text/html", "application/pdf", "text/javascript", ""] {
            assert!(!is_shown(saved), "{saved}");
        }
    }

    #[test]
    fn what_a_page_would_load_is_only_octets() {
        for loaded in
            ["text/javascript", "application/X-JavaScript;charset=utf-8", "application/wasm", "text/css"]
        {
            assert_eq!(said(loaded), "application/octet-stream");
        }
        for kept in ["image/svg+xml", "application/json", "text/html; charset=utf-8", ""] {
            assert_eq!(said(kept), kept);
        }
    }
}
