//! What clients are capable of — XEP-0115 1.6.0, sections 5.4 (checking a hash), 6.2 (asking for it); XEP-0390 0.3.2, sections 4.4, 5.5: asked once
//! a hash.
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
use xmpp_core::payload::caps::{Caps, Edition};
use xmpp_core::{Element, Kind, Stanza, ns};

/// Nodes that a resource wants to hear of.
pub(crate) type Notify = Arc<BTreeSet<String>>;

/// Answers that are known.
#[derive(Default)]
pub(crate) struct Known(DashMap<Name, Notify>);

/// What a hash is by, its algorithm, and itself.
type Name = (Edition, String, String);

fn name(caps: &Caps) -> Name {
    (caps.edition, caps.hash.clone(), caps.ver.clone())
}

impl Known {
    /// What a client with these capabilities wants, if somebody like it was asked.
    pub(crate) fn get(&self, caps: &Caps) -> Option<Notify> {
        self.0.get(&name(caps)).map(|known| Arc::clone(&known))
    }

    /// Takes the answer to [`question`].
    pub(crate) fn learn(&self, caps: &Caps, info: &Element) -> Notify {
        let features =
            info.children().filter(|c| c.is("feature", ns::DISCO_INFO)).filter_map(|f| f.attribute("var"));
        let nodes = features.filter_map(|feature| feature.strip_suffix("+notify")).take(MOST_NODES);
        let notify: Notify = Arc::new(nodes.map(str::to_owned).collect());
        // XEP-0390 §4.2, XEP-0300: what can be forged names nothing.
        let is_safe = caps.edition == Edition::First || caps.hash != "sha-1";
        if is_safe
            && caps
                .input(info)
                .and_then(|input| hash(&input, &caps.hash))
                .is_some_and(|hash| hash == caps.ver)
        {
            if self.0.len() >= MOST_KNOWN {
                self.0.clear();
            }
            self.0.insert(name(caps), Arc::clone(&notify));
        }
        notify
    }
}

/// The hash of what is hashed of a `disco#info` answer, by an algorithm of XEP-0300.
pub(crate) fn hash(input: &str, algorithm: &str) -> Option<String> {
    let algorithm = match algorithm {
        "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha-256" => &digest::SHA256,
        "sha-512" => &digest::SHA512,
        "sha3-256" => &digest::SHA3_256,
        "sha3-512" => &digest::SHA3_512,
        _ => return None,
    };
    Some(STANDARD.encode(digest::digest(algorithm, input.as_bytes())))
}

/// XEP-0115 §6.2, XEP-0390 §5.5: asks a client what its hash stands for.
pub(crate) fn question(caps: &Caps, id: &str) -> Stanza {
    let query = Element::new("query", ns::DISCO_INFO).with("node", caps.asked_by());
    Stanza::new(Kind::Iq, Some("get")).with_id(Some(id)).with(&query)
}

const MOST_KNOWN: usize = 10_000;
const MOST_NODES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0390 sections 4.5.1 and 4.5.2, the simple and the complex example.
    #[test]
    fn hashes_as_the_examples_of_xep_0390_do() {
        let simple = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity category='client' name='BombusMod' type='mobile'/>\
            <feature var='http://jabber.org/protocol/si'/><feature var='http://jabber.org/protocol/bytestreams'/>\
            <feature var='http://jabber.org/protocol/chatstates'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:xmpp:ping'/>\
            <feature var='jabber:iq:time'/><feature var='jabber:iq:privacy'/><feature var='jabber:iq:version'/>\
            <feature var='http://jabber.org/protocol/rosterx'/><feature var='urn:xmpp:time'/>\
            <feature var='jabber:x:oob'/><feature var='http://jabber.org/protocol/ibb'/>\
            <feature var='http://jabber.org/protocol/si/profile/file-transfer'/><feature var='urn:xmpp:receipts'/>\
            <feature var='jabber:iq:roster'/><feature var='jabber:iq:last'/></query>";
        let complex = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity category='client' name='Tkabber' type='pc' xml:lang='en'/>\
            <identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/><feature var='games:board'/>\
            <feature var='http://jabber.org/protocol/activity'/>\
            <feature var='http://jabber.org/protocol/activity+notify'/>\
            <feature var='http://jabber.org/protocol/bytestreams'/>\
            <feature var='http://jabber.org/protocol/chatstates'/>\
            <feature var='http://jabber.org/protocol/commands'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/evil'/>\
            <feature var='http://jabber.org/protocol/feature-neg'/><feature var='http://jabber.org/protocol/geoloc'/>\
            <feature var='http://jabber.org/protocol/geoloc+notify'/><feature var='http://jabber.org/protocol/ibb'/>\
            <feature var='http://jabber.org/protocol/iqibb'/><feature var='http://jabber.org/protocol/mood'/>\
            <feature var='http://jabber.org/protocol/mood+notify'/>\
            <feature var='http://jabber.org/protocol/rosterx'/><feature var='http://jabber.org/protocol/si'/>\
            <feature var='http://jabber.org/protocol/si/profile/file-transfer'/>\
            <feature var='http://jabber.org/protocol/tune'/><feature var='http://www.facebook.com/xmpp/messages'/>\
            <feature var='http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify'/>\
            <feature var='jabber:iq:avatar'/><feature var='jabber:iq:browse'/><feature var='jabber:iq:dtcp'/>\
            <feature var='jabber:iq:filexfer'/><feature var='jabber:iq:ibb'/><feature var='jabber:iq:inband'/>\
            <feature var='jabber:iq:jidlink'/><feature var='jabber:iq:last'/><feature var='jabber:iq:oob'/>\
            <feature var='jabber:iq:privacy'/><feature var='jabber:iq:roster'/><feature var='jabber:iq:time'/>\
            <feature var='jabber:iq:version'/><feature var='jabber:x:data'/><feature var='jabber:x:event'/>\
            <feature var='jabber:x:oob'/><feature var='urn:xmpp:avatar:metadata+notify'/>\
            <feature var='urn:xmpp:ping'/><feature var='urn:xmpp:receipts'/><feature var='urn:xmpp:time'/>\
            <x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'>\
            <value>urn:xmpp:dataforms:softwareinfo</value></field><field var='software'><value>Tkabber</value></field>\
            <field var='software_version'><value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field>\
            <field var='os'><value>Windows</value></field><field var='os_version'><value>XP</value></field></x></query>";
        for (info, sha256, sha3) in [
            (
                simple,
                "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=",
                "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=",
            ),
            (
                complex,
                "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=",
                "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=",
            ),
        ] {
            let info = Element::parse(info, "").unwrap();
            let hashes = format!(
                "<presence xmlns='jabber:client'><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='blake2b-256'>x</hash>\
                 <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>{sha3}</hash><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{sha256}</hash></c></presence>"
            );
            let caps = Caps::of(&Stanza::parse(&hashes).unwrap()).unwrap();
            assert_eq!(caps.asked_by(), format!("urn:xmpp:caps#sha-256.{sha256}"));
            let input = caps.input(&info).unwrap();
            assert_eq!(hash(&input, "sha-256").as_deref(), Some(sha256));
            assert_eq!(hash(&input, "sha3-256").as_deref(), Some(sha3));
            let known = Known::default();
            known.learn(&caps, &info);
            assert!(known.get(&caps).is_some(), "it is what it says it is");
            let ver = hash(&input, "sha-1").unwrap();
            let forged = Caps { hash: "sha-1".to_owned(), ver, ..caps.clone() };
            known.learn(&forged, &info);
            assert!(known.get(&forged).is_none(), "that hash can be forged");
            // What is no answer by the rules is nothing that a hash could name (section 4.1).
            for more in ["<x xmlns='jabber:x:data' type='result'/>", "<other xmlns='urn:x'/>"] {
                let more = info.clone().child(Element::parse(more, "").unwrap());
                assert_eq!(caps.input(&more), None);
            }
        }
    }
}
