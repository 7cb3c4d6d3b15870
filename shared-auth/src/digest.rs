//! HTTP Digest as SIP uses it — RFC 7616 §3.3 (challenge), §3.4 (response), §3.5 (info); RFC 8760 (algorithms);
//! RFC 2617 §3.2.2.1 (without qop).
//!
//! In    the fields of an `Authorization` header, parsed by the SIP side, and the request that they cover.
//! Out   the response that the right password gives.
//! Not here: parsing and printing of headers; whether `uri` is the request's (the caller compares).

use shared_runtime::hex;
use shared_store::DigestAlgorithm;
use zeroize::Zeroizing;

use crate::hash::digest_hash;

/// One `WWW-Authenticate` or `Proxy-Authenticate` to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `algorithm`.
    pub algorithm: DigestAlgorithm,
    /// `realm`.
    pub realm: String,
    /// `nonce`.
    pub nonce: String,
    /// `qop`, as it stands between the quotes.
    pub qop: &'static str,
    /// `stale=true` is to be sent.
    pub stale: bool,
}

/// The fields of an `Authorization` header, unquoted and unescaped, and the request that they cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestProof {
    /// `username`, as it was sent.
    pub username: String,
    /// `realm`.
    pub realm: String,
    /// `nonce`.
    pub nonce: String,
    /// `uri`, as it was sent.
    pub uri: String,
    /// `response`, hexadecimal.
    pub response: String,
    /// `algorithm`; MD5 if the header has none.
    pub algorithm: DigestAlgorithm,
    /// `qop` with `cnonce` and `nc`, if the header has them.
    pub qop: Option<Qop>,
    /// The request's method.
    pub method: String,
}

/// `qop` and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qop {
    /// `cnonce`, as it was sent.
    pub cnonce: String,
    /// `nc`, eight hexadecimal digits.
    pub nc: String,
    /// For `auth-int` the body of the request; `None` for `auth`.
    pub body: Option<Vec<u8>>,
}

impl Qop {
    fn as_str(&self) -> &'static str {
        if self.body.is_some() { "auth-int" } else { "auth" }
    }

    /// The count that `nc` writes; `None` if it is not eight hexadecimal digits.
    pub(crate) fn count(&self) -> Option<u32> {
        let is_hex = self.nc.len() == 8 && self.nc.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(&self.nc, 16).ok()).flatten()
    }
}

impl DigestProof {
    /// The same with the response that this password gives: how we prove ourselves to others.
    pub fn answered(mut self, password: &str) -> Self {
        let parts = [self.username.as_bytes(), self.realm.as_bytes(), password.as_bytes()];
        let ha1 = Zeroizing::new(digest_hash(self.algorithm, &parts));
        self.response = self.expected(&ha1);
        self
    }

    /// The response that an account with this HA1 sends (§3.4.1).
    pub(crate) fn expected(&self, ha1: &[u8]) -> String {
        let ha1 = Zeroizing::new(hex(ha1));
        let ha2 = match self.qop.as_ref().and_then(|qop| qop.body.as_ref()) {
            Some(body) => {
                let body = hex(&digest_hash(self.algorithm, &[body]));
                self.hash(&[&self.method, &self.uri, &body])
            }
            None => self.hash(&[&self.method, &self.uri]),
        };
        match &self.qop {
            Some(qop) => self.hash(&[&ha1, &self.nonce, &qop.nc, &qop.cnonce, qop.as_str(), &ha2]),
            None => self.hash(&[&ha1, &self.nonce, &ha2]),
        }
    }

    fn hash(&self, parts: &[&str]) -> String {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        hex(&digest_hash(self.algorithm, &parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mufasa(algorithm: DigestAlgorithm, nonce: &str, nc: &str, cnonce: &str) -> DigestProof {
        DigestProof {
            username: "Mufasa".to_owned(),
            realm: String::new(),
            nonce: nonce.to_owned(),
            uri: "/dir/index.html".to_owned(),
            response: String::new(),
            algorithm,
            qop: Some(Qop { cnonce: cnonce.to_owned(), nc: nc.to_owned(), body: None }),
            method: "GET".to_owned(),
        }
    }

    #[test]
    fn gives_the_responses_of_rfc_7616_section_3_9_1() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = digest_hash(algorithm, &[b"Mufasa", b"http-auth@example.org", b"Circle of Life"]);
            assert_eq!(mufasa(algorithm, nonce, "00000001", cnonce).expected(&ha1), response);
        }
    }

    #[test]
    fn gives_the_response_of_rfc_2617_section_3_5() {
        let proof =
            mufasa(DigestAlgorithm::Md5, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b");
        let ha1 = digest_hash(DigestAlgorithm::Md5, &[b"Mufasa", b"testrealm@host.com", b"Circle Of Life"]);
        assert_eq!(proof.expected(&ha1), "6629fae49393a05397450978507c4ef1");
        let without_qop = DigestProof { qop: None, ..proof };
        assert_eq!(without_qop.expected(&ha1), "670fd8c2df070c60b045671b8b24ff02");
    }

    /// The same example with `auth-int`, of which neither RFC has one: reckoned by hand from §3.2.2.3.
    #[test]
    fn covers_the_body_where_it_is_asked_to() {
        for (algorithm, response) in [
            (DigestAlgorithm::Md5, "151b6cabb7e59e0ac757207a039ff3d0"),
            (DigestAlgorithm::Sha256, "861b16c488a29cfc9d207f8330f62a8b575d5db831f6e188cb373aeb162507b3"),
        ] {
            let mut proof = mufasa(algorithm, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b");
            let ha1 = digest_hash(algorithm, &[b"Mufasa", b"testrealm@host.com", b"Circle Of Life"]);
            for (body, is_it) in [(&b"v=0\r\n"[..], true), (b"v=1\r\n", false)] {
                proof.qop.as_mut().unwrap().body = Some(body.to_vec());
                assert_eq!(proof.expected(&ha1) == response, is_it, "{algorithm:?} {body:?}");
            }
        }
    }

    /// The same example, from the side of whoever is asked.
    #[test]
    fn a_password_gives_the_response() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let asked = mufasa(DigestAlgorithm::Md5, nonce, "00000001", cnonce);
        let proof =
            DigestProof { realm: "http-auth@example.org".to_owned(), ..asked }.answered("Circle of Life");
        assert_eq!(proof.response, "8ca523f5e9506fed4657c9700eebdbec");
    }

    #[test]
    fn sha_512_256_is_not_truncated_sha_512() {
        // FIPS 180-4: "abc" hashed with the initial values of SHA-512/256.
        let expected = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23";
        assert_eq!(hex(&digest_hash(DigestAlgorithm::Sha512_256, &[b"abc"])), expected);
    }

    #[test]
    fn counts_are_eight_digits() {
        let count = |nc: &str| Qop { cnonce: String::new(), nc: nc.to_owned(), body: None }.count();
        assert_eq!(count("0000000a"), Some(10));
        assert_eq!((count("a"), count("+000000a"), count("")), (None, None, None));
    }
}
