//! Session establishment — RFC 3921 §3, a no-op since RFC 6121 (appendix E), which old clients still ask for.
//!
//! In `<session/>`. Out an empty result. State none.

use xmpp_core::ns;

use super::{Answer, Feature};

pub(super) const FEATURE: Feature = Feature {
    specs: &[],
    takes: &[("session", ns::SESSION)],
    server: &[],
    account: &[],
    answer: |_, _| Box::pin(async { Ok(Answer::default()) }),
};
