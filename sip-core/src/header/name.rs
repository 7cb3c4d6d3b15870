//! The names of headers: those that we act on have a value of [`Name`], all others are [`Name::Other`].

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
                $(if text.eq_ignore_ascii_case($text.as_bytes()) $(|| text.eq_ignore_ascii_case($compact.as_bytes()))? {
                    return Self::$variant;
                })*
                Self::Other
            }
        }
    };
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
