//! `cusax room`.

use anyhow::bail;
use shared_model::{BareJid, is_pin};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_runtime::tls::TlsPolicy;
use xmpp_server::{Parts, RoomOptions, XmppServer};

use crate::command::NewRoom;
use crate::open::Ground;
use crate::out::say;

/// `cusax room add`: an XMPP server without listeners makes the room in the store.
pub(crate) async fn add(ground: &Ground, new: NewRoom, json: bool) -> anyhow::Result<()> {
    let (config, auth) = (ground.config().await?, ground.accounts().await?.clone());
    let (bus, registry, shutdown) = (Bus::new(), prometheus::Registry::new(), Shutdown::new());
    for owner in &new.owners {
        if auth.directory.by_jid(&BareJid(owner.clone())).await?.is_none() {
            bail!("there is no account {owner} to own the room");
        }
    }
    if new.pin.as_ref().is_some_and(|pin| !is_pin(pin)) {
        bail!("a PIN is 4 to 16 digits, which a phone can send");
    }
    // Nothing listens, so any certificate will do; the running server's own is not touched.
    let scratch = std::env::temp_dir().join(format!("cusax-room-{:016x}", shared_runtime::random()));
    let tls = TlsPolicy::open(&shared_runtime::tls::Config::default(), &scratch, &[]);
    let removed = std::fs::remove_dir_all(&scratch);
    let tls = tls?;
    removed?;
    let server = XmppServer::start(Parts {
        config: xmpp_server::Config {
            c2s: Vec::new(),
            c2s_tls: Vec::new(),
            s2s: Vec::new(),
            s2s_tls: Vec::new(),
            components: Vec::new(),
            ..config.xmpp.clone()
        },
        domains: config.accounts(),
        rooms_domain: config.rooms_domain(),
        data_dir: config.data_dir.clone(),
        name_servers: Vec::new(),
        auth,
        store: ground.store().await?.clone(),
        tls,
        bus,
        registry: &registry,
        shutdown: shutdown.clone(),
    })
    .await?;
    let options = RoomOptions {
        name: new.name,
        members_only: new.members_only,
        moderated: new.moderated,
        hidden: false,
        password: new.pin,
        owners: new.owners.into_iter().map(BareJid).collect(),
    };
    server.rooms().create(&new.address, options).await?;
    shutdown.begin();
    if json {
        say(serde_json::json!({ "room": new.address, "call": new.address.to_sip_uri() }))
    } else {
        say(format_args!("{}  {}", new.address.to_xmpp_uri(), new.address.to_sip_uri()))
    }
}
