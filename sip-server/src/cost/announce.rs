//! A spoken announcement before a call goes on — RFC 7081 §5: early media of the focus, by an INVITE of their own.
//!
//! In    the caller's INVITE with its offer. Out a copy to whoever announces, with our Record-Route, so that a PRACK comes back by us;
//!       its 183 goes on to the caller, as that of one more branch (RFC 3261 §16.7), and nothing else of it does.
//! State none. Errors what cannot be said is not: the chat message says it too.

use std::time::Duration;

use shared_model::Announcement;
use sip_core::Uri;
use sip_core::header::Name;
use sip_core::proxy::prepare_copy;
use sip_endpoint::{Answer, SentRequest, ServerHandle, Transport};

use super::admission::Asked;
use crate::flow_token::Followed;
use crate::proxy::{Side, caller_followed, record_route};

/// One that is being said.
pub(super) struct Announced(SentRequest);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was said, and what it asked was answered with yes.
    Said,
    /// The caller said no.
    Declined,
    /// It could not be said.
    Unsaid,
}

impl Announced {
    /// Begins one, where the operator wants them and the caller can hear it.
    pub(super) async fn begin(asked: Asked<'_>, what: Announcement) -> Option<Self> {
        let Asked { server, request, flow: caller, .. } = asked;
        // In a room nobody hears what is said before a call is answered.
        let is_heard = !request.body().is_empty() && caller.transport != Transport::InProcess;
        if !server.config.cost.announce || !is_heard {
            return None;
        }
        let uri = server.announcements.as_ref()?.announcement(what)?;
        let flow = server.hosted(Uri::parse(&uri)?.host)?;
        let mut copy = request.clone();
        prepare_copy(&mut copy, Some(&uri));
        for name in [Name::Route, Name::Authorization, Name::ProxyAuthorization, Name::ProxyRequire] {
            copy.remove(name);
        }
        let reach = caller_followed(request, caller, true);
        let sides = [
            Side { flow: caller, reach, ahead: 0 },
            Side { flow: &flow, reach: Followed::Nowhere, ahead: 0 },
        ];
        record_route(&mut copy, request.uri(), server, sides);
        Some(Self(server.endpoint().request(copy, flow, "announced").await))
    }

    /// Lets the caller hear it. Cancel safe.
    pub(super) async fn end(&mut self, handle: &ServerHandle) -> End {
        while let Some(answer) = self.0.next().await {
            let Answer::Response(mut response) = answer else { break };
            match response.status() {
                100 => {}
                101..200 => {
                    response.pop_front(Name::Via);
                    handle.respond(*response);
                }
                480 => return End::Said,
                603 => return End::Declined,
                _ => break,
            }
        }
        End::Unsaid
    }

    /// Nobody waits for it any more.
    pub(super) async fn stop(self) {
        self.0.cancel().send("").await;
    }
}

/// Says something that nobody needs to answer, and lets the caller hear it. False if they gave up.
pub(super) async fn say(asked: Asked<'_>, what: Announcement) -> bool {
    let Some(mut announced) = Announced::begin(asked, what).await else { return true };
    let is_patient = tokio::select! {
        end = announced.end(asked.handle) => return end != End::Declined,
        () = tokio::time::sleep(LONGEST) => true,
        () = asked.handle.cancelled() => false,
    };
    announced.stop().await;
    is_patient
}

/// How long something is said at most.
const LONGEST: Duration = Duration::from_secs(15);
