//! Who calls — RFC 3325 §9.1 (P-Asserted-Identity, which the proxy puts in place of whatever came), RFC 3323 (Privacy), RFC 7315 §4.2
//! (P-Called-Party-ID, likewise: the operator leads that number to the room). P-Proved-By is the proxy's word of what proved them.

use std::net::IpAddr;

use shared_auth::{AccountCard, BoundBy, Directory, check_shown_name};
use shared_model::Aor;
use shared_runtime::unix_millis;
use sip_core::header::{Name, NameAddr, Via};
use sip_core::{Message, Uri, privacy};
use sip_endpoint::{Flow, Transport};

/// A caller, as far as the proxy proved them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) card: Option<AccountCard>,
    /// Whether they called a number that the operator leads to the room: that is their invitation.
    pub(super) is_by_number: bool,
    /// Whether they want to stay unknown: the room's rules go by their account, and nobody is told whose it is.
    pub(super) is_anonymous: bool,
    /// What the conference document calls them.
    pub(super) uri: String,
    /// The name to show, possibly empty.
    pub(super) display_name: String,
    /// The address that was proved, whatever they show.
    proved: Option<String>,
    /// By what they are here.
    pub(super) proof: Proof,
}

/// What somebody is here by, and ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    by: BoundBy,
    /// Since when, milliseconds since 1970.
    at: i64,
}

impl Proof {
    pub(super) fn new(by: BoundBy) -> Self {
        Self { by, at: unix_millis() }
    }

    /// Whether it is what ended at a moment.
    pub(super) fn ends_with(&self, ended: &BoundBy, at: i64) -> bool {
        self.at <= at && self.by.ends_with(ended)
    }
}

impl Caller {
    /// Somebody whom the focus calls.
    pub(super) fn called(card: Option<AccountCard>, uri: String, display_name: String) -> Self {
        // Which of their devices answers is not told.
        let (proved, proof) = (None, Proof::new(BoundBy::Unsaid));
        Self { card, is_by_number: false, is_anonymous: false, uri, display_name, proved, proof }
    }

    /// Who guesses, if they guess a PIN: what is proved of them, or else where they call from. What they say of themselves may be
    /// another name each time.
    pub(super) fn guesser(&self, source: Option<IpAddr>) -> String {
        let account = self.card.as_ref().map(|card| format!("account {}", card.account));
        let proved = account.or_else(|| self.proved.clone());
        // Behind a carrier's address are many people.
        let source = source.filter(|_| !self.is_by_number);
        proved.or_else(|| source.map(|ip| ip.to_string())).unwrap_or_else(|| self.uri.clone())
    }
}

/// Finds the caller's account. When the accounts cannot be read, they are a stranger.
pub(super) async fn caller(request: &Message, accounts: &Directory) -> Caller {
    let asserted = request.elements(Name::PAssertedIdentity).filter_map(NameAddr::parse);
    let asserted =
        asserted.filter_map(|address| Some((address.display.to_owned(), aor(address.uri)?))).next();
    let card = match &asserted {
        Some((_, aor)) => accounts.by_aor(aor).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a caller's account cannot be read");
            None
        }),
        None => None,
    };
    let proved = asserted.as_ref().map(|(_, aor)| aor.to_sip_uri());
    // Of whom the proxy has no proof, another vouches.
    let by = request.other_values("P-Proved-By").next().map_or(BoundBy::Otherwise, BoundBy::of_word);
    let proof = Proof::new(by);
    let is_by_number = request.other_values("P-Called-Party-ID").next().is_some();
    if privacy::is_anonymous(request) {
        // RFC 3323 §4.1.1.3: a name of no use outside this dialog.
        let uri = format!("sip:anonymous-{:08x}@anonymous.invalid", fold(request.call_id()));
        return Caller {
            card,
            is_by_number,
            is_anonymous: true,
            uri,
            display_name: "Anonymous".to_owned(),
            proved,
            proof,
        };
    }
    let from = request.value(Name::From).and_then(NameAddr::parse);
    let uri = match (&asserted, from) {
        (Some((_, aor)), _) => aor.to_sip_uri(),
        (None, Some(from)) => from.uri.to_owned(),
        (None, None) => "sip:unknown@anonymous.invalid".to_owned(),
    };
    let names = [
        card.as_ref().map(|card| card.name.clone()),
        asserted.map(|(name, _)| name),
        from.map(|from| from.display.to_owned()),
    ];
    let mut shown = names.into_iter().flatten().filter_map(|name| check_shown_name(&name).ok());
    let display_name = shown.find(|name| !name.is_empty()).unwrap_or_default();
    Caller { card, is_by_number, is_anonymous: false, uri, display_name, proved, proof }
}

/// The address that a call came from, as our own side stamped it: the proxy on the request that it forwarded to us, or we
/// where no proxy is before us.
pub(super) fn came_from(request: &Message, flow: &Flow) -> Option<IpAddr> {
    let hops = usize::from(flow.transport == Transport::InProcess);
    let via = Via::parse(request.elements(Name::Via).nth(hops)?)?;
    let ip: IpAddr =
        via.params.value("received").unwrap_or(via.host).trim_matches(['[', ']']).parse().ok()?;
    Some(ip.to_canonical())
}

/// Which device somebody calls with, as it says of itself: its instance, or the GRUU that was made of it (RFC 5627 §4.4.1).
pub(super) fn device(request: &Message) -> Option<String> {
    let contact = NameAddr::parse(request.elements(Name::Contact).next()?)?;
    let instance = contact.params.value("+sip.instance").map(|value| value.trim_matches(['"', '<', '>']));
    let uri = Uri::parse(contact.uri)?;
    let device = instance.or_else(|| uri.params.value("gr"))?;
    (!device.is_empty()).then(|| device.to_ascii_lowercase())
}

fn aor(uri: &str) -> Option<Aor> {
    let uri = Uri::parse(uri).filter(Uri::is_sip)?;
    Aor::new(&uri.user_unescaped(), uri.host).ok()
}

/// A short name of a text.
pub(super) fn fold(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
