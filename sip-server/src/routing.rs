//! Where a request goes — RFC 3261 §16.3 to §16.5, as one decision that does no forwarding of its own.
//!
//! In    a request from a flow.
//! Out   a [`Decision`]: an answer, a registration, or branches.
//! Order Max-Forwards and loops, extensions, our own Routes, in-dialog, who is it, what is it for, where are they.
//! Errors 403 for strangers who want to go elsewhere (nothing is relayed for them), 404 and 480 for users of ours.

use std::sync::Arc;

use shared_auth::{AccountCard, Identity};
use shared_model::{AccountId, Aor, BareJid, CallEvent, CallOutcome, CalledBy, MayRing};
use shared_runtime::unix_millis;
use sip_core::header::{Name, NameAddr};
use sip_core::proxy::{Hop, hop_check, pop_routes};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::authenticate::Asker;
use crate::caller;
use crate::config::Chat;
use crate::cost::Charge;
use crate::destination::{self, Found, Nowhere, Outside};
use crate::facts;
use crate::features::{Destination, chat, privacy, session_timer};
use crate::gruu::Device;
use crate::hang_up;
use crate::in_dialog;
use crate::location::Branch;
use crate::numbers::sos;
use crate::push::Sleeper;
use crate::reg_event;
use crate::server::Server;
use crate::stir::Verstat;
use crate::trunks::{Trunk, inbound};
use crate::trust::{is_trusted_peer, vouched_caller};
use crate::voicemail;

/// What becomes of a request.
pub(crate) enum Decision {
    /// It is answered here.
    Answer(Box<Message>),
    /// It is a registration of this account.
    Register(Identity),
    /// It subscribes to what is bound to an AOR of ours; who proved to have sent it, if anybody.
    Subscribe(Option<Identity>),
    /// It is forwarded.
    Forward(Box<Route>),
}

/// Where a request is forwarded, and what is known of it: much, so that it is made where it stays.
#[derive(Default)]
pub(crate) struct Route {
    /// The name of the call that it begins or is in, among calls that are up: its Call-ID, unless another has that.
    pub(crate) call: String,
    /// Groups of branches, rung one after another.
    pub(crate) groups: Vec<Vec<Branch>>,
    /// Devices that are to be woken.
    pub(crate) asleep: Vec<Sleeper>,
    /// Who sent it, if proved.
    pub(crate) caller: Option<Identity>,
    /// Who sent it, as another domain says that proved to be theirs, or as a trusted peer says of one of ours.
    pub(crate) vouched: Option<BareJid>,
    /// For whom an endpoint of ours calls somebody who is not here, if for somebody. Who is called is not told.
    pub(crate) asker: Option<AccountCard>,
    /// Whose side of its dialog sent it, if it is a REFER in one.
    pub(crate) sender: Option<Aor>,
    /// The address that the sender prefers, if it is one of its own.
    pub(crate) asserted: Option<String>,
    /// What became of a stranger's signature, if somebody wants to know.
    pub(crate) verstat: Option<Verstat>,
    /// Whether the sender wants to stay unknown.
    pub(crate) is_anonymous: bool,
    /// Whether the sender may go to other domains.
    pub(crate) is_trusted: bool,
    /// Whose devices the branches are.
    pub(crate) callee: Option<Arc<AccountCard>>,
    /// Which of them are meant; `None` if all are.
    pub(crate) device: Option<Device>,
    /// What was dialled, if it leads to the telephone network.
    pub(crate) outside: Option<Outside>,
    /// The number that another domain was found for (RFC 6116): carriers take it where that fails.
    pub(crate) number: Option<String>,
    /// The trunk that it came from, if it came from one.
    pub(crate) from_trunk: Option<Arc<Trunk>>,
    /// The number plan leads it to a room: whoever calls that number may come in, if the room lets them.
    pub(crate) is_to_rooms_number: bool,
    /// The callee's mailbox, if nobody is to be rung, and the status that says why.
    pub(crate) mailbox: Option<(Branch, u16)>,
    /// What it costs whoever calls, from the answer on.
    pub(crate) charge: Option<Charge>,
    /// How much higher than the caller's the CSeq of the dialog's last INVITE was.
    pub(crate) ahead_of_invite: u32,
    /// How the way differs from the one that the dialog began on.
    pub(crate) astray: Option<Astray>,
}

/// Whose call it is: by whose rights it goes on, and on whose bill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payer<'a> {
    pub(crate) account: AccountId,
    pub(crate) aor: &'a Aor,
    pub(crate) jid: &'a BareJid,
}

impl Route {
    /// Who sent it, or had an endpoint of ours send it.
    pub(crate) fn payer(&self) -> Option<Payer<'_>> {
        let sender = self.caller.as_ref().map(|it| Payer { account: it.account, aor: &it.aor, jid: &it.jid });
        let asker =
            || self.asker.as_ref().map(|it| Payer { account: it.account, aor: &it.aor, jid: &it.jid });
        sender.or_else(asker)
    }
}

/// How the way of a request inside a dialog differs from that of the dialog's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Astray {
    /// It goes where the other side said since (RFC 3261 §12.2.1.2), or to a server that stayed on its path.
    Retargeted,
    /// The connection is gone, and another way is tried: what it comes to says nothing of the dialog (RFC 5626 §5.3.1).
    FlowGone,
    /// The same, and that way leads to another host than its peer was seen at: only if it takes the request, it is its peer.
    Guessed,
}

/// Decides about a request; our own Routes are taken off it.
pub(crate) async fn decide(server: &Server, request: &mut Message, flow: &Flow) -> Decision {
    match route(server, request, flow).await {
        Ok(decision) => decision,
        Err(answer) => Decision::Answer(answer),
    }
}

async fn route(server: &Server, request: &mut Message, flow: &Flow) -> Result<Decision, Box<Message>> {
    match hop_check(request, |host, port| server.endpoint().is_own(host, port)) {
        Err(hop) if hop != Hop::TooMany || !ends_here(server, request) => {
            return Err(answer(request, status_of(hop), reason_of(hop)));
        }
        _ => {}
    }
    refuse_unknown_extensions(request)?;
    if server.config.cost.has_limits() && hang_up::is_too_high(request) {
        return Err(answer(request, 400, "CSeq Too High"));
    }
    if let Some(refusal) = session_timer::refuse(request, server.config.session()) {
        return Err(Box::new(refusal));
    }
    if let Some(refusal) = privacy::refuse(request) {
        return Err(Box::new(refusal));
    }
    let call_id = request.call_id().to_owned();
    let tokens = pop_routes(request, |uri| is_ours(server, uri, &call_id));
    let Some(uri) = Uri::parse(request.uri()) else { return Err(answer(request, 400, "Bad Request-URI")) };
    if !uri.is_sip() && !uri.is_tel() && sos(&uri).is_none() {
        return Err(answer(request, 416, ""));
    }
    if !uri.headers.is_empty() {
        // §19.1.1: a Request-URI has no headers, and they must not go on (RFC 4475 §3.1.2.11).
        return Err(answer(request, 400, "Headers In Request-URI"));
    }
    if request.is_in_dialog() {
        return in_dialog::route(server, request, flow, &tokens).await.map(Decision::Forward);
    }
    let is_registration = request.method() == "REGISTER";
    let is_for_us = uri.user.is_empty() && server.is_our_host(&uri);
    if is_registration {
        return registration(server, request, flow, is_for_us).await;
    }
    if is_for_us && request.method() == "OPTIONS" {
        refuse_required(request)?;
        return Err(Box::new(capabilities(server, request)));
    }
    if let Some(trunk) = server.trunks.source(flow, server.endpoint()) {
        return match Box::pin(from_trunk(server, request, &uri, trunk)).await {
            Ok(route) => Ok(Decision::Forward(Box::new(route))),
            Err(answer) => {
                let whose = Route { from_trunk: Some(Arc::clone(trunk)), ..Route::default() };
                Box::pin(note_refused(server, request, &uri, whose, answer.status())).await;
                Err(answer)
            }
        };
    }
    let asserted = caller::asserted(server, request, flow).await;
    let mut caller = match asserted {
        Some(_) => None,
        None => caller::who(server, request, flow).await?,
    };
    if reg_event::is_meant(request) && server.is_our_host(&uri) {
        return Ok(Decision::Subscribe(caller));
    }
    if let Some(mailbox) = voicemail::own(server, request, caller.as_ref()).await {
        let route = Route { groups: vec![vec![mailbox]], caller, is_trusted: true, ..Route::default() };
        return Ok(Decision::Forward(Box::new(route)));
    }
    refuse_chat(server, request, &uri, caller.as_ref()).await?;
    match find(server, request, &uri, flow, (&mut caller, asserted)).await {
        Ok(route) => Ok(Decision::Forward(route)),
        Err(answer) => {
            if caller.is_some() {
                let whose = Route { caller, ..Route::default() };
                Box::pin(note_refused(server, request, &uri, whose, answer.status())).await;
            }
            Err(answer)
        }
    }
}

/// Whether we are who a request is for, so that it need go no further (§8.2, §16.3 item 3).
fn ends_here(server: &Server, request: &Message) -> bool {
    let is_ours = |uri: Uri<'_>| uri.user.is_empty() && server.is_our_host(&uri);
    matches!(request.method(), "REGISTER" | "OPTIONS") && Uri::parse(request.uri()).is_some_and(is_ours)
}

/// What comes from a trunk is for a number of ours. Its caller is proved by nobody here, and is no user of ours.
async fn from_trunk(
    server: &Server,
    request: &Message,
    uri: &Uri<'_>,
    trunk: &Arc<Trunk>,
) -> Result<Route, Box<Message>> {
    if inbound::claims_ours(server, request) {
        return Err(answer(request, 403, "From Is Not Yours"));
    }
    if request.value(Name::Route).is_some() {
        return Err(Nowhere::NoRelaying.answer(request));
    }
    let mut found =
        inbound::find(server, request, uri, trunk).await.map_err(|nowhere| nowhere.answer(request))?;
    if request.method() == "INVITE" {
        trunk.metrics.calls_in.inc();
    }
    let mut mailbox = None;
    if let Some(callee) = found.callee.clone()
        && let Err(refusal) = refuse_unwanted(server, request, &callee, CalledBy::Unknown).await
    {
        let instead = voicemail::instead(server, request, &callee, &refusal).await;
        let why = refusal.status();
        mailbox = Some((instead.ok_or(refusal)?, why));
        found = Found { callee: Some(callee), ..Found::default() };
    }
    let verstat = match request.method() == "INVITE" {
        true => server.stir.verify(request, unix_millis() / 1_000).await?,
        false => None,
    };
    let is_to_rooms_number = found.callee.is_none() && (uri.is_tel() || server.is_our_host(uri));
    Ok(Route {
        verstat,
        is_to_rooms_number,
        groups: found.groups,
        asleep: found.asleep,
        is_anonymous: privacy::is_anonymous(request),
        callee: found.callee,
        device: found.device,
        from_trunk: Some(Arc::clone(trunk)),
        mailbox,
        ..Route::default()
    })
}

async fn registration(
    server: &Server,
    request: &Message,
    flow: &Flow,
    is_for_us: bool,
) -> Result<Decision, Box<Message>> {
    if !is_for_us {
        return Err(answer(request, 404, "Domain Not Served"));
    }
    let identity = caller::prove_as(server, request, flow, Asker::Server).await?;
    Ok(Decision::Register(identity))
}

/// The answer to what the XMPP half serves.
async fn refuse_chat(
    server: &Server,
    request: &Message,
    uri: &Uri<'_>,
    caller: Option<&Identity>,
) -> Result<(), Box<Message>> {
    let is_ours = server.is_our_host(uri);
    if server.chat_of(uri) == Chat::Pass
        || !chat::is_chat(request)
        || server.hosted(uri.host).is_some()
        || !is_ours
    {
        return Ok(());
    }
    let account = match caller {
        // A store that does not answer costs the hint alone.
        Some(caller) => match destination::account_of(server, uri).await.ok().flatten() {
            Some(card) => finds(server, &caller.jid, &card).await.then_some(card),
            None => None,
        },
        None => None,
    };
    Err(Box::new(chat::refuse(request, account.as_ref(), (ALLOWED, server.event_packages()))))
}

/// Whether somebody hears the JID of an account that they name by its AOR or number, without a call (S-29). Who is whose contact is not
/// known here.
async fn finds(server: &Server, asker: &BareJid, card: &AccountCard) -> bool {
    let found = (card.account, &card.aor, &card.jid);
    let is_contact = Box::pin(async { Ok(false) });
    shared_model::finds(asker, found, &*server.visibility, is_contact).await.unwrap_or(false)
}

async fn find(
    server: &Server,
    request: &Message,
    uri: &Uri<'_>,
    flow: &Flow,
    (caller, asserted): (&mut Option<Identity>, Option<AccountCard>),
) -> Result<Box<Route>, Box<Message>> {
    let is_trusted = caller.is_some() || flow.transport == Transport::InProcess;
    let mut mailbox = None;
    // Who asked for many names hears of nobody any more whether they are here or away; who is here is called.
    let is_guesser = !is_trusted && server.auth.authenticator.wait_of_guesser(flow.remote.ip()).is_some();
    let has_route = request.value(Name::Route).is_some();
    let replaced = match caller.as_ref() {
        Some(caller) if !has_route => destination::replaced(server, request, uri, caller).await,
        _ => None,
    };
    let mut found = if let Some(found) = replaced {
        found
    } else if !has_route {
        if is_guesser && request.method() != "INVITE" {
            return Err(Nowhere::Offline.answer(request));
        }
        match destination::find(server, uri, is_trusted).await {
            Ok(found) => found,
            Err(Nowhere::NoRelaying) if asserted.is_some() || caller::is_nameless(request) => {
                return Err(ask_who(server, request, flow).await);
            }
            Err(nowhere) => {
                if !is_trusted && matches!(nowhere, Nowhere::Nobody | Nowhere::NoRelaying) {
                    if is_guesser {
                        return Err(Nowhere::Offline.answer(request));
                    }
                    server.note_guess(flow);
                }
                let answer = nowhere.answer(request);
                // A store that does not answer costs the callee the news alone.
                let callee = match nowhere {
                    Nowhere::Offline | Nowhere::NotSecure => {
                        destination::account_of(server, uri).await.ok().flatten()
                    }
                    _ => None,
                };
                if let Some(callee) = &callee {
                    let branch = voicemail::branch(server, request, callee).await;
                    mailbox = branch.map(|branch| (branch, answer.status()));
                }
                if mailbox.is_none() {
                    return Err(answer);
                }
                Found { callee: callee.map(Arc::new), ..Found::default() }
            }
        }
    } else if is_trusted {
        Found::of(next_hop(server, request, Destination::Foreign).await?)
    } else if asserted.is_some() || caller::is_nameless(request) {
        return Err(ask_who(server, request, flow).await);
    } else {
        // Somebody's Route leads elsewhere: for users of ours only.
        return Err(Nowhere::NoRelaying.answer(request));
    };
    if !is_trusted && found.callee.is_some() && !is_trusted_peer(server, flow) {
        refuse_commands(request)?;
    }
    let vouched = match asserted {
        Some(asserted) => Some(asserted.jid),
        None if is_trusted => None,
        None => vouched_caller(server, request, flow),
    };
    let is_anonymous = privacy::is_anonymous(request);
    // Nobody gains by the name of somebody who is blocked.
    let claimed = caller::claimed(request);
    let called_by = match caller.as_ref().map(|caller| &caller.jid).or(vouched.as_ref()) {
        None => claimed.as_ref().map_or(CalledBy::Unknown, CalledBy::Hidden),
        Some(jid) if is_anonymous => CalledBy::Hidden(jid),
        Some(jid) => CalledBy::Shown(jid),
    };
    if let Some(callee) = found.callee.clone()
        && let Err(refusal) = refuse_unwanted(server, request, &callee, called_by).await
    {
        let instead = voicemail::instead(server, request, &callee, &refusal).await;
        mailbox = instead.map(|branch| (branch, refusal.status()));
        if mailbox.is_none() {
            return Err(refusal);
        }
        found = Found { callee: Some(callee), ..Found::default() };
    }
    let leaves = found.outside.is_some() || found.has_foreign();
    let asker = if leaves { caller::asker(server, request, flow).await? } else { None };
    if let Some(outside) = &mut found.outside {
        // The telephone network costs somebody something: only who proved who they are goes there, and only to call.
        let payer =
            caller.as_ref().map(|caller| caller.account).or(asker.as_ref().map(|asker| asker.account));
        let Some(payer) = payer else { return Err(Nowhere::NoRelaying.answer(request)) };
        if request.method() != "INVITE" {
            return Err(Nowhere::CallsOnly.answer(request));
        }
        outside.number = caller::number(server, request, payer).await;
    }
    let is_strangers = !is_trusted && request.method() == "INVITE" && !is_trusted_peer(server, flow);
    let verstat = match is_strangers {
        true => server.stir.verify(request, unix_millis() / 1_000).await?,
        false => None,
    };
    let preferred = match caller.as_ref() {
        Some(caller) => caller::preferred(server, request, caller).await,
        None => None,
    };
    let Found { groups, asleep, callee, device, outside, number } = found;
    Ok(Box::new(Route {
        groups,
        asleep,
        callee,
        device,
        outside,
        // Carriers take calls and nothing else.
        number: number.filter(|_| request.method() == "INVITE"),
        mailbox,
        caller: caller.take(),
        vouched,
        asker,
        asserted: preferred,
        verstat,
        is_anonymous,
        is_trusted,
        ..Route::default()
    }))
}

/// Who gives no name may be of ours, and is asked before they are refused where strangers may not go (RFC 3323 §4.2).
async fn ask_who(server: &Server, request: &Message, flow: &Flow) -> Box<Message> {
    match caller::prove_as(server, request, flow, Asker::Proxy).await {
        Err(question) => question,
        Ok(_) => Nowhere::NoRelaying.answer(request),
    }
}

/// A call of a proven caller, or of a trunk, that comes to no way on is one all the same: it is told, and has a row. Those of strangers are
/// counted alone, for there is no end of them.
async fn note_refused(server: &Server, request: &Message, uri: &Uri<'_>, mut whose: Route, status: u16) {
    if request.method() != "INVITE" || matches!(status, 401 | 407) {
        return;
    }
    if uri.is_tel() || server.is_our_host(uri) {
        // A store that does not answer costs the callee the news alone.
        whose.callee = destination::account_of(server, uri).await.ok().flatten().map(Arc::new);
    }
    let call_id = server.dialogs.name(request.call_id(), request.from_tag().unwrap_or_default());
    let attempted = CallEvent::Attempted {
        call_id: call_id.clone(),
        from: whose.caller.as_ref().map(|caller| caller.account),
        from_uri: facts::from_uri(request),
        is_anonymous: privacy::is_anonymous(request),
        to: whose.callee.as_ref().map(|callee| callee.account),
        to_uri: request.uri().to_owned(),
    };
    let outcome = CallOutcome::Refused(status);
    for event in [attempted, CallEvent::Ended { call_id: call_id.clone(), outcome, reason: None }] {
        server.facts.call(&call_id, event);
    }
    if status == 603 {
        // Who blocked the caller wants to see nothing of them.
        whose.callee = None;
    }
    if let Some(begun) = server.calls.begin(request, &mut whose) {
        server.calls.unanswered(begun, status, false, None).await;
    }
}

/// Who is not known may call a phone, and write where chat passes; what would command it or spy on it does not come to it: RFC 3515 §5
/// (REFER), RFC 6665 §4.1.3 (a NOTIFY without its subscription), RFC 3261 §12.2.2 (what is of a dialog that is not there).
fn refuse_commands(request: &Message) -> Result<(), Box<Message>> {
    match request.method() {
        "INVITE" | "OPTIONS" | "MESSAGE" | "PUBLISH" => Ok(()),
        "SUBSCRIBE" if chat::is_chat(request) => Ok(()),
        "BYE" | "INFO" | "UPDATE" | "PRACK" | "NOTIFY" => Err(answer(request, 481, "")),
        _ => Err(answer(request, 403, "Strangers Only Call")),
    }
}

/// The answer to what the callee does not want now, as the chat half has it: of a call, of what is written and of what would be watched. Who
/// does not want to be disturbed is written to all the same.
async fn refuse_unwanted(
    server: &Server,
    request: &Message,
    callee: &AccountCard,
    caller: CalledBy<'_>,
) -> Result<(), Box<Message>> {
    let is_call = request.method() == "INVITE";
    let is_asked = is_call || matches!(request.method(), "MESSAGE" | "PUBLISH" | "SUBSCRIBE" | "REFER");
    let Some(availability) = server.availability.as_ref().filter(|_| is_asked) else { return Ok(()) };
    match availability.may_ring(&callee.jid, caller).await {
        MayRing::Yes => Ok(()),
        MayRing::DoNotDisturb if !is_call => Ok(()),
        MayRing::DoNotDisturb => Err(answer(request, 486, "Do Not Disturb")),
        MayRing::Blocked => Err(answer(request, 603, "")),
    }
}

/// Where the topmost Route, or else the Request-URI, leads (§16.6, item 6).
pub(crate) async fn next_hop(
    server: &Server,
    request: &Message,
    to: Destination,
) -> Result<Branch, Box<Message>> {
    let uri = match request.elements(Name::Route).next() {
        Some(route) => NameAddr::parse(route).and_then(|route| Uri::parse(route.uri)).filter(is_followed),
        None => Uri::parse(request.uri()),
    };
    let uri = uri.ok_or_else(|| Nowhere::Unreadable.answer(request))?;
    destination::towards(server, &uri, to).await.map_err(|nowhere| nowhere.answer(request))
}

/// Whether a Route leads to a host that can be looked for.
fn is_followed(route: &Uri<'_>) -> bool {
    route.is_sip() && !route.host.is_empty()
}

/// §16.3, item 5: a proxy does what Proxy-Require asks, or says that it does not know it.
fn refuse_unknown_extensions(request: &Message) -> Result<(), Box<Message>> {
    let is_known = |option: &str| PROXIED.iter().any(|known| known.eq_ignore_ascii_case(option));
    let is_unknown = |option: &&str| !is_known(option);
    refuse_options(request, request.elements(Name::ProxyRequire).filter(is_unknown).collect())
}

/// §8.2.2.3: what is asked of us as a user agent.
pub(crate) fn refuse_required(request: &Message) -> Result<(), Box<Message>> {
    let is_known = |option: &str| SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(option));
    let unknown = request.elements(Name::Require).filter(|option| !is_known(option)).collect();
    refuse_options(request, unknown)
}

fn refuse_options(request: &Message, unknown: Vec<&str>) -> Result<(), Box<Message>> {
    if unknown.is_empty() || matches!(request.method(), "ACK" | "CANCEL") {
        return Ok(());
    }
    let mut response = answer(request, 420, "");
    response.push(Name::Unsupported, &unknown.join(", "));
    Err(response)
}

/// What OPTIONS is told (§11.2).
fn capabilities(server: &Server, request: &Message) -> Message {
    let mut response = Message::response(request, 200, "");
    response.push(Name::Allow, ALLOWED);
    response.push(Name::AllowEvents, server.event_packages());
    response.push(Name::Accept, "application/sdp");
    response.push_other("Accept-Encoding", "identity");
    response.push_other("Accept-Language", "en");
    response.push(Name::Supported, &SUPPORTED.join(", "));
    response
}

fn is_ours(server: &Server, uri: &Uri<'_>, call_id: &str) -> bool {
    // What names our address or domain is ours without a look at its token, which is read when it counts.
    server.is_our_host(uri) || server.tokens.is_ours(uri.user, call_id)
}

pub(crate) fn answer(request: &Message, status: u16, reason: &str) -> Box<Message> {
    Box::new(Message::response(request, status, reason))
}

/// RFC 3261 §21.5.4: what we cannot look up now, another server may, or we in a moment.
pub(crate) fn unavailable(request: &Message) -> Box<Message> {
    let mut response = answer(request, 503, "");
    response.push(Name::RetryAfter, RETRY_AFTER);
    response
}

fn status_of(hop: Hop) -> u16 {
    match hop {
        Hop::TooMany => 483,
        Hop::Loop => 482,
        Hop::Bad => 400,
    }
}

fn reason_of(hop: Hop) -> &'static str {
    if hop == Hop::Bad { "Bad Max-Forwards" } else { "" }
}

/// Seconds, until the store may be there again.
const RETRY_AFTER: &str = "5";
/// What a request through us may rely on.
const PROXIED: [&str; 2] = ["privacy", "pref"];
/// What a request to us may rely on.
const SUPPORTED: [&str; 5] = ["path", "outbound", "gruu", "timer", "pref"];
/// Methods that pass.
pub(crate) const ALLOWED: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, REFER, INFO, UPDATE, PRACK";
