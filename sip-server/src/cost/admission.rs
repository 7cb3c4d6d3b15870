//! What happens before a call that costs something rings — RFC 7081 §5 (cues), §7 (they may be forged), RFC 3261 §20.43.
//!
//! In    a routed call of a proven caller, or of a room for somebody.
//! Out   a [`Charge`], if it costs anything; the caller was told by chat what, and asked where the rules say so.
//! Errors 403 with a Warning 399 and a chat message; 603 for what the caller declined; 487 if they gave up meanwhile.
//! While the caller is asked, 182 says so to the phone, or a 183 with sound where that is wanted ([`super::announce`]).

use std::sync::Arc;
use std::time::Instant;

use shared_model::{Announcement, idn};
use shared_runtime::unix_millis;
use sip_core::Message;
use sip_core::header::{Name, quote};
use sip_endpoint::{Flow, ServerHandle};

use super::announce::{Announced, End, say};
use super::charges::Charge;
use super::limits::{Refusal, may_call, may_charge};
use crate::destination::Outside;
use crate::features::Destination;
use crate::numbers::{Class, Dialled, Rate};
use crate::routing::{Payer, Route, unavailable};
use crate::server::Server;

/// Lets a call go on, or answers it.
pub(crate) async fn admit(asked: Asked<'_>, route: &Route) -> Result<Option<Charge>, Box<Message>> {
    let Asked { server, request, .. } = asked;
    let is_call = request.method() == "INVITE" && !request.is_in_dialog();
    let Some(caller) = route.payer().filter(|_| is_call) else { return Ok(None) };
    let rules = server.config.cost.of(caller.aor);
    let Some(outside) = &route.outside else {
        let is_elsewhere = route.groups.iter().flatten().any(|branch| branch.to == Destination::Foreign);
        if is_elsewhere && !rules.other_domains {
            return Err(refuse(asked, caller, Refusal::OtherDomain).await);
        }
        return Ok(None);
    };
    let rate = outside.rate;
    if rate.class == Class::Emergency {
        return Ok(None);
    }
    if let Err(refusal) = may_call(&rules, rate.class) {
        return Err(refuse(asked, caller, refusal).await);
    }
    let charge = if rate.is_charged() {
        match begin(server, request, caller, rate).await? {
            Ok(charge) => Some(charge),
            Err(refusal) => return Err(refuse(asked, caller, refusal).await),
        }
    } else {
        None
    };
    if rules.confirm.contains(&rate.class) {
        confirm(asked, caller, outside).await?;
    } else if charge.is_some() {
        if server.config.cost.notice {
            tell(server, caller, &what_it_costs(server, outside)).await;
        }
        if !say(asked, Announcement::Charged).await {
            return Err(Box::new(Message::response(request, 487, "")));
        }
    }
    Ok(charge)
}

async fn begin(
    server: &Server,
    request: &Message,
    caller: Payer<'_>,
    rate: Rate,
) -> Result<Result<Charge, Refusal>, Box<Message>> {
    let rules = server.config.cost.of(caller.aor);
    let spent = match server.calls.spend.of(caller.account, unix_millis()).await {
        Ok(spent) => spent,
        // Who spent what is not known: nothing is spent on top.
        Err(error) => {
            tracing::error!(%error, "what an account spent cannot be read");
            return Err(unavailable(request));
        }
    };
    let charges = Arc::clone(&server.calls.charges);
    Ok(charges.begin(caller.account, rate, Instant::now(), |open| may_charge(&rules, &rate, spent, open)))
}

/// Asks the caller, by chat and by voice, whichever they answer first. While they think, they may hang up.
async fn confirm(asked: Asked<'_>, caller: Payer<'_>, outside: &Outside) -> Result<(), Box<Message>> {
    let Asked { server, request, handle, .. } = asked;
    let within = server.config.cost.confirm_within;
    let question = format!("{} Write yes to call.", what_it_costs(server, outside));
    let mut announced = Announced::begin(asked, Announcement::Confirm).await;
    if announced.is_none() {
        if server.notices.is_none() {
            return Err(refuse(asked, caller, Refusal::NotConfirmed).await);
        }
        let mut waits = Message::response(request, 182, "Confirm By Chat");
        waits.ensure_to_tag(&format!("{:016x}", server.endpoint().random()));
        handle.respond(waits);
    }
    let (mut is_asked, mut end) = (true, std::pin::pin!(tokio::time::sleep(within)));
    let mut by_chat = std::pin::pin!(async {
        match &server.notices {
            Some(notices) => notices.ask(caller.jid, &question, within).await,
            None => None,
        }
    });
    let answer = loop {
        if !is_asked && announced.is_none() {
            break Some(Err(Refusal::NotConfirmed));
        }
        let by_key = async {
            match &mut announced {
                Some(announced) => announced.end(handle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = &mut by_chat, if is_asked => match answer {
                Some(word) => break Some(means(&word)),
                None => is_asked = false,
            },
            heard = by_key => match heard {
                End::Said => break Some(Ok(())),
                End::Declined => break Some(Err(Refusal::Declined)),
                End::Unsaid => announced = None,
            },
            () = &mut end => break Some(Err(Refusal::NotConfirmed)),
            () = handle.cancelled() => break None,
        }
    };
    if let Some(announced) = announced {
        announced.stop().await;
    }
    match answer {
        None => Err(Box::new(Message::response(request, 487, ""))),
        Some(Ok(())) => Ok(()),
        Some(Err(refusal)) => Err(refuse(asked, caller, refusal).await),
    }
}

/// What an answer by chat means.
fn means(word: &str) -> Result<(), Refusal> {
    match YES.iter().any(|yes| word.eq_ignore_ascii_case(yes)) {
        true => Ok(()),
        false => Err(Refusal::Declined),
    }
}

/// A call that is being judged.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) server: &'a Server,
    pub(crate) request: &'a Message,
    /// What it came over.
    pub(crate) flow: &'a Flow,
    pub(crate) handle: &'a ServerHandle,
}

async fn refuse(asked: Asked<'_>, caller: Payer<'_>, refusal: Refusal) -> Box<Message> {
    let Asked { server, request, .. } = asked;
    let text = refusal.text(&server.config.cost.currency);
    tracing::info!(?refusal, "a call is refused by its caller's rules");
    if refusal != Refusal::Declined {
        tell(server, caller, &format!("Your call was not made. {text}.")).await;
    }
    // Who was asked knows.
    let is_known = matches!(refusal, Refusal::Declined | Refusal::NotConfirmed);
    if !is_known && !say(asked, Announcement::Refused).await {
        return Box::new(Message::response(request, 487, ""));
    }
    let mut response = Message::response(request, refusal.status(), "");
    response.push(Name::Warning, &format!("399 {} {}", idn::to_ascii(server.domains.main()), quote(&text)));
    Box::new(response)
}

async fn tell(server: &Server, caller: Payer<'_>, text: &str) {
    if let Some(notices) = &server.notices {
        notices.tell(caller.jid, text).await;
    }
}

fn what_it_costs(server: &Server, outside: &Outside) -> String {
    let (rate, currency) = (outside.rate, &server.config.cost.currency);
    let number = match &outside.dialled {
        Dialled::Number(number) | Dialled::Emergency(number) => number.as_str(),
        Dialled::Ours(_) | Dialled::Name => "",
    };
    let what = match rate.class {
        Class::Free => "free",
        Class::Pstn => "in the telephone network",
        Class::Foreign => "abroad",
        Class::Premium => "a premium number",
        Class::Emergency => "emergency services",
    };
    let minute = format!("{} {currency} a minute", rate.tariff.minute);
    let cost = match rate.tariff.setup {
        _ if !rate.is_charged() => "nothing".to_owned(),
        setup if setup > crate::numbers::Money::ZERO => format!("{setup} {currency} and {minute}"),
        _ => minute,
    };
    format!("You call {number}, {what}: it costs {cost}.")
}

/// What is a yes; anything else is a no.
const YES: &[&str] = &["yes", "y", "ok", "1"];
