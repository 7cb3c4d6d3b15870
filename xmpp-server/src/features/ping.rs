//! Ping — XEP-0199 2.0.1, sections 4.1 (server to client is answered alike), 4.2 (client to server).
//!
//! In `<ping/>` to the server or an account. Out an empty result. State none.

use shared_model::Spec;
use xmpp_core::{ErrorKind, ns};

use super::{Answer, Feature};

const SPEC: Spec = Spec::xep(199, "2.0.1").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("ping", ns::PING)],
    server: &[ns::PING],
    account: &[ns::PING],
    answer: |_, request| {
        let answer = if request.is_set { Err(ErrorKind::BadRequest.into()) } else { Ok(Answer::default()) };
        Box::pin(async { answer })
    },
};
