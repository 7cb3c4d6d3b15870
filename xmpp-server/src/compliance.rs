//! What an advanced server is by XEP-0479 0.1.0 (suite of 2023), section 2: each row that it must have, the documents behind it,
//! and the file to begin reading at. `docs/specs.md` prints it, with what the crates claim of each document.

use shared_model::Document;

/// A row of one of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The suite.
    pub suite: &'static str,
    /// The feature, as the table names it.
    pub feature: &'static str,
    /// What provides it: all of these.
    pub providers: &'static [Document],
    /// Where it is, below the root of the repository.
    pub place: &'static str,
}

const fn row(
    suite: &'static str,
    feature: &'static str,
    providers: &'static [Document],
    place: &'static str,
) -> Row {
    Row { suite, feature, providers, place }
}

use Document::{Rfc, Xep};

/// Every row that is marked for an advanced server.
pub const ADVANCED_SERVER: &[Row] = &[
    row("core", "Core features", &[Rfc(6120)], "xmpp-core/src/stream/negotiation.rs"),
    row("core", "TLS", &[Rfc(7590)], "shared-runtime/src/tls.rs"),
    row("core", "Direct TLS", &[Xep(368)], "xmpp-server/src/c2s.rs"),
    row("core", "Feature discovery", &[Xep(30)], "xmpp-server/src/features/disco.rs"),
    row("core", "Feature broadcasts", &[Xep(115)], "xmpp-server/src/caps.rs"),
    row("core", "Server Extensibility", &[Xep(114)], "xmpp-server/src/component.rs"),
    row("core", "Event publishing", &[Xep(163)], "xmpp-server/src/pubsub/own.rs"),
    row("web", "Web Connection Mechanisms", &[Rfc(7395), Xep(206)], "xmpp-server/src/c2s/websocket.rs"),
    row("IM", "Core features", &[Rfc(6121)], "xmpp-server/src/route.rs"),
    row("IM", "User Avatar Compatibility", &[Xep(398), Xep(153)], "xmpp-server/src/avatar.rs"),
    row("IM", "vcard-temp", &[Xep(54)], "xmpp-server/src/features/vcard.rs"),
    row("IM", "Outbound Message Synchronization", &[Xep(280)], "xmpp-server/src/features/carbons.rs"),
    row("IM", "User Blocking", &[Xep(191)], "xmpp-server/src/features/blocking.rs"),
    row("IM", "Group Chat", &[Xep(45), Xep(249)], "xmpp-server/src/muc/room.rs"),
    row(
        "IM",
        "Advanced Group Chat",
        &[Xep(48), Xep(313), Xep(402), Xep(410)],
        "xmpp-server/src/muc/archive.rs",
    ),
    row(
        "IM",
        "Persistent Storage of Private Data via PubSub",
        &[Xep(223)],
        "xmpp-server/src/pubsub/publisher.rs",
    ),
    row("IM", "Private XML Storage", &[Xep(49)], "xmpp-server/src/features/private.rs"),
    row("IM", "Stream Management", &[Xep(198)], "xmpp-server/src/session/managed.rs"),
    row("IM", "History Storage / Retrieval", &[Xep(313)], "xmpp-server/src/features/mam.rs"),
    row("IM", "File Upload", &[Xep(363)], "xmpp-server/src/upload/mod.rs"),
    row("mobile", "Stream Management", &[Xep(198)], "xmpp-server/src/session/managed.rs"),
    row("mobile", "Client State Indication", &[Xep(352)], "xmpp-server/src/csi.rs"),
    row("mobile", "Third Party Push Notifications", &[Xep(357)], "xmpp-server/src/push.rs"),
    row("A/V", "STUN/TURN server discovery", &[Xep(215)], "xmpp-server/src/features/services.rs"),
];

#[cfg(test)]
mod tests {
    use shared_model::Coverage;

    use super::*;

    /// Section 2, tables 1 to 5, column "Advanced Server".
    #[test]
    fn every_row_is_there_complete_and_where_it_says() {
        let suites = ["core", "web", "IM", "mobile", "A/V"];
        let counted: Vec<_> = suites
            .iter()
            .map(|suite| ADVANCED_SERVER.iter().filter(|row| row.suite == *suite).count())
            .collect();
        assert_eq!(counted, [7, 1, 12, 3, 1]);
        for row in ADVANCED_SERVER {
            for provider in row.providers {
                let mut claims = crate::specs().into_iter().filter(|spec| spec.document == *provider);
                let is_whole = claims.any(|spec| spec.coverage == Coverage::Complete);
                assert!(is_whole, "{}: {provider:?} is not complete", row.feature);
            }
            let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../").to_owned() + row.place;
            assert!(std::path::Path::new(&place).is_file(), "{place}");
        }
    }
}
