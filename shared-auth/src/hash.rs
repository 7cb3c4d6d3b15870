//! The hashes of SCRAM and Digest by name, over `aws-lc-rs`; MD5 over `md-5`.

use aws_lc_rs::{digest, hmac, pbkdf2};
use md5::Digest as _;
use shared_store::{DigestAlgorithm, ScramHash};

/// `H` of a SCRAM mechanism (RFC 5802 §2.2).
pub(crate) fn scram_hash(hash: ScramHash, bytes: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        ScramHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        ScramHash::Sha256 => &digest::SHA256,
        ScramHash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// `HMAC(key, bytes)` of a SCRAM mechanism.
pub(crate) fn scram_hmac(hash: ScramHash, key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        ScramHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ScramHash::Sha256 => hmac::HMAC_SHA256,
        ScramHash::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), bytes).as_ref().to_vec()
}

/// `Hi(password, salt, iterations)`, which is PBKDF2. Slow by design: not for an async task.
pub(crate) fn scram_salted(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let (algorithm, length) = match hash {
        ScramHash::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        ScramHash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        ScramHash::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let rounds = std::num::NonZeroU32::new(iterations).unwrap_or(std::num::NonZeroU32::MIN);
    let mut salted = vec![0; length];
    pbkdf2::derive(algorithm, rounds, salt, password, &mut salted);
    salted
}

/// `H` of a Digest algorithm over the parts joined by colons.
pub(crate) fn digest_hash(algorithm: DigestAlgorithm, parts: &[&[u8]]) -> Vec<u8> {
    let joined = parts.join(&b':');
    match algorithm {
        DigestAlgorithm::Md5 => md5::Md5::digest(&joined).to_vec(),
        DigestAlgorithm::Sha256 => digest::digest(&digest::SHA256, &joined).as_ref().to_vec(),
        DigestAlgorithm::Sha512_256 => digest::digest(&digest::SHA512_256, &joined).as_ref().to_vec(),
    }
}

/// Bytes that nobody can foretell.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a process without randomness must not hand out nonces")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// Letters and digits that nobody mistakes for one another and nobody can foretell, five bits each.
pub(crate) fn random_letters<const N: usize>() -> String {
    random::<N>().iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
