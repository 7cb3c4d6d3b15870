//! What a device says of its push service — RFC 8599 §4.1, §8.7, §10 to §12: parameters of its Contact's URI.
//!
//! In    a contact URI. Out what it asks for; how it is woken; the URI without what is nobody else's business (§13).

use sip_core::Uri;
use sip_core::uri::unescape;

/// How a device is woken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PushTarget {
    /// `pn-provider`: which push service.
    pub(crate) provider: String,
    /// `pn-param`: what that service wants to know beside; possibly empty.
    pub(crate) param: String,
    /// `pn-prid`: the device, as the service knows it.
    pub(crate) prid: String,
}

/// What a contact asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing that has to do with pushes.
    Nothing,
    /// §4.1.5: which services we know; `None` asks for all.
    Which(Option<String>),
    /// §4.1.1: to be woken.
    Wake(PushTarget),
}

impl Asked {
    /// Reads a contact.
    pub(crate) fn read(contact: &Uri<'_>) -> Self {
        if !contact.params.has("pn-provider") {
            return Self::Nothing;
        }
        let value = |name| contact.params.value(name).map(|value| unescape(value).into_owned());
        let Some(provider) = value("pn-provider").filter(|provider| !provider.is_empty()) else {
            return Self::Which(None);
        };
        match value("pn-prid").filter(|prid| !prid.is_empty()) {
            Some(prid) => {
                Self::Wake(PushTarget { provider, param: value("pn-param").unwrap_or_default(), prid })
            }
            None => Self::Which(Some(provider)),
        }
    }
}

impl PushTarget {
    /// How the device behind a contact is woken, if it wants to be.
    pub(crate) fn of(contact: &str) -> Option<Self> {
        // Most contacts have none, and are not parsed for it.
        let has_prid = contact.contains("pn-prid") || contact.to_ascii_lowercase().contains("pn-prid");
        let uri = has_prid.then(|| Uri::parse(contact)).flatten()?;
        match Asked::read(&uri) {
            Asked::Wake(target) => Some(target),
            Asked::Nothing | Asked::Which(_) => None,
        }
    }

    /// Whether all is there that its service needs (§10, §11: Team ID and topic, project).
    pub(crate) fn is_complete(&self) -> bool {
        !matches!(self.provider.as_str(), "apns" | "fcm") || !self.param.is_empty()
    }
}

/// §13: a contact as others than its owner's registrar may see it.
pub(crate) fn without_push(contact: &str) -> String {
    let (uri, headers) = match contact.find('?') {
        Some(at) => contact.split_at(at),
        None => (contact, ""),
    };
    let is_secret = |param: &str| {
        let name = param.split('=').next().unwrap_or_default().trim();
        SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name))
    };
    // A user part may hold semicolons; the host's parameters come after the last at sign.
    let host = uri.rfind('@').map_or(0, |at| at + 1);
    let (user, rest) = uri.split_at(host);
    let kept: Vec<&str> = rest.split(';').filter(|param| !is_secret(param)).collect();
    format!("{user}{}{headers}", kept.join(";"))
}

/// What is between a device and us.
const SECRET: [&str; 3] = ["pn-provider", "pn-prid", "pn-param"];

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(contact: &str) -> Asked {
        Asked::read(&Uri::parse(contact).unwrap())
    }

    #[test]
    fn reads_what_a_device_asks_for() {
        assert_eq!(asked("sip:alice@192.0.2.1;pn-prid=1"), Asked::Nothing);
        assert_eq!(asked("sip:alice@192.0.2.1;pn-provider"), Asked::Which(None));
        assert_eq!(asked("sip:alice@192.0.2.1;pn-provider=fcm"), Asked::Which(Some("fcm".to_owned())));
        let contact = "sip:alice@192.0.2.1;PN-Provider=webpush;pn-prid=https:%2f%2Fpush.example%2Fa";
        let target = PushTarget::of(contact).unwrap();
        assert_eq!((target.provider.as_str(), target.prid.as_str()), ("webpush", "https://push.example/a"));
        assert!(target.is_complete());
        assert!(!PushTarget::of("sip:a@x;pn-provider=apns;pn-prid=00fc").unwrap().is_complete());
        assert!(
            PushTarget::of("sip:a@x;pn-provider=apns;pn-param=T.t.voip;pn-prid=00fc").unwrap().is_complete()
        );
        assert_eq!(PushTarget::of("sip:a@x"), None);
    }

    #[test]
    fn others_do_not_see_how_a_device_is_woken() {
        let contact =
            "sip:a;pn-prid=user@x:5070;transport=tls;pn-provider=apns;PN-PRID=1;pn-param=2;ob;pn-purr=3?a=b";
        assert_eq!(without_push(contact), "sip:a;pn-prid=user@x:5070;transport=tls;ob;pn-purr=3?a=b");
        assert_eq!(without_push("sip:x"), "sip:x");
    }
}
