//! Who was invited and who invited them are contacts of each other from the start — XEP-0401 0.6.0, section 5.3; XEP-0379, sections
//! 3.5 and 3.6, with the token spent at the making of the account.
//!
//! In    the roster of an account that is empty, when its client asks for it. Out both rosters have the other, `both`.
//! State what `shared-auth` keeps until it is taken here, once.
//! Not here: invitations and the accounts that they make (`shared-auth`, `provisioning`).

use shared_store::StoreError;
use xmpp_core::Jid;
use xmpp_core::payload::roster::Subscription;

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
        presence::push(server, one, after.to_item(other).to_element());
    }
    Ok(true)
}
