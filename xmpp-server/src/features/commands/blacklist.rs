//! Whom nobody here hears — XEP-0133 1.3.1, section 4.11: bans of addresses and domains of elsewhere, in both directions.
//!
//! In    the list as it is to be. Out what is on it and was not is banned for a year, what was and is not is let in again.
//! State that of [`shared_auth::Bans`]; networks and numbers are not on this list, and stay as they are.
//! Errors what is neither an address nor a domain, and what is of this service, is said in a note; nothing is changed then.

use shared_auth::{Ban, BanError, Banned};
use shared_model::{Correlation, Fact, ProvisioningEvent};
use std::time::Duration;
use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop, name_of};
use crate::server::Server;

pub(super) const COMMAND: Own = Own {
    node: "http://jabber.org/protocol/admin#edit-blacklist",
    name: "Edit whom the service keeps out",
    ask: Some(|server, _| Box::pin(ask(server))),
    run: |server, by, form| Box::pin(run(server, by, form)),
    is_there: |_| true,
    who: Who::Administrators,
};

async fn ask(server: &Server) -> Result<Form, Stop> {
    let listed = listed(server).await?.into_iter().map(|ban| ban.who.to_string()).collect();
    let list = Field::empty("blacklistjids", "jid-multi", "Addresses and domains that are kept out");
    Ok(super::ask("Whom the service keeps out", &[list.values(listed)]))
}

async fn run(server: &Server, by: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let wanted = form.values("blacklistjids").iter().map(|who| who.trim()).filter(|who| !who.is_empty());
    let wanted: Vec<Banned> = wanted.map(read).collect::<Result<_, _>>()?;
    let before = listed(server).await?;
    let new: Vec<&Banned> = wanted.iter().filter(|who| !before.iter().any(|ban| ban.who == **who)).collect();
    for who in &new {
        server.auth.bans.check(who).map_err(fail)?;
    }
    let name = name_of(server, by).await;
    let account = server.account(by).await?.map(|card| card.account);
    let tell = |event| {
        let correlation = account.map_or(Correlation(0), Correlation::of_account);
        server.bus.publish(Fact::new(correlation, event));
    };
    for who in new {
        let (ban, _) = server.auth.bans.make(who.clone(), REASON, TERM).await.map_err(fail)?;
        server
            .auth
            .audit
            .change(name.as_str(), "banned", &ban.who, serde_json::Value::Null, ban.to_json())
            .await;
        tell(ProvisioningEvent::Banned { account, who: ban.who.to_string() });
    }
    for ban in before.iter().filter(|ban| !wanted.contains(&ban.who)) {
        if server.auth.bans.lift(&ban.who).await.map_err(fail)?.is_some() {
            let none = serde_json::Value::Null;
            server.auth.audit.change(name.as_str(), "ban lifted", &ban.who, ban.to_json(), none).await;
            tell(ProvisioningEvent::BanLifted { account, who: ban.who.to_string() });
        }
    }
    Ok(Outcome::Done)
}

/// What of the bans is on this list.
async fn listed(server: &Server) -> Result<Vec<Ban>, Stop> {
    let is_listed = |ban: &Ban| matches!(ban.who, Banned::Address(_) | Banned::Domain(_));
    Ok(server.auth.bans.all().await?.into_iter().filter(is_listed).collect())
}

fn read(who: &str) -> Result<Banned, Stop> {
    match who.parse::<Banned>().map_err(fail)? {
        who @ (Banned::Address(_) | Banned::Domain(_)) => Ok(who),
        other => Err(Stop::Fail(format!("{other} is neither an address nor a domain"))),
    }
}

fn fail(error: BanError) -> Stop {
    match error {
        BanError::Store(error) => error.into(),
        error => Stop::Fail(error.to_string()),
    }
}

const REASON: &str = "by an administrator's client";
const TERM: Duration = Duration::from_secs(365 * 86_400);
