//! The names of headers: those that we act on have a value of [`Name`], all others are [`Name::Other`].

use std::sync::LazyLock;

macro_rules! names {
    ($($variant:ident = $text:literal $(| $compact:literal)?),* $(,)?) => {
        /// A header that we act on.
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
            pub fn of(text: &[u8]) -> Self {
                // Few names share a length, so that most comparisons are never made.
                let known = BY_LENGTH.get(text.len()).map_or(&[][..], Vec::as_slice);
                known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map_or(Self::Other, |(_, known)| *known)
            }
        }

        const ON_THE_WIRE: &[(&str, Name)] = &[$(($text, Name::$variant), $(($compact, Name::$variant),)?)*];
    };
}

/// Names by their length, long and compact.
static BY_LENGTH: LazyLock<Vec<Vec<(&'static [u8], Name)>>> = LazyLock::new(|| {
    let longest = ON_THE_WIRE.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
    let mut by_length = vec![Vec::new(); longest + 1];
    for (text, name) in ON_THE_WIRE {
        by_length[text.len()].push((text.as_bytes(), *name));
    }
    by_length
});

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
        assert_eq!(Name::of(b"X-Via"), Name::Other);
    }
}
