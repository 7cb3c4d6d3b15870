//! Sign-in elsewhere — OpenID Connect Core 1.0 §3.1 (code flow), RFC 7636 (PKCE, S256), RFC 9207 (`iss`), and access tokens by
//! RFC 9068 or RFC 7662.
//!
//! ```text
//! begin ─▶ URL, and a sealed note for the browser ─▶ (the provider) ─▶ code, state, the note ─▶ finish ─▶ person
//! ```
//!
//! In    `[auth.oidc]`; a code with what the browser kept; an access token.
//! Out   who it is there, as a [`Person`], and what to ask about later.
//! State none for who signs in: what must be remembered is sealed and kept by the browser, for ten minutes.
//! Errors [`OidcError`]. Not here: accounts ([`Registry`](super::Registry)), pages (`provisioning`), SASL (`xmpp-server`).

mod config;
mod jwt;
mod logout;
mod provider;
pub(crate) mod watch;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared_model::{AccountId, idn};
use shared_runtime::tls::TlsPolicy;
use shared_runtime::unix_millis;
use shared_store::DigestAlgorithm;
use subtle::ConstantTimeEq;

pub(crate) use config::OIDC_KEYS;
pub use config::{OidcConfig, Policy, Unwatched};
pub use provider::OidcError;

use super::{Person, Source, short_names};
use crate::hash::{digest_hash, random};
use crate::keys::Keys;
use crate::{CodeProof, Denied, check_shown_name, invites};
use jwt::{Claims, Jwt, is_for, is_for_none_but, text};
pub(crate) use jwt::{JwtError, issuer};
use provider::{Provider, escape};

/// Knows the provider.
pub struct Oidc {
    config: OidcConfig,
    domain: String,
    keys: Arc<Keys>,
    provider: Provider,
}

/// What begins a sign-in.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What it keeps meanwhile, in base64url.
    pub note: String,
}

/// Who came back from the provider.
pub(crate) struct Back {
    pub(crate) person: Person,
    /// What the provider can be asked about later: whether they still may.
    pub(crate) lasting: Option<String>,
}

/// What the browser keeps, sealed.
#[derive(Serialize, Deserialize)]
struct Note {
    state: String,
    nonce: String,
    verifier: String,
    /// Of which domain whoever signs in will be.
    #[serde(default)]
    domain: String,
    /// Milliseconds since 1970.
    until: i64,
}

/// What is to be known of a provider before anybody signs in by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Keys that can be used.
    pub keys: usize,
    /// Whether sign-ins go on of which nobody hears when the provider ends them.
    pub are_unwatched_taken: bool,
    /// Whether its document knows nothing of the refresh tokens that it is asked for by `offline_access` alone.
    pub knows_no_lasting: bool,
}

/// Reads the document and the keys of a provider, if one is configured.
pub(super) async fn look(config: &OidcConfig, tls: &TlsPolicy) -> Option<Result<Looked, OidcError>> {
    let looked = async |issuer: &String| {
        let (keys, scopes) = Provider::open(config, issuer, tls)?.look().await?;
        let knows_no_lasting = !config.asks_by_access_type()
            && scopes.is_some_and(|scopes| !scopes.iter().any(|scope| scope == "offline_access"));
        let are_unwatched_taken = config.unwatched == Unwatched::Tell;
        Ok(Looked { keys, are_unwatched_taken, knows_no_lasting })
    };
    Some(looked(config.issuer.as_ref()?).await)
}

impl Oidc {
    /// As configured; `None` if no provider is.
    pub(crate) fn open(
        config: &OidcConfig,
        domain: &str,
        keys: Arc<Keys>,
        tls: &TlsPolicy,
    ) -> Result<Option<Self>, OidcError> {
        let Some(issuer) = &config.issuer else { return Ok(None) };
        let provider = Provider::open(config, issuer, tls)?;
        Ok(Some(Self { config: config.clone(), domain: domain.to_owned(), keys, provider }))
    }

    /// What the sign-in page calls the provider.
    pub fn label(&self) -> &str {
        &self.config.label
    }

    /// What a client without a good token is told (RFC 7628 §3.2.2): the scopes, and where the provider describes itself.
    pub fn hint(&self) -> (&str, String) {
        let document =
            format!("{}/.well-known/openid-configuration", self.provider.issuer.trim_end_matches('/'));
        (&self.config.scopes, document)
    }

    pub(crate) fn policy(&self) -> Policy {
        self.config.accounts
    }

    /// Begins a sign-in that comes back to `redirect`.
    pub async fn begin(&self, redirect: &str) -> Result<Begun, OidcError> {
        let known = self.provider.known().await?;
        let secret = || BASE64_URL_SAFE_NO_PAD.encode(random::<32>());
        let (state, nonce, verifier) = (secret(), secret(), secret());
        let until = unix_millis() + NOTE_LASTS;
        let note = Note { state, nonce, verifier, domain: self.domain.clone(), until };
        let challenge = digest_hash(DigestAlgorithm::Sha256, &[note.verifier.as_bytes()]);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
        let fields = [
            ("response_type", "code"),
            ("client_id", &*self.config.client_id),
            ("redirect_uri", redirect),
            ("scope", &*self.config.scopes),
            ("state", &*note.state),
            ("nonce", &*note.nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        let more = &self.config.parameters;
        // OpenID Connect Core 1.0 §11: a lasting token is given to who agrees anew.
        let consents = self.config.asks_for_offline_access() && !more.contains_key("prompt");
        let fields = fields.into_iter().chain(consents.then_some(("prompt", "consent")));
        let fields = fields.chain(more.iter().map(|(name, value)| (&**name, &**value)));
        let pairs: Vec<String> =
            fields.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let endpoint = &known.document.authorization_endpoint;
        let query = pairs.join("&");
        let url = format!("{endpoint}{}{query}", if endpoint.contains('?') { '&' } else { '?' });
        let clear = serde_json::to_vec(&note).map_err(|_| OidcError::Document("note"))?;
        Ok(Begun { url, note: BASE64_URL_SAFE_NO_PAD.encode(self.keys.seal(SIGN_IN, &clear)) })
    }

    /// Whether a browser that comes back was sent by this provider's domain.
    pub(crate) fn sent(&self, back: &CodeProof) -> bool {
        self.open_note(&back.note).is_some_and(|note| note.domain == self.domain)
    }

    /// Whether this provider is the one that is named so.
    pub(crate) fn is(&self, issuer: &str) -> bool {
        self.provider.issuer == issuer
    }

    /// Who came back with a code, if the browser is the one that went.
    pub(crate) async fn finish(&self, back: &CodeProof) -> Result<Back, OidcError> {
        let is_same = |note: &Note| note.state.as_bytes().ct_eq(back.state.as_bytes()).into();
        let note = self.open_note(&back.note).filter(is_same).ok_or(JwtError::Claim("state"))?;
        if back.code.is_empty() || back.code.len() > LONGEST_CODE {
            return Err(JwtError::Claim("code").into());
        }
        // RFC 9207 §2.4: a code of another provider is not shown to this one.
        if back.issuer.as_ref().is_some_and(|issuer| *issuer != self.provider.issuer) {
            return Err(JwtError::Claim("iss").into());
        }
        let issued = self.provider.redeem(&back.code, &note.verifier, &back.redirect).await?;
        let token = self.provider.verify(&issued.id_token).await?;
        token.check(&self.provider.issuer, &[&self.config.client_id], unix_millis() / 1000)?;
        // §3.1.3.7, steps 3 to 5, and 11: where others are meant too, it must have been given to us.
        let is_ours = text(&token.claims, "azp").map(|azp| azp == self.config.client_id);
        if is_ours == Some(false) {
            return Err(JwtError::Claim("azp").into());
        }
        if is_ours.is_none() && !is_for_none_but(&token.claims, &self.audiences()) {
            return Err(JwtError::Claim("aud").into());
        }
        if text(&token.claims, "nonce") != Some(&note.nonce) {
            return Err(JwtError::Claim("nonce").into());
        }
        let person = self.person(token.claims, issued.access_token.as_deref()).await?;
        Ok(Back { person, lasting: issued.refresh_token })
    }

    /// What an access token says, if it is good and made for us: signed by the provider (RFC 9068), or asked about (RFC 7662).
    pub(crate) async fn validate(&self, token: &str) -> Result<Claims, OidcError> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(JwtError::Malformed.into());
        }
        let audiences = self.audiences();
        if token.split('.').count() == 3 {
            let jwt = self.provider.verify(token).await?;
            jwt.check(&self.provider.issuer, &audiences, unix_millis() / 1000)?;
            return is_access(&jwt).then_some(jwt.claims).ok_or(JwtError::Claim("typ").into());
        }
        let claims = self.provider.introspect(token, "access_token").await?.ok_or(JwtError::Malformed)?;
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(JwtError::Expired.into());
        }
        let is_our_client = text(&claims, "client_id") == Some(&self.config.client_id);
        if !is_our_client && !is_for(&claims, &audiences) {
            return Err(JwtError::Claim("aud").into());
        }
        if text(&claims, "iss").is_some_and(|issuer| issuer != self.provider.issuer) {
            return Err(JwtError::Claim("iss").into());
        }
        match text(&claims, "sub").is_some_and(|sub| !sub.is_empty()) {
            true => Ok(claims),
            false => Err(JwtError::Claim("sub").into()),
        }
    }

    /// Who signed out at the provider, by its logout token, and when, in milliseconds since 1970.
    pub(crate) async fn signed_out(&self, token: &str) -> Result<(String, i64), Denied> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(OidcError::from(JwtError::Malformed).into());
        }
        let (jwt, issuer) =
            (self.provider.verify(token).await.map_err(logout::denied)?, &self.provider.issuer);
        let (sub, made) = logout::read(&jwt, issuer, &self.config.client_id, unix_millis() / 1000)
            .map_err(|error| logout::denied(error.into()))?;
        // As long as that second lasts: it is told in whole ones.
        Ok((format!("{issuer} {sub}"), made * 1000 + 999))
    }

    /// What never changes about somebody.
    pub(crate) fn subject(&self, claims: &Claims) -> String {
        format!("{} {}", self.provider.issuer, text(claims, "sub").unwrap_or_default())
    }

    /// Who it is by these claims, and by those that the provider gives for a token where a name is missing.
    pub(crate) async fn person(&self, mut claims: Claims, token: Option<&str>) -> Result<Person, OidcError> {
        let is_short =
            text(&claims, &self.config.user).is_none() || !says_email_is_theirs(&self.config, &claims);
        if let Some(token) = token.filter(|_| is_short)
            && let Some(more) = self.provider.userinfo(token).await?
        {
            // OpenID Connect Core 1.0 §5.3.2: it may be somebody else's.
            if text(&more, "sub") != text(&claims, "sub") {
                return Err(JwtError::Claim("sub").into());
            }
            claims.extend(more);
        }
        let subject = self.subject(&claims);
        Ok(read_person(&self.config, &self.domain, subject, &claims)?)
    }

    /// Whether sign-ins leave something that can be asked about later.
    pub(crate) fn asks_for_lasting(&self) -> bool {
        self.config.asks_for_lasting()
    }

    /// Whether sign-ins that leave nothing of the kind are refused.
    pub(crate) fn refuses_unwatched(&self) -> bool {
        self.config.unwatched == Unwatched::Refuse
    }

    fn audiences(&self) -> Vec<&str> {
        let more = self.config.audiences.iter().map(String::as_str);
        std::iter::once(self.config.client_id.as_str()).chain(more).collect()
    }

    fn open_note(&self, note: &str) -> Option<Note> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(note).ok()?;
        let note: Note = serde_json::from_slice(&self.keys.open_sealed(SIGN_IN, &sealed)?).ok()?;
        (note.until > unix_millis()).then_some(note)
    }
}

fn read_person(
    config: &OidcConfig,
    domain: &str,
    subject: String,
    claims: &Claims,
) -> Result<Person, JwtError> {
    // What somebody wrote into their profile says nothing of who they are.
    if !says_email_is_theirs(config, claims) {
        return Err(JwtError::Claim("email_verified"));
    }
    // In ASCII alone: a Kelvin sign must not become a `k`, and so somebody else.
    let user = text(claims, &config.user).ok_or(JwtError::Claim("user name"))?.trim().to_ascii_lowercase();
    let is_here = |(_, at): &(&str, &str)| idn::to_unicode(at).is_some_and(|at| at == domain);
    let user = user.rsplit_once('@').filter(is_here).map_or(user.as_str(), |(user, _)| user).to_owned();
    invites::check_grammar(&user).map_err(|_| JwtError::Claim("user name"))?;
    let name =
        text(claims, "name").and_then(|name| check_shown_name(name).ok()).filter(|name| !name.is_empty());
    let is_in = |group: &Value| group.as_str() == Some(&config.admin_group);
    // Without a word about groups nobody knows.
    let groups = claims.get(&config.groups).and_then(Value::as_array);
    let admin = groups.filter(|_| !config.admin_group.is_empty()).map(|groups| groups.iter().any(is_in));
    let is_verified = claims.get("phone_number_verified") == Some(&Value::Bool(true));
    let number = text(claims, "phone_number").filter(|_| is_verified);
    let numbers = number.map(|number| vec![number.to_owned()]);
    let name = name.unwrap_or_else(|| user.clone());
    let groups = short_names(groups.into_iter().flatten().filter_map(Value::as_str));
    let domain = String::new(); // whoever admits them says which
    Ok(Person { source: Source::Oidc, subject, user, name, numbers, admin, groups, domain })
}

/// OpenID Connect Core 1.0 §5.7: an address is somebody's where the provider saw to it.
fn says_email_is_theirs(config: &OidcConfig, claims: &Claims) -> bool {
    config.user != "email" || claims.get("email_verified") == Some(&Value::Bool(true))
}

/// RFC 9068 §5: what says who somebody is, and what brings new tokens, must not be taken for what lets them in.
fn is_access(jwt: &Jwt) -> bool {
    let claimed = text(&jwt.claims, "typ");
    match (jwt.kind.strip_prefix("application/").unwrap_or(&jwt.kind), claimed) {
        ("at+jwt", None | Some("Bearer")) => true,
        // A word that some providers have for it; such tokens may carry a nonce nonetheless.
        ("" | "jwt", Some("Bearer")) => true,
        ("" | "jwt", None) => {
            jwt.claims.contains_key("scope")
                && !["nonce", "at_hash", "c_hash", "events"].iter().any(|name| jwt.claims.contains_key(*name))
        }
        _ => false,
    }
}

/// What notes are sealed for: an account that nobody has.
const SIGN_IN: AccountId = AccountId(1);
/// How long somebody may take at the provider, in milliseconds.
const NOTE_LASTS: i64 = 600_000;
/// Bytes of a code.
const LONGEST_CODE: usize = 4096;
/// Bytes of an access token.
const LONGEST_TOKEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_name_is_ascii_and_an_address_is_one_that_was_seen_to() {
        let config = OidcConfig { user: "email".to_owned(), ..OidcConfig::default() };
        let read = |text: &str| read_person(&config, "example.org", "i 1".to_owned(), &claims(text));
        let alice = read(r#"{"email":"Alice@Example.org","email_verified":true}"#).unwrap();
        assert_eq!((alice.user.as_str(), alice.name.as_str()), ("alice", "alice"));
        for unseen in [
            r#"{"email":"alice@example.org"}"#,
            r#"{"email":"alice@example.org","email_verified":false}"#,
            r#"{"email":"alice@example.org","email_verified":"true"}"#,
        ] {
            assert_eq!(read(unseen), Err(JwtError::Claim("email_verified")), "{unseen}");
        }
        let config = OidcConfig::default();
        for bad in ["\u{212a}im", "alice@evil.example", "", "a b"] {
            let claims = claims(&serde_json::json!({ "preferred_username": bad }).to_string());
            let read = read_person(&config, "example.org", "i 1".to_owned(), &claims);
            assert_eq!(read, Err(JwtError::Claim("user name")), "{bad}");
        }
    }

    #[test]
    fn who_administers_is_unknown_where_no_groups_are_named() {
        let config = OidcConfig { admin_group: "admins".to_owned(), ..OidcConfig::default() };
        for (text, admin) in [
            (r#"{"preferred_username":"a"}"#, None),
            (r#"{"preferred_username":"a","groups":[]}"#, Some(false)),
            (r#"{"preferred_username":"a","groups":["admins"]}"#, Some(true)),
        ] {
            let person = read_person(&config, "example.org", "i 1".to_owned(), &claims(text)).unwrap();
            assert_eq!(person.admin, admin, "{text}");
        }
    }

    #[test]
    fn what_is_no_access_token_lets_nobody_in() {
        let is_access =
            |kind: &str, text: &str| is_access(&Jwt { kind: kind.to_owned(), claims: claims(text) });
        for (kind, good) in [
            ("at+jwt", "{}"),
            ("application/at+jwt", r#"{"scope":"x"}"#),
            ("jwt", r#"{"typ":"Bearer","nonce":"n"}"#),
            ("", r#"{"scope":"x"}"#),
        ] {
            assert!(is_access(kind, good), "{kind} {good}");
        }
        for (kind, bad) in [
            ("jwt", "{}"),
            ("jwt", r#"{"typ":"ID","scope":"x"}"#),
            ("jwt", r#"{"typ":"Refresh","scope":"x"}"#),
            ("jwt", r#"{"typ":"Offline","scope":"x"}"#),
            ("jwt", r#"{"typ":"Logout","scope":"x"}"#),
            ("logout+jwt", r#"{"scope":"x"}"#),
            ("id_token+jwt", r#"{"scope":"x"}"#),
            ("", r#"{"scope":"x","nonce":"n"}"#),
            ("jwt", r#"{"scope":"x","at_hash":"h"}"#),
            ("at+jwt", r#"{"typ":"ID"}"#),
        ] {
            assert!(!is_access(kind, bad), "{kind} {bad}");
        }
    }
}
