//! The door itself: `verify(proof, origin)` answers who it is.
//!
//! In    a [`Proof`] and where it comes from.
//! Out   an [`Identity`] and a `LoginEvent::Accepted` fact, or [`Denied`] and a `LoginEvent::Denied` fact.
//! State the throttle and the nonce counts, both bounded.
//! Errors [`Denied`]. A name that nobody has costs the same work as a wrong password and gets the same answer.
//!
//! App passwords: Digest and PLAIN by the plain name try the main password and then each app password. SCRAM proves one
//! password, so the client says which: `alice` for the main one, `alice+PHONE` for the app password PHONE; the others
//! understand that too.
//!
//! A password that is none of ours may be one that another system keeps ([`outside`](crate::outside)), which is asked then.
//!
//! Digest and PLAIN are both held against the sealed HA1s. PBKDF2 would cost one round of thousands for each password of an
//! account, so that the time tells how many there are, and protects nothing that the HA1 beside it does not give away. An account
//! without HA1 is held against its keys of SCRAM ([`keys_alone`]).

mod bans;
mod fits;
mod keys_alone;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shared_model::{AccountId, Correlation, Fact, LoginEvent, Protocol};
use shared_runtime::{Redacted, bus::Bus, unix_millis};
use shared_store::{Account, Credentials, DigestAlgorithm, ScramHash, ScramVerifier};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tracing::Instrument;
use zeroize::Zeroizing;

use crate::book::AccountBook;
use crate::cache::{AccountCache, Name};
use crate::certificates::Certificates;
use crate::config::Config;
use crate::crowd::Crowd;
use crate::digest::{Challenge, DigestProof};
use crate::fast::{FastFinal, FastStart, FastToken, FastTokens, Ht};
use crate::identity::{Denied, How, Identity, Origin, Proof, Spent};
use crate::keys::Keys;
use crate::labels::LoginSpan;
use crate::login::{Login, Mistake, Tried, identify};
use crate::metrics::Metrics;
use crate::nonce::Nonce;
use crate::outside::{Oidc, Outside};
use crate::replay::{Replay, Verdict};
use crate::scram::{ScramExchange, ScramFinal, ScramStart};
use crate::throttle::{Before, PACE, Told};
use crate::{book, hash, password, token::Tokens};
use fits::{Fit, NOBODY};

pub use bans::Slowed;
pub(crate) use keys_alone::{cheapest_key_alone, has_ha1};

/// Verifies proofs for every protocol.
pub struct Authenticator {
    config: Config,
    cache: Arc<AccountCache>,
    keys: Arc<Keys>,
    book: Arc<AccountBook>,
    doors: Doors,
    bus: Bus<Fact>,
    metrics: Arc<Metrics>,
    /// Set once, where other systems keep people.
    outside: OnceLock<Outside>,
    throttle: Told,
    replay: Replay,
    crowd: Crowd,
    derivations: Semaphore,
    /// Sealed like an account's, and of no password.
    ha1_of_nobody: Vec<u8>,
}

/// What lets in without a password.
pub(crate) struct Doors {
    pub(crate) tokens: Tokens,
    pub(crate) fast: FastTokens,
    pub(crate) certificates: Certificates,
}

impl Authenticator {
    pub(crate) fn new(
        config: &Config,
        cache: Arc<AccountCache>,
        keys: Arc<Keys>,
        book: Arc<AccountBook>,
        doors: Doors,
        bus: Bus<Fact>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let throttle = Told::new(config.throttle_exempt.clone());
        metrics.register_throttle(Arc::clone(throttle.guesses()));
        Self {
            ha1_of_nobody: keys.seal(NOBODY, &hash::random::<32>()),
            throttle,
            crowd: Crowd::new(config.iterations.max(book::LEAST_ITERATIONS)),
            derivations: Semaphore::new(keys_alone::AT_ONCE),
            config: config.clone(),
            cache,
            keys,
            book,
            doors,
            bus,
            metrics,
            outside: OnceLock::new(),
            replay: Replay::new(unix_millis()),
        }
    }

    /// Says who it is. Every outcome is counted, logged and told as a fact.
    pub async fn verify(&self, proof: Proof, origin: Origin) -> Result<Identity, Denied> {
        self.verify_on(proof, origin, &mut Tried::default()).await
    }

    /// The same on a stream where others failed: one password that is tried by several mechanisms is one failed proof.
    pub async fn verify_on(
        &self,
        proof: Proof,
        origin: Origin,
        tried: &mut Tried,
    ) -> Result<Identity, Denied> {
        let login = proof.login(origin.protocol);
        let span = LoginSpan::open(origin);
        let judged = self.judge(&proof, login.as_ref(), origin, &span, tried).instrument(span.span());
        judged.await
    }

    async fn judge(
        &self,
        proof: &Proof,
        login: Option<&Login>,
        origin: Origin,
        span: &LoginSpan,
        tried: &mut Tried,
    ) -> Result<Identity, Denied> {
        let (name, ip) = (login.map(|login| login.key.as_str()), origin.ip);
        let (now, due) = (Instant::now(), tokio::time::Instant::now() + PACE);
        let before = match proof {
            // Nobody guesses a token: a good one is heard whatever others of its network do.
            Proof::Token { .. } => Before::NOTHING,
            // Who is in need does not wait, but for too many guesses of his own.
            _ if origin.is_urgent && self.throttle.guesses().wait_in_need(name, ip, now).is_none() => {
                Before::NOTHING
            }
            _ => self.throttle.before(name, ip, now),
        };
        // Whose refusal strangers are told beforehand is heard one at a time, and refused at one pace, looked at or not.
        let turn = before.told().map(|wait| self.throttle.turn(name, ip).ok_or(wait));
        let outcome = match before.wait().or(turn.as_ref().and_then(|turn| turn.as_ref().err().copied())) {
            Some(wait) => Err(Denied::Throttled(wait)),
            None => self.decide(proof, login, origin).await,
        };
        let outcome = before.heard(outcome);
        match &outcome {
            Ok(_) => self.throttle.succeeded(name, ip, now),
            Err(denied) if before.counts(denied) => {
                let (is_guess, mechanism) = (denied.is_failed_proof(), proof.mechanism());
                let mistake = match name.zip(mechanism) {
                    Some((name, by)) if !self.throttle.is_suspect(name, ip, now) => {
                        tried.note(name, by, is_guess)
                    }
                    _ => Mistake { is_another: true, is_guess },
                };
                self.throttle.refused(before, mistake, name, ip, now);
                if origin.is_urgent && is_guess {
                    self.throttle.guesses().failed_in_need(name, ip, now);
                }
            }
            Err(_) => {}
        }
        self.tell(&outcome, login, origin, span).await;
        if let (Err(_), Some(Ok(_turn))) = (&outcome, &turn) {
            tokio::time::sleep_until(due).await;
        }
        outcome.map_err(|denied| before.sounds(denied))
    }

    /// Asks others as well from now on.
    pub(crate) fn ask(&self, outside: Outside) {
        // Of two calls the first counts: there is one configuration.
        let _ = self.outside.set(outside);
    }

    /// Whether somebody else keeps passwords of some domain, which SCRAM cannot prove.
    pub fn asks_elsewhere(&self) -> bool {
        self.outside.get().is_some_and(Outside::knows_passwords)
    }

    /// The domains of which that holds.
    pub fn kept_elsewhere(&self) -> Arc<[Box<str>]> {
        self.outside.get().map(Outside::of_directories).unwrap_or_default()
    }

    /// The providers by which people may sign in, each with the domain that these are of, the main one first.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &Oidc)> {
        self.outside.get().into_iter().flat_map(Outside::providers)
    }

    /// The provider by which people of a domain may sign in, if there is one.
    pub fn provider(&self, domain: &str) -> Option<&Oidc> {
        self.providers().find(|(its, _)| *its == domain).map(|(_, provider)| provider)
    }

    /// Who signed out at the provider, by the logout token that it shows, and when: milliseconds since 1970. `None` if that is
    /// nobody of ours.
    pub async fn signed_out(&self, token: &str) -> Result<Option<(AccountId, i64)>, Denied> {
        self.outside.get().ok_or(Denied::NoVerifier)?.signed_out(token).await
    }

    /// Somebody there does what guessers do, such as asking for links that are none: it counts as a failed proof of that
    /// network, and of nobody.
    pub fn suspect(&self, ip: IpAddr) {
        self.throttle.failed(None, ip, Instant::now());
    }

    /// Somebody calls themselves so over what others can read, and is not asked for a proof: told as a proof that failed, which it does
    /// not count as.
    pub async fn refuse_unencrypted(&self, name: &str, domain: &str, origin: Origin) {
        let (login, span) = (Login::read(name, domain, origin.protocol), LoginSpan::open(origin));
        let told = self.tell(&Err(Denied::Unencrypted), login.as_ref(), origin, &span);
        told.instrument(span.span()).await;
    }

    /// For how long nothing is looked at that comes from there without a proof.
    pub fn wait(&self, ip: IpAddr) -> Option<Duration> {
        self.throttle.guesses().wait(None, ip, Instant::now())
    }

    /// Somebody there asked for a name that nobody has. Only where a connection proves the address (`is_seen`) does it slow proofs:
    /// who sends a datagram writes its source as he likes.
    pub fn guessed(&self, ip: IpAddr, is_seen: bool) {
        self.throttle.guessed(ip, is_seen, Instant::now());
    }

    /// For how long strangers there do not hear which names there are.
    pub fn wait_of_guesser(&self, ip: IpAddr) -> Option<Duration> {
        self.throttle.guesses().wait_of_guesser(ip, Instant::now())
    }

    /// The challenges to send to this address, in the configured order, all with one nonce.
    pub fn challenges(&self, realm: &str, stale: bool, to: IpAddr) -> Vec<Challenge> {
        let nonce = Nonce::new(unix_millis(), to).to_text(realm, &self.keys);
        let challenge = |algorithm| Challenge {
            algorithm,
            realm: realm.to_owned(),
            nonce: nonce.clone(),
            qop: "auth,auth-int",
            stale,
        };
        self.config.algorithms.iter().copied().map(challenge).collect()
    }

    /// Goes on after the client's first SCRAM message. Names that nobody has get a salt that never changes, and as many
    /// rounds as somebody. Who is to wait hears it when the proof is there, which costs a look at the account: some are heard meanwhile
    /// ([`Told`]), and another answer here would tell who.
    pub async fn begin_scram(
        &self,
        start: ScramStart,
        domain: &str,
        origin: Origin,
    ) -> Result<ScramExchange, Denied> {
        let login = Login::read(&start.name, domain, origin.protocol);
        let key = login.as_ref().map_or(start.name.as_str(), |login| &login.key);
        let nobody =
            self.salt_of_nobody(start.hash(), key, login.as_ref().and_then(|login| login.app.as_deref()));
        let crowd = self.crowd.seen(self.cache.store(), &self.keys).await?.rounds;
        let rounds = crowd[self.pick(Some(key), crowd.len())];
        let account = self.find(login.as_ref()).await?;
        let credentials = account.as_deref().and_then(|account| login.as_ref()?.password_for_scram(account));
        let found = credentials.and_then(|(_, credentials)| {
            credentials.scram.iter().find(|verifier| verifier.hash == start.hash())
        });
        Ok(match found.cloned() {
            Some(verifier) => ScramExchange::new(start, login.map(|login| login.text), verifier),
            None => {
                let verifier = verifier_of_nobody(start.hash(), nobody, rounds);
                ScramExchange::new(start, login.map(|login| login.text), verifier)
            }
        })
    }

    /// Holds the one message of a token's mechanism against what is kept; whether it is believed is for
    /// [`Authenticator::verify`] to say.
    pub async fn begin_fast(&self, start: FastStart, origin: Origin) -> Result<FastFinal, Denied> {
        let login = Login::read(&start.name, &start.domain, origin.protocol);
        let name = login.as_ref().map(|login| login.key.as_str());
        if let Some(wait) = self.throttle.before(name, origin.ip, Instant::now()).wait() {
            self.metrics.proof(origin.protocol, "throttled");
            if let Some(_turn) = self.throttle.turn(name, origin.ip) {
                tokio::time::sleep(PACE).await; // as one that is looked at
            }
            return Err(Denied::Throttled(wait));
        }
        let account = self.find(login.as_ref()).await?;
        let who = login.as_ref().and_then(|login| match &login.name {
            Name::Jid(jid) => Some((login.text.clone(), jid)),
            _ => None,
        });
        Ok(self.doors.fast.compare(start, who, account.as_deref(), unix_millis()).await?)
    }

    /// A token for an installation of an account that has just proved who it is, by an app password or otherwise.
    pub async fn issue_fast(
        &self,
        account: AccountId,
        client: &str,
        mechanism: Ht,
        app: Option<&str>,
    ) -> Result<FastToken, Denied> {
        let account = self.cache.find(Name::Id(account)).await?.ok_or(Denied::UnknownAccount)?;
        Ok(self.doors.fast.issue(&account, client, mechanism, app, unix_millis()).await?)
    }

    async fn decide(&self, proof: &Proof, login: Option<&Login>, origin: Origin) -> Result<Identity, Denied> {
        match proof {
            Proof::Plain { password, authzid, .. } => self.plain(login, password, authzid, origin).await,
            Proof::Digest(digest) => self.digest(login, digest, origin).await,
            Proof::Scram(last) => self.scram(login, last, origin).await,
            // The handshake proved that the peer holds its key, and the CA that the name is theirs.
            Proof::Certificate { .. } => {
                identify(self.find(login).await?.as_deref(), true, "", How::Certificate)
            }
            Proof::OwnCertificate { fingerprint, .. } => {
                let account = self.find(login).await?;
                let known = match &account {
                    Some(account) => self.doors.certificates.find(&account.jid, fingerprint).await?,
                    None => None,
                };
                identify(account.as_deref(), known.is_some(), "", How::Certificate)
            }
            Proof::Token { purpose, text, spent } => self.token(purpose, text, *spent).await,
            Proof::Fast(last) => self.fast(login, last).await,
            Proof::Code(back) => self.outside.get().ok_or(Denied::NoVerifier)?.code(back).await,
            Proof::Bearer { token, domain, authzid } => {
                self.outside.get().ok_or(Denied::NoVerifier)?.bearer(token, domain, authzid).await
            }
        }
    }

    async fn plain(
        &self,
        login: Option<&Login>,
        password: &str,
        authzid: &str,
        origin: Origin,
    ) -> Result<Identity, Denied> {
        let account = self.find(login).await?;
        let prepared = password::prepare(password).ok();
        let given = prepared.as_ref().map_or(&b""[..], |prepared| prepared.as_bytes());
        let (user, realm) = match &account {
            Some(account) => (account.aor.local(), account.credentials.realm.as_str()),
            None => ("nobody", "nowhere"),
        };
        let computed = Zeroizing::new(hash::digest_hash(PLAIN, &[user.as_bytes(), realm.as_bytes(), given]));
        let fits = self.which_fits(account.as_deref(), login, PLAIN, |ha1| ha1.ct_eq(&computed).into());
        let app = fits.app();
        if prepared.is_some() & app.is_some() {
            refuse_in_chat(account.as_deref(), app.flatten(), origin)?;
            let identity = identify(account.as_deref(), true, authzid, How::Plain)?.by(app.flatten());
            if let (Some(account), Some(None), Some(password)) = (&account, app, prepared)
                && !book::lacking(&account.credentials).is_empty()
            {
                self.complete(account.id, None, password).await;
            }
            return Ok(identity);
        }
        let elsewhere = async || match (self.outside.get(), login) {
            // In a box, as all that is seldom and has much to keep: whoever proves anything would carry it.
            (Some(outside), Some(login)) => {
                Box::pin(outside.plain(account.as_deref(), login, password, authzid)).await
            }
            _ => identify(account.as_deref(), false, authzid, How::Plain),
        };
        let Some(prepared) = prepared else { return elsewhere().await };
        let name = login.map(|login| login.key.as_str());
        if let Some((id, key)) = self.key_alone(account.as_deref(), login) {
            return match self.fits_key(id, key, name, prepared, origin).await? {
                true => identify(account.as_deref(), true, authzid, How::Plain),
                false => elsewhere().await,
            };
        }
        // Whom another system knows waits for nobody's turn.
        let said = elsewhere().await;
        if matches!(&said, Err(denied) if denied.is_failed_proof()) {
            self.costs_as_a_key(name, prepared, origin).await?;
        }
        said
    }

    async fn digest(
        &self,
        login: Option<&Login>,
        proof: &DigestProof,
        origin: Origin,
    ) -> Result<Identity, Denied> {
        if !self.config.algorithms.contains(&proof.algorithm) {
            return Err(Denied::NoVerifier);
        }
        let nonce = Nonce::parse(&proof.nonce, &proof.realm, &self.keys).ok_or(Denied::ForeignNonce)?;
        // A datagram comes from wherever it says, until it shows what was sent there.
        if !origin.is_seen && !nonce.is_for(origin.ip) {
            return Err(Denied::OthersNonce);
        }
        // Without qop there is no count, so each nonce is good for one request.
        let count = match &proof.qop {
            Some(qop) => {
                qop.count().filter(|count| *count > 0).ok_or(Denied::Malformed("nc is not a count"))?
            }
            None => 1,
        };
        let account = self.find(login).await?;
        let response = proof.response.to_ascii_lowercase();
        let fits = self.which_fits(account.as_deref(), login, proof.algorithm, |ha1| {
            proof.expected(ha1).as_bytes().ct_eq(response.as_bytes()).into()
        });
        let is_its_realm = account.as_ref().is_some_and(|account| account.credentials.realm == proof.realm);
        if is_its_realm && fits == Fit::NoKey {
            return Err(Denied::NoKey);
        }
        let app = fits.app();
        let is_right = app.is_some() && is_its_realm;
        let identity = identify(account.as_deref(), is_right, "", How::Digest(proof.algorithm))?;
        let identity = identity.by(app.flatten());
        let now = unix_millis();
        if u128::from(nonce.age(now)) > self.config.nonce_lifetime.as_millis() {
            return Err(Denied::Stale);
        }
        match self.replay.count(nonce, count, now) {
            Verdict::Fresh => Ok(identity),
            Verdict::Replayed => Err(Denied::Replayed),
            Verdict::Forgotten => Err(Denied::Stale),
        }
    }

    async fn scram(
        &self,
        login: Option<&Login>,
        last: &ScramFinal,
        origin: Origin,
    ) -> Result<Identity, Denied> {
        let start = &last.exchange.start;
        let account = self.find(login).await?;
        let password = account.as_deref().and_then(|account| login?.password_for_scram(account));
        let app = password.and_then(|(app, _)| app);
        // Nothing is kept that it could be held against: the log says why.
        refuse_in_chat(account.as_deref(), app, origin)?;
        let lacks = |kept: &Credentials| !kept.scram.iter().any(|key| key.hash == start.hash());
        if password.is_some_and(|(_, kept)| kept.has_keys() && lacks(kept)) {
            return Err(Denied::NoKey);
        }
        last.outcome.clone()?;
        // What was proved may have been another's word when the exchange began: whoever holds one open over a change is not let in.
        if !password.is_some_and(|(_, kept)| kept.scram.contains(last.exchange.verifier())) {
            return Err(Denied::WrongProof);
        }
        Ok(identify(account.as_deref(), true, &start.authzid, start.how())?.by(app))
    }

    async fn token(&self, purpose: &str, text: &str, spent: Spent) -> Result<Identity, Denied> {
        let (tokens, now) = (&self.doors.tokens, unix_millis());
        let shown = match spent {
            Spent::Now => tokens.taken(purpose, text, now).await?,
            Spent::Later => tokens.shown(purpose, text, now).await?,
        };
        let Some((token, Some(account))) = shown else { return Err(Denied::BadToken) };
        let identity = identify(Some(&account), true, "", How::Token)?;
        Ok(Identity { token: Some(Box::new(token)), ..identity })
    }

    async fn fast(&self, login: Option<&Login>, last: &FastFinal) -> Result<Identity, Denied> {
        let account = self.find(login).await?;
        last.outcome.clone()?;
        let identity = identify(account.as_deref(), true, "", How::Fast(last.mechanism))?;
        let identity = identity.by(last.app.as_deref());
        self.doors.fast.used(&identity.jid, last).await?;
        Ok(identity)
    }

    async fn find(&self, login: Option<&Login>) -> Result<Option<Arc<Account>>, Denied> {
        match login {
            Some(login) => Ok(self.cache.find(login.name.clone()).await?),
            None => Ok(None),
        }
    }

    /// Stable for a name, and another for each hash and each app password, as somebody's are.
    fn salt_of_nobody(&self, hash: ScramHash, key: &str, app: Option<&str>) -> [u8; 16] {
        let app = app.map(str::to_ascii_lowercase);
        self.keys.salt_of_nobody(&format!("{hash:?} {app:?} {key}"))
    }

    async fn tell(
        &self,
        outcome: &Result<Identity, Denied>,
        login: Option<&Login>,
        origin: Origin,
        span: &LoginSpan,
    ) {
        let (protocol, from) = (origin.protocol, origin.ip);
        match outcome {
            Ok(identity) => {
                span.about(identity.account);
                span.proved(identity.account);
                self.metrics.proof(protocol, "accepted");
                tracing::debug!(aor = %Redacted(&identity.aor), how = identity.how.as_str(), "proof accepted");
                let account = identity.account;
                let event = LoginEvent::Accepted { account, protocol, from, how: identity.how.as_str() };
                self.bus.publish(Fact::new(Correlation::of_account(account), event));
            }
            Err(denied) => {
                let name = login.map_or("", |login| login.key.as_str());
                let account = match denied {
                    // Who does not answer is not asked once more.
                    Denied::Unavailable(_) => {
                        login.and_then(|login| self.cache.remembered(&login.name).flatten())
                    }
                    _ => self.find(login).await.ok().flatten(),
                };
                let account = account.map(|account| account.id);
                if let Some(account) = account {
                    span.about(account);
                }
                self.metrics.proof(protocol, denied.as_str());
                let correlation = account.map_or(Correlation(0), Correlation::of_account);
                // Scanners without a proof would fill the log with names that nobody has.
                if denied.is_failed_proof()
                    || matches!(
                        denied,
                        Denied::Disabled | Denied::NoKey | Denied::Throttled(_) | Denied::Unavailable(_)
                    )
                    || (*denied == Denied::Unencrypted && account.is_some())
                {
                    tracing::info!(
                        protocol = protocol.as_str(),
                        from = %Redacted(from),
                        account = account.map(tracing::field::display),
                        %correlation,
                        name = %Redacted(name),
                        reason = %denied,
                        "login denied"
                    );
                }
                let event = LoginEvent::Denied { account, protocol, from, reason: denied.as_str() };
                self.bus.publish(Fact::new(correlation, event));
            }
        }
    }
}

/// The password of a device that only calls is none in chat (least privilege: a desk phone that is stolen reads no messages).
fn refuse_in_chat(account: Option<&Account>, app: Option<&str>, origin: Origin) -> Result<(), Denied> {
    let mut apps = account.into_iter().flat_map(|account| &account.app_passwords);
    let device = apps.find(|device| Some(device.name.as_str()) == app);
    match device.is_some_and(|device| !device.opens_chat) && origin.protocol == Protocol::Xmpp {
        true => Err(Denied::CallsAlone),
        false => Ok(()),
    }
}

/// What nobody's password fits: the keys are random.
fn verifier_of_nobody(hash: ScramHash, salt: [u8; 16], iterations: u32) -> ScramVerifier {
    ScramVerifier {
        hash,
        salt: salt.to_vec(),
        iterations,
        stored_key: hash::random::<32>().to_vec(),
        server_key: hash::random::<32>().to_vec(),
    }
}

impl Identity {
    /// The same, proved by this app password.
    fn by(self, app: Option<&str>) -> Self {
        Self { app: app.map(str::to_owned), ..self }
    }
}

/// What PLAIN is held against.
pub(crate) const PLAIN: DigestAlgorithm = DigestAlgorithm::Sha512_256;
#[cfg(test)]
pub(crate) mod tests;
