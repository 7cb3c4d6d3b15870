//! The names of headers: those that we act on or that have a compact form have a value of [`Name`], all others are
//! [`Name::Other`].

macro_rules! names {
    ($($variant:ident = $text:literal $(| $compact:literal)?),* $(,)?) => {
        /// A header that we act on, or that has two names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Name {
            $(#[doc = $text] $variant,)*
            /// Any other; told apart by its line.
            Other,
        }

        impl Name {
            /// The name as we print it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }

            /// The name that stands on the wire, in any case, compact or long (RFC 3261 §7.3.3).
            #[inline]
            pub fn of(text: &[u8]) -> Self {
                let mut slot = slot_of(text);
                while let Some((name, known)) = SLOTS[slot] {
                    if name.as_bytes() == text || name.as_bytes().eq_ignore_ascii_case(text) {
                        return known;
                    }
                    slot = (slot + 1) % SLOTS.len();
                }
                Self::Other
            }
        }

        const ON_THE_WIRE: &[(&str, Name)] = &[$(($text, Name::$variant), $(($compact, Name::$variant),)?)*];
    };
}

/// Names, long and compact, each in its slot or in the next that was free.
static SLOTS: [Option<(&str, Name)>; 256] = {
    let mut slots = [None; 256];
    let mut at = 0;
    while at < ON_THE_WIRE.len() {
        let mut slot = slot_of(ON_THE_WIRE[at].0.as_bytes());
        while slots[slot].is_some() {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = Some(ON_THE_WIRE[at]);
        at += 1;
    }
    slots
};

/// Few names share their length, their first and their last letter.
const fn slot_of(text: &[u8]) -> usize {
    if text.is_empty() {
        return 0;
    }
    let (first, last) = (text[0] | 0x20, text[text.len() - 1] | 0x20);
    (first as usize * 7 + last as usize * 31 + text.len() * 3) % 256
}

names! {
    Via = "Via" | "v",
    From = "From" | "f",
    To = "To" | "t",
    CallId = "Call-ID" | "i",
    CSeq = "CSeq",
    Contact = "Contact" | "m",
    MaxForwards = "Max-Forwards",
    ContentLength = "Content-Length" | "l",
    ContentType = "Content-Type" | "c",
    Route = "Route",
    RecordRoute = "Record-Route",
    Expires = "Expires",
    MinExpires = "Min-Expires",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    AuthenticationInfo = "Authentication-Info",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" | "k",
    Unsupported = "Unsupported",
    Allow = "Allow",
    Accept = "Accept",
    CallInfo = "Call-Info",
    Path = "Path",
    Privacy = "Privacy",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    RemotePartyId = "Remote-Party-ID",
    PAssertedService = "P-Asserted-Service",
    PPreferredService = "P-Preferred-Service",
    PCalledPartyId = "P-Called-Party-ID",
    PChargingVector = "P-Charging-Vector",
    PAccessNetworkInfo = "P-Access-Network-Info",
    Event = "Event" | "o",
    SubscriptionState = "Subscription-State",
    UserAgent = "User-Agent",
    Server = "Server",
    Reason = "Reason",
    RetryAfter = "Retry-After",
    Timestamp = "Timestamp",
    Warning = "Warning",
    AllowEvents = "Allow-Events" | "u",
    Date = "Date",
    MaxBreadth = "Max-Breadth",
    SessionExpires = "Session-Expires" | "x",
    MinSe = "Min-SE",
    HistoryInfo = "History-Info",
    Subject = "Subject" | "s",
    ContentEncoding = "Content-Encoding" | "e",
    ReferTo = "Refer-To" | "r",
    ReferredBy = "Referred-By" | "b",
    AcceptContact = "Accept-Contact" | "a",
    RejectContact = "Reject-Contact" | "j",
    RequestDisposition = "Request-Disposition" | "d",
    Identity = "Identity" | "y",
    IdentityInfo = "Identity-Info" | "n",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_in_compact_form() {
        assert_eq!(
            (Name::of(b"VIA"), Name::of(b"v"), Name::of(b"call-id")),
            (Name::Via, Name::Via, Name::CallId)
        );
        for other in ["X-Via", "", "z", "Vib", "C%6Fntact", "Content-Lengt"] {
            assert_eq!(Name::of(other.as_bytes()), Name::Other, "{other}");
        }
        for (text, name) in ON_THE_WIRE {
            assert_eq!(Name::of(text.to_uppercase().as_bytes()), *name, "{text}");
        }
    }

    /// The registry of header field names: a letter means one header.
    #[test]
    fn every_compact_form_is_known() {
        let all = "Accept-Contact a, Allow-Events u, Call-ID i, Contact m, Content-Encoding e, Content-Length l, \
            Content-Type c, Event o, From f, Identity y, Identity-Info n, Refer-To r, Referred-By b, \
            Reject-Contact j, Request-Disposition d, Session-Expires x, Subject s, Supported k, To t, Via v";
        for (long, compact) in all.split(", ").filter_map(|both| both.split_once(' ')) {
            let name = Name::of(compact.as_bytes());
            assert_eq!((name, name.as_str()), (Name::of(long.as_bytes()), long));
        }
    }
}
