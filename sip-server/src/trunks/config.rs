//! `[[sip.trunks]]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_auth::Network;
use shared_runtime::config::Key;
use sip_core::Uri;

/// One of `[[sip.trunks]]`: a carrier.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TrunkConfig {
    /// How it is called here, in logs, metrics and records; unique.
    pub name: String,
    /// Where calls go, such as `sip:carrier.example;transport=tls` (RFC 3263).
    pub server: String,
    /// Networks that its calls come from, besides the addresses of `server`.
    pub networks: Vec<Network>,
    /// Our name there, for Digest.
    pub user: String,
    /// A file with the password there, in its first line.
    pub password_file: Option<PathBuf>,
    /// Whether we register there.
    pub register: bool,
    /// The domain that we register in. Default: the host of `server`.
    pub registrar: Option<String>,
    /// How long a registration shall last. Default `3600s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub expires: Duration,
    /// Numbers that it takes, by what they begin with. Default `+`, which is all.
    pub prefixes: Vec<String>,
    /// Whether it takes emergency calls. Default true.
    pub emergency: bool,
    /// Trunks of the lowest priority come first. Default 1.
    pub priority: u16,
    /// Its share among trunks of equal priority. Default 1.
    pub weight: u16,
    /// How often it is asked whether it is up; zero never. Default `30s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub probe: Duration,
    /// How long it may take to its first word before the next trunk is tried. Default `5s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub answer: Duration,
    /// How it wants numbers written. Default `plus`.
    pub written: Written,
    /// What it sees in From. Default `keep`.
    pub from: CallerId,
    /// Whether it is in our trust domain (RFC 3325): it is told who calls, and believed. Default true.
    pub trusted: bool,
    /// The number of callers who have none, and where calls go that name none. Default none.
    pub number: Option<String>,
}

/// How numbers are written towards a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// `+33140000000`.
    Plus,
    /// `33140000000`.
    Digits,
    /// `0140000000`, `004930123456`: as people here dial.
    National,
}

/// What a trunk sees in From.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerId {
    /// What the caller wrote.
    Keep,
    /// The caller's number at the trunk's host.
    Number,
    /// Our name at the trunk.
    User,
}

/// The key of trunks.
pub(crate) const KEYS: &[Key] = &[Key::new(
    "sip.trunks",
    "[]",
    "carriers, each a [[sip.trunks]]: name, server = \"sip:carrier.example;transport=tls\", networks, user, password_file, register, \
     registrar, expires = \"3600s\", prefixes = [\"+\"], emergency = true, priority = 1, weight = 1, probe = \"30s\", answer = \
     \"5s\", written = \"plus\" (digits, national), from = \"keep\" (number, user), trusted = true, number",
)];

impl Default for TrunkConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            server: String::new(),
            networks: Vec::new(),
            user: String::new(),
            password_file: None,
            register: false,
            registrar: None,
            expires: Duration::from_secs(3_600),
            prefixes: vec!["+".to_owned()],
            emergency: true,
            priority: 1,
            weight: 1,
            probe: Duration::from_secs(30),
            answer: Duration::from_secs(5),
            written: Written::Plus,
            from: CallerId::Keep,
            trusted: true,
            number: None,
        }
    }
}

impl TrunkConfig {
    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault =
            |key: &str, what: String| faults.push(format!("`sip.trunks.{key}` of `{}`: {what}", self.name));
        let is_word =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if !is_word(&self.name) {
            fault("name", "a trunk has a name without spaces".to_owned());
        }
        match Uri::parse(&self.server) {
            Some(uri) if uri.is_sip() && uri.user.is_empty() && uri.headers.is_empty() => {}
            _ => fault("server", format!("`{}` is not a URI such as \"sip:carrier.example\"", self.server)),
        }
        if self.register && self.user.is_empty() {
            fault("register", "whoever registers has a `user`".to_owned());
        }
        if let Some(file) = &self.password_file {
            if self.user.is_empty() {
                fault("password_file", "a password is of a `user`".to_owned());
            }
            if let Err(error) = std::fs::read_to_string(file) {
                fault("password_file", format!("cannot read {}: {error}", file.display()));
            }
        }
        if let Some(prefix) = self.prefixes.iter().find(|prefix| !prefix.starts_with('+')) {
            fault("prefixes", format!("`{prefix}` does not begin with a plus"));
        }
        if let Some(number) = self.number.as_ref().filter(|number| !number.starts_with('+')) {
            fault("number", format!("`{number}` does not begin with a plus"));
        }
        if self.answer.is_zero() {
            fault("answer", "nobody answers in no time".to_owned());
        }
        if self.expires < Duration::from_secs(60) {
            fault("expires", "a registration lasts a minute at least".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_that_cannot_be_meant_is_refused() {
        let right = TrunkConfig {
            name: "carrier".into(),
            server: "sip:carrier.example".into(),
            ..TrunkConfig::default()
        };
        assert!(right.faults().is_empty());
        let fault = |config: TrunkConfig| config.faults().join("; ");
        for (config, what) in [
            (TrunkConfig { name: "my trunk".into(), ..right.clone() }, "name"),
            (TrunkConfig { server: "carrier.example".into(), ..right.clone() }, "server"),
            (TrunkConfig { server: "sip:me@carrier.example".into(), ..right.clone() }, "server"),
            (TrunkConfig { register: true, ..right.clone() }, "whoever registers"),
            (
                TrunkConfig { password_file: Some("/nowhere".into()), user: "u".into(), ..right.clone() },
                "cannot read",
            ),
            (TrunkConfig { prefixes: vec!["0".into()], ..right.clone() }, "prefixes"),
            (TrunkConfig { number: Some("0140".into()), ..right.clone() }, "number"),
            (TrunkConfig { answer: Duration::ZERO, ..right.clone() }, "answer"),
            (TrunkConfig { expires: Duration::from_secs(5), ..right.clone() }, "expires"),
        ] {
            assert!(fault(config).contains(what), "{what}");
        }
    }
}
