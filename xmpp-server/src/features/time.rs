//! Entity time — XEP-0202 2.0, section 3: the server's clock, in UTC.

use shared_model::Spec;
use xmpp_core::payload::delay::date_time;
use xmpp_core::{Element, ErrorKind, ns};

use super::{Answered, Feature, Request, Target};

const SPEC: Spec = Spec::xep(202, "2.0").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("time", ns::TIME)],
    server: &[ns::TIME],
    account: &[],
    answer: |_, request| Box::pin(async { answer(request, shared_runtime::unix_millis()) }),
};

fn answer(request: &Request, now: i64) -> Answered {
    if request.target != Target::Server || request.is_set {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    Ok(Element::new("time", ns::TIME).text_child("tzo", "+00:00").text_child("utc", date_time(now)).into())
}
