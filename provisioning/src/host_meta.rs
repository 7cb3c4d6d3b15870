//! host-meta — RFC 6415 §2 (XRD), appendix A (JSON): where WebFinger is.
//!
//! Not here: XEP-0156 links; there is neither WebSocket nor BOSH to link to.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::{Parts, escape_xml, public};

pub(crate) async fn xml(State(parts): State<Arc<Parts>>) -> Response {
    let template = escape_xml(&template(&parts));
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n\
         <Link rel='lrdd' type='application/jrd+json' template='{template}'/>\n\
         </XRD>\n"
    );
    public("application/xrd+xml", text)
}

pub(crate) async fn json(State(parts): State<Arc<Parts>>) -> Response {
    let link = json!({ "rel": "lrdd", "type": "application/jrd+json", "template": template(&parts) });
    public("application/json", json!({ "links": [link] }).to_string())
}

fn template(parts: &Parts) -> String {
    parts.url("/.well-known/webfinger?resource={uri}")
}
