//! The chat client for browsers: converse.js, as its package has it, and the page that sets it up for this service.
//!
//! In    `GET /chat/`, after whose `#jid=` may stand who is to sign in; `GET /chat/files/VERSION/PATH`.
//! Out   the page; files of the configured folder, kept for good by browsers where VERSION is theirs (RFC 8246).
//! State the files, read at the start: no path leads elsewhere, and an answer shares what all others have. Of texts what they are in
//!       gzip, once they were asked for.
//! Errors 404 for what is not among them, and for all where no folder is configured or chat is served elsewhere.
//! Not here: maps for debuggers, which are longer than all else.
//!
//! This page alone holds a program of others, which shows what strangers write. It gets what that needs and no more: scripts are its own
//! files, not what people uploaded to this host, and nothing of the pages of the account can be fetched ([`policy`]). Where
//! `provisioning.web_client` names another host, the client is at that one alone, and the pages are not ([`apart`]).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path as File, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use maud::{DOCTYPE, html};
use tokio::sync::OnceCell;

use super::assets;
use super::compressed::{shorter, takes_gzip};
use super::words::Words;
use crate::Face;
use crate::session::host_of;

/// The files of the client.
pub(crate) struct Files {
    /// Names what is in all of them.
    version: String,
    all: HashMap<String, Kept>,
}

struct Kept {
    text: Bytes,
    media_type: &'static str,
    /// In gzip, where that is shorter; it keeps no secret.
    short: OnceCell<Option<Bytes>>,
}

/// Why a folder is no client.
#[derive(Debug, thiserror::Error)]
pub enum WebClientFault {
    /// It lacks a file that the page begins with.
    #[error(
        "{0} has no {1}: give the folder `dist` of converse.js, which is `package/dist` in the archive that `npm pack converse.js` fetches"
    )]
    Lacks(PathBuf, &'static str),
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unread(PathBuf, io::Error),
    /// It holds more than the client.
    #[error("{0} holds more than a client for browsers: {MOST_FILES} files and {MOST_MEBIBYTES} MiB at most")]
    TooMuch(PathBuf),
}

/// What a folder lacks to be a client, as far as a look tells.
pub fn web_client_fault(folder: &File) -> Option<WebClientFault> {
    let lacks = NEEDED.into_iter().find(|name| !folder.join(name).is_file())?;
    Some(WebClientFault::Lacks(folder.to_owned(), lacks))
}

impl Files {
    /// Reads all of them once.
    pub(crate) fn open(folder: &File) -> Result<Self, WebClientFault> {
        if let Some(fault) = web_client_fault(folder) {
            return Err(fault);
        }
        let mut found = Vec::new();
        let root = folder.canonicalize().map_err(|error| WebClientFault::Unread(folder.to_owned(), error))?;
        let unread = |at: &File, error| WebClientFault::Unread(at.to_owned(), error);
        let mut folders = vec![(folder.to_owned(), String::new(), 0)];
        while let Some((at, prefix, depth)) = folders.pop() {
            for entry in std::fs::read_dir(&at).map_err(|error| unread(&at, error))? {
                let file = entry.map_err(|error| unread(&at, error))?.path();
                // A link may lead out of the folder.
                if !file.canonicalize().is_ok_and(|file| file.starts_with(&root)) {
                    continue;
                }
                let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
                let name = format!("{prefix}{name}");
                if file.is_dir() && depth < DEEPEST {
                    folders.push((file, format!("{name}/"), depth + 1));
                } else if let Some(media_type) = media_type(&name)
                    && file.is_file()
                {
                    found.push((name, file, media_type));
                }
                if found.len() + folders.len() > MOST_FILES {
                    return Err(WebClientFault::TooMuch(folder.to_owned()));
                }
            }
        }
        // Nodes that have the same files say the same version.
        found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let (mut hasher, mut bytes, mut all) = (DefaultHasher::new(), 0, HashMap::new());
        for (name, file, media_type) in found {
            let text = Bytes::from(read(&file).map_err(|error| unread(&file, error))?);
            bytes += text.len();
            if bytes > MOST_MEBIBYTES << 20 {
                return Err(WebClientFault::TooMuch(folder.to_owned()));
            }
            hasher.write(name.as_bytes());
            hasher.write(&text);
            all.insert(name, Kept { text, media_type, short: OnceCell::new() });
        }
        Ok(Self { version: format!("{:016x}", hasher.finish()), all })
    }

    /// Where they are.
    fn prefix(&self) -> String {
        format!("/chat/files/{}/", self.version)
    }
}

/// The page.
pub(super) async fn look(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    let Some(files) = &face.web_client_files else { return StatusCode::NOT_FOUND.into_response() };
    let (words, prefix) = (Words::of(&headers), files.prefix());
    let main = (face.domains.iter().count() == 1).then(|| face.domains.main());
    let whole = html! {
        (DOCTYPE)
        html lang=(words.lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                title { (words.web_client) " – " (words.title) }
                link rel="stylesheet" href={ (prefix) (NEEDED[1]) };
                // By this it finds the files beside it.
                script type="module" src={ (prefix) (NEEDED[0]) } {}
                script type="module" src=(format!("/assets/{}", assets::CHAT.name)) {}
            }
            body data-program={ (prefix) (NEEDED[0]) } data-files=(prefix) data-domain=(face.domains.main())
                data-alone=[main] data-rooms=(face.rooms_domain) data-uploads=(host_of(&face.uploads).unwrap_or_default()) {
                noscript { p { (words.web_client_script) " " a href="/account" { (words.account) } } }
            }
        }
    };
    let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned());
    ([kind, (header::CONTENT_SECURITY_POLICY, policy(&face, &headers))], whole.into_string()).into_response()
}

/// What the program may do (Content Security Policy 3), by paths, since the pages of the account and what people upload are at the same
/// host: OMEMO is WebAssembly, its parts set styles of their own, pictures of people come inside the chat. A browser may know this host
/// by the name that it asks for, or behind a proxy by that of our links.
fn policy(face: &Face, headers: &HeaderMap) -> String {
    let (asked, linked) = (headers.get(header::HOST).and_then(|host| host.to_str().ok()), face.url(""));
    let is_host = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b));
    let chosen = face.config.web_client.as_deref().and_then(host_of);
    let mut hosts: Vec<&str> =
        [asked, host_of(&linked), chosen].into_iter().flatten().filter(is_host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let all = |scheme: &str, path: &str| -> String {
        hosts.iter().map(|host| format!("{scheme}://{host}{path} ")).collect()
    };
    let (files, assets) = (all("https", "/chat/files/"), all("https", "/assets/"));
    let (socket, bosh) = (all("wss", "/xmpp-websocket"), all("https", "/http-bind"));
    let uploads = &face.uploads;
    format!(
        "default-src 'none'; script-src {files}{assets}'wasm-unsafe-eval'; style-src {files}'unsafe-inline'; font-src {files}; \
         img-src {files}data: blob: {uploads}; media-src {files}blob: {uploads}; connect-src {socket}{bosh}{files}{uploads}; \
         object-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Where the client has a host of its own, that has nothing of the pages, which have nothing of the client: what runs in the one has no
/// cookie of the other. What is for programs (`/api`, `/provision`, `/directory`) is at each host; of it a browser has no cookie there.
pub(super) async fn apart(State(face): State<Arc<Face>>, request: Request, next: Next) -> Response {
    let chosen =
        face.config.web_client.as_deref().filter(|_| face.web_client_files.is_some()).and_then(host_of);
    let Some(chosen) = chosen else { return next.run(request).await };
    let asked = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_there = asked.strip_suffix(":443").unwrap_or(asked).eq_ignore_ascii_case(chosen);
    let path = request.uri().path();
    let is_here = match path == "/chat" || path.starts_with("/chat/") {
        true => is_there,
        false => !is_there || path.starts_with("/assets/"),
    };
    if is_here { next.run(request).await } else { StatusCode::NOT_FOUND.into_response() }
}

/// One file.
pub(super) async fn file(
    State(face): State<Arc<Face>>,
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let files = face.web_client_files.as_ref();
    let Some((files, kept)) = files.and_then(|files| Some((files, files.all.get(&name)?))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Pages of a node with other files ask by another version for what looks well enough meanwhile.
    let term = if files.version == version { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [(header::CONTENT_TYPE, kept.media_type), (header::CACHE_CONTROL, term)];
    if is_text(kept.media_type) && takes_gzip(&headers) {
        let text = kept.text.clone();
        let shorten = || async {
            let shorten = move || shorter(&text, Compression::default()).map(Bytes::from);
            tokio::task::spawn_blocking(shorten).await.unwrap_or_default()
        };
        if let Some(short) = kept.short.get_or_init(shorten).await {
            let coded = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
            return (head, coded, short.clone()).into_response();
        }
    }
    (head, kept.text.clone()).into_response()
}

/// A file whole, or as much of it as all may be.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(file)?.take((MOST_MEBIBYTES << 20) as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What a file is by its name; nothing is served that no browser asks for.
fn media_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || ["image/svg+xml", "application/json", "application/wasm"].contains(&media_type)
}

/// What the page begins with.
const NEEDED: [&str; 2] = ["converse.min.js", "converse.min.css"];
const TYPES: [(&str, &str); 14] = [
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("ico", "image/x-icon"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];
/// converse.js 14 has 400 files, half of them maps, and 8 MiB without these.
const MOST_FILES: usize = 4_000;
const MOST_MEBIBYTES: usize = 64;
/// Folders within folders.
const DEEPEST: usize = 8;
