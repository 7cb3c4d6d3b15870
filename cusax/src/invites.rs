//! `cusax invite` and `cusax user reset-link`.

use std::time::Duration;

use anyhow::bail;
use shared_auth::{Auth, BookError, Invite, InviteError, Opens, check_shown_name};
use shared_model::{Address, BareJid};
use shared_runtime::unix_millis;
use shared_store::StoreError;

use crate::accounts::find;
use crate::command::NewInvite;
use crate::config::Config;
use crate::open::link_port;
use crate::out::{say, say_done};

pub(crate) async fn create(
    desk: &Auth,
    config: &Config,
    new: NewInvite,
    json: bool,
) -> anyhow::Result<Invite> {
    let port = link_port(config).await?;
    let contact = match new.contact {
        Some(address) => Some(find(desk, &address).await?.jid),
        None => None,
    };
    let domains = config.accounts();
    // Whom somebody invites is their neighbour, unless it is said otherwise.
    let wanted = new.domain.as_deref().or(contact.as_ref().map(|jid| jid.domain())).unwrap_or(domains.main());
    let Some(domain) = domains.find(wanted) else {
        let all: Vec<&str> = domains.iter().collect();
        bail!("accounts here are of the domain {}, not {wanted}", all.join(", "));
    };
    let domain = Some(domain.to_owned());
    let name = check_shown_name(&new.name)?;
    let opens = Opens::Account { user: new.user, domain, name, admin: new.admin, contact };
    let made = desk.invites.create(&domains, opens, None, new.expires, unix_millis()).await;
    let (text, invite) = match made {
        Err(InviteError::Book(BookError::Store(StoreError::Taken(_)))) => {
            bail!("somebody has this user name, or an open invitation keeps it")
        }
        made => made?,
    };
    tell(config, port, &text, &invite, json)?;
    Ok(invite)
}

pub(crate) async fn reset_link(
    desk: &Auth,
    config: &Config,
    address: &Address,
    expires: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let port = link_port(config).await?;
    let opens = Opens::Password { account: find(desk, address).await?.account };
    let (text, invite) = desk.invites.create(&config.accounts(), opens, None, expires, unix_millis()).await?;
    tell(config, port, &text, &invite, json)
}

pub(crate) async fn list(desk: &Auth, json: bool) -> anyhow::Result<()> {
    for invite in desk.invites.list(unix_millis()).await? {
        if json {
            let mut line = provisioning::invite_json(&invite);
            (line["opens"], line["by"]) =
                (serde_json::to_value(&invite.opens)?, serde_json::to_value(invite.by)?);
            say(line)?;
        } else {
            let hours = (invite.expires - unix_millis()) / 3_600_000;
            let account = match &invite.opens {
                Opens::Password { account } => desk.directory.by_id(*account).await?,
                _ => None,
            };
            let aor = account.map(|card| card.aor.to_string());
            say(format_args!("{}  {}  {hours} h left", invite.id, words(&invite.opens, aor.as_deref())))?;
        }
    }
    Ok(())
}

pub(crate) async fn revoke(desk: &Auth, id: &str, json: bool) -> anyhow::Result<()> {
    if !desk.invites.revoke(id).await? {
        bail!("there is no open invitation {id}");
    }
    say_done(id, "revoked", json)
}

fn tell(config: &Config, port: Option<u16>, text: &str, invite: &Invite, json: bool) -> anyhow::Result<()> {
    let link = provisioning::invite_link(config.http.public_url.as_deref(), &config.host(), port, text);
    let uri = provisioning::app_uri(&config.accounts(), text, invite);
    if json {
        return say(serde_json::json!({
            "invite": provisioning::invite_json(invite), "id": invite.id, "link": link, "xmpp": uri, "expires_unix_ms": invite.expires, "opens": invite.opens,
        }));
    }
    say(format_args!("{link}\n{}", provisioning::terminal_code(&link)))
}

fn words(opens: &Opens, aor: Option<&str>) -> String {
    let by =
        |contact: &Option<BareJid>| contact.as_ref().map_or(String::new(), |jid| format!(", contact {jid}"));
    match opens {
        Opens::Account { user, domain, admin, contact, .. } => {
            let admin = if *admin { ", administrator" } else { "" };
            let at = domain.as_ref().map_or(String::new(), |domain| format!(" at {domain}"));
            format!("an account for {}{at}{admin}{}", user.as_deref().unwrap_or("whoever comes"), by(contact))
        }
        Opens::Password { account } => {
            format!("a new password of {}", aor.map_or(account.to_string(), str::to_owned))
        }
        Opens::Contact { contact } => format!("a contact of {contact}"),
    }
}
