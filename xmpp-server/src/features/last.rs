//! Last activity — XEP-0012 2.0, section 5: how long the server runs.
//!
//! Not here: how long an account was away (section 4): it is not kept.

use shared_model::Spec;
use xmpp_core::{Element, ErrorKind, ns};

use super::{Feature, Target};

const SPEC: Spec = Spec::xep(12, "2.0").note("uptime of the server");

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("query", ns::LAST)],
    server: &[ns::LAST],
    account: &[],
    answer: |server, request| {
        Box::pin(async move {
            if request.target != Target::Server || request.is_set {
                return Err(ErrorKind::ServiceUnavailable.into());
            }
            Ok(Element::new("query", ns::LAST).with("seconds", server.started.elapsed().as_secs()).into())
        })
    },
};
