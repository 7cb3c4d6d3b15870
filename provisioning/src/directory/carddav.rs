//! An address book of those who are listed — RFC 6352 (CardDAV), to read alone; RFC 6764 §5 (well-known URL).
//!
//! In    OPTIONS, PROPFIND, REPORT (`addressbook-multiget`, `addressbook-query`), GET. Out multistatus, cards.
//! Errors 403 for what would change something, and for filters, which are not evaluated (`supported-filter`, §8.6); 405 for other
//!        methods, 501 for such as nobody knows; 400 for what is not XML.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use shared_auth::AccountCard;
use shared_runtime::http::{Peer, is_known};

use super::dav::{self, Asked, Resource};
use super::vcard::{self, Version};
use super::{may, who};
use crate::Face;
use crate::answer::{escape_xml, unkept};
use crate::api::problem::Problem;

pub(super) async fn answer(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut response = match respond(&face, peer, &method, uri.path(), &headers, &body).await {
        Ok(response) | Err(response) => unkept(response),
    };
    response.headers_mut().insert("dav", HeaderValue::from_static("1, 3, addressbook"));
    response
}

async fn respond(
    face: &Face,
    peer: Peer,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Response> {
    if *method == Method::OPTIONS {
        return Ok((StatusCode::OK, [(header::ALLOW, ALLOWED)]).into_response());
    }
    let asker = who(face, peer, headers).await?;
    may(face, asker.account).map_err(Problem::into_response)?;
    let domain = asker.aor.domain();
    let is_shallow = match headers.get("depth").map(HeaderValue::as_bytes) {
        // RFC 4918 §9.1: what is below all of it is not told at once; without the field that is asked for, and clients mean what is here.
        Some(b"infinity") if method.as_str() == "PROPFIND" => {
            return Err(unsupported("d:propfind-finite-depth"));
        }
        Some(b"0") => true,
        None | Some(b"1" | b"infinity") => false,
        Some(_) => return Err(malformed()),
    };
    match method.as_str() {
        "GET" | "HEAD" => {
            let people = face.listed.people(face, &asker).await.map_err(failed)?;
            let card = people.iter().find(|card| place(card) == path);
            let card = card.ok_or_else(|| StatusCode::NOT_FOUND.into_response())?;
            let text = vcard::print(card, Version::Three);
            let tag = etag(&text);
            if is_known(headers, &tag) {
                return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
            }
            let media_type = (header::CONTENT_TYPE, "text/vcard; charset=utf-8");
            Ok(([media_type, (header::ETAG, tag.as_str())], text).into_response())
        }
        "PROPFIND" => {
            let asked = dav::read(body).filter(|asked| asked.root == "propfind").ok_or_else(malformed)?;
            let people = face.listed.people(face, &asker).await.map_err(failed)?;
            let mut resources = Vec::new();
            if path == HOME {
                resources.push(home(domain));
                if !is_shallow {
                    resources.push(book(domain, &people));
                }
            } else if path == BOOK {
                resources.push(book(domain, &people));
                if !is_shallow {
                    resources.extend(people.iter().map(|card| resource(card, &asked)));
                }
            } else {
                let card = people.iter().find(|card| place(card) == path);
                resources.push(resource(card.ok_or_else(|| StatusCode::NOT_FOUND.into_response())?, &asked));
            }
            Ok(multistatus(&asked, &resources, &[]))
        }
        "REPORT" if path == BOOK => {
            let asked = dav::read(body).ok_or_else(malformed)?;
            let people = face.listed.people(face, &asker).await.map_err(failed)?;
            match asked.root.as_str() {
                "addressbook-multiget" => {
                    let is_wanted = |card: &&AccountCard| asked.hrefs.contains(&place(card));
                    let found: Vec<Resource> =
                        people.iter().filter(is_wanted).map(|card| resource(card, &asked)).collect();
                    let there: HashSet<&str> = found.iter().map(|resource| resource.href.as_str()).collect();
                    let missing = asked.hrefs.iter().map(String::as_str).filter(|href| !there.contains(href));
                    let missing: Vec<&str> = missing.collect();
                    Ok(multistatus(&asked, &found, &missing))
                }
                "addressbook-query" if !asked.filters => {
                    let all: Vec<Resource> = people.iter().map(|card| resource(card, &asked)).collect();
                    Ok(multistatus(&asked, &all, &[]))
                }
                "addressbook-query" => Err(unsupported("c:supported-filter")),
                // RFC 3253 §3.6.
                _ => Err(unsupported("d:supported-report")),
            }
        }
        other => {
            // Who would change it may not; what is known and not done here is 405, what nobody knows is 501 (RFC 9110 §9.1, §15.6.2).
            let status = match other {
                _ if CHANGES.contains(&other) => StatusCode::FORBIDDEN,
                "REPORT" | "TRACE" | "CONNECT" | "SEARCH" => StatusCode::METHOD_NOT_ALLOWED,
                _ => StatusCode::NOT_IMPLEMENTED,
            };
            Err((status, [(header::ALLOW, ALLOWED)]).into_response())
        }
    }
}

/// The home of whoever is of a domain, which is the same for all of it.
fn home(domain: &str) -> Resource {
    Resource {
        href: HOME.to_owned(),
        properties: vec![
            ("resourcetype", "<d:resourcetype><d:collection/><d:principal/></d:resourcetype>".to_owned()),
            ("displayname", format!("<d:displayname>{}</d:displayname>", escape_xml(domain))),
            ("current-user-principal", principal("current-user-principal")),
            ("principal-URL", principal("principal-URL")),
            ("owner", principal("owner")),
            (
                "addressbook-home-set",
                format!("<c:addressbook-home-set><d:href>{HOME}</d:href></c:addressbook-home-set>"),
            ),
            ("current-user-privilege-set", PRIVILEGES.to_owned()),
        ],
    }
}

fn book(domain: &str, people: &[AccountCard]) -> Resource {
    let whole: String = people.iter().map(|card| vcard::print(card, Version::Three)).collect();
    Resource {
        href: BOOK.to_owned(),
        properties: vec![
            ("resourcetype", "<d:resourcetype><d:collection/><c:addressbook/></d:resourcetype>".to_owned()),
            ("displayname", format!("<d:displayname>{}</d:displayname>", escape_xml(domain))),
            ("getctag", format!("<s:getctag>{}</s:getctag>", escape_xml(&etag(&whole)))),
            ("current-user-principal", principal("current-user-principal")),
            ("owner", principal("owner")),
            ("current-user-privilege-set", PRIVILEGES.to_owned()),
            ("supported-report-set", REPORTS.to_owned()),
            ("supported-address-data", FORMS.to_owned()),
        ],
    }
}

fn resource(card: &AccountCard, asked: &Asked) -> Resource {
    let version = if asked.wants_four { Version::Four } else { Version::Three };
    let text = vcard::print(card, version);
    // Line ends of cards are CRLF, which readers of XML would make into LF (XML 1.0 §2.11).
    let data: String = text.lines().map(|line| format!("{}&#13;\n", escape_xml(line))).collect();
    // Those of what GET gives.
    let got = vcard::print(card, Version::Three);
    let (tag, length) = (etag(&got), got.len());
    Resource {
        href: place(card),
        properties: vec![
            ("resourcetype", "<d:resourcetype/>".to_owned()),
            ("getetag", format!("<d:getetag>{}</d:getetag>", escape_xml(&tag))),
            ("getcontentlength", format!("<d:getcontentlength>{length}</d:getcontentlength>")),
            ("getcontenttype", "<d:getcontenttype>text/vcard; charset=utf-8</d:getcontenttype>".to_owned()),
            ("address-data", format!("<c:address-data>{data}</c:address-data>")),
        ],
    }
}

fn multistatus(asked: &Asked, resources: &[Resource], missing: &[&str]) -> Response {
    let text = dav::multistatus(asked, resources, missing);
    (StatusCode::MULTI_STATUS, [(header::CONTENT_TYPE, XML)], text).into_response()
}

fn principal(name: &str) -> String {
    format!("<d:{name}><d:href>{HOME}</d:href></d:{name}>")
}

fn place(card: &AccountCard) -> String {
    format!("{BOOK}{}.vcf", card.account)
}

/// Stable between processes and releases: FNV-1a with 64 bits.
fn etag(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

/// 403, and what was asked for that is not there.
fn unsupported(what: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<d:error xmlns:d=\"DAV:\" xmlns:c=\"urn:ietf:params:xml:ns:carddav\"><{what}/></d:error>\n"
    );
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, XML)], text).into_response()
}

fn malformed() -> Response {
    (StatusCode::BAD_REQUEST, "this is no request of WebDAV\n").into_response()
}

fn failed(error: shared_store::StoreError) -> Response {
    Problem::from(error).into_response()
}

pub(super) const HOME: &str = "/directory/dav/";
const BOOK: &str = "/directory/dav/people/";
const ALLOWED: &str = "OPTIONS, GET, HEAD, PROPFIND, REPORT";
const CHANGES: &[&str] =
    &["PUT", "POST", "PATCH", "DELETE", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "ACL"];
const XML: &str = "application/xml; charset=utf-8";
const PRIVILEGES: &str =
    "<d:current-user-privilege-set><d:privilege><d:read/></d:privilege></d:current-user-privilege-set>";
const REPORTS: &str = "<d:supported-report-set><d:supported-report><d:report><c:addressbook-multiget/></d:report>\
    </d:supported-report><d:supported-report><d:report><c:addressbook-query/></d:report></d:supported-report>\
    </d:supported-report-set>";
const FORMS: &str = "<c:supported-address-data><c:address-data-type content-type=\"text/vcard\" version=\"3.0\"/>\
    <c:address-data-type content-type=\"text/vcard\" version=\"4.0\"/></c:supported-address-data>";
