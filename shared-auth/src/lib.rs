//! The one door for every login: who has an account, and what proves it.
//!
//! In    a [`Proof`] and its [`Origin`]: SIP Digest, SASL SCRAM or PLAIN, a TLS client certificate, a single-use token.
//! Out   an [`Identity`], or [`Denied`] with a reason for the log; strangers see one answer for all reasons.
//! State accounts in the store, one key file in the data folder, and bounded memory: the throttle's counts, the
//!       nonce counts seen, the accounts of the last moments.
//! Not here: parsing of headers and SASL framing (the services), which connections may carry passwords (TLS policy).
//!
//! One password writes every verifier at once, so that SIP and XMPP cannot drift apart (S-19); the clear password
//! is never stored.

mod announce;
mod audit;
mod authenticator;
mod bans;
mod bearer;
mod book;
mod cache;
mod certificates;
mod clients;
mod config;
mod crowd;
mod digest;
mod directory;
mod fast;
mod fingerprint;
mod gone;
mod hash;
mod identity;
mod invites;
mod key_kept;
mod keys;
mod labels;
mod login;
mod metrics;
mod nonce;
mod outside;
mod password;
mod replay;
mod scram;
mod throttle;
mod token;

use std::path::Path;
use std::sync::Arc;

use shared_model::{AccountEvent, Fact, Spec};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_runtime::tls::TlsPolicy;
use shared_store::{Records, Store, StoreError};
use tokio::sync::mpsc;

pub use audit::{Audit, By, card_json, note_outside};
pub use authenticator::{Authenticator, Slowed};
pub use bans::{Ban, BanError, Banned, Bans};
pub use bearer::{Bearer, Bearers, Holder};
pub use book::{AccountBook, BookError, Device, DeviceName, NewAccount, Profile, Upgrade};
pub use certificates::{CertificateError, Certificates, OwnCertificate};
pub use clients::{Client, Clients, Installation, RevokeError, Revoked};
pub use config::{Config, keys};
pub use digest::{Challenge, DigestProof, Qop};
pub use directory::{AccountCard, Directory};
pub use fast::{FastFinal, FastStart, FastToken, Ht};
pub use gone::{Gone, GoneAccounts};
pub use identity::{CodeProof, Denied, How, Identity, OnWire, Origin, Proof, Spent};
pub use invites::{
    Invite, InviteError, Invites, NameError, Opens, WeakPassword, Wish, check_name, check_password,
    check_shown_name, is_trial_name,
};
pub use key_kept::{fit_key, renew_key};
pub use keys::KeyError;
pub use login::Tried;
pub use outside::{
    Begun, Everybody, Keepers, LdapConfig, LdapError, Link, Links, Looked, Missing, Oidc, OidcConfig,
    OidcError, OutsideChange, OutsideError, Person, Policy, Source, Unwatched,
};
pub use password::{PasswordError, ha1_of};
pub use scram::{Channel, Plus, ScramExchange, ScramFinal, ScramStart};
pub use shared_runtime::Network;
pub use shared_store::{BoundBy, DigestAlgorithm, ScramHash, ScramVerifier};
pub use throttle::{SlowedAccount, SlowedAccounts};
pub use token::{Token, Tokens};

/// What this crate implements.
pub const SPECS: &[Spec] = &[
    Spec::rfc(2617).note("Digest without qop, each nonce good for one request; no MD5-sess"),
    Spec::rfc(4013).complete().note("SASLprep of names and passwords"),
    Spec::rfc(4511).note("client of a directory: bind, search, StartTLS; no referrals"),
    Spec::rfc(4513).note("simple bind, never without a password"),
    Spec::rfc(4515).complete().note("filters, with what people type escaped"),
    Spec::rfc(5802).note("server side, with channel binding"),
    Spec::rfc(5929).note("tls-server-end-point as SCRAM channel binding"),
    Spec::rfc(6749).note("client of the code flow"),
    Spec::rfc(7515).note("compact, with RS256, PS256, ES256, ES384 or EdDSA"),
    Spec::rfc(7616).note("auth and auth-int, stateless nonces, nc replay defence; no -sess, no userhash"),
    Spec::rfc(7636).note("S256, as a client"),
    Spec::rfc(7662).note("as a client: opaque access tokens, and whether a sign-in holds"),
    Spec::rfc(7677).complete(),
    Spec::rfc(8760).complete().note("SHA-512-256 and SHA-256 before MD5"),
    Spec::xep(474, "0.5.0").complete(),
    Spec::xep(484, "0.2.0").note("HT-SHA-256 with EXPR, ENDP and NONE; no TLS early data"),
    Spec::rfc(9068).note("access tokens as JWT"),
    Spec::rfc(9207).note("as a client"),
    Spec::rfc(9266).complete().note("tls-exporter as SCRAM channel binding"),
];

/// Everything of this crate, joined over one store. Clones share it.
#[derive(Clone)]
pub struct Auth {
    /// Verifies proofs.
    pub authenticator: Arc<Authenticator>,
    /// Finds accounts, without credentials.
    pub directory: Directory,
    /// Changes accounts.
    pub book: Arc<AccountBook>,
    /// Clients that have access.
    pub clients: Clients,
    /// Certificates that accounts gave for their clients.
    pub certificates: Certificates,
    /// Single-use tokens.
    pub tokens: Tokens,
    /// Sessions of pages and tokens of the API.
    pub bearers: Bearers,
    /// Invitations, and resets of passwords.
    pub invites: Invites,
    /// Accounts that were removed, until their data are erased.
    pub gone: GoneAccounts,
    /// Accounts that other systems keep.
    pub links: Links,
    /// Who changed what.
    pub audit: Audit,
    /// Whom administrators keep out.
    pub bans: Bans,
    metrics: Arc<metrics::Metrics>,
    cache: Arc<cache::AccountCache>,
    keys: Arc<keys::Keys>,
    /// This process among those that change accounts.
    process: u64,
    records: Arc<dyn Records>,
}

impl Auth {
    /// Joins the parts over `store`; makes the key file in `data_dir` on first use.
    pub fn open(
        config: &Config,
        store: &Store,
        data_dir: &Path,
        bus: &Bus<Fact>,
        registry: &prometheus::Registry,
    ) -> Result<Self, KeyError> {
        let keys = Arc::new(keys::Keys::open(data_dir)?);
        let cache = Arc::new(cache::AccountCache::new(Arc::clone(&store.accounts)));
        let directory = Directory::new(Arc::clone(&cache));
        let tokens = Tokens::new(Arc::clone(&store.records), Arc::clone(&cache));
        let announcements = announce::Announcements::new(Arc::clone(&store.records));
        let process = announcements.process();
        let gone = GoneAccounts::new(Arc::clone(&store.records), Arc::clone(&cache));
        let links = Links::new(Arc::clone(&store.records));
        let book = AccountBook::new(
            config,
            Arc::clone(&cache),
            Arc::clone(&keys),
            book::Heralds { bus: bus.clone(), announcements, gone: gone.clone(), links: links.clone() },
        );
        let metrics = Arc::new(metrics::Metrics::register(registry));
        let fast =
            fast::FastTokens::new(Arc::clone(&store.records), Arc::clone(&keys), config.token_lifetime);
        let book = Arc::new(book);
        let clients =
            Clients::new(Arc::clone(&store.records), Arc::clone(&cache), Arc::clone(&book), fast.clone());
        let certificates = Certificates::new(Arc::clone(&store.records));
        let doors = authenticator::Doors { tokens: tokens.clone(), fast, certificates: certificates.clone() };
        let bearers = bearer::Bearers::new(Arc::clone(&store.records), Arc::clone(&cache));
        let invites =
            invites::Invites::new(Arc::clone(&store.records), Arc::clone(&cache), Arc::clone(&book));
        let authenticator = Authenticator::new(
            config,
            Arc::clone(&cache),
            Arc::clone(&keys),
            Arc::clone(&book),
            doors,
            bus.clone(),
            Arc::clone(&metrics),
        );
        Ok(Self {
            authenticator: Arc::new(authenticator),
            directory,
            book,
            clients,
            certificates,
            tokens,
            bearers,
            invites,
            gone,
            links,
            audit: audit::Audit::new(Arc::clone(&store.archive)),
            bans: Bans::new(Arc::clone(&store.records), &config.throttle_exempt),
            metrics,
            cache,
            keys,
            process,
            records: Arc::clone(&store.records),
        })
    }

    /// A key of 32 bytes for a purpose of another service, such as MACs of its own. All nodes that share the key file,
    /// and every start on it, get the same; each purpose gets another.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        self.keys.key_for(purpose)
    }

    /// Asks other keepers of people too, as configured for each domain, and keeps their accounts as they are there until shutdown.
    /// What they change comes out.
    pub fn look_outside(
        &self,
        main: &str,
        keepers: &[Keepers<'_>],
        tls: &TlsPolicy,
        shutdown: &Shutdown,
    ) -> Result<mpsc::Receiver<OutsideChange>, OutsideError> {
        let (record, changes) = mpsc::channel(MOST_CHANGES);
        let registry = |domain: &str| outside::Registry {
            domain: domain.to_owned(),
            mark: if domain.eq_ignore_ascii_case(main) { String::new() } else { domain.to_owned() },
            cache: Arc::clone(&self.cache),
            book: Arc::clone(&self.book),
            links: self.links.clone(),
            metrics: Arc::clone(&self.metrics),
            record: record.clone(),
        };
        if let Some(outside) = outside::Outside::open(keepers, tls, registry, &self.keys)? {
            outside.follow(shutdown);
            self.authenticator.ask(outside);
        }
        Ok(changes)
    }

    /// Accounts and devices that may not log in any more since a moment of the last hour, milliseconds since 1970, the oldest
    /// first: for who was away, or missed facts.
    pub async fn ended_lately(&self) -> Result<Vec<(i64, AccountEvent)>, StoreError> {
        announce::ended_lately(&*self.records).await
    }

    /// Publishes what other processes do to accounts, such as `cusax user disable`, until shutdown.
    pub async fn follow_others(&self, store: Store, bus: Bus<Fact>, shutdown: Shutdown) {
        announce::follow(store, bus, self.process, || self.directory.forget(), shutdown).await;
    }
}

/// Changes by other keepers of people that wait to be noted.
const MOST_CHANGES: usize = 4096;
