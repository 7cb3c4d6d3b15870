//! Reports of abuse inside a block command — XEP-0377 0.4.1, sections 4 (payload) and 6 (submission).
//!
//! In    `<report/>` in an `<item/>` of a block. Out nothing to the user: the block is answered as if there were none.
//! State one record a report, collection `reports` of the domain, for the operator; also a line in the log.
//! Not here: passing reports on to others (§5): no option of the report is acted upon.

use serde::Serialize;
use shared_model::Spec;
use shared_runtime::{Redacted, unix_millis};
use shared_store::Expected;
use xmpp_core::{Element, Jid, ns};

use crate::server::Server;

pub(super) const SPEC: Spec =
    Spec::xep(377, "0.4.1").note("kept for the operator; not passed on; lists of others are subscribed to");

/// What is kept of a report.
#[derive(Serialize)]
struct Report<'a> {
    by: &'a str,
    jid: &'a str,
    reason: &'a str,
    text: String,
    stanza_ids: Vec<&'a str>,
}

/// Keeps the reports in a block command; the user's block does not depend on it.
pub(super) async fn keep(server: &Server, by: &Jid, block: &Element) {
    for item in block.children().filter(|item| item.is("item", ns::BLOCKING)) {
        let Some((report, jid)) = item.find("report", ns::REPORTING).zip(item.attribute("jid")) else {
            continue;
        };
        let reason = report.attribute("reason").unwrap_or_default();
        let ids = report.children().filter(|child| child.is("stanza-id", ns::STANZA_ID));
        let kept = Report {
            by: by.as_str(),
            jid,
            reason,
            text: report.text_of("text").unwrap_or_default().chars().take(LONGEST).collect(),
            stanza_ids: ids.filter_map(|id| id.attribute("id")).take(MOST_IDS).collect(),
        };
        tracing::warn!(by = %Redacted(by), jid = %Redacted(jid), reason, "abuse reported");
        let key = format!("{:016x}{}", unix_millis(), server.new_id());
        let value = serde_json::to_vec(&kept).unwrap_or_default();
        if let Err(error) =
            server.store.records.put(&server.domain, COLLECTION, &key, &value, Expected::Anything).await
        {
            tracing::error!(%error, "a report could not be kept");
        }
    }
}

const COLLECTION: &str = "reports";
/// Characters of a report's text.
const LONGEST: usize = 4000;
const MOST_IDS: usize = 100;
