//! Keys of dialback — XEP-0185 1.0 (how they are made), XEP-0220 1.1.1, sections 2.1.2, 2.2, 2.5 (how they are judged).
//!
//! In    a key that another server shows; a key that is said to be ours.
//! Out   a [`Verdict`].
//! State one secret. A key is a function of it, so any machine that has the secret can judge a key that another one made.
//! Errors a domain whose own server cannot be asked is no domain that we know: `remote-server-not-found` (§2.5).

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_runtime::hex;
use tokio::time::Instant;
use xmpp_core::ErrorKind;
use xmpp_core::stream::server::{Pair, Purpose, Verdict};

use super::config::Security;
use super::outbound::{Dialed, dial};
use super::trust::Certificate;
use crate::server::Server;

/// What makes keys.
pub(super) struct Keys(hmac::Key);

impl Keys {
    /// The secret of a file, or one that nobody knows.
    pub(super) fn open(file: Option<&Path>) -> std::io::Result<Self> {
        let secret = match file {
            Some(file) => std::fs::read_to_string(file)?.trim().as_bytes().to_vec(),
            None => {
                let mut secret = [0; 32];
                aws_lc_rs::rand::fill(&mut secret).map_err(|_| std::io::Error::other("no random numbers"))?;
                secret.to_vec()
            }
        };
        Ok(Self::new(&secret))
    }

    fn new(secret: &[u8]) -> Self {
        let hashed = hex(digest::digest(&digest::SHA256, secret).as_ref());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hashed.as_bytes()))
    }

    /// The key by which `pair.ours` proves itself to `pair.theirs` on the stream that has this id there.
    pub(super) fn make(&self, pair: &Pair, id: &str) -> String {
        let text = format!("{} {} {id}", pair.theirs, pair.ours);
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    fn is_ours(&self, pair: &Pair, id: &str, key: &str) -> bool {
        let made = self.make(pair, id);
        constant_time::verify_slices_are_equal(made.as_bytes(), key.as_bytes()).is_ok()
    }
}

/// §2.2.2: another server was shown a key that is said to be ours.
pub(super) fn confirm(server: &Server, pair: &Pair, id: &str, key: &str) -> Verdict {
    if !server.hosts(&pair.ours) {
        return Verdict::Error(ErrorKind::ItemNotFound);
    }
    match server.federation.keys.is_ours(pair, id, key) {
        true => Verdict::Valid,
        false => Verdict::Invalid,
    }
}

/// §2.2.1: what can be said of a key without asking anybody. A certificate of the domain is worth more than its key (§1.2).
pub(super) fn judge_here(server: &Server, pair: &Pair, certificate: Option<&Certificate>) -> Option<Verdict> {
    let federation = &server.federation;
    if !server.hosts(&pair.ours) {
        return Some(Verdict::Error(ErrorKind::ItemNotFound));
    }
    if server.hosts(&pair.theirs) {
        return Some(Verdict::Invalid);
    }
    if !federation.policy.admits(&pair.theirs) {
        return Some(Verdict::Error(ErrorKind::PolicyViolation));
    }
    if certificate.is_some_and(|certificate| certificate.is_of(&pair.theirs)) {
        return Some(Verdict::Valid);
    }
    (federation.config.security == Security::Verified).then_some(Verdict::Error(ErrorKind::NotAuthorized))
}

/// §2.1.2: asks the domain's own server whether it made a key for the stream of ours that has this id.
pub(super) async fn ask(server: &Arc<Server>, pair: &Pair, id: &str, key: &str) -> Verdict {
    let Ok(_turn) = server.federation.questions.try_acquire() else {
        return Verdict::Error(ErrorKind::ResourceConstraint);
    };
    let purpose = Purpose::Verify { id: id.to_owned(), key: key.to_owned() };
    let deadline = Instant::now() + server.federation.config.timeout;
    match dial(server, pair, purpose, deadline).await {
        Ok(Dialed::Judged(Verdict::Error(_)) | Dialed::Open(_)) => {
            Verdict::Error(ErrorKind::RemoteServerNotFound) // §2.5
        }
        Ok(Dialed::Judged(verdict)) => verdict,
        Err(failure) => {
            tracing::debug!(domain = %pair.theirs, %failure, "a domain cannot be asked for its key");
            Verdict::Error(failure.of_dialback())
        }
    }
}

/// A domain as EXTERNAL says it (XEP-0178 §3), and back.
pub(super) fn authzid(domain: &str) -> String {
    STANDARD.encode(domain)
}

/// Whether what EXTERNAL says is this domain; to say nothing is to say that it is.
pub(super) fn is_authzid(said: Option<&str>, domain: &str) -> bool {
    let Some(said) = said else { return true };
    let text = STANDARD.decode(said).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse::<xmpp_core::Jid>().ok()).is_some_and(|jid| jid.as_str() == domain)
}

/// Questions to other servers at once.
pub(super) const MOST_QUESTIONS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0185 §3, XEP-0220 examples 1 and 13.
    #[test]
    fn makes_the_keys_of_the_examples() {
        let pair = Pair::new("example.org", "xmpp.example.com");
        let keys = Keys::new(b"s3cr3tf0rd14lb4ck");
        let key = "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643";
        assert_eq!(keys.make(&pair, "D60000229F"), key);
        assert!(keys.is_ours(&pair, "D60000229F", key));
        for (pair, id, key) in [
            (&pair, "D60000229E", key),
            (&Pair::new("example.net", "xmpp.example.com"), "D60000229F", key),
            (&pair, "D60000229F", &key[1..]),
            (&pair, "D60000229F", ""),
        ] {
            assert!(!keys.is_ours(pair, id, key));
        }
        let capulet = Pair::new("capulet.example", "montague.example");
        let key = "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3";
        assert_eq!(keys.make(&capulet, "D60000229F"), key);
    }

    #[test]
    fn a_secret_of_nobody_makes_other_keys_each_time() {
        let pair = Pair::new("a.example", "b.example");
        let made = || Keys::open(None).unwrap().make(&pair, "1");
        assert_ne!(made(), made());
        assert!(Keys::open(Some(Path::new("/nowhere"))).is_err());
    }

    #[test]
    fn external_names_the_domain_or_nothing() {
        assert!(is_authzid(None, "example.org") && is_authzid(Some(&authzid("Example.org")), "example.org"));
        for wrong in [authzid("other.org"), authzid("a@example.org"), "!".to_owned(), authzid("")] {
            assert!(!is_authzid(Some(&wrong), "example.org"), "{wrong}");
        }
    }
}
