//! Software version — XEP-0092 1.1, section 3: the product and its release; the operating system is nobody's business.

use shared_model::Spec;
use xmpp_core::{Element, ErrorKind, ns};

use super::{Answered, Feature, Request, Target};

const SPEC: Spec = Spec::xep(92, "1.1").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("query", ns::VERSION)],
    server: &[ns::VERSION],
    account: &[],
    answer: |_, request| Box::pin(async { answer(request) }),
};

fn answer(request: &Request) -> Answered {
    if request.target != Target::Server || request.is_set {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    let query = Element::new("query", ns::VERSION).text_child("name", "cusax");
    Ok(query.text_child("version", env!("CARGO_PKG_VERSION")).into())
}
