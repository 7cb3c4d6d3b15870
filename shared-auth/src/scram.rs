//! SCRAM, the server's side — RFC 5802 §5 (messages), §6 (channel binding), §7 (grammar); RFC 7677; RFC 9266; XEP-0474.
//!
//! ```text
//! C: n,,n=user,r=cnonce                     ScramStart::parse
//! S: r=cnonce+snonce,s=salt,i=rounds,h=hash  ScramExchange, from Authenticator::begin_scram
//! C: c=biws,r=cnonce+snonce,p=proof         ScramExchange::finish → ScramFinal, a Proof
//! S: v=signature                            ScramFinal::server_final, once verify said yes
//! ```
//!
//! In    the client's messages as bytes; what the TLS connection can be bound to.
//! Out   the server's messages.
//! Errors [`Denied`]; whether the proof holds is for `Authenticator::verify` to say.
//! `h=` is a hash of what was offered (XEP-0474 0.5.0 §6.1): whoever shortens the list on its way is found out.
//!
//! Not here: SASL framing; reauthentication; extensions that must be understood (`m=` is refused, §5.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_store::{ScramHash, ScramVerifier};
use subtle::ConstantTimeEq;

use crate::hash::{random, scram_hash, scram_hmac};
use crate::{Denied, How};

/// What a connection offered and can be bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// The names and data of the channel bindings of this connection (`tls-exporter`, `tls-server-end-point`). Not
    /// empty exactly if -PLUS mechanisms were offered.
    pub bindings: Vec<(&'static str, Vec<u8>)>,
    /// The mechanisms that were offered on it, of which the exchange holds a hash (XEP-0474); empty: it holds none.
    pub mechanisms: Vec<&'static str>,
}

impl Channel {
    /// XEP-0474 §6.1: everything that was offered, in an order that does not depend on ours.
    fn offer(&self) -> Option<String> {
        let sorted = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.join("\u{1e}")
        };
        let bindings = sorted(self.bindings.iter().map(|(name, _)| *name).collect());
        let bindings = if bindings.is_empty() { bindings } else { format!("\u{1f}{bindings}") };
        (!self.mechanisms.is_empty()).then(|| sorted(self.mechanisms.clone()) + &bindings)
    }
}

/// The client's first message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramStart {
    /// The name, with its app password's suffix if it has one.
    pub name: String,
    /// Whom the client wants to act as; empty for itself.
    pub authzid: String,
    hash: ScramHash,
    is_bound: bool,
    /// What `c=` of the final message must hold: the GS2 header and the channel's data.
    expected_binding: Vec<u8>,
    bare: String,
    client_nonce: String,
    /// What was offered, if the exchange is to hold a hash of it.
    offer: Option<String>,
}

/// An exchange after the server's first message.
pub struct ScramExchange {
    pub(crate) start: ScramStart,
    /// `None` for nobody's account, whose verifier is made up.
    pub(crate) login: Option<String>,
    verifier: ScramVerifier,
    nonce: String,
    server_first: String,
}

/// The client's last message, held against the verifier.
pub struct ScramFinal {
    pub(crate) exchange: ScramExchange,
    pub(crate) outcome: Result<(), Denied>,
    server_final: String,
}

impl ScramStart {
    /// Reads `client-first-message` for the mechanism that the client chose.
    pub fn parse(message: &[u8], hash: ScramHash, plus: Plus, channel: &Channel) -> Result<Self, Denied> {
        let text = text_of(message)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Denied::Malformed("the GS2 header is not complete"));
        };
        let binding = channel_data(flag, plus, channel)?;
        let authzid = match authzid {
            "" => String::new(),
            other => decode_name(other.strip_prefix("a=").ok_or(Denied::Malformed("a= was expected"))?)?,
        };
        let mut fields = bare.split(',');
        let first = fields.next().unwrap_or_default();
        if first.starts_with("m=") {
            return Err(Denied::Malformed("mandatory extensions are not supported"));
        }
        let name = decode_name(first.strip_prefix("n=").ok_or(Denied::Malformed("n= was expected"))?)?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_nonce(nonce)).ok_or(Denied::Malformed("r= was expected"))?;
        let header = &text.as_bytes()[..text.len() - bare.len()];
        Ok(Self {
            name,
            authzid,
            hash,
            is_bound: plus == Plus::Yes,
            expected_binding: [header, binding].concat(),
            bare: bare.to_owned(),
            client_nonce: nonce.to_owned(),
            offer: channel.offer(),
        })
    }

    /// The hash of the mechanism.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// What it proves somebody by.
    pub(crate) fn how(&self) -> How {
        if self.is_bound { How::ScramPlus(self.hash) } else { How::Scram(self.hash) }
    }
}

/// Whether the client chose the -PLUS mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plus {
    /// `SCRAM-…-PLUS`.
    Yes,
    /// `SCRAM-…`.
    No,
}

impl ScramExchange {
    /// Goes on with the verifier of the account that `login` names.
    pub(crate) fn new(start: ScramStart, login: Option<String>, verifier: ScramVerifier) -> Self {
        let server_nonce = STANDARD.encode(random::<18>());
        Self::with_nonce(start, login, verifier, &server_nonce)
    }

    fn with_nonce(
        start: ScramStart,
        login: Option<String>,
        verifier: ScramVerifier,
        server_nonce: &str,
    ) -> Self {
        let nonce = format!("{}{server_nonce}", start.client_nonce);
        let salt = STANDARD.encode(&verifier.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        if let Some(offer) = &start.offer {
            let hash = STANDARD.encode(scram_hash(start.hash, offer.as_bytes()));
            server_first.push_str(&format!(",h={hash}"));
        }
        Self { start, login, verifier, nonce, server_first }
    }

    /// `server-first-message`.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// What the client's last message is held against.
    pub(crate) fn verifier(&self) -> &ScramVerifier {
        &self.verifier
    }

    /// Reads `client-final-message` and holds it against the verifier.
    pub fn finish(self, message: &[u8]) -> Result<ScramFinal, Denied> {
        let text = text_of(message)?;
        let malformed = Denied::Malformed("not a client-final-message");
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(malformed.clone())?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c=")).ok_or(malformed.clone())?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r=")).ok_or(malformed.clone())?;
        let binding = STANDARD.decode(binding).map_err(|_| malformed.clone())?;
        let proof = STANDARD.decode(proof).map_err(|_| malformed)?;
        let outcome = if nonce != self.nonce {
            Err(Denied::WrongProof)
        } else if binding != self.start.expected_binding {
            Err(Denied::WrongChannel)
        } else {
            Ok(())
        };
        let signed = format!("{},{},{without_proof}", self.start.bare, self.server_first);
        let proved = self.proves(&proof, signed.as_bytes());
        let hash = self.start.hash;
        let signature = scram_hmac(hash, &self.verifier.server_key, signed.as_bytes());
        let outcome = outcome.and(if proved { Ok(()) } else { Err(Denied::WrongProof) });
        Ok(ScramFinal { exchange: self, outcome, server_final: format!("v={}", STANDARD.encode(signature)) })
    }

    /// §3: `H(ClientProof XOR HMAC(StoredKey, AuthMessage))` is the stored key.
    fn proves(&self, proof: &[u8], signed: &[u8]) -> bool {
        let hash = self.start.hash;
        let signature = scram_hmac(hash, &self.verifier.stored_key, signed);
        if proof.len() != signature.len() {
            return false;
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(p, s)| p ^ s).collect();
        scram_hash(hash, &client_key).ct_eq(&self.verifier.stored_key).into()
    }
}

impl ScramFinal {
    /// `server-final-message`; to be sent only when `Authenticator::verify` believed the proof.
    pub fn server_final(&self) -> &str {
        &self.server_final
    }
}

/// §6: what the GS2 flag says must fit the mechanism and our offer.
fn channel_data<'a>(flag: &str, plus: Plus, channel: &'a Channel) -> Result<&'a [u8], Denied> {
    match (flag, plus) {
        ("n", Plus::No) => Ok(&[]),
        // The client can, and believes that we cannot.
        ("y", Plus::No) if !channel.bindings.is_empty() => Err(Denied::Downgraded),
        ("y", Plus::No) => Ok(&[]),
        (flag, Plus::Yes) => {
            let name = flag.strip_prefix("p=").ok_or(Denied::Malformed("-PLUS needs p="))?;
            let found = channel.bindings.iter().find(|(known, _)| *known == name);
            found.map(|(_, data)| &data[..]).ok_or(Denied::Malformed("unknown channel binding"))
        }
        _ => Err(Denied::Malformed("the GS2 flag does not fit the mechanism")),
    }
}

fn text_of(message: &[u8]) -> Result<&str, Denied> {
    if message.len() > LONGEST_MESSAGE {
        return Err(Denied::Malformed("the message is too long"));
    }
    std::str::from_utf8(message).map_err(|_| Denied::Malformed("not UTF-8"))
}

/// §5.1: `=2C` and `=3D`, and nothing else after `=`; then SASLprep.
fn decode_name(encoded: &str) -> Result<String, Denied> {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((plain, tail)) = rest.split_once('=') {
        name.push_str(plain);
        match tail.get(..2) {
            Some("2C") => name.push(','),
            Some("3D") => name.push('='),
            _ => return Err(Denied::Malformed("`=` in a name must be =2C or =3D")),
        }
        rest = &tail[2..];
    }
    name.push_str(rest);
    if name.is_empty() {
        return Err(Denied::Malformed("the name is empty"));
    }
    stringprep::saslprep(&name).map(Into::into).map_err(|_| Denied::Malformed("the name fails SASLprep"))
}

/// §7, `printable`: visible ASCII but the comma.
fn is_nonce(nonce: &str) -> bool {
    (1..=LONGEST_NONCE).contains(&nonce.len())
        && nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

const LONGEST_MESSAGE: usize = 8192;
const LONGEST_NONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::scram_verifier;

    /// The exchange of an RFC: mechanism, client nonce, server nonce, salt, and the last two messages.
    fn replay(
        hash: ScramHash,
        first: &str,
        server_nonce: &str,
        salt: &str,
        last: &str,
    ) -> (String, ScramFinal) {
        let start = ScramStart::parse(first.as_bytes(), hash, Plus::No, &Channel::default()).unwrap();
        let verifier = scram_verifier(hash, b"pencil", &STANDARD.decode(salt).unwrap(), 4096);
        let exchange = ScramExchange::with_nonce(start, Some("user".to_owned()), verifier, server_nonce);
        (exchange.server_first().to_owned(), exchange.finish(last.as_bytes()).unwrap())
    }

    #[test]
    fn speaks_the_example_of_rfc_5802_section_5() {
        let (first, last) = replay(
            ScramHash::Sha1,
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            "QSXCR+Q6sek8bf92",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        );
        assert_eq!(first, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
        assert_eq!((last.outcome.clone(), last.server_final()), (Ok(()), "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    }

    #[test]
    fn speaks_the_example_of_rfc_7677_section_3() {
        let (_, last) = replay(
            ScramHash::Sha256,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        );
        assert_eq!(last.outcome, Ok(()));
        assert_eq!(last.server_final(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_proof_with_another_nonce_or_channel_does_not_hold() {
        let first = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
        let outcome = |last: &str| replay(ScramHash::Sha1, first, "x", "QSXCR+Q6sek8bf92", last).1.outcome;
        assert_eq!(outcome("c=biws,r=other,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), Err(Denied::WrongProof));
        assert_eq!(outcome("c=eSws,r=fyko+d2lbbFgONRv9qkxdawLx,p=AAAA"), Err(Denied::WrongChannel));
        assert_eq!(outcome("c=biws,r=fyko+d2lbbFgONRv9qkxdawLx,p=AAAA"), Err(Denied::WrongProof));
    }

    #[test]
    fn the_gs2_flag_must_fit_the_offer() {
        let offered = Channel { bindings: vec![("tls-exporter", vec![1, 2, 3])], ..Channel::default() };
        let read =
            |message: &str, plus| ScramStart::parse(message.as_bytes(), ScramHash::Sha256, plus, &offered);
        assert_eq!(read("y,,n=user,r=x", Plus::No), Err(Denied::Downgraded));
        assert!(read("n,,n=user,r=x", Plus::No).is_ok());
        assert!(matches!(read("n,,n=user,r=x", Plus::Yes), Err(Denied::Malformed(_))));
        assert!(matches!(read("p=tls-unique,,n=user,r=x", Plus::Yes), Err(Denied::Malformed(_))));
        assert!(matches!(read("p=tls-exporter,,n=user,r=x", Plus::No), Err(Denied::Malformed(_))));
        let bound = read("p=tls-exporter,,n=user,r=x", Plus::Yes).unwrap();
        assert_eq!(bound.expected_binding, b"p=tls-exporter,,\x01\x02\x03");
    }

    #[test]
    fn the_exchange_holds_a_hash_of_the_offer_as_xep_0474_section_6_3_has_it() {
        let channel = Channel {
            bindings: vec![("tls-server-end-point", vec![1]), ("tls-exporter", vec![2])],
            mechanisms: vec!["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
        };
        let first = "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
        let start = ScramStart::parse(first.as_bytes(), ScramHash::Sha1, Plus::Yes, &channel).unwrap();
        let salt = STANDARD.decode("QSXCR+Q6sek8bf92").unwrap();
        let verifier = scram_verifier(ScramHash::Sha1, b"pencil", &salt, 4096);
        let nonce = "a09117a6-ac50-4f2f-93f1-93799c2bddf6";
        let exchange = ScramExchange::with_nonce(start, Some("user".to_owned()), verifier, nonce);
        assert!(exchange.server_first().ends_with(",i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="));
    }

    #[test]
    fn names_are_unescaped_and_extensions_refused() {
        let read = |message: &str| {
            ScramStart::parse(message.as_bytes(), ScramHash::Sha1, Plus::No, &Channel::default())
        };
        assert_eq!(
            read("n,a=x@y,n=a=2Cb=3Dc,r=x").map(|s| (s.name, s.authzid)),
            Ok(("a,b=c".into(), "x@y".into()))
        );
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=,r=x",
            "n,,n=a=zz,r=x",
            "n,,n=a",
            "n,,n=a,r=",
            "n,,m=x,n=a,r=x",
            "n,,n=a=é,r=x",
        ] {
            assert!(matches!(read(bad), Err(Denied::Malformed(_))), "{bad}");
        }
        let long = format!("n,,n=a,r={}", "x".repeat(257));
        assert!(read(&long).is_err());
    }
}
