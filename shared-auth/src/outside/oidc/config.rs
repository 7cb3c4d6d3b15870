//! `[auth.oidc]`: which provider is believed, and what its claims mean here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[auth.oidc]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OidcConfig {
    /// The issuer as its documents name it, `https://…`. Default: none, and no provider is asked.
    pub issuer: Option<String>,
    /// What the provider calls this service.
    pub client_id: String,
    /// The file with the secret that the provider gave it. Default: none, a public client.
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for. Default `openid profile offline_access`; without the last nobody hears that somebody left.
    pub scopes: String,
    /// Who else access tokens may be made for, beside the client. Default none.
    pub audiences: Vec<String>,
    /// The claim with the user name. Default `preferred_username`.
    pub user: String,
    /// The claim with the groups. Default `groups`.
    pub groups: String,
    /// Whose members administer the service. Default: nobody's.
    pub admin_group: String,
    /// Who gets in at the first sign-in. Default `create`.
    pub accounts: Policy,
    /// What the link on the sign-in page calls the provider. Default `your organisation`.
    pub label: String,
    /// How often the provider is asked whether a sign-in still holds, at most a day. Default 30 s.
    #[serde(with = "shared_runtime::config::duration")]
    pub interval: Duration,
    /// What becomes of sign-ins for which the provider gives nothing by which it could be asked about them later. Default `refuse`.
    pub unwatched: Unwatched,
    /// What else the authorization request says. Default nothing.
    pub parameters: BTreeMap<String, String>,
}

/// What becomes of sign-ins of whose end nobody would hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unwatched {
    /// They are good; the log and the metrics tell of them.
    Tell,
    /// They are refused.
    Refuse,
}

/// Who gets in at the first sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Whose name nobody has: an account is made.
    Create,
    /// Whose name an account has: it is theirs. The provider must give each name to one person alone.
    Link,
    /// Both.
    Both,
    /// Nobody new.
    Never,
}

impl Policy {
    pub(crate) fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Both)
    }

    pub(crate) fn links(self) -> bool {
        matches!(self, Self::Link | Self::Both)
    }
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: String::new(),
            client_secret_file: None,
            scopes: "openid profile offline_access".to_owned(),
            audiences: Vec::new(),
            user: "preferred_username".to_owned(),
            groups: "groups".to_owned(),
            admin_group: String::new(),
            accounts: Policy::Create,
            label: "your organisation".to_owned(),
            interval: Duration::from_secs(30),
            unwatched: Unwatched::Refuse,
            parameters: BTreeMap::new(),
        }
    }
}

impl OidcConfig {
    /// Whether sign-ins ask for something that can be asked about later as OpenID Connect Core 1.0 §11 has it.
    pub(super) fn asks_for_offline_access(&self) -> bool {
        self.scopes.split(' ').any(|scope| scope == "offline_access")
    }

    /// The same, or as Google has it; no other way is known.
    pub(super) fn asks_for_lasting(&self) -> bool {
        self.asks_for_offline_access() || self.asks_by_access_type()
    }

    pub(super) fn asks_by_access_type(&self) -> bool {
        self.parameters.contains_key("access_type")
    }

    /// What is wrong, each in words that begin with the key.
    pub fn faults(&self) -> Vec<String> {
        let Some(issuer) = &self.issuer else { return Vec::new() };
        let mut faults = Vec::new();
        if !is_protected(issuer) {
            faults.push(format!("`auth.oidc.issuer`: `{issuer}` does not begin with https://"));
        }
        if self.client_id.is_empty() {
            faults.push("`auth.oidc.client_id` is missing".to_owned());
        }
        if !self.scopes.split(' ').any(|scope| scope == "openid") {
            faults.push("`auth.oidc.scopes` lacks openid".to_owned());
        }
        if self.unwatched == Unwatched::Refuse && !self.asks_for_lasting() {
            faults.push(
                "`auth.oidc.unwatched` refuses everybody, as `auth.oidc.scopes` lacks offline_access, and `auth.oidc.parameters` access_type"
                    .to_owned(),
            );
        }
        if let Some(name) = self.parameters.keys().find(|name| OWN.contains(&name.as_str())) {
            faults.push(format!("`auth.oidc.parameters`: `{name}` is said already"));
        }
        if self.interval.is_zero() || self.interval > SLOWEST {
            faults.push("`auth.oidc.interval` is not between 1s and 1d".to_owned());
        }
        if let Some(Err(error)) = self.client_secret_file.as_ref().map(std::fs::File::open) {
            faults.push(format!("`auth.oidc.client_secret_file`: cannot read it: {error}"));
        }
        faults
    }
}

/// Over TLS, or never leaving the machine.
pub(super) fn is_protected(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host == *name || host.starts_with(&format!("{name}:")))
        && !host.contains('@')
}

/// Every key of `[auth.oidc]`.
pub(crate) const OIDC_KEYS: &[Key] = &[
    Key::new("auth.oidc.issuer", "", "https://… of an OpenID Connect provider; none: no provider is asked"),
    Key::new("auth.oidc.client_id", "\"\"", "what the provider calls this service"),
    Key::new("auth.oidc.client_secret_file", "", "file with the client's secret; none: a public client"),
    Key::new(
        "auth.oidc.scopes",
        "\"openid profile offline_access\"",
        "what is asked for; without offline_access nobody hears that somebody left",
    ),
    Key::new("auth.oidc.audiences", "[]", "for whom else access tokens may be made, beside the client"),
    Key::new("auth.oidc.user", "\"preferred_username\"", "claim with the user name"),
    Key::new("auth.oidc.groups", "\"groups\"", "claim with the groups"),
    Key::new("auth.oidc.admin_group", "\"\"", "whose members administer the service; empty: nobody's"),
    Key::new(
        "auth.oidc.accounts",
        "\"create\"",
        "first sign-in: create (names that nobody has), link (names that an account has), both, never",
    ),
    Key::new("auth.oidc.label", "\"your organisation\"", "what the sign-in page calls the provider"),
    Key::new(
        "auth.oidc.interval",
        "\"30s\"",
        "how often it is asked whether sign-ins still hold: up to 45s, what ends there ends here within a minute; more where a provider \
         does not bear a question for each person so often; at most 1d",
    ),
    Key::new(
        "auth.oidc.unwatched",
        "\"refuse\"",
        "sign-ins for which the provider gives no refresh token, so that nobody hears when it ends them: refuse, or tell (they are good, \
         the log and metrics tell of them)",
    ),
    Key::new(
        "auth.oidc.parameters",
        "{}",
        "what else the authorization request says, such as { access_type = \"offline\", prompt = \"consent\" } for Google",
    ),
];

/// What the authorization request says of its own.
const OWN: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
/// The longest time between two questions.
const SLOWEST: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_reached_over_tls_or_on_this_machine() {
        for good in
            ["https://id.example.org", "http://localhost:8080/realms/x", "http://127.0.0.1", "http://[::1]:1"]
        {
            assert!(is_protected(good), "{good}");
        }
        for bad in [
            "http://id.example.org",
            "http://localhost.example",
            "http://localhost:1@evil.example",
            "ftp://localhost",
            "",
        ] {
            assert!(!is_protected(bad), "{bad}");
        }
        assert!(OidcConfig::default().faults().is_empty());
        let bad = OidcConfig {
            issuer: Some("http://x".to_owned()),
            scopes: "profile".to_owned(),
            ..OidcConfig::default()
        };
        assert_eq!(bad.faults().len(), 4, "{:?}", bad.faults());
        let told = OidcConfig { unwatched: Unwatched::Tell, ..bad.clone() };
        assert_eq!(told.faults().len(), 3, "{:?}", told.faults());
        let asked = |name: &str| OidcConfig {
            parameters: BTreeMap::from([(name.to_owned(), "offline".to_owned())]),
            ..bad.clone()
        };
        assert_eq!(asked("access_type").faults().len(), 3, "it asks for a refresh token");
        assert_eq!(asked("hd").faults().len(), 4, "it asks for something else");
        assert_eq!(asked("state").faults().len(), 5, "what is said already");
    }
}
