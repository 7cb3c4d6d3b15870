//! `cusax demo`: a throw-away service on this machine, and what to try with it.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};
use shared_auth::{NewAccount, Opens, Profile};
use shared_model::{Aor, BareJid, RoomAddress};
use shared_runtime::{Shutdown, telemetry};
use shared_store::DataFolderLock;
use xmpp_server::RoomOptions;

use crate::accounts::made_password;
use crate::command::Part;
use crate::compose::{self, Service};
use crate::config::Config;
use crate::out::say;
use crate::serve::until_told;

/// Runs until it is interrupted, and leaves nothing behind.
pub(crate) async fn run(json: bool) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let config = config(folder.0.clone());
    telemetry::start(&telemetry::Config { level: "warn".to_owned(), ..config.telemetry.clone() })?;
    let _lock = DataFolderLock::acquire(&config.data_dir, "cusax demo")?;
    let shutdown = Shutdown::new();
    let parts = [Part::Sip, Part::Xmpp, Part::Conference, Part::Provisioning];
    let service = compose::start(&config, &parts, &shutdown).await?;
    let password = made_password();
    let people = people(&service, &password).await?;
    let room = room(&service, &people).await?;
    let (token, invitation) = (token(&service).await?, invitation(&service).await?);
    match json {
        true => say(to_json(&service, &password, (&token, &invitation), &room, &folder))?,
        false => tell(&service, &password, (&token, &invitation), &room, &folder)?,
    }
    until_told(&service.tls).await?;
    shutdown.finish(std::time::Duration::from_secs(2)).await;
    if json { Ok(()) } else { say("the demo is over; nothing of it is kept") }
}

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        Self::make(std::env::temp_dir().join(format!("cusax-demo-{:016x}", shared_runtime::random())))
    }

    /// Everybody may write where temporary files are, so a folder that somebody else made beforehand is none of ours.
    fn make(folder: PathBuf) -> anyhow::Result<Self> {
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever cannot be removed is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loopback alone; the usual ports where they are free, others where they are taken.
fn config(data_dir: PathBuf) -> Config {
    let mut config = Config { data_dir, ..Config::default() };
    let free = |port| vec![SocketAddr::from(([127, 0, 0, 1], if is_free(port) { port } else { 0 }))];
    (config.sip.udp, config.sip.tcp, config.sip.tls) = (free(5060), free(5060), free(5061));
    (config.xmpp.c2s, config.xmpp.c2s_tls) = (free(5222), free(5223));
    config.xmpp.s2s = Vec::new(); // nobody out there could find `localhost`
    (config.http.https, config.operations.listen) = (free(8443), free(9478));
    config.conference.media = free(10_000)[0];
    config
}

fn is_free(port: u16) -> bool {
    let loopback = ([127, 0, 0, 1], port);
    std::net::TcpListener::bind(SocketAddr::from(loopback)).is_ok()
        && std::net::UdpSocket::bind(SocketAddr::from(loopback)).is_ok()
}

async fn people(service: &Service, password: &str) -> anyhow::Result<Vec<BareJid>> {
    let mut people = Vec::new();
    for (name, shown, number) in
        [("alice", "Alice", "+15550100"), ("bob", "Bob", "+15550101"), ("carol", "Carol", "+15550102")]
    {
        let jid = BareJid::new(name, DOMAIN)?;
        let profile = Profile {
            name: shown.to_owned(),
            numbers: vec![number.to_owned()],
            admin: name == "alice",
            ..Profile::default()
        };
        service
            .auth
            .book
            .create(NewAccount { aor: Aor::new(name, DOMAIN)?, jid: jid.clone(), profile }, password)
            .await?;
        people.push(jid);
    }
    Ok(people)
}

/// What carol's Linphone fetches its configuration with.
async fn token(service: &Service) -> anyhow::Result<String> {
    let carol =
        service.auth.directory.by_aor(&Aor::new("carol", DOMAIN)?).await?.context("carol was made")?;
    let day = std::time::Duration::from_secs(86_400);
    let account = Some(carol.account);
    Ok(service
        .auth
        .tokens
        .issue(provisioning::PURPOSE, account, "demo", day, shared_runtime::unix_millis())
        .await?)
}

/// What somebody new makes an account with.
async fn invitation(service: &Service) -> anyhow::Result<String> {
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact: None };
    let day = std::time::Duration::from_secs(86_400);
    let domains = shared_model::Domains::new(DOMAIN, []);
    Ok(service.auth.invites.create(&domains, opens, None, day, shared_runtime::unix_millis()).await?.0)
}

async fn room(service: &Service, people: &[BareJid]) -> anyhow::Result<RoomAddress> {
    let room = RoomAddress::new("lounge", &format!("conference.{DOMAIN}"))?;
    let rooms = service.rooms.as_ref().context("the XMPP server runs")?;
    let owners = people.iter().take(1).cloned().collect();
    rooms.create(&room, RoomOptions { name: "Lounge".to_owned(), owners, ..RoomOptions::default() }).await?;
    Ok(room)
}

/// The same that is told, for programs.
fn to_json(
    service: &Service,
    password: &str,
    (token, invitation): (&str, &str),
    room: &RoomAddress,
    folder: &Folder,
) -> Value {
    let page = format!("https://{DOMAIN}:{}", port_of(service, "http.https"));
    let accounts = ["alice", "bob", "carol"].map(|name| format!("{name}@{DOMAIN}"));
    let listeners: Vec<Value> = service
        .bound
        .iter()
        .map(|(listener, address)| json!({ "listener": listener, "address": address }))
        .collect();
    json!({
        "accounts": accounts,
        "password": password,
        "room": room.to_string(),
        "call": room.to_sip_uri(),
        "listeners": listeners,
        "trust": service.tls.local_ca(),
        "configuration": format!("{page}/provision/linphone.xml?token={token}"),
        "invitation": format!("{page}/invite/{invitation}"),
        "sign_in": format!("{page}/sign-in"),
        "data_dir": folder.0,
    })
}

fn port_of(service: &Service, name: &str) -> u16 {
    service.bound.iter().find(|(listener, _)| *listener == name).map_or(0, |(_, address)| address.port())
}

fn tell(
    service: &Service,
    password: &str,
    (token, invitation): (&str, &str),
    room: &RoomAddress,
    folder: &Folder,
) -> anyhow::Result<()> {
    let [sip, xmpp, https] = ["sip.udp", "xmpp.c2s", "http.https"].map(|name| port_of(service, name));
    let ca = service.tls.local_ca().map_or_else(String::new, |ca| ca.display().to_string());
    let listeners: Vec<String> =
        service.bound.iter().map(|(name, address)| format!("{name} {address}")).collect();
    say(format_args!(
        "cusax demo — a throw-away service on this machine; everything is gone when it ends (Ctrl-C)

accounts   alice@{DOMAIN}  bob@{DOMAIN}  carol@{DOMAIN}
           each is a SIP address, a JID, and one password for both: {password}
room       {room}: a chat, and at {call} a call
listeners  {}
trust      {ca}

1. Call the room's conference with baresip (sends a tone, hears the others):
   d=$(mktemp -d); echo '<sip:alice@{DOMAIN}>;auth_pass={password};outbound=\"sip:127.0.0.1:{sip}\";regint=60' > $d/accounts
   printf 'module_path /usr/lib/baresip/modules\\nmodule stdio.so\\nmodule opus.so\\nmodule ausine.so\\nmodule aufile.so\\nausrc_srate 48000\\nausrc_channels 2\\nauplay_srate 48000\\nauplay_channels 2\\naudio_source ausine,440\\naudio_player aufile,'$d'/heard.wav\\nmodule_app account.so\\nmodule_app menu.so\\n' > $d/config; touch $d/contacts
   baresip -f $d -e '/dial {call}'

2. Say something in the room with slixmpp, and see it come back:
   v=$(mktemp -d); python3 -m venv $v && $v/bin/pip install -q slixmpp   # Debian: apt-get install python3-venv
   $v/bin/python -c \"import slixmpp,ssl; c=slixmpp.ClientXMPP('bob@{DOMAIN}','{password}'); c.ssl_context.check_hostname=False; c.ssl_context.verify_mode=ssl.CERT_NONE; c.register_plugin('xep_0045'); c.add_event_handler('groupchat_message', lambda m: (print(m['from'],'says',m['body']), c.disconnect())); c.add_event_handler('session_start', lambda e: c.plugin['xep_0045'].join_muc('{room}','bob')); c.add_event_handler('groupchat_subject', lambda m: c.send_message('{room}','hello from bob',mtype='groupchat')); c.connect('127.0.0.1',{xmpp}); c.loop.run_until_complete(c.disconnected)\"

3. Let Linphone configure itself for carol from an address alone, and call the room from its prompt:
   d=$(mktemp -d); mkdir -p $d/.local/share/linphone; printf '[misc]\\nconfig-uri=https://{DOMAIN}:{https}/provision/linphone.xml?token={token}\\n[sip]\\nsip_port=-1\\nroot_ca={ca}\\n' > $d/rc
   HOME=$d linphonec -c $d/rc         # at its prompt: call {call}

4. Invite somebody: the page makes an account and shows what each client needs. Sign in as alice, who administers:
   https://{DOMAIN}:{https}/invite/{invitation}
   https://{DOMAIN}:{https}/sign-in

Data, while it lasts: {}",
        listeners.join("\n           "),
        folder.0.display(),
        call = room.to_sip_uri(),
    ))
}

const DOMAIN: &str = "localhost";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_new_and_for_its_owner_alone() {
        let (one, other) = (Folder::new().unwrap(), Folder::new().unwrap());
        assert_ne!(one.0, other.0);
        assert_eq!(one.0.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(Folder::make(one.0.clone()).is_err(), "somebody made it beforehand");
    }
}
