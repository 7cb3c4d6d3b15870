//! What clients are capable of — XEP-0115 1.6.0, sections 5.4 (checking a hash), 6.2 (asking for it): asked once a hash.
//!
//! In    `<c/>` in a client's presence; the answer to the question that follows when nobody asked before.
//! Out   the nodes that the client wants to hear of: features that end in `+notify` (XEP-0163 §4.3).
//! State a bounded map of hashes that were checked. What does not hash to its name counts for that session alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dashmap::DashMap;
use xmpp_core::payload::caps::{Caps, verification_string};
use xmpp_core::{Element, Kind, Stanza, ns};

/// Nodes that a resource wants to hear of.
pub(crate) type Notify = Arc<BTreeSet<String>>;

/// Answers that are known.
#[derive(Default)]
pub(crate) struct Known(DashMap<(String, String), Notify>);

impl Known {
    /// What a client with these capabilities wants, if somebody like it was asked.
    pub(crate) fn get(&self, caps: &Caps) -> Option<Notify> {
        self.0.get(&(caps.hash.clone(), caps.ver.clone())).map(|known| Arc::clone(&known))
    }

    /// Takes the answer to [`question`].
    pub(crate) fn learn(&self, caps: &Caps, info: &Element) -> Notify {
        let features =
            info.children().filter(|c| c.is("feature", ns::DISCO_INFO)).filter_map(|f| f.attribute("var"));
        let nodes = features.filter_map(|feature| feature.strip_suffix("+notify")).take(MOST_NODES);
        let notify: Notify = Arc::new(nodes.map(str::to_owned).collect());
        if hash(info, &caps.hash).is_some_and(|hash| hash == caps.ver) {
            if self.0.len() >= MOST_KNOWN {
                self.0.clear();
            }
            self.0.insert((caps.hash.clone(), caps.ver.clone()), Arc::clone(&notify));
        }
        notify
    }
}

/// The hash of a `disco#info` answer, by an algorithm of XEP-0300.
pub(crate) fn hash(info: &Element, algorithm: &str) -> Option<String> {
    let algorithm = match algorithm {
        "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha-256" => &digest::SHA256,
        "sha-512" => &digest::SHA512,
        _ => return None,
    };
    Some(STANDARD.encode(digest::digest(algorithm, verification_string(info)?.as_bytes())))
}

/// §6.2: asks a client what its hash stands for.
pub(crate) fn question(caps: &Caps, id: &str) -> Stanza {
    let query = Element::new("query", ns::DISCO_INFO).with("node", format!("{}#{}", caps.node, caps.ver));
    Stanza::new(Kind::Iq, Some("get")).with_id(Some(id)).with(&query)
}

const MOST_KNOWN: usize = 10_000;
const MOST_NODES: usize = 200;
