//! What every renderer says: the two halves of one account, where they connect, and the settings that hold for one device.

mod settings;
mod store;
mod zone;

use shared_auth::AccountCard;
use shared_model::BareJid;

use crate::Parts;
use crate::config::percent_encoded;

pub(crate) use settings::Chosen;
pub use settings::{Calls, Settings};
pub use store::{Layer, LayerError, Profiles};
pub(crate) use zone::Change;

/// A transport and its port.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// `tls`, `tcp` or `udp`.
    pub(crate) transport: &'static str,
    pub(crate) port: u16,
}

impl Parts {
    /// Where SIP is, the protected way first.
    pub(crate) fn sip(&self) -> Vec<Access> {
        let all = [("tls", self.ports.sip_tls), ("tcp", self.ports.sip_tcp), ("udp", self.ports.sip_udp)];
        all.into_iter().filter_map(|(transport, port)| Some(Access { transport, port: port? })).collect()
    }

    /// The way to SIP that phones are told, the protected one where there is one.
    pub(crate) fn best_sip(&self) -> Access {
        self.sip().first().copied().unwrap_or(Access { transport: "tls", port: 5061 })
    }

    /// The registrar as a SIP URI, with the way to it.
    pub(crate) fn registrar(&self) -> String {
        match self.sip().first() {
            Some(access) => format!("sip:{}:{};transport={}", self.host, access.port, access.transport),
            None => format!("sip:{}", shared_model::idn::to_ascii(self.domains.main())),
        }
    }

    /// Whether the chat server runs in this process, whose ways for browsers are beside this face then.
    pub(crate) fn has_chat(&self) -> bool {
        self.ports.xmpp.is_some() || self.ports.xmpp_tls.is_some()
    }

    /// The chat client for browsers, for an account: the one that is configured, or else the one that is served here.
    pub(crate) fn web_client(&self, jid: &BareJid) -> Option<String> {
        let is_here = self.config.web_client_files.is_some() && self.has_chat();
        let here = || is_here.then(|| self.url(&format!("/chat/#jid={}", percent_encoded(jid))));
        self.config.web_client(jid).or_else(here)
    }

    /// A URL of this face.
    pub(crate) fn url(&self, path: &str) -> String {
        link(self.public_url.as_deref(), &self.host, self.ports.https, path)
    }
}

/// A link to this face: what it shall begin with, or else the host and the port.
pub(crate) fn link(public_url: Option<&str>, host: &str, port: Option<u16>, path: &str) -> String {
    match (public_url, port) {
        (Some(url), _) => format!("{}{path}", url.trim_end_matches('/')),
        (None, Some(443) | None) => format!("https://{host}{path}"),
        (None, Some(port)) => format!("https://{host}:{port}{path}"),
    }
}

/// The name to show: the account's, or the local part of its AOR.
pub(crate) fn shown_name(card: &AccountCard) -> &str {
    if card.name.is_empty() { card.aor.local() } else { &card.name }
}
