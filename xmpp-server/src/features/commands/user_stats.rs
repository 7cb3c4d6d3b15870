//! What is known of a user — XEP-0133 1.3.1, sections 4.9 (last login), 4.10 (statistics).
//!
//! The size of the roster and the resources that are bound; rates and addresses are in the timeline of the operator.

use shared_runtime::unix_millis;
use xmpp_core::Jid;
use xmpp_core::payload::delay::date_time;
use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, accounts, ask, one_account, some_accounts, tell};
use crate::features::last;
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#user-stats",
    name: "Statistics of a user",
    form: Some(|| ask("Statistics of a user", &[one_account()])),
    run: |server, _, form| Box::pin(run(server, form)),
};

pub(super) const LAST_LOGIN: Command = Command {
    node: "http://jabber.org/protocol/admin#get-user-lastlogin",
    name: "When users were last here",
    form: Some(|| ask("When users were last here", &[some_accounts()])),
    run: |server, _, form| Box::pin(run_last(server, form)),
};

async fn run(server: &Server, form: &Form) -> Result<Outcome, Stop> {
    let mut fields = Vec::new();
    for account in accounts(server, form).await?.into_iter().take(1) {
        let jid = account.jid.as_str();
        let contacts = server.rosters.all(jid).await?;
        let size = contacts.iter().filter(|(_, contact)| contact.is_listed).count();
        let sessions = server.router.sessions(jid);
        let resources = sessions.iter().filter_map(|session| session.jid.resource()).map(str::to_owned);
        fields.push(Field::new("accountjid", "jid-single", "Account", jid));
        fields.push(Field::new("rostersize", "text-single", "Contacts", size.to_string()));
        let online = Field::empty("onlineresources", "text-multi", "Bound resources");
        fields.push(online.values(resources.collect()));
    }
    Ok(Outcome::Result(tell(fields)))
}

async fn run_last(server: &Server, form: &Form) -> Result<Outcome, Stop> {
    let (mut jids, mut times) = (Vec::new(), Vec::new());
    for account in accounts(server, form).await? {
        let jid = account.jid.as_str();
        let is_here = !server.router.sessions(jid).is_empty();
        let seen = match jid.parse::<Jid>() {
            Ok(_) if is_here => Some(unix_millis()),
            Ok(user) => last::seen(server, &user).await?,
            Err(_) => None,
        };
        jids.push(jid.to_owned());
        times.push(seen.map(date_time).unwrap_or_default());
    }
    Ok(Outcome::Result(tell([
        Field::empty("accountjids", "jid-multi", "Accounts").values(jids),
        Field::empty("lastlogin", "text-multi", "Last here, in the same order; empty if never").values(times),
    ])))
}
