//! Signed calls — RFC 8224 (Identity), RFC 8225 (PASSporT), RFC 8588 (SHAKEN): who calls is proved across domains.
//!
//! In    an INVITE of a proved user to another domain; an INVITE of a stranger.
//! Out   an Identity header in full form; `verstat` in the caller's number towards our devices, whatever the stranger wrote.
//! Errors with `require`: 428 without a signature of ours to read, 436 without its certificate, 437 for one that nobody
//! vouches for, 438 for a signature that is wrong, 403 for one that is old (RFC 8224 §6.2.2).
//! Not here: compact form of our own, `div` (RFC 8946), calls of trusted peers, who answer for themselves.

mod certificate;
mod config;
mod passport;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared_model::Spec;
use shared_runtime::fetch::{Bounds, Fetcher};
use shared_runtime::tls::TlsPolicy;
use sip_core::header::{Name, NameAddr, Params};
use sip_core::{Message, Uri};

use certificate::{Signers, Unusable};
pub(crate) use config::STIR_KEYS;
pub use config::{StirConfig, Verify};
use passport::{
    Claims, Destinations, Header, Originator, Party, Token, fingerprints, info, join, signing_input,
};

/// RFC 8224.
pub(crate) const SPEC: Spec = Spec::rfc(8224)
    .note("calls to and from other domains, ES256; signed in full form, verified in compact form too");
/// RFC 8225.
pub(crate) const PASSPORT: Spec = Spec::rfc(8225).note("mky; compact form is verified");
/// RFC 8226.
pub(crate) const NUMBERS: Spec =
    Spec::rfc(8226).note("a TNAuthList is wanted for numbers, and not read further");
/// RFC 8588.
pub(crate) const SHAKEN: Spec = Spec::rfc(8588).note(
    "attestation A for proved callers with their own number; B and C of others are shown as No-TN-Validation",
);

/// What was found out about a caller (`verstat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verstat {
    /// Signed by who may.
    Passed,
    /// Signed, and not well.
    Failed,
    /// Not signed.
    No,
}

impl Verstat {
    /// The word in the caller's number.
    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "TN-Validation-Passed",
            Self::Failed => "TN-Validation-Failed",
            Self::No => "No-TN-Validation",
        }
    }
}

/// Signs and verifies.
pub(crate) struct Stir {
    sign: Option<Signing>,
    verify: Verify,
    signers: Signers,
}

struct Signing {
    key: EcdsaKeyPair,
    url: String,
    origid: String,
}

impl Stir {
    /// As configured; the error says which key is wrong.
    pub(crate) fn open(config: &StirConfig, tls: &TlsPolicy, origid: [u8; 32]) -> Result<Self, String> {
        if let Some(fault) = config.fault() {
            return Err(fault);
        }
        let sign = match (&config.key, &config.certificate_url) {
            (Some(file), Some(url)) => {
                Some(Signing { key: read_key(file)?, url: url.clone(), origid: uuid(origid) })
            }
            _ => None,
        };
        let roots = config.trust.as_deref().map_or_else(|| Ok(RootCertStore::empty()), read_roots)?;
        let fetcher = Fetcher::new(tls, Bounds { time: PATIENCE, bytes: LARGEST });
        Ok(Self {
            sign,
            verify: config.verify,
            signers: Signers::new(Arc::new(fetcher), config.hosts.clone(), roots),
        })
    }

    /// What is wrong with the files that [`Stir::open`] reads.
    pub(crate) fn faults_of_files(config: &StirConfig) -> Vec<String> {
        let key = config.key.as_ref().and_then(|file| read_key(file).err());
        let trust = config.trust.as_deref().and_then(|file| read_roots(file).err());
        key.into_iter().chain(trust).collect()
    }

    /// Bytes that a signature adds to a call.
    pub(crate) fn bytes(&self) -> usize {
        if self.sign.is_some() { SIGNATURE } else { 0 }
    }

    /// Signs a call of a proved user to another domain or a trunk, at `now` in seconds since 1970. `numbers` are those of
    /// caller and callee, where the request writes them as a trunk wants them.
    pub(crate) fn sign(&self, request: &mut Message, numbers: Option<(&str, &str)>, now: i64) {
        let Some(signing) = &self.sign else { return };
        let numbers = numbers.map(|(caller, callee)| (Party::number(caller), Party::number(callee)));
        let Some((caller, callee)) = numbers.or_else(|| parties(request)) else { return };
        let is_number = matches!(caller, Party::Number(_));
        let header = Header {
            alg: "ES256".to_owned(),
            ppt: is_number.then(|| "shaken".to_owned()),
            typ: "passport".to_owned(),
            x5u: signing.url.clone(),
        };
        let claims = Claims {
            attest: is_number.then(|| "A".to_owned()),
            dest: Destinations::one(&callee),
            iat: now,
            mky: fingerprints(request.body()),
            orig: Originator::one(&caller),
            origid: is_number.then(|| signing.origid.clone()),
        };
        let token = signing_input(&header, &claims).and_then(|signed| {
            let signature = signing.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
            Some(join(&signed, signature.as_ref()))
        });
        let Some(token) = token else { return tracing::error!("a call could not be signed") };
        let ppt = if is_number { ";ppt=shaken" } else { "" };
        request.push(Name::Identity, &format!("{token};info=<{}>;alg=ES256{ppt}", signing.url));
    }

    /// Verifies a call of a stranger, at `now` in seconds since 1970. `None` if nobody wants to know; the error is the
    /// answer that refuses it.
    pub(crate) async fn verify(&self, request: &Message, now: i64) -> Result<Option<Verstat>, Box<Message>> {
        if self.verify == Verify::Off {
            return Ok(None);
        }
        let (mut worst, mut is_in_part) = (None, false);
        for identity in request.values(Name::Identity).take(MOST_IDENTITIES) {
            match self.verify_one(request, identity, now).await {
                Ok(Attested::Whole) => return Ok(Some(Verstat::Passed)),
                Ok(Attested::InPart) => is_in_part = true,
                // §6.2.1: one good signature is enough; of bad ones the last to fail names the fault.
                Err(fault) => worst = worst.max(Some(fault)),
            }
        }
        if is_in_part {
            return Ok(Some(Verstat::No));
        }
        let fault = worst.unwrap_or(Fault::Absent);
        tracing::debug!(?fault, "a call is not signed well");
        if self.verify == Verify::Require {
            let (status, reason) = fault.answer();
            return Err(Box::new(Message::response(request, status, reason)));
        }
        Ok(Some(if fault == Fault::Absent { Verstat::No } else { Verstat::Failed }))
    }

    async fn verify_one(&self, request: &Message, identity: &str, now: i64) -> Result<Attested, Fault> {
        let (token, params) = identity.split_at(identity.find(';').unwrap_or(identity.len()));
        let params = Params(params);
        // §6.2, step 1.
        if params.value("ppt").is_some_and(|ppt| ppt != "shaken") {
            return Err(Fault::Absent);
        }
        if params.value("alg").is_some_and(|alg| alg != "ES256") {
            return Err(Fault::Unsupported);
        }
        let (caller, callee) = parties(request).ok_or(Fault::Invalid)?;
        let url = params.value("info").map(info).ok_or(Fault::Missing);
        let token = match Token::compact(token.trim()) {
            Some(signature) => rebuilt(request, (&caller, &callee), url?, signature),
            None => Token::read(token.trim()),
        };
        let (token, url) = (token.ok_or(Fault::Invalid)?, url?);
        // §4.1: what the header says stands in the PASSporT too; with an extension it is in full form (§6.1, step 4).
        let is_same = token.header.x5u == url && token.header.ppt.as_deref() == params.value("ppt");
        let claims = &token.claims;
        // §6.2.4: the caller is who the request says, never who the PASSporT says.
        let is_this_call = claims.orig.is(&caller) && claims.dest.has(&callee);
        let has_keys = claims.mky.is_empty() || claims.mky == fingerprints(request.body());
        let is_whole = token.header.ppt.is_none() || (claims.attest.is_some() && claims.origid.is_some());
        if !is_same || !is_this_call || !has_keys || !is_whole {
            return Err(Fault::Invalid);
        }
        if (now - claims.iat).abs() > FRESH {
            return Err(Fault::Stale);
        }
        let signer = self.signers.find(url).await.map_err(|unusable| match unusable {
            Unusable::Missing => Fault::Missing,
            Unusable::Unsupported => Fault::Unsupported,
        })?;
        if !signer.speaks_for(&caller) {
            return Err(Fault::Unsupported);
        }
        if !signer.made(&token.signature, token.signed.as_bytes()) {
            return Err(Fault::Invalid);
        }
        let is_whole = claims.attest.as_deref().is_none_or(|level| level == "A");
        Ok(if is_whole { Attested::Whole } else { Attested::InPart })
    }
}

/// What a good signature says of the caller's right to their number (RFC 8588 §4).
enum Attested {
    /// It is theirs: `A`, or the word of who speaks for the number itself (RFC 8224 §4).
    Whole,
    /// Who signs knows the customer and not the number (`B`), or where the call came in and nothing else (`C`).
    InPart,
}

/// What is wrong with a signature; the later, the further it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Absent,
    Missing,
    Unsupported,
    Stale,
    Invalid,
}

impl Fault {
    /// §6.2.2.
    fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Absent => (428, "Use Identity Header"),
            Self::Missing => (436, ""),
            Self::Unsupported => (437, ""),
            Self::Stale => (403, "Stale Date"),
            Self::Invalid => (438, ""),
        }
    }
}

/// Puts `verstat` into the caller's number, and takes out what somebody else put there.
pub(crate) fn mark(request: &mut Message, verstat: Option<Verstat>) {
    let Some(value) = request.value(Name::From) else { return };
    let Some(from) = NameAddr::parse(value) else { return };
    let Some(uri) = Uri::parse(from.uri) else { return };
    let is_number = matches!(Party::of(&uri), Some(Party::Number(_)));
    let is_marked = from.uri.to_ascii_lowercase().contains("verstat");
    if !is_marked && (verstat.is_none() || !is_number) {
        return;
    }
    let rest = if uri.is_tel() { "" } else { from.uri.split_once('@').map_or("", |(_, rest)| rest) };
    let params = if uri.is_tel() {
        uri.params.raw().collect::<Vec<_>>()
    } else {
        uri.user.split(';').skip(1).collect()
    };
    let number = uri.user.split(';').next().unwrap_or_default();
    let kept = params
        .into_iter()
        .filter(|param| !param.split('=').next().unwrap_or_default().eq_ignore_ascii_case("verstat"));
    let mut user = number.to_owned();
    kept.for_each(|param| user.push_str(&format!(";{param}")));
    if let Some(verstat) = verstat.filter(|_| is_number) {
        user.push_str(&format!(";verstat={}", verstat.as_str()));
    }
    let at = if uri.is_tel() { "" } else { "@" };
    let marked = format!("{}:{user}{at}{rest}", uri.scheme);
    let value = value.replacen(from.uri, &marked, 1);
    request.set(Name::From, &value);
}

/// The token that a signature in compact form is of, as the request says it (§4.1); its `iat` is the Date.
fn rebuilt(
    request: &Message,
    (caller, callee): (&Party, &Party),
    url: &str,
    signature: &str,
) -> Option<Token> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(request.value(Name::Date)?.trim());
    let header =
        Header { alg: "ES256".to_owned(), ppt: None, typ: "passport".to_owned(), x5u: url.to_owned() };
    let claims = Claims {
        attest: None,
        dest: Destinations::one(callee),
        iat: date.ok()?.as_second(),
        mky: fingerprints(request.body()),
        orig: Originator::one(caller),
        origid: None,
    };
    Token::rebuilt(header, claims, signature)
}

/// Who calls whom, as the request says.
fn parties(request: &Message) -> Option<(Party, Party)> {
    let party = |name| {
        let address = NameAddr::parse(request.elements(name).next()?)?;
        let uri = Uri::parse(address.uri).filter(|uri| !sip_core::privacy::is_nobody(uri))?;
        Party::of(&uri)
    };
    // RFC 8588 §4: who hides in From is who P-Asserted-Identity says.
    Some((party(Name::From).or_else(|| party(Name::PAssertedIdentity))?, party(Name::To)?))
}

fn read_key(file: &PathBuf) -> Result<EcdsaKeyPair, String> {
    let wrong = |reason: String| format!("sip.stir.key: {}: {reason}", file.display());
    let key = PrivateKeyDer::from_pem_file(file).map_err(|error| wrong(error.to_string()))?;
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = match &key {
        PrivateKeyDer::Pkcs8(key) => EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(key) => EcdsaKeyPair::from_private_key_der(algorithm, key.secret_sec1_der()),
        _ => return Err(wrong("not a P-256 key".to_owned())),
    };
    key.map_err(|error| wrong(error.to_string()))
}

fn read_roots(file: &Path) -> Result<RootCertStore, String> {
    let wrong = |reason: String| format!("sip.stir.trust: {}: {reason}", file.display());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
        let root = root.map_err(|error| wrong(error.to_string()))?;
        roots.add(root).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("holds no certificate".to_owned())) } else { Ok(roots) }
}

/// RFC 8588 §5: where calls of this server begin, the same for all nodes.
fn uuid(bytes: [u8; 32]) -> String {
    let hex = shared_runtime::hex(&bytes[..16]);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Seconds within which a signature is fresh (RFC 8224 §4.1).
const FRESH: i64 = 60;
/// Bytes of an Identity header, about.
const SIGNATURE: usize = 700;
/// Identity headers of one request that are looked at.
const MOST_IDENTITIES: usize = 4;
/// What fetching a certificate may cost.
const PATIENCE: Duration = Duration::from_secs(3);
const LARGEST: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(from: &str, verstat: Option<Verstat>) -> String {
        let mut request = Message::request("INVITE", "sip:b@x");
        request.push(Name::From, from);
        mark(&mut request, verstat);
        request.value(Name::From).unwrap().to_owned()
    }

    #[test]
    fn a_number_is_marked_by_us_alone() {
        assert_eq!(
            marked("\"A\" <sip:+1215@gw.x;user=phone>;tag=1", Some(Verstat::Passed)),
            "\"A\" <sip:+1215;verstat=TN-Validation-Passed@gw.x;user=phone>;tag=1"
        );
        assert_eq!(
            marked("<tel:+1215;ext=7>;tag=1", Some(Verstat::No)),
            "<tel:+1215;ext=7;verstat=No-TN-Validation>;tag=1"
        );
        let forged = "<sip:+1215;verstat=TN-Validation-Passed;npdi@gw.x>;tag=1";
        assert_eq!(
            marked(forged, Some(Verstat::Failed)),
            "<sip:+1215;npdi;verstat=TN-Validation-Failed@gw.x>;tag=1"
        );
        assert_eq!(marked(forged, None), "<sip:+1215;npdi@gw.x>;tag=1");
        assert_eq!(marked("<sip:alice@x>;tag=1", Some(Verstat::Passed)), "<sip:alice@x>;tag=1");
    }

    #[test]
    fn a_server_says_where_its_calls_begin() {
        assert_eq!(uuid([0xab; 32]), "abababab-abab-4bab-8bab-abababababab");
    }
}
