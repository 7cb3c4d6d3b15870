//! Voicemail — where a call goes that nobody took (RFC 7081 §3, B-13), where an account hears what was left, and where its lamp asks
//! (RFC 3842 §3).
//!
//! In    a call whose callee is busy, away, or did not answer; one to the code of the number plan (`sip.numbers.voicemail`); SUBSCRIBE for
//!       `message-summary` at one's own AOR.
//! Out   a branch to the mailbox that whoever keeps mailboxes names for this call, if the callee wants one; of accounts that were proved
//!       a branch to where all mailboxes are, which go by who calls: what peers assert is taken off there, and the focus answers 403.
//! State none. Not here: what is said there (the focus), and who wants it (the chat half). A call that was declined for all
//! (6xx), or blocked, gets none.

use shared_auth::{AccountCard, Identity};
use shared_model::RoomAddress;
use sip_core::header::Name;
use sip_core::{Message, Uri};

use crate::destination;
use crate::features::Destination;
use crate::location::Branch;
use crate::server::Server;

/// The way to a mailbox of the callee, for this call alone.
pub(crate) async fn branch(server: &Server, request: &Message, callee: &AccountCard) -> Option<Branch> {
    if request.method() != "INVITE" || request.is_in_dialog() {
        return None;
    }
    let uri = server.mailboxes.as_ref()?.mailbox(&callee.jid).await?;
    along(server, uri)
}

/// Instead of this refusal of a callee.
pub(crate) async fn instead(
    server: &Server,
    request: &Message,
    callee: &AccountCard,
    refusal: &Message,
) -> Option<Branch> {
    match refusal.status() {
        486 => branch(server, request, callee).await,
        _ => None,
    }
}

/// The way to what waits for oneself: to hear it, or to be told of it.
pub(crate) async fn own(server: &Server, request: &Message, caller: Option<&Identity>) -> Option<Branch> {
    match request.method() {
        "INVITE" => hear(server, request, caller),
        _ => watch(server, request, caller).await,
    }
}

fn hear(server: &Server, request: &Message, caller: Option<&Identity>) -> Option<Branch> {
    let mailboxes = server.mailboxes.as_ref()?;
    let uri = Uri::parse(request.uri()).filter(|uri| uri.is_tel() || server.is_our_host(uri))?;
    let is_proved = caller.is_some() && request.value(Name::Route).is_none();
    (is_proved && server.plan.is_voicemail(&uri)).then(|| along(server, mailboxes.watched()))?
}

async fn watch(server: &Server, request: &Message, caller: Option<&Identity>) -> Option<Branch> {
    let event = request.value(Name::Event).filter(|_| request.method() == "SUBSCRIBE")?;
    let mailboxes = server.mailboxes.as_ref()?;
    let is_ours = event.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PACKAGE);
    let uri = Uri::parse(request.uri()).filter(|uri| is_ours && server.is_our_host(uri))?;
    // A store that does not answer proves nothing.
    let owner = destination::account_of(server, &uri).await.ok().flatten()?;
    caller.filter(|caller| caller.account == owner.account)?;
    along(server, mailboxes.watched())
}

/// Whether a branch leads where all mailboxes are, on whatever way it came there: whose opens goes by a proof alone, not by a peer's word.
pub(crate) fn opens(server: &Server, branch: &Branch, request: &Message) -> bool {
    let mailbox = |uri: &str| {
        let uri = Uri::parse(uri)?;
        // As the focus reads it.
        RoomAddress::new(&uri.user_unescaped(), uri.host).ok()
    };
    let watched = server.mailboxes.as_ref().filter(|_| branch.to == Destination::Trusted);
    let watched = watched.and_then(|mailboxes| mailbox(&mailboxes.watched()));
    watched.is_some() && watched == mailbox(branch.uri.as_deref().unwrap_or(request.uri()))
}

fn along(server: &Server, uri: String) -> Option<Branch> {
    let flow = server.hosted(Uri::parse(&uri)?.host)?;
    Some(Branch { uri: Some(uri), ..Branch::along(flow, Destination::Trusted) })
}

/// What a mailbox can (RFC 3840 §10): callers may want it, or anything else.
pub(crate) const FEATURES: &str =
    ";audio;automata;actor=\"msg-taker\";methods=\"INVITE,ACK,CANCEL,BYE,OPTIONS,UPDATE\"";
const PACKAGE: &str = "message-summary";
