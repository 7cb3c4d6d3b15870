//! Globally routable user agent URIs — RFC 5627 §5: one URI for one device of an account.
//!
//! In    an AOR, an instance, the Call-ID of its registration; a Request-URI with `gr`.
//! Out   the public GRUU `sip:alice@example.org;gr=urn:uuid:…`, a temporary one that tells nobody whose it is; which
//! bindings a GRUU means.
//! State none: a temporary GRUU is a sealed token. It lives as long as the registration's Call-ID (§5.4).
//! Errors a token that is not ours, or is altered, means nobody.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shared_model::{AccountId, Aor};
use shared_store::Binding;
use sip_core::Uri;

use crate::sealed::{Sealer, hash};

/// Makes and reads GRUUs.
pub(crate) struct Gruus {
    sealer: Sealer,
}

/// Which device a GRUU means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Device {
    /// The device with this instance, of whose AOR the URI is.
    Public(String),
    /// A device of this account, by hashes of its instance and of its registration's Call-ID.
    Temporary(AccountId, u64, u64),
    /// The device of this account whose binding has this key, by its hash.
    Bound(AccountId, u64),
    /// The device without a GRUU that registered this very contact.
    At(String),
}

impl Gruus {
    /// GRUUs under this key.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { sealer: Sealer::new(key) }
    }

    /// The public GRUU of a device.
    pub(crate) fn public(aor: &Aor, instance: &str) -> String {
        let instance = utf8_percent_encode(bare(instance), ESCAPED);
        format!("{};gr={instance}", aor.to_sip_uri())
    }

    /// A new temporary GRUU of a binding; `nonce` is never used twice.
    pub(crate) fn temporary(&self, binding: &Binding, nonce: [u8; 12]) -> Option<String> {
        let mut content = binding.account.0.to_be_bytes().to_vec();
        content.extend_from_slice(&hash(&binding.instance).to_be_bytes());
        content.extend_from_slice(&hash(&binding.call_id).to_be_bytes());
        let token = self.sealer.seal(&content, nonce)?;
        Some(format!("sip:{PREFIX}{token}@{};gr", binding.aor.host()))
    }

    /// What a URI of ours with `gr` means.
    pub(crate) fn read(&self, uri: &Uri<'_>) -> Option<Device> {
        match uri.params.value("gr") {
            Some(instance) => Some(Device::Public(format!("<{}>", sip_core::uri::unescape(instance)))),
            None => self.open(uri.user.strip_prefix(PREFIX)?),
        }
    }

    fn open(&self, token: &str) -> Option<Device> {
        let opened = self.sealer.open(token)?;
        let (account, rest) = opened.split_first_chunk::<16>()?;
        let (instance, call_id) = rest.split_first_chunk::<8>()?;
        Some(Device::Temporary(
            AccountId(u128::from_be_bytes(*account)),
            u64::from_be_bytes(*instance),
            u64::from_be_bytes(call_id.try_into().ok()?),
        ))
    }
}

impl Device {
    /// Whether a binding is this device's.
    pub(crate) fn is(&self, binding: &Binding) -> bool {
        match self {
            Self::Public(instance) => binding.instance == *instance,
            Self::At(contact) => match (Uri::parse(contact), Uri::parse(&binding.contact)) {
                (Some(asked), Some(bound)) => asked.is_same(&bound),
                _ => false,
            },
            Self::Bound(account, key) => binding.account == *account && hash(&binding.key) == *key,
            Self::Temporary(account, instance, call_id) => {
                binding.account == *account
                    && hash(&binding.instance) == *instance
                    && hash(&binding.call_id) == *call_id
            }
        }
    }
}

/// An instance without its angle brackets.
fn bare(instance: &str) -> &str {
    instance.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(instance)
}

const PREFIX: &str = "tgruu.";
/// What stands in a parameter as it is (RFC 3261 §25.1, `paramchar`).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b':')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'[')
    .remove(b']')
    .remove(b'/')
    .remove(b'&')
    .remove(b'+')
    .remove(b'$');

#[cfg(test)]
pub(crate) mod tests {
    use shared_store::BoundBy;

    use super::*;

    pub(crate) fn binding(call_id: &str) -> Binding {
        Binding {
            account: AccountId(7),
            aor: "alice@example.org".parse().unwrap(),
            key: String::new(),
            contact: "sip:alice@192.0.2.1".to_owned(),
            instance: "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>".to_owned(),
            reg_id: None,
            parameters: String::new(),
            path: Vec::new(),
            flow: String::new(),
            received: None,
            call_id: call_id.to_owned(),
            cseq: 1,
            q: 1_000,
            expires: 0,
            node: String::new(),
            user_agent: String::new(),
            updated: 0,
            by: BoundBy::Password,
            name: String::new(),
        }
    }

    #[test]
    fn a_public_gruu_means_its_instance() {
        let binding = binding("one");
        let gruu = Gruus::public(&binding.aor, &binding.instance);
        assert_eq!(gruu, "sip:alice@example.org;gr=urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF");
        let device = Gruus::new(&[1; 32]).read(&Uri::parse(&gruu).unwrap()).unwrap();
        assert!(device.is(&binding));
        assert!(!device.is(&Binding { instance: "<urn:uuid:other>".to_owned(), ..binding }));
    }

    #[test]
    fn a_temporary_gruu_lives_as_long_as_its_call_id_and_cannot_be_made() {
        let gruus = Gruus::new(&[1; 32]);
        let gruu = gruus.temporary(&binding("one"), [3; 12]).unwrap();
        assert!(!gruu.contains("alice") && gruu.ends_with("@example.org;gr"), "{gruu}");
        assert_ne!(gruu, gruus.temporary(&binding("one"), [4; 12]).unwrap());
        let device = gruus.read(&Uri::parse(&gruu).unwrap()).unwrap();
        assert!(device.is(&binding("one")) && !device.is(&binding("two")));
        assert_eq!(Gruus::new(&[2; 32]).read(&Uri::parse(&gruu).unwrap()), None);
        assert_eq!(gruus.read(&Uri::parse("sip:tgruu.AAAA@example.org;gr").unwrap()), None);
        assert_eq!(gruus.read(&Uri::parse("sip:alice@example.org;gr").unwrap()), None);
    }
}
