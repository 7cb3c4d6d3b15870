//! host-meta — RFC 6415 §2 (XRD), appendix A (JSON): where WebFinger is, and XMPP by ways that browsers go (XEP-0156 1.4.0 §2), or
//! by all ways there are (XEP-0487 0.1.0, sections 2.1 and 2.2), for clients and servers that ask no name servers then.
//!
//! In    the ports of the faces, and `provisioning.addresses`.
//! Not here: pins of keys, ECH; ways of other domains of ours, whose certificates are others.
//!
//! Whoever finds the object `xmpp` looks nowhere else: it is left out unless the document names a way for everybody whom we serve.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::{escape_xml, public};
use crate::{Face, Parts};

pub(crate) async fn xml(State(parts): State<Arc<Face>>) -> Response {
    let template = escape_xml(&template(&parts));
    let ways = ways(&parts)
        .into_iter()
        .map(|(rel, href)| format!("<Link rel='{}' href='{}'/>\n", escape_xml(rel), escape_xml(&href)));
    let ways: String = ways.collect();
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n\
         <Link rel='lrdd' type='application/jrd+json' template='{template}'/>\n\
         {ways}</XRD>\n"
    );
    public("application/xrd+xml", text)
}

pub(crate) async fn json(State(parts): State<Arc<Face>>) -> Response {
    public("application/json", document(&parts).to_string())
}

fn document(parts: &Parts) -> Value {
    let lrdd = json!({ "rel": "lrdd", "type": "application/jrd+json", "template": template(parts) });
    let mut links = vec![lrdd];
    let is_whole = is_whole(parts);
    for (rel, href) in ways(parts) {
        let mut link = json!({ "rel": rel, "href": href });
        // Another host's addresses are not known here.
        if is_whole && rel == WEBSOCKET && parts.public_url.is_none() {
            describe(&mut link, parts, &parts.host, 20);
        }
        links.push(link);
    }
    if !is_whole {
        return json!({ "links": links });
    }
    for (rel, port) in [("tls", parts.ports.xmpp_tls), ("s2s-tls", parts.ports.xmpp_s2s_tls)] {
        if let Some(port) = port {
            let mut link = json!({ "rel": format!("{RELATION}{rel}"), "port": port });
            describe(&mut link, parts, parts.domains.main(), 10);
            links.push(link);
        }
    }
    json!({ "xmpp": { "ttl": KEPT }, "links": links })
}

/// Whether clients and other servers find a way with TLS in the document: nobody is told of STARTTLS there.
fn is_whole(parts: &Parts) -> bool {
    let ports = &parts.ports;
    let has_federation = ports.xmpp_s2s.is_some() || ports.xmpp_s2s_tls.is_some();
    !parts.config.addresses.is_empty()
        && ports.xmpp_tls.is_some()
        && (!has_federation || ports.xmpp_s2s_tls.is_some())
}

/// XEP-0487 §2.1: what is new in each link.
fn describe(link: &mut Value, parts: &Parts, sni: &str, priority: u16) {
    link["priority"] = priority.into();
    link["weight"] = 50.into();
    link["sni"] = sni.into();
    link["ips"] = parts.config.addresses.iter().map(ToString::to_string).collect();
}

/// XEP-0156 §2.1: what stands beside this face where the chat server runs in the same process.
fn ways(parts: &Parts) -> Vec<(&'static str, String)> {
    if !parts.has_chat() {
        return Vec::new();
    }
    let secure = |path: &str| parts.url(path).replacen("https://", "wss://", 1);
    vec![(WEBSOCKET, secure("/xmpp-websocket")), ("urn:xmpp:alt-connections:xbosh", parts.url("/http-bind"))]
}

fn template(parts: &Parts) -> String {
    parts.url("/.well-known/webfinger?resource={uri}")
}

const RELATION: &str = "urn:xmpp:alt-connections:";
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
/// For how many seconds the document may be kept.
const KEPT: u32 = 3600;
