//! host-meta — RFC 6415 §2 (XRD), appendix A (JSON): where WebFinger is, and XMPP by ways that browsers go (XEP-0156 1.4.0 §2).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

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
    let link = json!({ "rel": "lrdd", "type": "application/jrd+json", "template": template(&parts) });
    let ways = ways(&parts).into_iter().map(|(rel, href)| json!({ "rel": rel, "href": href }));
    let links: Vec<_> = std::iter::once(link).chain(ways).collect();
    public("application/json", json!({ "links": links }).to_string())
}

/// XEP-0156 §2.1: what stands beside this face where the chat server runs in the same process.
fn ways(parts: &Parts) -> Vec<(&'static str, String)> {
    if parts.ports.xmpp.is_none() && parts.ports.xmpp_tls.is_none() {
        return Vec::new();
    }
    let secure = |path: &str| parts.url(path).replacen("https://", "wss://", 1);
    vec![
        ("urn:xmpp:alt-connections:websocket", secure("/xmpp-websocket")),
        ("urn:xmpp:alt-connections:xbosh", parts.url("/http-bind")),
    ]
}

fn template(parts: &Parts) -> String {
    parts.url("/.well-known/webfinger?resource={uri}")
}
