//! The roster — RFC 6121 §2.1 (syntax) and appendix A (states of a subscription, as a table).
//!
//! In    an item of a roster set, or a subscription stanza. Out the next state, and whether the stanza goes on.
//! Not here: storing, pushing, sending.

use crate::ns;
use crate::xml::Element;
use crate::{ErrorKind, Jid};

/// What a contact is to the user (RFC 6121 appendix A.1). All false is "None".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The user sees the contact's presence.
    pub to: bool,
    /// The contact sees the user's presence.
    pub from: bool,
    /// The user asked for `to`.
    pub pending_out: bool,
    /// The contact asked for `from`; kept, and never shown in the roster.
    pub pending_in: bool,
    /// The user granted `from` before it was asked (§3.4).
    pub approved: bool,
}

/// The four stanzas that change a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Asks to see.
    Subscribe,
    /// Grants.
    Subscribed,
    /// Asks no more.
    Unsubscribe,
    /// Denies, or takes back.
    Unsubscribed,
}

impl Change {
    /// By the presence type.
    pub fn from_type(type_: &str) -> Option<Self> {
        Some(match type_ {
            "subscribe" => Self::Subscribe,
            "subscribed" => Self::Subscribed,
            "unsubscribe" => Self::Unsubscribe,
            "unsubscribed" => Self::Unsubscribed,
            _ => return None,
        })
    }

    /// The presence type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl Subscription {
    /// Appendix A.2: the user sends `change`. The next state, and whether the stanza is routed to the contact.
    #[must_use]
    pub fn sent(self, change: Change) -> (Self, bool) {
        match change {
            // A.2.1: routed always; pending unless subscribed already.
            Change::Subscribe => (Self { pending_out: !self.to, ..self }, true),
            // A.2.2: routed always.
            Change::Unsubscribe => (Self { to: false, pending_out: false, ..self }, true),
            // A.2.3: routed only if it was asked; otherwise a pre-approval, which is kept here.
            Change::Subscribed if self.pending_in => {
                (Self { from: true, pending_in: false, approved: false, ..self }, true)
            }
            Change::Subscribed => (Self { approved: !self.from, ..self }, false),
            // A.2.4: routed if there was something to deny or to take back.
            Change::Unsubscribed => {
                let is_routed = self.from || self.pending_in;
                (Self { from: false, pending_in: false, approved: false, ..self }, is_routed)
            }
        }
    }

    /// Appendix A.3: the contact's `change` arrives. The next state, and whether it is delivered to the user.
    #[must_use]
    pub fn received(self, change: Change) -> (Self, bool) {
        match change {
            // A.3.1: delivered if it is news; answered by the server if it was granted already.
            Change::Subscribe if self.from || self.approved => {
                (Self { from: true, approved: false, pending_in: false, ..self }, false)
            }
            Change::Subscribe => (Self { pending_in: true, ..self }, !self.pending_in),
            // A.3.2
            Change::Unsubscribe => {
                (Self { from: false, pending_in: false, ..self }, self.from || self.pending_in)
            }
            // A.3.3: only if it was asked.
            Change::Subscribed if self.pending_out => (Self { to: true, pending_out: false, ..self }, true),
            Change::Subscribed => (self, false),
            // A.3.4
            Change::Unsubscribed => {
                (Self { to: false, pending_out: false, ..self }, self.to || self.pending_out)
            }
        }
    }

    /// The attribute `subscription` (§2.1.2.5).
    pub fn as_str(self) -> &'static str {
        match (self.to, self.from) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }
}

/// One contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Whose.
    pub jid: Jid,
    /// The user's name for them; possibly empty.
    pub name: String,
    /// The user's groups for them.
    pub groups: Vec<String>,
    /// The state.
    pub subscription: Subscription,
}

/// What a roster set asks for (§2.3, §2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// Add or change name and groups.
    Update(Item),
    /// Remove, and end both subscriptions.
    Remove(Jid),
}

impl Item {
    /// Prints as in results and pushes.
    pub fn to_element(&self) -> Element {
        let item = Element::new("item", ns::ROSTER)
            .with("jid", &self.jid)
            .with_some("name", (!self.name.is_empty()).then_some(&self.name))
            .with("subscription", self.subscription.as_str())
            .with_some("ask", self.subscription.pending_out.then_some("subscribe"))
            .with_some("approved", self.subscription.approved.then_some("true"));
        self.groups.iter().fold(item, |item, group| item.text_child("group", group.clone()))
    }

    /// Reads the one item of a roster set; errors by §2.3.3.
    pub fn parse_set(query: &Element) -> Result<Set, ErrorKind> {
        let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
        let (Some(item), None) = (items.next(), items.next()) else { return Err(ErrorKind::BadRequest) };
        let jid = item.attribute("jid").ok_or(ErrorKind::BadRequest)?;
        let jid = jid.parse::<Jid>().map_err(|_| ErrorKind::JidMalformed)?.to_bare();
        if item.attribute("subscription") == Some("remove") {
            return Ok(Set::Remove(jid));
        }
        let name = item.attribute("name").unwrap_or_default().to_owned();
        let groups: Vec<String> =
            item.children().filter(|g| g.is("group", ns::ROSTER)).map(Element::text).collect();
        if name.len() > LONGEST_NAME
            || groups.len() > MOST_GROUPS
            || groups.iter().any(|g| g.len() > LONGEST_NAME)
        {
            return Err(ErrorKind::NotAcceptable);
        }
        if groups.iter().any(String::is_empty) {
            return Err(ErrorKind::NotAcceptable); // §2.3.3, case 3
        }
        if groups.iter().enumerate().any(|(at, group)| groups[..at].contains(group)) {
            return Err(ErrorKind::BadRequest); // §2.3.3, case 2
        }
        Ok(Set::Update(Self { jid, name, groups, subscription: Subscription::default() }))
    }
}

const LONGEST_NAME: usize = 1023;
const MOST_GROUPS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Subscription =
        Subscription { to: false, from: false, pending_out: false, pending_in: false, approved: false };

    #[test]
    fn follows_the_tables_of_appendix_a() {
        let asked = NONE.sent(Change::Subscribe).0;
        assert!(asked.pending_out);
        assert_eq!(asked.received(Change::Subscribed), (Subscription { to: true, ..NONE }, true));
        assert_eq!(NONE.received(Change::Subscribed), (NONE, false));
        let wanted = NONE.received(Change::Subscribe).0;
        assert_eq!(wanted, Subscription { pending_in: true, ..NONE });
        assert_eq!(wanted.received(Change::Subscribe), (wanted, false));
        assert_eq!(wanted.sent(Change::Subscribed), (Subscription { from: true, ..NONE }, true));
        assert_eq!(wanted.sent(Change::Unsubscribed), (NONE, true));
        assert_eq!(NONE.sent(Change::Unsubscribed), (NONE, false));
        let both = Subscription { to: true, from: true, ..NONE };
        assert_eq!(both.received(Change::Unsubscribe), (Subscription { to: true, ..NONE }, true));
        assert_eq!(both.received(Change::Unsubscribed), (Subscription { from: true, ..NONE }, true));
    }

    #[test]
    fn a_pre_approval_answers_the_request() {
        let (approved, is_routed) = NONE.sent(Change::Subscribed);
        assert!(approved.approved && !is_routed);
        assert_eq!(approved.received(Change::Subscribe), (Subscription { from: true, ..NONE }, false));
    }

    #[test]
    fn names_what_is_wrong_in_a_set() {
        let set = |inner: &str| {
            Item::parse_set(
                &Element::parse(&format!("<query xmlns='jabber:iq:roster'>{inner}</query>"), "").unwrap(),
            )
        };
        assert_eq!(set(""), Err(ErrorKind::BadRequest));
        assert_eq!(set("<item jid='a@b'/><item jid='c@d'/>"), Err(ErrorKind::BadRequest));
        assert_eq!(
            set("<item jid='a@b'><group>x</group><group>x</group></item>"),
            Err(ErrorKind::BadRequest)
        );
        assert_eq!(set("<item jid='a@b'><group/></item>"), Err(ErrorKind::NotAcceptable));
        assert_eq!(set("<item jid='a@b/c' subscription='remove'/>"), Ok(Set::Remove("a@b".parse().unwrap())));
    }
}
