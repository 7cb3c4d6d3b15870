//! What is unequal about the two halves of an account, and of how many accounts it is — RFC 7081 §7 (S-44, S-45, S-48).
//!
//! In    how each device of both halves is protected. Out findings, each with what mends it; a gauge by kind.
//! State which findings each account has, so that what is scraped was counted when it changed.
//!
//! Each half is as strong as its weakest device, and could be as the other's strongest. Proofs compare by what they withstand
//! ([`Strength`]): a password that is shown, an answer by MD5, an answer by a sound hash, a key. Channel binding (`-PLUS`) has no
//! equal in SIP and is no finding; tokens of a provider do not compare.

use std::collections::HashMap;

use prometheus::{IntGaugeVec, Opts, Registry};
use serde_json::{Value, json};
use shared_model::{AccountId, Protection, Proved, Strength};

use crate::pages::words::Words;

/// How one device is protected, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Guarded {
    /// By which TLS of ours.
    pub(crate) protection: Option<Protection>,
    /// Whether nothing says that its way is encrypted.
    pub(crate) is_open: bool,
    /// What proved whose it is.
    pub(crate) proved: Option<Proved>,
}

impl Guarded {
    pub(super) fn tls(&self) -> Value {
        let of = |Protection { version, suite }| json!({ "version": version, "suite": suite });
        self.protection.map_or(Value::Null, of)
    }

    /// By which mechanism it logged in, where that was heard.
    pub(super) fn login(&self) -> Option<&'static str> {
        self.proved.map(|proved| proved.by)
    }
}

/// What the devices of one half come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side {
    is_open: bool,
    tls: Range<&'static str>,
    strength: Range<Strength>,
}

/// The least and the most.
type Range<T> = Option<(T, T)>;

impl Side {
    pub(super) fn of(devices: impl Iterator<Item = Guarded>) -> Self {
        devices.fold(Self::default(), |side, device| Self {
            is_open: side.is_open || device.is_open,
            tls: wider(side.tls, device.protection.map(|tls| tls.version)),
            strength: wider(side.strength, device.proved.and_then(|proved| proved.strength)),
        })
    }
}

fn wider<T: Ord + Copy>(range: Range<T>, one: Option<T>) -> Range<T> {
    let Some(one) = one else { return range };
    Some(range.map_or((one, one), |(least, most)| (least.min(one), most.max(one))))
}

/// The least of one half, where the other half has better.
fn lesser<T: Ord + Copy>(own: Range<T>, other: Range<T>) -> Option<(T, T)> {
    let ((least, _), (_, most)) = (own?, other?);
    (least < most).then_some((least, most))
}

/// What is unequal about the protection of two halves.
pub(super) fn unequal(phones: Side, chats: Side) -> Vec<Finding> {
    let of_phones = lesser(phones.strength, chats.strength).map(|(least, _)| match least {
        Strength::Password | Strength::Md5 => Finding::PhoneMd5,
        Strength::Answer | Strength::Key => Finding::PhoneKeyless,
    });
    let of_chats = lesser(chats.strength, phones.strength).map(|(least, _)| match least {
        Strength::Password => Finding::ChatPlain,
        Strength::Md5 | Strength::Answer | Strength::Key => Finding::ChatKeyless,
    });
    let all = [
        phones.is_open.then_some(Finding::PhoneUnprotected),
        chats.is_open.then_some(Finding::ChatUnprotected),
        lesser(phones.tls, chats.tls).map(|_| Finding::PhoneOlder),
        lesser(chats.tls, phones.tls).map(|_| Finding::ChatOlder),
        of_phones,
        of_chats,
    ];
    all.into_iter().flatten().collect()
}

/// What is unequal about the two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A phone's signalling can be read on its way, and chat cannot.
    PhoneUnprotected,
    /// Chat can be read on its way, and a phone's signalling cannot.
    ChatUnprotected,
    /// A phone's TLS is older than chat's.
    PhoneOlder,
    /// Chat's TLS is older than a phone's.
    ChatOlder,
    /// A phone answers by MD5, and chat by better.
    PhoneMd5,
    /// A chat app shows the password itself, and a phone answers.
    ChatPlain,
    /// A phone has a password, and chat a certificate.
    PhoneKeyless,
    /// A chat app has a password, and a phone a certificate.
    ChatKeyless,
    /// What is said can be heard on its way, and what is written cannot be read.
    MediaOpen,
    /// Who calls finds nobody, and who chats does.
    NoPhone,
    /// Who chats finds nobody, and who calls does.
    NoChat,
}

impl Finding {
    /// Those that are counted: the others depend on what is configured for an account.
    const COUNTED: [Self; 8] = [
        Self::PhoneUnprotected,
        Self::ChatUnprotected,
        Self::PhoneOlder,
        Self::ChatOlder,
        Self::PhoneMd5,
        Self::ChatPlain,
        Self::PhoneKeyless,
        Self::ChatKeyless,
    ];

    /// The word in the API and in labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PhoneUnprotected => "phone_unprotected",
            Self::ChatUnprotected => "chat_unprotected",
            Self::PhoneOlder => "phone_older",
            Self::ChatOlder => "chat_older",
            Self::PhoneMd5 => "phone_md5",
            Self::ChatPlain => "chat_plain",
            Self::PhoneKeyless => "phone_without_certificate",
            Self::ChatKeyless => "chat_without_certificate",
            Self::MediaOpen => "media_open",
            Self::NoPhone => "no_phone",
            Self::NoChat => "no_chat",
        }
    }

    /// What it is, and how to mend it.
    pub(crate) fn words(self, words: &Words) -> (&str, &str) {
        match self {
            Self::PhoneUnprotected => (words.phone_unprotected, words.phone_unprotected_mend),
            Self::ChatUnprotected => (words.chat_unprotected, words.chat_unprotected_mend),
            Self::PhoneOlder => (words.phone_older, words.phone_older_mend),
            Self::ChatOlder => (words.chat_older, words.chat_older_mend),
            Self::PhoneMd5 => (words.phone_md5, words.phone_md5_mend),
            Self::ChatPlain => (words.chat_plain, words.chat_plain_mend),
            Self::PhoneKeyless => (words.phone_keyless, words.phone_keyless_mend),
            Self::ChatKeyless => (words.chat_keyless, words.chat_keyless_mend),
            Self::MediaOpen => (words.media_open, words.media_open_mend),
            Self::NoPhone => (words.no_phone, words.no_phone_mend),
            Self::NoChat => (words.no_chat, words.no_chat_mend),
        }
    }
}

/// Accounts whose halves are unequal, by what is unequal about them.
#[derive(Clone)]
pub struct Metrics(IntGaugeVec);

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let about = "Accounts whose halves are unequally protected, by what is unequal.";
        let gauge = IntGaugeVec::new(Opts::new("provisioning_unequal_accounts", about), &["finding"])?;
        registry.register(Box::new(gauge.clone()))?;
        for finding in Finding::COUNTED {
            gauge.with_label_values(&[finding.as_str()]).set(0);
        }
        Ok(Self(gauge))
    }
}

/// Which accounts are counted for what.
#[derive(Default)]
pub(super) struct Affected {
    metrics: Option<Metrics>,
    /// A bit for each of [`Finding::COUNTED`]; none without any.
    of: HashMap<AccountId, u8>,
}

impl Affected {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics: Some(metrics), of: HashMap::new() }
    }

    /// An account has these findings now.
    pub(super) fn count(&mut self, account: AccountId, findings: &[Finding]) {
        let bit = |at: usize, finding: &Finding| u8::from(findings.contains(finding)) << at;
        let now = Finding::COUNTED.iter().enumerate().map(|(at, finding)| bit(at, finding)).sum();
        let before = match now {
            0 => self.of.remove(&account),
            now => self.of.insert(account, now),
        };
        let (before, Some(Metrics(gauge))) = (before.unwrap_or_default(), &self.metrics) else { return };
        for (at, finding) in Finding::COUNTED.iter().enumerate() {
            let step = i64::from(now >> at & 1) - i64::from(before >> at & 1);
            if step != 0 {
                gauge.with_label_values(&[finding.as_str()]).add(step);
            }
        }
    }

    /// Nothing is known of anybody.
    pub(super) fn forget(&mut self) {
        for account in self.of.keys().copied().collect::<Vec<_>>() {
            self.count(account, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(all: &[(Option<&'static str>, Option<Strength>)]) -> Side {
        Side::of(all.iter().map(|(version, strength)| Guarded {
            protection: version.map(|version| Protection { version, suite: "" }),
            is_open: false,
            proved: Some(Proved { by: "", strength: *strength }),
        }))
    }

    #[test]
    fn an_older_tls_is_found_on_either_side_and_not_where_nothing_was_heard() {
        let of = |version| side(&[(version, None)]);
        let (old, new) = (Some("TLS 1.2"), Some("TLS 1.3"));
        for (phone, chat, found) in [
            (new, new, &[][..]),
            (old, new, &[Finding::PhoneOlder]),
            (new, old, &[Finding::ChatOlder]),
            (old, None, &[]),
        ] {
            assert_eq!(unequal(of(phone), of(chat)), found);
        }
    }

    #[test]
    fn a_half_that_nothing_encrypts_is_found_whichever_it_is() {
        let of = |is_open| Side::of([Guarded { is_open, ..Guarded::default() }].into_iter());
        assert_eq!(unequal(of(true), of(false)), [Finding::PhoneUnprotected]);
        assert_eq!(unequal(of(false), of(true)), [Finding::ChatUnprotected]);
        assert_eq!(unequal(of(false), of(false)), []);
    }

    #[test]
    fn each_half_proves_itself_as_the_other_does_or_it_is_found() {
        use Strength::{Answer, Key, Md5, Password};
        let of = |all: &[Strength]| side(&all.iter().map(|one| (None, Some(*one))).collect::<Vec<_>>());
        for (phones, chats, found) in [
            (&[Answer][..], &[Answer][..], &[][..]),
            (&[Md5], &[Answer], &[Finding::PhoneMd5]),
            (&[Answer, Md5], &[Answer], &[Finding::PhoneMd5]),
            (&[Md5], &[Password], &[Finding::ChatPlain]),
            (&[Answer], &[Answer, Password], &[Finding::ChatPlain]),
            (&[Answer], &[Key], &[Finding::PhoneKeyless]),
            (&[Key], &[Answer], &[Finding::ChatKeyless]),
            (&[Key, Md5], &[Key], &[Finding::PhoneMd5]),
            (&[Md5], &[], &[]),
            (&[], &[Password], &[]),
        ] {
            assert_eq!(unequal(of(phones), of(chats)), found, "{phones:?} beside {chats:?}");
        }
        assert_eq!(unequal(of(&[Md5]), side(&[(None, None)])), [], "a provider's token does not compare");
    }

    #[test]
    fn an_account_is_counted_once_for_each_kind_and_no_longer_than_it_is_so() {
        let registry = Registry::new();
        let mut affected = Affected::new(Metrics::new(&registry).unwrap());
        let told = |finding: Finding| {
            let gathered = registry.gather();
            let of = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == finding.as_str();
            gathered[0].get_metric().iter().find(of).unwrap().get_gauge().get_value()
        };
        let both = [Finding::PhoneMd5, Finding::PhoneUnprotected, Finding::NoChat];
        for (account, findings) in [(1, &both[..]), (1, &both), (2, &both[..1])] {
            affected.count(AccountId(account), findings);
        }
        assert_eq!([told(Finding::PhoneMd5), told(Finding::PhoneUnprotected)], [2.0, 1.0]);
        affected.count(AccountId(1), &[]);
        assert_eq!([told(Finding::PhoneMd5), told(Finding::PhoneUnprotected)], [1.0, 0.0]);
        affected.forget();
        assert!(Finding::COUNTED.into_iter().all(|finding| told(finding) == 0.0) && affected.of.is_empty());
    }
}
