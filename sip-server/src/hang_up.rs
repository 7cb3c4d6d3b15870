//! Ends a call from the middle: a BYE to both sides, each as if the other had sent it.
//!
//! RFC 3261 §16 knows no proxy that does so: it is no party of the dialog. It knows all that a BYE of a party has, though, if it saw the whole
//! dialog, and who gets it cannot tell it from the other side's.
//!
//! In    the INVITE and its 2xx; what either side says in the dialog since.
//! Out   a BYE to each with a Reason (RFC 3326), whose answers stay here.
//! State [`Ends`], a kilobyte for each call that may be ended so; lost with the process.
//! Errors what a side says to it is logged: it may be gone. A number that is too low for it (500, §12.2.2) is raised, and a carrier that
//!       asks for proof (401, 407) is given it.
//! Not here: a remote target that moves in the 2xx of a re-INVITE; what the callee numbered before its 2xx.

use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_core::proxy::{prepare_copy, serve_strict_router};
use sip_core::uri::Uri;
use sip_endpoint::Flow;

use crate::in_dialog;
use crate::location::Branch;
use crate::proxy::ahead;
use crate::server::Server;

/// What a BYE to either side has.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    call_id: String,
    caller: End,
    callee: End,
}

/// One side, as the other addresses it.
#[derive(Debug, Clone)]
struct End {
    /// The flow that it began on.
    flow: Flow,
    /// Its From or To, with its tag.
    address: String,
    /// Its remote target (§12.1).
    target: String,
    /// Proxies between it and us, the next to us first.
    routes: Vec<String>,
    /// Our own token that faces it, if it keeps our Record-Route.
    token: Option<String>,
    /// The highest number of a request of its.
    cseq: u32,
}

/// Who hangs up, as it seems to the one who hears it.
#[derive(Clone, Copy)]
enum As {
    Caller,
    Callee,
}

impl Ends {
    /// Of a dialog that begins: the INVITE as the caller sent it, the 2xx as the callee did. `is_ours` tells our entries of Record-Route.
    pub(crate) fn new(
        (invite, caller): (&Message, Flow),
        (response, callee): (&Message, Flow),
        is_ours: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let target = |message: &Message| {
            NameAddr::parse(message.elements(Name::Contact).next()?).map(|contact| contact.uri.to_owned())
        };
        let recorded: Vec<&str> = response.elements(Name::RecordRoute).collect();
        let first = recorded.iter().position(|entry| is_ours(entry));
        let last = recorded.iter().rposition(|entry| is_ours(entry));
        let owned = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        // Those that the callee's proxies put on stand above ours, in the order of the way back (§12.1.1).
        let (mut above, below) = match (first, last) {
            (Some(first), Some(last)) => (owned(&recorded[..first]), owned(&recorded[last + 1..])),
            _ => (Vec::new(), invite.elements(Name::RecordRoute).map(str::to_owned).collect()),
        };
        above.reverse();
        let token = |at: Option<usize>| {
            let entry = NameAddr::parse(recorded.get(at?)?)?;
            Some(Uri::parse(entry.uri)?.user.to_owned())
        };
        Some(Self {
            call_id: invite.call_id().to_owned(),
            caller: End {
                flow: caller,
                address: response.value(Name::From)?.to_owned(),
                target: target(invite)?,
                routes: below,
                token: token(last),
                cseq: invite.cseq()?.0,
            },
            callee: End {
                flow: callee,
                address: response.value(Name::To)?.to_owned(),
                target: target(response)?,
                routes: above,
                token: token(first),
                cseq: 0,
            },
        })
    }

    /// A request inside the dialog: its number is taken, and its Contact may be where its side is from now on (§12.2.1.1, §12.2.2).
    pub(crate) fn heard(&mut self, request: &Message) {
        let is_callers = NameAddr::parse(&self.caller.address)
            .is_some_and(|caller| caller.params.value("tag") == request.from_tag());
        let end = if is_callers { &mut self.caller } else { &mut self.callee };
        end.cseq = end.cseq.max(request.cseq().map_or(0, |(number, _)| number));
        if matches!(request.method(), "INVITE" | "UPDATE") {
            let contact = request.elements(Name::Contact).next().and_then(NameAddr::parse);
            if let Some(contact) = contact {
                end.target = contact.uri.to_owned();
            }
        }
    }

    /// The BYE to the other side, and our tokens that its way has.
    fn bye(&self, from: As, reason: &str) -> (Message, Vec<String>) {
        let (own, other) = match from {
            As::Caller => (&self.caller, &self.callee),
            As::Callee => (&self.callee, &self.caller),
        };
        let mut bye = Message::request("BYE", &other.target);
        bye.push(Name::MaxForwards, "70");
        for route in &other.routes {
            bye.push(Name::Route, route);
        }
        bye.push(Name::From, &own.address);
        bye.push(Name::To, &other.address);
        bye.push(Name::CallId, &self.call_id);
        // A request that is on its way at this moment, or was answered for our sake, has one, too.
        bye.push(Name::CSeq, &format!("{} BYE", own.cseq.saturating_add(LEAP)));
        bye.push(Name::Reason, reason);
        (bye, own.token.iter().chain(&other.token).cloned().collect())
    }
}

/// Whether the number of a request leaves none for a BYE of ours; no honest phone comes so far.
pub(crate) fn is_too_high(request: &Message) -> bool {
    request.cseq().is_some_and(|(number, _)| number >= HIGHEST)
}

/// Tells the callee. Whether the call is over with that: one that refuses a BYE goes on, and so does what it costs (RFC 5057 §5.1).
pub(crate) async fn tell_callee(server: &Server, ends: &Ends, reason: &str) -> bool {
    match to_other(server, ends, As::Caller, reason).await {
        Some(bye) => send(server, bye).await,
        None => false,
    }
}

/// Tells the caller, for whom the dialog is over.
pub(crate) async fn tell_caller(server: &Server, ends: &Ends, reason: &str) {
    if let Some(bye) = to_other(server, ends, As::Callee, reason).await {
        server.dialogs.end(&bye.0);
        send(server, bye).await;
    }
}

/// The BYE to one side as it leaves, and where to.
async fn to_other(server: &Server, ends: &Ends, from: As, reason: &str) -> Option<(Message, Branch)> {
    let (mut bye, tokens) = ends.bye(from, reason);
    let came = match from {
        As::Caller => ends.caller.flow,
        As::Callee => ends.callee.flow,
    };
    let Ok(route) = in_dialog::route(server, &bye, &came, &tokens).await else {
        tracing::warn!("a call is ended, and one of its sides cannot be told");
        return None;
    };
    let branch = route.groups.into_iter().flatten().next()?;
    prepare_copy(&mut bye, branch.uri.as_deref());
    serve_strict_router(&mut bye);
    ahead::count(&mut bye, branch.ahead, 0);
    Some((bye, branch))
}

/// Whether whoever gets it takes it, or is not there any more.
async fn send(server: &Server, (mut bye, branch): (Message, Branch)) -> bool {
    let credentials = branch.trunk.as_ref().and_then(|trunk| trunk.credentials.as_ref());
    for tried in 0..MOST_TRIES {
        let mut request = bye.clone();
        if let Some(credentials) = credentials {
            credentials.put(&mut request, server.endpoint().random());
        }
        let Ok(response) = server.endpoint().request(request, branch.flow, "end").await.last().await else {
            return true;
        };
        let number = bye.cseq().map_or(0, |(number, _)| number).saturating_add(LEAP);
        let number = match response.status() {
            200..300 | 408 | 481 => return true,
            401 | 407 if credentials.is_some_and(|own| own.challenged(&response, tried > 0)) => number,
            // §12.2.2: it is lower than one that was said before the answer, and heard by nobody here.
            500 => number.max(HIGHEST),
            status => {
                tracing::warn!(status, "a side of a call does not let us end it");
                return false;
            }
        };
        bye.set(Name::CSeq, &format!("{number} BYE"));
    }
    tracing::warn!("a side of a call does not let us end it by any number");
    false
}

/// How much higher a number of ours is than the last one that was heard.
const LEAP: u32 = 100;
/// Where there are limits on spend, numbers of others are below this: room is left for ours (§8.1.1.5: less than 2^31).
const HIGHEST: u32 = (1 << 31) - (1 << 16);
/// BYEs to one side: without proof, with it, with another number.
const MOST_TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use sip_endpoint::Transport;

    use super::*;

    fn flow(id: u64) -> Flow {
        let nowhere = ([127, 0, 0, 1], 1).into();
        Flow { transport: Transport::Udp, id, local: nowhere, remote: nowhere }
    }

    #[test]
    fn each_side_hears_a_bye_of_the_other_by_its_own_route() {
        let mut invite = Message::request("INVITE", "sip:b@x");
        invite.push(Name::From, "<sip:a@x>;tag=1");
        invite.push(Name::To, "<sip:b@x>");
        invite.push(Name::CallId, "c");
        invite.push(Name::CSeq, "7 INVITE");
        invite.push(Name::Contact, "<sip:a@host>");
        let mut response = Message::response(&invite, 200, "");
        response.set(Name::To, "<sip:b@x>;tag=2");
        response.push(Name::Contact, "<sip:b@host>");
        let recorded =
            "<sip:two.b;lr>, <sip:one.b;lr>, <sip:tb@us;lr>, <sip:ta@us;lr>, <sip:one.a;lr>, <sip:two.a;lr>";
        response.push(Name::RecordRoute, recorded);
        let mut ends =
            Ends::new((&invite, flow(1)), (&response, flow(2)), |entry| entry.contains("@us")).unwrap();
        let mut update = Message::request("UPDATE", "sip:a@host");
        update.push(Name::From, "<sip:b@x>;tag=2");
        update.push(Name::CSeq, "900 UPDATE");
        update.push(Name::Contact, "<sip:b@elsewhere>");
        ends.heard(&update);

        let (bye, tokens) = ends.bye(As::Caller, "SIP;cause=403");
        let routes: Vec<&str> = bye.elements(Name::Route).collect();
        assert_eq!((bye.uri(), routes), ("sip:b@elsewhere", vec!["<sip:one.b;lr>", "<sip:two.b;lr>"]));
        assert_eq!((bye.from_tag(), bye.to_tag(), bye.cseq()), (Some("1"), Some("2"), Some((107, "BYE"))));
        assert_eq!(tokens, ["ta", "tb"]);
        let (bye, tokens) = ends.bye(As::Callee, "SIP;cause=403");
        let routes: Vec<&str> = bye.elements(Name::Route).collect();
        assert_eq!((bye.uri(), routes), ("sip:a@host", vec!["<sip:one.a;lr>", "<sip:two.a;lr>"]));
        assert_eq!((bye.from_tag(), bye.to_tag(), bye.cseq()), (Some("2"), Some("1"), Some((1_000, "BYE"))));
        assert_eq!(tokens, ["tb", "ta"]);
    }
}
