//! `cusax user` and `cusax app-password`.

use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use provisioning::Scope;
use shared_auth::{AccountCard, Auth, Device, Holder, NewAccount, Profile, card_json, check_shown_name};
use shared_model::{Address, Aor, BareJid, Domains, ProvisioningEvent};
use shared_runtime::unix_millis;

use crate::command::{ChangedUser, Changes, NewUser};
use crate::open::Ground;
use crate::out::{say, say_done};

pub(crate) async fn add(desk: &Auth, domains: &Domains, new: NewUser, json: bool) -> anyhow::Result<()> {
    for address in [Some(&new.address), new.jid.as_ref()].into_iter().flatten() {
        if !domains.has(address.domain()) {
            let all: Vec<&str> = domains.iter().collect();
            bail!("{address} is not of {}, which this service has accounts of", all.join(", "));
        }
    }
    let name = check_shown_name(&new.name)?;
    let (aor, jid) = (Aor(new.address.clone()), BareJid(new.jid.unwrap_or(new.address)));
    desk.invites.check_free(domains, (&aor, &jid), unix_millis()).await?;
    desk.bans.check_numbers(&new.numbers, &[]).await?;
    let (password, is_made) = password_for(new.password_stdin)?;
    let profile = Profile { name, numbers: new.numbers, video: new.video, admin: new.admin };
    let card = desk.book.create(NewAccount { aor, jid, profile }, &password).await?;
    tell(&card, is_made.then_some(password.as_str()), json)
}

pub(crate) async fn list(desk: &Auth, json: bool) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let (cards, more) = desk.directory.list(after.as_ref(), PAGE).await?;
        cards.iter().try_for_each(|card| tell(card, None, json))?;
        after = cards.last().map(|card| card.aor.clone());
        if !more {
            return Ok(());
        }
    }
}

pub(crate) async fn show(desk: &Auth, address: &Address, json: bool) -> anyhow::Result<()> {
    tell(&find(desk, address).await?, None, json)
}

pub(crate) async fn change(desk: &Auth, user: ChangedUser, json: bool) -> anyhow::Result<()> {
    let before = find(desk, &user.address).await?;
    let Changes { name, numbers, no_numbers, video, admin } = user.changes;
    let profile = Profile {
        name: name.map_or(Ok(before.name), |name| check_shown_name(&name))?,
        numbers: if no_numbers || !numbers.is_empty() { numbers } else { before.numbers.clone() },
        video: video.unwrap_or(before.video),
        admin: admin.unwrap_or(before.admin),
    };
    desk.bans.check_numbers(&profile.numbers, &before.numbers).await?;
    desk.book.set_profile(before.account, profile).await?;
    tell(&find(desk, &user.address).await?, None, json)
}

pub(crate) async fn password(
    desk: &Auth,
    address: &Address,
    from_stdin: bool,
    json: bool,
) -> anyhow::Result<()> {
    let card = find(desk, address).await?;
    let (password, is_made) = password_for(from_stdin)?;
    desk.book.set_password(card.account, &password).await?;
    tell(&card, is_made.then_some(password.as_str()), json)
}

pub(crate) async fn token(
    desk: &Auth,
    address: &Address,
    expires: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let card = find(desk, address).await?;
    let account = Some(card.account);
    let token = desk.tokens.issue(provisioning::PURPOSE, account, "", expires, unix_millis()).await?;
    if json { say(serde_json::json!({ "address": card.aor, "token": token })) } else { say(token) }
}

pub(crate) async fn api_token(
    ground: &Ground,
    address: &Address,
    (name, scopes): (&str, &[Scope]),
    expires: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let desk = ground.known_accounts().await?;
    let card = find(desk, address).await?;
    if !card.admin && scopes.iter().any(|scope| scope.is_admin()) {
        bail!("{} does not administer the service", card.aor);
    }
    let name = check_shown_name(name)?;
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let holder = (card.account, Holder::Person);
    let (token, bearer) = desk.bearers.issue(holder, &name, &words, expires, unix_millis()).await?;
    let (account, scopes) = (card.account, words.join(" "));
    ground.tell(Some(account), ProvisioningEvent::TokenMade { account, name, scopes });
    if json {
        say(serde_json::json!({ "id": bearer.id, "token": token, "expires": bearer.expires }))
    } else {
        say(token)
    }
}

pub(crate) async fn set_enabled(
    desk: &Auth,
    address: &Address,
    enabled: bool,
    json: bool,
) -> anyhow::Result<()> {
    let card = find(desk, address).await?;
    desk.book.set_enabled(card.account, enabled).await?;
    say_done(&card.aor, if enabled { "enabled" } else { "disabled" }, json)
}

pub(crate) async fn remove(ground: &Ground, address: &Address, json: bool) -> anyhow::Result<()> {
    let (store, desk) = (ground.known_store().await?, ground.known_accounts().await?);
    let card = find(desk, address).await?;
    desk.book.remove(card.account).await?;
    provisioning::forget(desk, &store.records, card.account, &card.aor).await?;
    say_done(&card.aor, "removed", json)
}

pub(crate) async fn add_app(
    desk: &Auth,
    address: &Address,
    (name, calls_alone): (&str, bool),
    json: bool,
) -> anyhow::Result<()> {
    let (card, created) = (find(desk, address).await?, unix_millis());
    let password = match calls_alone {
        false => desk.book.add_app_password(card.account, name, created).await?,
        true => desk.book.add_calls_password(card.account, name, created).await?,
    };
    let device = Device { name: name.to_owned(), created, opens_chat: !calls_alone };
    if json {
        let mut line = provisioning::new_device_json(&card, &device, &password);
        line["address"] = card.aor.as_str().into();
        say(line)
    } else {
        say(password)
    }
}

pub(crate) async fn list_apps(desk: &Auth, address: &Address, json: bool) -> anyhow::Result<()> {
    for device in desk.book.app_passwords(find(desk, address).await?.account).await? {
        if json {
            let mut line = provisioning::device_json(&device);
            line["created_unix_ms"] = device.created.into();
            say(line)?;
        } else {
            say(device.name)?;
        }
    }
    Ok(())
}

pub(crate) async fn remove_app(desk: &Auth, address: &Address, name: &str, json: bool) -> anyhow::Result<()> {
    let card = find(desk, address).await?;
    desk.book.remove_app_password(card.account, name).await?;
    say_done(format_args!("{}+{name}", card.aor.local()), "removed", json)
}

/// An account by its address of record, or else by its JID.
pub(crate) async fn find(desk: &Auth, address: &Address) -> anyhow::Result<AccountCard> {
    if let Some(card) = desk.directory.by_aor(&Aor(address.clone())).await? {
        return Ok(card);
    }
    let by_jid = desk.directory.by_jid(&BareJid(address.clone())).await?;
    by_jid.ok_or_else(|| anyhow!("there is no account {address}"))
}

/// The password from standard input, or a new one; and whether it is new.
fn password_for(from_stdin: bool) -> anyhow::Result<(String, bool)> {
    if !from_stdin {
        return Ok((made_password(), true));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("the password is empty");
    }
    Ok((password.to_owned(), false))
}

/// Twenty characters that nobody mistakes for one another: about 99 bits.
pub(crate) fn made_password() -> String {
    let letters = b"abcdefghjkmnpqrstuvwxyz23456789";
    (0..20).map(|_| char::from(letters[(shared_runtime::random() % letters.len() as u64) as usize])).collect()
}

fn tell(card: &AccountCard, password: Option<&str>, json: bool) -> anyhow::Result<()> {
    if json {
        let mut line = card_json(card);
        if let Some(password) = password {
            line["password"] = password.into();
        }
        return say(line);
    }
    let admin = if card.admin { "  (administrator)" } else { "" };
    let state = if card.enabled { "" } else { "  (disabled)" };
    say(format_args!(
        "{}  xmpp:{}  {}{admin}{state}",
        card.aor.to_sip_uri(),
        card.jid,
        card.numbers.join(" ")
    ))?;
    match password {
        Some(password) => say(format_args!("password: {password}")),
        None => Ok(()),
    }
}

/// Accounts read at once.
const PAGE: usize = 500;
