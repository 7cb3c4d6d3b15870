//! Who was invited and who invited them are contacts of each other from the start — XEP-0401 0.6.0, section 5.3; XEP-0379, sections
//! 3.4 to 3.6, with the token spent at the making of the account, or by the request of one that has an account.
//!
//! In    the roster of an account that is empty, when its client asks for it. Out both rosters have the other, `both`.
//! In    a request for a subscription with a token of whom it is for. Out it is granted unasked, and answered by another.
//! State what `shared-auth` keeps until it is taken here, once.
//! Not here: invitations and the accounts that they make (`shared-auth`, `provisioning`).

use shared_auth::Opens;
use shared_runtime::unix_millis;
use shared_store::StoreError;
use xmpp_core::payload::roster::Subscription;
use xmpp_core::{Jid, Stanza, ns};

use crate::presence;
use crate::server::Server;

/// Adds who invited `user`, if somebody did who is there still. Whether there was somebody to add.
pub(crate) async fn befriend(server: &Server, user: &Jid) -> Result<bool, StoreError> {
    let Some(account) = server.account(user).await? else { return Ok(false) };
    let Some(inviter) = server.auth.invites.take_contact(account.account).await? else { return Ok(false) };
    let Ok(inviter) = inviter.as_str().parse::<Jid>() else { return Ok(false) };
    if server.account(&inviter).await?.is_none() || inviter == *user {
        return Ok(false);
    }
    for (one, other) in [(user, &inviter), (&inviter, user)] {
        let changed = server.rosters.change(one.as_str(), other, |contact| {
            contact.is_listed = true;
            contact.set_subscription(Subscription { to: true, from: true, ..Subscription::default() });
        });
        let (_, after) = changed.await?;
        presence::push(server, one, after.to_item(other).to_element()).await;
    }
    Ok(true)
}

/// Whether `user` invited who asks to see them: the token beside the request is spent by that.
pub(crate) async fn is_awaited(server: &Server, user: &Jid, request: &Stanza) -> Result<bool, StoreError> {
    let Some(preauth) = request.find("preauth", ns::PREAUTH) else { return Ok(false) };
    let (token, now) = (preauth.attribute("token").unwrap_or_default(), unix_millis());
    let is_of = |opens: &Opens| match opens {
        Opens::Account { contact, .. } => {
            contact.as_ref().is_some_and(|contact| contact.as_str() == user.as_str())
        }
        Opens::Contact { contact } => contact.as_str() == user.as_str(),
        Opens::Password { .. } => false,
    };
    match server.auth.invites.peek(token, now).await? {
        Some(invite) if is_of(&invite.opens) => Ok(server.auth.invites.take(token, now).await?.is_some()),
        _ => Ok(false),
    }
}
