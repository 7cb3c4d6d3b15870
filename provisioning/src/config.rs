//! `[provisioning]`: what people may do by themselves.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use shared_model::BareJid;
use shared_runtime::config::Key;

/// `[provisioning]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Whether accounts may invite people to accounts, who become their contacts. Default: no.
    pub users_invite: bool,
    /// Whom people ask who forgot their password: plain words, such as "the help desk, +33 1 55 50 19 80". Default: whoever runs the service.
    pub contact: String,
    /// Whether who forgot their password is sent a link to a new one by chat, where another device of theirs may be signed in. Whoever
    /// reads an account's chat can then take the account, with the password of one device too. Default: no.
    pub reset_by_chat: bool,
    /// Where a chat client for browsers is: a URL with `https`, in which `{jid}` is the account's JID, percent-encoded. Pages and `cusax.json`
    /// link to it. Default: none.
    #[serde(deserialize_with = "web_client")]
    pub web_client: Option<String>,
    /// A folder with converse.js, the `dist` of its package, which is served under `/chat/` as the chat client for browsers, set up for
    /// this service. It is read at the start. Default: none.
    pub web_client_files: Option<PathBuf>,
    /// Addresses at which clients and other servers reach this host. Given, `host-meta.json` names all ways to chat with TLS, and who
    /// reads it asks no name servers (XEP-0487): `xmpp.c2s_tls` must listen, and `xmpp.s2s_tls` where there is federation. Default none.
    pub addresses: Vec<IpAddr>,
    /// How long it is kept who changed what, with the names of accounts that were removed since; 0 keeps the newest 100,000 changes.
    /// Default 365 d.
    #[serde(with = "shared_runtime::config::duration")]
    pub audit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            users_invite: false,
            contact: String::new(),
            reset_by_chat: false,
            web_client: None,
            web_client_files: None,
            addresses: Vec::new(),
            audit: Duration::from_secs(365 * 86_400),
        }
    }
}

impl Config {
    /// The chat client for browsers, for an account; none where none is configured.
    pub(crate) fn web_client(&self, jid: &BareJid) -> Option<String> {
        self.web_client.as_ref().map(|url| url.replace("{jid}", &percent_encoded(jid)))
    }
}

/// A JID as a part of a URL (RFC 3986 §2.3).
pub(crate) fn percent_encoded(jid: &BareJid) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    jid.as_str().bytes().map(encoded).collect()
}

fn web_client<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(from)?;
    let is_url = url.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '{', '?', '#'])
            && !rest.chars().any(|c| c.is_control() || c.is_whitespace())
            && !rest.replace("{jid}", "").contains(['{', '}'])
    });
    if is_url {
        Ok(Some(url))
    } else {
        Err(D::Error::custom("a URL with https, in which {jid} is the account's JID"))
    }
}

/// Every key of `[provisioning]`.
pub const KEYS: &[Key] = &[
    Key::new(
        "provisioning.users_invite",
        "false",
        "whether accounts may invite people to accounts, who become their contacts",
    ),
    Key::new("provisioning.contact", "\"\"", "whom people ask who forgot their password, in plain words"),
    Key::new(
        "provisioning.reset_by_chat",
        "false",
        "whether who forgot their password is sent a link by chat: who reads an account's chat can then take it",
    ),
    Key::new(
        "provisioning.web_client",
        "",
        "where a chat client for browsers is: a URL with https, in which {jid} is the account's JID; none: pages name none",
    ),
    Key::new(
        "provisioning.web_client_files",
        "",
        "a folder with converse.js (package/dist of what `npm pack converse.js` fetches), served as the chat client for browsers under /chat/, set up for this service",
    ),
    Key::new(
        "provisioning.addresses",
        "[]",
        "addresses at which this host is reached; given, host-meta.json names all ways to chat with TLS",
    ),
    Key::new(
        "provisioning.audit",
        "\"365d\"",
        "how long it is kept who changed what, accounts that were removed since included; \"0s\": the newest 100,000 changes",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_client_is_a_url_and_what_stands_in_it_cannot_leave_its_place() {
        let read = |url: &str| serde_json::from_value::<Config>(serde_json::json!({ "web_client": url }));
        let config = read("https://chat.example.org/?jid={jid}#x").unwrap();
        let jid = "r\u{f6}m+eo@example.org".parse().unwrap();
        let link = config.web_client(&jid);
        assert_eq!(link.as_deref(), Some("https://chat.example.org/?jid=r%C3%B6m%2Beo%40example.org#x"));
        assert_eq!(Config::default().web_client(&"a@b".parse().unwrap()), None);
        for bad in [
            "",
            "https://",
            "http://a.example/",
            "javascript:alert(1)",
            "https://{jid}/",
            "https://a/ b",
            "https://a/{x}",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
