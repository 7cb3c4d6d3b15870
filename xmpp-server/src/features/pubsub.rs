//! Publish and subscribe, as the table of features has it; what it does is in [`crate::pubsub`].
//!
//! Support for personal events is on the account's bare JID (XEP-0163 §6.1). The domain says the same for its accounts, as
//! it did before version 1.2 of the XEP and as clients still look for it; it has no nodes of its own.

use xmpp_core::ns;

use super::Feature;
use crate::pubsub;

pub(super) const FEATURE: Feature = Feature {
    specs: pubsub::SPECS,
    takes: &[("pubsub", ns::PUBSUB), ("pubsub", ns::PUBSUB_OWNER)],
    server: pubsub::FEATURES,
    account: pubsub::FEATURES,
    answer: |server, request| Box::pin(pubsub::answer(server, request)),
};

pub(super) const PERSONAL: Feature = Feature {
    specs: crate::avatar::SPECS,
    takes: &[],
    server: &[],
    account: pubsub::PERSONAL,
    answer: |_, _| Box::pin(async { Err(xmpp_core::ErrorKind::ServiceUnavailable.into()) }),
};
