//! The door itself: `verify(proof, origin)` answers who it is.
//!
//! In    a [`Proof`] and where it comes from.
//! Out   an [`Identity`] and a `LoginEvent::Accepted` fact, or [`Denied`] and a `LoginEvent::Denied` fact.
//! State the throttle and the nonce counts, both bounded.
//! Errors [`Denied`]. A name that nobody has costs the same work as a wrong password and gets the same answer.
//!
//! App passwords: Digest and PLAIN by the plain name try the main password and then each app password, Digest being
//! cheap and PLAIN over TLS. SCRAM proves one password, so the client says which: `alice` for the main one, `alice+PHONE`
//! for the app password PHONE; PLAIN understands that too.

use std::sync::Arc;
use std::time::Instant;

use shared_model::{Aor, BareJid, Correlation, Fact, LoginEvent, Protocol};
use shared_runtime::{Redacted, bus::Bus, unix_millis};
use shared_store::{Account, Credentials, ScramHash, ScramVerifier};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::cache::{AccountCache, Name};
use crate::config::Config;
use crate::digest::{Challenge, DigestProof};
use crate::identity::{Denied, How, Identity, Origin, Proof};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::nonce::Nonce;
use crate::replay::{Replay, Verdict};
use crate::scram::{ScramExchange, ScramFinal, ScramStart};
use crate::throttle::Throttle;
use crate::{hash, password, token::Tokens};

/// Verifies proofs for every protocol.
pub struct Authenticator {
    config: Config,
    cache: Arc<AccountCache>,
    keys: Arc<Keys>,
    tokens: Tokens,
    bus: Bus<Fact>,
    metrics: Metrics,
    throttle: Throttle,
    replay: Replay,
    /// How many may compute PBKDF2 at once; the others wait.
    slow: Arc<Semaphore>,
}

impl Authenticator {
    pub(crate) fn new(
        config: &Config,
        cache: Arc<AccountCache>,
        keys: Arc<Keys>,
        tokens: Tokens,
        bus: Bus<Fact>,
        metrics: Metrics,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            throttle: Throttle::new(config.throttle_exempt.clone()),
            config: config.clone(),
            cache,
            keys,
            tokens,
            bus,
            metrics,
            replay: Replay::new(),
            slow: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Says who it is. Every outcome is counted, logged and told as a fact.
    pub async fn verify(&self, proof: Proof, origin: Origin) -> Result<Identity, Denied> {
        let login = proof.login(origin.protocol);
        let name = login.as_ref().map_or("", |login| login.key.as_str());
        let now = Instant::now();
        let outcome = match self.throttle.wait(name, origin.ip, now) {
            Some(wait) => Err(Denied::Throttled(wait)),
            None => self.decide(&proof, login.as_ref(), origin).await,
        };
        match &outcome {
            Ok(_) => self.throttle.succeeded(name),
            Err(denied) if denied.is_failed_proof() => self.throttle.failed(name, origin.ip, now),
            Err(_) => {}
        }
        self.tell(&outcome, login.as_ref(), origin).await;
        outcome
    }

    /// The challenges to send, in the configured order, all with one nonce.
    pub fn challenges(&self, realm: &str, stale: bool) -> Vec<Challenge> {
        let nonce = self.next_nonce(realm);
        let challenge = |algorithm| Challenge {
            algorithm,
            realm: realm.to_owned(),
            nonce: nonce.clone(),
            qop: "auth,auth-int",
            stale,
        };
        self.config.algorithms.iter().copied().map(challenge).collect()
    }

    /// A fresh nonce, for `nextnonce` of `Authentication-Info` (RFC 7616 §3.5).
    pub fn next_nonce(&self, realm: &str) -> String {
        Nonce::new(unix_millis()).to_text(realm, &self.keys)
    }

    /// Goes on after the client's first SCRAM message. Names that nobody has get a salt that never changes.
    pub async fn begin_scram(
        &self,
        start: ScramStart,
        domain: &str,
        origin: Origin,
    ) -> Result<ScramExchange, Denied> {
        let login = Login::read(&start.name, domain, origin.protocol);
        let key = login.as_ref().map_or(start.name.as_str(), |login| &login.key);
        if let Some(wait) = self.throttle.wait(key, origin.ip, Instant::now()) {
            self.metrics.proof(origin.protocol, "throttled");
            return Err(Denied::Throttled(wait));
        }
        let account = self.find(login.as_ref()).await?;
        let credentials =
            account.as_deref().and_then(|account| login.as_ref()?.credentials_for_scram(account));
        let found = credentials
            .and_then(|credentials| credentials.scram.iter().find(|verifier| verifier.hash == start.hash()));
        Ok(match found.cloned() {
            Some(verifier) => ScramExchange::new(start, login.map(|login| login.text), verifier),
            None => {
                let verifier = self.verifier_of_nobody(start.hash(), key);
                ScramExchange::new(start, login.map(|login| login.text), verifier)
            }
        })
    }

    async fn decide(&self, proof: &Proof, login: Option<&Login>, origin: Origin) -> Result<Identity, Denied> {
        match proof {
            Proof::Plain { password, authzid, .. } => self.plain(login, password, authzid).await,
            Proof::Digest(digest) => self.digest(login, digest).await,
            Proof::Scram(last) => self.scram(login, last).await,
            Proof::Token { purpose, text } => self.token(purpose, text, origin).await,
        }
    }

    async fn plain(&self, login: Option<&Login>, given: &str, authzid: &str) -> Result<Identity, Denied> {
        let account = self.find(login).await?;
        let prepared = password::prepare(given).ok();
        let nobody = self.verifier_of_nobody(ScramHash::Sha256, login.map_or("", |login| &login.key));
        let verifiers = match (&account, login) {
            (Some(account), Some(login)) => login.verifiers_for_plain(account),
            _ => vec![nobody],
        };
        let permit = Arc::clone(&self.slow).acquire_owned().await;
        let is_right = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let given = prepared.as_ref().map_or(&b""[..], |prepared| prepared.as_bytes());
            verifiers.iter().any(|verifier| {
                let computed =
                    password::scram_verifier(verifier.hash, given, &verifier.salt, verifier.iterations);
                bool::from(computed.stored_key.ct_eq(&verifier.stored_key))
            }) && prepared.is_some()
        });
        let is_right = is_right.await.map_err(|error| Denied::Unavailable(error.to_string()))?;
        identify(account.as_deref(), is_right, authzid, How::Plain)
    }

    async fn digest(&self, login: Option<&Login>, proof: &DigestProof) -> Result<Identity, Denied> {
        if !self.config.algorithms.contains(&proof.algorithm) {
            return Err(Denied::NoVerifier);
        }
        let nonce = Nonce::parse(&proof.nonce, &proof.realm, &self.keys).ok_or(Denied::ForeignNonce)?;
        // Without qop there is no count, so each nonce is good for one request.
        let count = match &proof.qop {
            Some(qop) => {
                qop.count().filter(|count| *count > 0).ok_or(Denied::Malformed("nc is not a count"))?
            }
            None => 1,
        };
        let account = self.find(login).await?;
        let is_right = match &account {
            Some(account) => self.proves_digest(account, proof),
            None => {
                // The same hashing as for an account, so that time tells nothing.
                bool::from(proof.expected(&[0; 32]).as_bytes().ct_eq(b"nobody's response"))
            }
        };
        let identity = identify(account.as_deref(), is_right, "", How::Digest(proof.algorithm))?;
        if u128::from(nonce.age(unix_millis())) > self.config.nonce_lifetime.as_millis() {
            return Err(Denied::Stale);
        }
        match self.replay.count(nonce, count) {
            Verdict::Fresh => Ok(identity),
            Verdict::Replayed => Err(Denied::Replayed),
            Verdict::Forgotten => Err(Denied::Stale),
        }
    }

    /// Whether the main password or an app password gives this response.
    fn proves_digest(&self, account: &Account, proof: &DigestProof) -> bool {
        all_credentials(account).filter(|credentials| credentials.realm == proof.realm).any(|credentials| {
            let sealed = credentials.ha1.iter().find(|ha1| ha1.algorithm == proof.algorithm);
            let ha1 = sealed.and_then(|ha1| self.keys.open_sealed(account.id, &ha1.sealed));
            ha1.is_some_and(|ha1| {
                let response = proof.response.to_ascii_lowercase();
                bool::from(proof.expected(&ha1).as_bytes().ct_eq(response.as_bytes()))
            })
        })
    }

    async fn scram(&self, login: Option<&Login>, last: &ScramFinal) -> Result<Identity, Denied> {
        let start = &last.exchange.start;
        let how = if start.is_bound() { How::ScramPlus(start.hash()) } else { How::Scram(start.hash()) };
        let account = self.find(login).await?;
        last.outcome.clone()?;
        identify(account.as_deref(), true, &start.authzid, how)
    }

    async fn token(&self, purpose: &str, text: &str, _origin: Origin) -> Result<Identity, Denied> {
        let token = self.tokens.take(purpose, text, unix_millis()).await?.ok_or(Denied::BadToken)?;
        let id = token.account.ok_or(Denied::BadToken)?;
        let account = self.cache.find(Name::Id(id)).await?;
        identify(account.as_deref(), true, "", How::Token)
    }

    async fn find(&self, login: Option<&Login>) -> Result<Option<Arc<Account>>, Denied> {
        match login {
            Some(login) => Ok(self.cache.find(login.name.clone()).await?),
            None => Ok(None),
        }
    }

    /// What nobody's password fits: the salt is stable for a name, the keys are random.
    fn verifier_of_nobody(&self, hash: ScramHash, name: &str) -> ScramVerifier {
        ScramVerifier {
            hash,
            salt: self.keys.salt_of_nobody(name).to_vec(),
            iterations: self.config.iterations.max(4096),
            stored_key: hash::random::<32>().to_vec(),
            server_key: hash::random::<32>().to_vec(),
        }
    }

    async fn tell(&self, outcome: &Result<Identity, Denied>, login: Option<&Login>, origin: Origin) {
        let (protocol, from) = (origin.protocol, origin.ip);
        match outcome {
            Ok(identity) => {
                self.metrics.proof(protocol, "accepted");
                tracing::debug!(aor = %Redacted(&identity.aor), how = identity.how.as_str(), "proof accepted");
                let account = identity.account;
                let event = LoginEvent::Accepted { account, protocol, from };
                self.bus.publish(Fact::new(Correlation::of_account(account), event));
            }
            Err(denied) => {
                self.metrics.proof(protocol, denied.as_str());
                let name = login.map_or("", |login| login.key.as_str());
                if denied.is_failed_proof() || matches!(denied, Denied::Disabled | Denied::Throttled(_)) {
                    let protocol = protocol.as_str();
                    tracing::info!(name = %Redacted(name), from = %Redacted(from), protocol, reason = %denied, "login denied");
                }
                let account = self.find(login).await.ok().flatten().map(|account| account.id);
                let correlation = account.map_or(Correlation(0), Correlation::of_account);
                let event = LoginEvent::Denied { account, protocol, from, reason: denied.as_str() };
                self.bus.publish(Fact::new(correlation, event));
            }
        }
    }
}

/// Says who a proof is of, or why it is of nobody. Disabled accounts are told apart in the log alone.
fn identify(account: Option<&Account>, is_right: bool, authzid: &str, how: How) -> Result<Identity, Denied> {
    let account = account.ok_or(Denied::UnknownAccount)?;
    if !is_right {
        return Err(Denied::WrongProof);
    }
    if !account.enabled {
        return Err(Denied::Disabled);
    }
    if !authzid.is_empty() && authzid.parse::<BareJid>().as_ref() != Ok(&account.jid) {
        return Err(Denied::ForeignAuthzid);
    }
    Ok(Identity { account: account.id, aor: account.aor.clone(), jid: account.jid.clone(), how })
}

fn all_credentials(account: &Account) -> impl Iterator<Item = &Credentials> {
    std::iter::once(&account.credentials).chain(account.app_passwords.iter().map(|app| &app.credentials))
}

/// A name to log in with, read.
struct Login {
    /// As it was sent, with a domain.
    text: String,
    /// What the throttle counts it by: without the app password's name.
    key: String,
    name: Name,
    app: Option<String>,
}

impl Login {
    /// Reads `alice`, `alice@example.org`, `alice+PHONE` or `alice+PHONE@example.org`.
    fn read(name: &str, domain: &str, protocol: Protocol) -> Option<Self> {
        let (local, domain) = name.split_once('@').unwrap_or((name, domain));
        // A leading plus is part of a name that is a number.
        let plus = local.char_indices().skip(1).find(|(_, c)| *c == '+').map(|(at, _)| at);
        let (local, app) = plus.map_or((local, None), |at| (&local[..at], Some(local[at + 1..].to_owned())));
        let name = match protocol {
            Protocol::Xmpp => Name::Jid(BareJid::new(local, domain).ok()?),
            _ => Name::Aor(Aor::new(local, domain).ok()?),
        };
        let key = match &name {
            Name::Jid(jid) => jid.to_string(),
            Name::Aor(aor) => aor.to_string(),
            Name::Id(_) | Name::Number(_) => return None,
        };
        let suffix = app.as_ref().map_or(String::new(), |app| format!("+{app}"));
        Some(Self { text: format!("{local}{suffix}@{domain}"), key, name, app })
    }

    fn credentials_for_scram<'a>(&self, account: &'a Account) -> Option<&'a Credentials> {
        match &self.app {
            None => Some(&account.credentials),
            Some(name) => {
                let mut apps = account.app_passwords.iter();
                apps.find(|app| app.name.eq_ignore_ascii_case(name)).map(|app| &app.credentials)
            }
        }
    }

    fn verifiers_for_plain(&self, account: &Account) -> Vec<ScramVerifier> {
        let of = |credentials: &Credentials| {
            credentials.scram.iter().find(|verifier| verifier.hash == ScramHash::Sha256).cloned()
        };
        match self.app {
            Some(_) => self.credentials_for_scram(account).and_then(of).into_iter().collect(),
            None => all_credentials(account).filter_map(of).collect(),
        }
    }
}

impl Proof {
    /// Whom the proof is about, as far as its words say.
    fn login(&self, protocol: Protocol) -> Option<Login> {
        match self {
            Self::Plain { name, domain, .. } => Login::read(name, domain, protocol),
            // The HA1 is of the bare name and the realm, so a name with a domain must name the realm.
            Self::Digest(proof) => Login::read(&proof.username, &proof.realm, protocol),
            Self::Scram(last) => {
                last.exchange.login.as_ref().and_then(|login| Login::read(login, "", protocol))
            }
            Self::Token { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
