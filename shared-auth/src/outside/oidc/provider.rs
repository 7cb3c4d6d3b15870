//! The provider as its document describes it — OpenID Connect Discovery 1.0 §4, RFC 6749 §4.1.3 (tokens), RFC 7662
//! (introspection), OpenID Connect Core 1.0 §5.3 (userinfo).
//!
//! In    the issuer's URL; codes and tokens to ask about.
//! Out   its endpoints and keys; tokens, claims.
//! State document and keys, read again each hour, and keys sooner when a token names one that is not there: at most each
//!       [`KEYS_AGAIN`], whatever is shown to us.
//! Errors [`OidcError`]; what the provider refuses is told apart from a provider that does not answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared_runtime::fetch::{Bounds, FetchError, Fetcher};
use shared_runtime::tls::TlsPolicy;
use zeroize::Zeroizing;

use super::OidcConfig;
use super::config::is_protected;
use super::jwt::{Claims, JwkSet, Jwt, JwtError};

/// Asks the provider.
pub(super) struct Provider {
    pub(super) issuer: String,
    client_id: String,
    secret: Option<Zeroizing<String>>,
    fetcher: Fetcher,
    known: Mutex<Option<Arc<Known>>>,
    /// When it was last asked to describe itself in vain.
    failed: Mutex<Option<Instant>>,
}

/// What is known of the provider for a while.
pub(super) struct Known {
    pub(super) document: Document,
    keys: JwkSet,
    since: Instant,
}

/// Its document.
#[derive(Deserialize)]
pub(super) struct Document {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    pub(super) introspection_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// What comes for a code.
#[derive(Deserialize)]
pub(super) struct Issued {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// What comes for a lasting token, as far as it is of use here.
#[derive(Deserialize)]
pub(super) struct Renewed {
    /// None where the same stays good.
    pub(super) refresh_token: Option<String>,
    pub(super) access_token: Option<String>,
    /// OpenID Connect Core 1.0 §12.2.
    pub(super) id_token: Option<String>,
}

/// Why nobody was proved by the provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The file with the secret cannot be read.
    #[error("auth.oidc.client_secret_file: {0}")]
    SecretFile(std::io::Error),
    /// It does not answer.
    #[error("the provider: {0}")]
    Fetch(#[from] FetchError),
    /// It did not answer a moment ago.
    #[error("the provider failed a moment ago")]
    JustFailed,
    /// It answers something else than it should.
    #[error("the provider's {0} is not what it should be")]
    Document(&'static str),
    /// OpenID Connect Discovery 1.0 §4.3: both must be the same to the letter.
    #[error("auth.oidc.issuer is not the issuer that the provider names, {0}")]
    OtherIssuer(String),
    /// It does not take what somebody brought.
    #[error("the provider does not take this {0}")]
    Rejected(&'static str),
    /// It refuses to answer us, with this status.
    #[error("the provider refuses with {0}: it may know us under another name, or not at all")]
    Refused(u16),
    /// What it or somebody else showed is no good token.
    #[error(transparent)]
    Token(#[from] JwtError),
}

impl Provider {
    pub(super) fn open(config: &OidcConfig, issuer: &str, tls: &TlsPolicy) -> Result<Self, OidcError> {
        let read = |file| std::fs::read_to_string(file).map_err(OidcError::SecretFile);
        let secret = config.client_secret_file.as_ref().map(read).transpose()?;
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: config.client_id.clone(),
            secret: secret.map(|secret| Zeroizing::new(secret.trim_end_matches(['\r', '\n']).to_owned())),
            fetcher: Fetcher::new(tls, Bounds { time: PATIENCE, bytes: LARGEST_ANSWER }),
            known: Mutex::new(None),
            failed: Mutex::new(None),
        })
    }

    /// What is known of it, read again when it is old.
    pub(super) async fn known(&self) -> Result<Arc<Known>, OidcError> {
        match self.remembered().filter(|known| known.since.elapsed() < KNOWN_FOR) {
            Some(known) => Ok(known),
            None => self.read().await,
        }
    }

    /// Reads its document and its keys now: how many of these can be used.
    pub(super) async fn look(&self) -> Result<(usize, Option<Vec<String>>), OidcError> {
        let known = self.read_now().await?;
        Ok((known.keys.usable(), known.document.scopes_supported.clone()))
    }

    /// A token that one of its keys signed.
    pub(super) async fn verify(&self, token: &str) -> Result<Jwt, OidcError> {
        let known = self.known().await?;
        match known.keys.verify(token) {
            Err(JwtError::UnknownKey) if known.since.elapsed() > KEYS_AGAIN => {
                Ok(self.read().await?.keys.verify(token)?)
            }
            verified => Ok(verified?),
        }
    }

    /// The tokens for a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(super) async fn redeem(
        &self,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<Issued, OidcError> {
        let known = self.known().await?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect),
        ];
        self.post(&known.document, &known.document.token_endpoint, &fields, TOKENS).await
    }

    /// What it says of a token (RFC 7662 §2); `None` where it has no way to say.
    pub(super) async fn introspect(&self, token: &str, hint: &str) -> Result<Option<Claims>, OidcError> {
        let known = self.known().await?;
        let Some(endpoint) = &known.document.introspection_endpoint else { return Ok(None) };
        let fields = [("token", token), ("token_type_hint", hint)];
        self.post(&known.document, endpoint, &fields, "introspection").await.map(Some)
    }

    /// What it says of whose token this is (OpenID Connect Core 1.0 §5.3).
    pub(super) async fn userinfo(&self, token: &str) -> Result<Option<Claims>, OidcError> {
        let known = self.known().await?;
        let Some(endpoint) = &known.document.userinfo_endpoint else { return Ok(None) };
        let bearer = format!("Bearer {token}");
        let answer = self.fetcher.get_with(endpoint, &[("authorization", &bearer)]).await?;
        match answer.status {
            // RFC 6750 §3.1.
            401 => Err(OidcError::Rejected("access token")),
            _ if answer.is_success() => read(&answer.body, "userinfo").map(Some),
            status => Err(OidcError::Refused(status)),
        }
    }

    /// Gives a lasting token and gets another, or none where the same stays good (RFC 6749 §6).
    pub(super) async fn renew(&self, token: &str) -> Result<Renewed, OidcError> {
        let known = self.known().await?;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(&known.document, &known.document.token_endpoint, &fields, RENEWAL).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        document: &Document,
        url: &str,
        fields: &[(&str, &str)],
        what: &'static str,
    ) -> Result<T, OidcError> {
        let mut fields = fields.to_vec();
        let mut headers =
            vec![("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        let authorization;
        match &self.secret {
            // RFC 6749 §2.3.1: both are encoded as form fields first.
            Some(secret) if !document.wants_secret_in_form() => {
                let pair = format!("{}:{}", escape(&self.client_id), escape(secret));
                authorization = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair)));
                headers.push(("authorization", authorization.as_str()));
            }
            Some(secret) => {
                fields.extend([("client_id", self.client_id.as_str()), ("client_secret", secret.as_str())])
            }
            None => fields.push(("client_id", &self.client_id)),
        }
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let answer = self.fetcher.post(url, &headers, Bytes::from(pairs.join("&"))).await?;
        match answer.is_success() {
            true => read(&answer.body, what),
            false => Err(refusal(answer.status, &answer.body, what)),
        }
    }

    /// Reads it, unless that failed just now: strangers can make us ask.
    async fn read(&self) -> Result<Arc<Known>, OidcError> {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some_and(|at| at.elapsed() < AGAIN) {
            return Err(OidcError::JustFailed);
        }
        let read = self.read_now().await;
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = read.is_err().then(Instant::now);
        read
    }

    async fn read_now(&self) -> Result<Arc<Known>, OidcError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document: Document = self.get(&url, "document").await?;
        if document.issuer != self.issuer {
            return Err(OidcError::OtherIssuer(document.issuer));
        }
        let urls = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        let optional = [&document.userinfo_endpoint, &document.introspection_endpoint];
        if !urls.into_iter().chain(optional.into_iter().flatten()).all(|url| is_protected(url)) {
            return Err(OidcError::Document("endpoint"));
        }
        let answer = self.fetcher.get(&document.jwks_uri).await?;
        let keys = JwkSet::read(&answer.body)
            .filter(|_| answer.is_success())
            .ok_or(OidcError::Document("key set"))?;
        let known = Arc::new(Known { document, keys, since: Instant::now() });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str, what: &'static str) -> Result<T, OidcError> {
        let answer = self.fetcher.get(url).await?;
        match answer.is_success() {
            true => read(&answer.body, what),
            false => Err(OidcError::Document(what)),
        }
    }

    fn remembered(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Document {
    /// OpenID Connect Discovery 1.0 §3: without a word it is the header.
    fn wants_secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let has = |wanted: &str| methods.iter().any(|method| method == wanted);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// RFC 6749 §5.2: whose fault it is that no token is given. Everything but what somebody brought is between the provider and us.
fn refusal(status: u16, body: &[u8], what: &'static str) -> OidcError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let error = serde_json::from_slice(body).map(|Refusal { error }| error).unwrap_or_default();
    let is_ours =
        ["invalid_client", "unauthorized_client", "unsupported_grant_type"].contains(&error.as_str());
    match status {
        400 if what == TOKENS && !is_ours => OidcError::Rejected("code"),
        400 if what == RENEWAL && error == "invalid_grant" => OidcError::Rejected("lasting token"),
        status => OidcError::Refused(status),
    }
}

fn read<T: DeserializeOwned>(body: &[u8], what: &'static str) -> Result<T, OidcError> {
    serde_json::from_slice(body).map_err(|_| OidcError::Document(what))
}

/// A value of a form or a query.
pub(super) fn escape(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// What comes for a code.
const TOKENS: &str = "token answer";
/// What comes for a lasting token.
const RENEWAL: &str = "renewal";
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const LARGEST_ANSWER: usize = 256 * 1024;
/// How long document and keys are believed.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// How soon it is asked again to describe itself after it failed.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon keys are read again because a token names an unknown one.
const KEYS_AGAIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_code_is_of_who_brought_it_and_bad_credentials_are_ours() {
        let refusal = |status, body: &str, what| crate::Denied::from(refusal(status, body.as_bytes(), what));
        for body in ["", "{}", r#"{"error":"invalid_grant"}"#] {
            assert!(matches!(refusal(400, body, TOKENS), crate::Denied::Foreign(_)), "{body}");
        }
        for status in [401, 403, 404, 408, 429, 500] {
            let denied = refusal(status, r#"{"error":"invalid_grant"}"#, TOKENS);
            assert!(matches!(denied, crate::Denied::Unavailable(_)), "{status}");
        }
        let grant = r#"{"error":"invalid_grant"}"#;
        assert!(matches!(super::refusal(400, grant.as_bytes(), RENEWAL), OidcError::Rejected(_)));
        assert!(matches!(super::refusal(400, b"", RENEWAL), OidcError::Refused(400)));
        for (body, what) in [(r#"{"error":"invalid_client"}"#, TOKENS), ("", "introspection")] {
            assert!(matches!(refusal(400, body, what), crate::Denied::Unavailable(_)), "{body}");
        }
    }
}
