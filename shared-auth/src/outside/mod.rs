//! Identity from outside: accounts whose people, and whose passwords, another system keeps (P-2).
//!
//! In    a directory that is read again and again; names and passwords that are not ours to verify.
//! Out   accounts that come, change and end with what is said there; who proved themselves there.
//! State a [`Link`] for each account that came from there.
//! Errors where the other system does not answer, nobody is proved, and nobody is removed.
//!
//! SCRAM and SIP Digest need a verifier, which nobody gives away: such an account logs in by PLAIN over TLS, by pages, and
//! everywhere by app passwords, which are ours.

pub(crate) mod ldap;
mod link;
pub(crate) mod oidc;
mod registry;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared_model::{AccountId, idn};
use shared_runtime::Shutdown;
use shared_runtime::tls::TlsPolicy;
use shared_store::Account;

use crate::cache::Name;
use crate::keys::Keys;
use crate::login::{Login, identify};
use crate::{CodeProof, Denied, How, Identity};

pub use ldap::{Everybody, LdapConfig, LdapError, Missing};
pub use link::{Link, Links, Source};
pub use oidc::{Begun, Looked, Oidc, OidcConfig, OidcError, Policy, Unwatched};
pub use registry::{OutsideChange, Person};

use ldap::{Ldap, sync};
use oidc::{Back, watch};
pub(crate) use registry::{Registry, RegistryError};

/// Why the other keepers of people cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The directory.
    #[error(transparent)]
    Ldap(#[from] LdapError),
    /// The provider.
    #[error(transparent)]
    Oidc(#[from] OidcError),
}

/// Who may keep the people of one domain.
#[derive(Debug, Clone, Copy)]
pub struct Keepers<'a> {
    /// The domain that their accounts are of.
    pub domain: &'a str,
    /// A directory.
    pub ldap: &'a LdapConfig,
    /// A provider.
    pub oidc: &'a OidcConfig,
}

impl Keepers<'_> {
    /// Reads the whole directory as it is read for accounts, where there is one.
    pub async fn look_at_directory(&self, tls: &TlsPolicy) -> Option<Result<Everybody, LdapError>> {
        match Ldap::open(self.ldap, tls) {
            Ok(directory) => Some(directory?.everybody().await),
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads the document and the keys of the provider, where there is one: how many keys can be used.
    pub async fn look_at_provider(&self, tls: &TlsPolicy) -> Option<Result<Looked, OidcError>> {
        oidc::look(self.oidc, tls).await
    }
}

/// What the door asks when a password is none of ours, and what keeps accounts as they are elsewhere: each domain's own.
pub(crate) struct Outside(Vec<Keeper>, Arc<[Box<str>]>);

/// Who keeps the people of one domain.
struct Keeper {
    ldap: Option<Arc<Ldap>>,
    oidc: Option<Arc<Oidc>>,
    registry: Arc<Registry>,
    keys: Arc<Keys>,
}

impl Outside {
    /// Opens what is configured, the main domain's first; `None` if nothing is.
    pub(crate) fn open(
        all: &[Keepers<'_>],
        tls: &TlsPolicy,
        registry: impl Fn(&str) -> Registry,
        keys: &Arc<Keys>,
    ) -> Result<Option<Self>, OutsideError> {
        let mut opened = Vec::new();
        for Keepers { domain, ldap, oidc } in all {
            // As accounts have it.
            let domain = &idn::to_unicode(domain).map_or_else(|| domain.to_lowercase(), Cow::into_owned);
            let ldap = Ldap::open(ldap, tls)?.map(Arc::new);
            let oidc = Oidc::open(oidc, domain, Arc::clone(keys), tls)?.map(Arc::new);
            if ldap.is_some() || oidc.is_some() {
                let (registry, keys) = (Arc::new(registry(domain)), Arc::clone(keys));
                opened.push(Keeper { ldap, oidc, registry, keys });
            }
        }
        Ok((!opened.is_empty()).then(|| Self::of(opened)))
    }

    fn of(keepers: Vec<Keeper>) -> Self {
        let directories = keepers.iter().filter(|keeper| keeper.ldap.is_some());
        let domains = directories.map(|keeper| keeper.registry.domain.as_str().into()).collect();
        Self(keepers, domains)
    }

    /// Whether somebody else keeps passwords of some domain.
    pub(crate) fn knows_passwords(&self) -> bool {
        !self.1.is_empty()
    }

    /// The domains whose passwords a directory keeps.
    pub(crate) fn of_directories(&self) -> Arc<[Box<str>]> {
        Arc::clone(&self.1)
    }

    /// The providers, each with the domain whose people it knows.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &Oidc)> {
        self.0.iter().filter_map(|keeper| Some((keeper.registry.domain.as_str(), keeper.oidc.as_deref()?)))
    }

    /// A password that is none of ours, shown to the directory of the account's domain, or of the name's; to no other.
    pub(crate) async fn plain(
        &self,
        account: Option<&Account>,
        login: &Login,
        password: &str,
        authzid: &str,
    ) -> Result<Identity, Denied> {
        let domain = match (account, &login.name) {
            (Some(account), _) => account.aor.domain(),
            (None, Name::Jid(jid)) => jid.domain(),
            (None, Name::Aor(aor)) => aor.domain(),
            (None, Name::Id(_) | Name::Number(_)) => "",
        };
        match self.0.iter().find(|keeper| keeper.registry.domain == domain) {
            Some(keeper) => keeper.plain(account, login, password, authzid).await,
            None => identify(account, false, authzid, How::Bind),
        }
    }

    /// Somebody came back with a code from the provider that they were sent to, as what their browser kept says.
    pub(crate) async fn code(&self, back: &CodeProof) -> Result<Identity, Denied> {
        let sent = |keeper: &&Keeper| keeper.oidc.as_ref().is_some_and(|oidc| oidc.sent(back));
        match self.0.iter().find(sent) {
            Some(keeper) => keeper.code(back).await,
            None if self.providers().next().is_none() => Err(Denied::NoVerifier),
            None => Err(OidcError::from(oidc::JwtError::Claim("state")).into()),
        }
    }

    /// Somebody shows an access token to a domain: to the provider that it names, or one that names none of ours to that domain's.
    /// No other provider gets to see it.
    pub(crate) async fn bearer(&self, token: &str, domain: &str, authzid: &str) -> Result<Identity, Denied> {
        self.keeper_of(token, domain).ok_or(Denied::NoVerifier)?.bearer(token, authzid).await
    }

    fn keeper_of(&self, token: &str, domain: &str) -> Option<&Keeper> {
        let domain = idn::to_unicode(domain)?; // as the registries have it
        let own = self.0.iter().find(|keeper| keeper.oidc.is_some() && keeper.registry.domain == domain);
        let Some(issuer) = oidc::issuer(token) else { return own };
        // One provider may be several domains'.
        own.filter(|keeper| keeper.is_of(&issuer)).or_else(|| self.issuer(&issuer)).or(own)
    }

    /// Somebody signed out at the provider: whose account it is, if it is one's, and when.
    pub(crate) async fn signed_out(&self, token: &str) -> Result<Option<(AccountId, i64)>, Denied> {
        let issuer = oidc::issuer(token);
        let named = issuer.and_then(|issuer| self.issuer(&issuer));
        let keeper = named.or_else(|| self.0.iter().find(|keeper| keeper.oidc.is_some()));
        keeper.ok_or(Denied::NoVerifier)?.signed_out(token).await
    }

    fn issuer(&self, issuer: &str) -> Option<&Keeper> {
        self.0.iter().find(|keeper| keeper.is_of(issuer))
    }

    /// Keeps accounts as they are elsewhere, until shutdown.
    pub(crate) fn follow(&self, shutdown: &Shutdown) {
        self.0.iter().for_each(|keeper| keeper.follow(shutdown));
    }
}

impl Keeper {
    fn is_of(&self, issuer: &str) -> bool {
        self.oidc.as_ref().is_some_and(|oidc| oidc.is(issuer))
    }

    /// A password that is none of ours. The directory is asked whoever is asked for, lest the time tell whose account is ours;
    /// who is ours alone is refused whether or not it answers, so that nobody guesses unthrottled while it is silent.
    async fn plain(
        &self,
        account: Option<&Account>,
        login: &Login,
        password: &str,
        authzid: &str,
    ) -> Result<Identity, Denied> {
        let refused = identify(account, false, authzid, How::Bind);
        let (Some(ldap), None) = (&self.ldap, &login.app) else { return refused };
        let user = match (account, &login.name) {
            // Who is of another domain is nobody of that directory.
            (Some(account), _) if account.aor.domain() == self.registry.domain => account.aor.local(),
            (None, Name::Jid(jid)) if jid.domain() == self.registry.domain => jid.local(),
            (None, Name::Aor(aor)) if aor.domain() == self.registry.domain => aor.local(),
            _ => return refused,
        };
        let proved = ldap.prove(user, password).await;
        let Some(account) = account else {
            let Some(person) = proved? else { return refused };
            let account = self.registry.admit(&person, Policy::Create).await?;
            let account = self.registry.cache.find(Name::Id(account)).await?;
            return identify(account.as_deref(), true, authzid, How::Bind);
        };
        let Some(link) = self.registry.links.of(account.id, Source::Ldap).await? else { return refused };
        let is_theirs = proved?.is_some_and(|person| person.subject == link.person.subject);
        identify(Some(account), is_theirs, authzid, How::Bind)
    }

    /// Somebody came back from the provider with a code.
    async fn code(&self, back: &CodeProof) -> Result<Identity, Denied> {
        let Some(oidc) = &self.oidc else { return Err(Denied::NoVerifier) };
        let Back { person, lasting } = oidc.finish(back).await?;
        if lasting.is_none() && oidc.refuses_unwatched() {
            return Err(self.refuse_unwatched());
        }
        // A sign-in that brings nothing to ask about must not be ended by what an older one brought.
        let brought = |account| lasting.as_ref().map(|token| self.keys.seal(account, token.as_bytes()));
        let account = self.registry.admit_with(&person, oidc.policy(), Some(&brought)).await?;
        if lasting.is_none() && oidc.asks_for_lasting() {
            self.registry.metrics.outside(Source::Oidc, "unwatched");
            tracing::warn!(%account, "the provider gave no refresh token, so that nobody hears when it ends them");
        }
        let account = self.registry.cache.find(Name::Id(account)).await?;
        identify(account.as_deref(), true, "", How::Oidc)
    }

    /// Somebody shows an access token of the provider's.
    async fn bearer(&self, token: &str, authzid: &str) -> Result<Identity, Denied> {
        let Some(oidc) = &self.oidc else { return Err(Denied::NoVerifier) };
        let claims = oidc.validate(token).await?;
        let registry = &self.registry;
        let mut account = match registry.links.by_subject(&oidc.subject(&claims)).await? {
            // An account that ended is not theirs again by a token that is older than its end.
            Some(account) => registry.cache.find(Name::Id(account)).await?,
            None => None,
        };
        // A token brings nothing to ask about later: a sign-in on the page does, which must be one that holds.
        if oidc.refuses_unwatched() {
            let id = account.as_ref().map(|account| account.id);
            let link = match id {
                Some(id) => registry.links.of(id, Source::Oidc).await?,
                None => None,
            };
            if link.is_none_or(|link| link.lasting.is_none()) {
                return Err(self.refuse_unwatched());
            }
        }
        if account.is_none() {
            let made = registry.admit(&oidc.person(claims, Some(token)).await?, oidc.policy()).await?;
            account = registry.cache.find(Name::Id(made)).await?;
        }
        identify(account.as_deref(), true, authzid, How::Oidc)
    }

    fn refuse_unwatched(&self) -> Denied {
        tracing::warn!(
            "a sign-in is refused for which the provider gave no refresh token, as nobody would hear when it ends it: have the provider allow \
             this client offline_access, or ask for it as the provider says (auth.oidc.parameters); auth.oidc.unwatched = \"tell\" takes such"
        );
        self.registry.metrics.outside(Source::Oidc, "unwatched");
        Denied::Unwatched
    }

    /// Somebody signed out at the provider: whose account it is, if it is one's, and when.
    async fn signed_out(&self, token: &str) -> Result<Option<(AccountId, i64)>, Denied> {
        let Some(oidc) = &self.oidc else { return Err(Denied::NoVerifier) };
        let (subject, when) = oidc.signed_out(token).await?;
        Ok(self.registry.links.by_subject(&subject).await?.map(|account| (account, when)))
    }

    /// Keeps accounts as they are elsewhere, until shutdown.
    fn follow(&self, shutdown: &Shutdown) {
        if let Some(ldap) = &self.ldap {
            shutdown.spawn(sync::follow(Arc::clone(ldap), Arc::clone(&self.registry), shutdown.clone()));
        }
        if let Some(oidc) = &self.oidc {
            shutdown.spawn(watch::follow(Arc::clone(oidc), Arc::clone(&self.registry), shutdown.clone()));
        }
    }
}

/// Groups by the names that profiles have for them: of a distinguished name (RFC 4514) the value of its first part, of a path its last.
/// Each once and in order, whatever order they are told in: what is the same is stored once, and the same ones are cut. The first ones.
fn short_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut short = BTreeSet::new();
    for name in names {
        let value = match name.split_once('=') {
            Some((_, rest)) => rest
                .match_indices(',')
                .find(|(at, _)| !rest[..*at].ends_with('\\'))
                .map_or(rest, |(at, _)| &rest[..at]),
            None => name.rsplit('/').next().unwrap_or_default(),
        };
        let value = value.trim().replace("\\,", ",");
        let is_fit = (1..=LONGEST_GROUP).contains(&value.len()) && !value.chars().any(char::is_control);
        if is_fit {
            short.insert(value);
        }
    }
    short.into_iter().take(MOST_GROUPS).collect()
}

/// Whether so many accounts end at once that whoever says so is taken to be at fault.
fn is_too_many(gone: usize, all: usize) -> bool {
    gone >= MANY && gone * 2 > all
}

/// How long until it is asked again: who is missing, a second time and soon.
fn pause(interval: Duration, is_nobody_missing: bool) -> Duration {
    if is_nobody_missing { interval } else { interval.min(SECOND_LOOK) }
}

/// Groups of one account, as in a profile, and bytes of their names.
const MOST_GROUPS: usize = 16;
const LONGEST_GROUP: usize = 64;
/// Fewer accounts than this may end at once, however few there are.
const MANY: usize = 10;
const SECOND_LOOK: Duration = Duration::from_secs(10);

impl From<OidcError> for Denied {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Token(_) | OidcError::Rejected(_) => Self::Foreign(error.to_string()),
            error => {
                // Nobody who signs in can help it, and no guess of theirs was wrong.
                if matches!(error, OidcError::Refused(_)) {
                    tracing::error!(%error, "nobody can sign in by the provider");
                }
                Self::Unavailable(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_short_names_each_once_and_not_too_many() {
        let names = [
            "cn=Sales,ou=groups,dc=x",
            "CN = Sales,dc=y",
            "cn=a\\, b,dc=x",
            "/staff/board",
            "plain",
            "",
            "cn=",
            "a\u{7}b",
        ];
        assert_eq!(short_names(names.into_iter()), ["Sales", "a, b", "board", "plain"]);
        let many: Vec<String> = (0..40).map(|at| format!("g{at}")).collect();
        let cut = short_names(many.iter().map(String::as_str));
        assert_eq!(cut.len(), MOST_GROUPS);
        assert_eq!(short_names(many.iter().rev().map(String::as_str)), cut, "the same in any order");
        assert!(short_names(std::iter::once("x".repeat(65).as_str())).is_empty());
    }

    #[tokio::test]
    async fn a_token_that_names_no_provider_is_shown_to_that_of_its_domain_alone() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD;

        let folder = std::env::temp_dir().join(format!("cusax-keepers-{:016x}", shared_runtime::random()));
        let tls = TlsPolicy::open(&Default::default(), &folder, &["localhost".to_owned()]).unwrap();
        let keys = Arc::new(Keys::open(&folder).unwrap());
        let _ = std::fs::remove_dir_all(&folder); // all is read
        let keeper = |domain: &str, issuer: &str| {
            let (_, registry, _) = registry::tests::registry();
            let config = OidcConfig { issuer: Some(issuer.to_owned()), ..OidcConfig::default() };
            let oidc = Oidc::open(&config, domain, Arc::clone(&keys), &tls).unwrap().map(Arc::new);
            let registry = Arc::new(Registry { domain: domain.to_owned(), ..registry });
            Keeper { ldap: None, oidc, registry, keys: Arc::clone(&keys) }
        };
        let (one, two) = ("https://one.example", "https://two.example");
        let all = [("example.org", one), ("example.net", two), ("example.com", one)];
        let outside = Outside::of(all.map(|(domain, issuer)| keeper(domain, issuer)).into());
        let of = |token: &str, domain: &str| {
            outside.keeper_of(token, domain).map(|keeper| keeper.registry.domain.clone()).unwrap_or_default()
        };
        let naming = |issuer: &str| {
            let claims = serde_json::json!({ "iss": issuer }).to_string();
            format!("e30.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims))
        };
        assert_eq!(of("opaque", "example.net"), "example.net");
        assert_eq!(of("opaque", "Example.NET"), "example.net");
        assert_eq!(of("opaque", "other.example"), "", "the main one's does not get to see it");
        assert_eq!(of(&naming(one), "example.net"), "example.org");
        assert_eq!(of(&naming(one), "example.com"), "example.com");
        assert_eq!(of(&naming("https://three.example"), "example.net"), "example.net");
    }
}
