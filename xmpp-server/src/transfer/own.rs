//! What XEP-0227 has no element for, in one of our own: whether the account may log in, its name, its numbers, what its archive keeps.
//!
//! ```xml
//! <account xmlns='urn:cusax:account:0' enabled='false' admin='true'>
//!   <name>Bob</name><number>+15550100</number>
//!   <prefs xmlns='urn:xmpp:mam:2' default='roster'><always/><never><jid>carol@example.org</jid></never></prefs>
//! </account>
//! ```
//!
//! In    an account that goes, or the element of one that came. Out the element, or an account that is what it was.
//! Errors what cannot be as it was becomes a remark. Who administered another service does not administer this one by a file.

use shared_auth::{AccountCard, Auth, BookError, Profile};
use shared_store::{Expected, Store, StoreError};
use xmpp_core::payload::mam::Preferences;
use xmpp_core::{Element, ns};

use super::Report;
use crate::archive;

pub(super) const NS: &str = "urn:cusax:account:0";

/// The element of an account that goes.
pub(super) async fn element(store: &Store, card: &AccountCard) -> Result<Element, StoreError> {
    let account = Element::new("account", NS)
        .with("enabled", card.enabled)
        .with("admin", card.admin)
        .with("video", card.video)
        .text_child("name", &card.name);
    let account = card.numbers.iter().fold(account, |account, number| account.text_child("number", number));
    let said = archive::of(&*store.records, card.jid.as_str()).await?;
    Ok(account.children_from(said.map(|said| said.to_element())))
}

/// Whether the account may not log in where it came from.
pub(super) fn is_disabled(element: &Element) -> bool {
    element.attribute("enabled").is_some_and(|value| matches!(value, "false" | "0"))
}

/// Makes an account that was just made what it was where it came from, but for whether it may log in.
pub(super) async fn read(
    auth: &Auth,
    store: &Store,
    card: &AccountCard,
    element: &Element,
    report: &mut Report,
) -> Result<(), StoreError> {
    let is = |name: &str, otherwise: bool| {
        element.attribute(name).map_or(otherwise, |value| matches!(value, "true" | "1"))
    };
    if is("admin", false) {
        report.remark("administered the service that it comes from, and does not administer this one");
    }
    let name = element.text_of("name").unwrap_or_default();
    let named = Profile { name, numbers: Vec::new(), video: is("video", true), admin: false };
    note(auth.book.set_profile(card.account, named.clone()).await, report)?;
    let numbers: Vec<_> =
        element.children().filter(|child| child.is("number", NS)).map(Element::text).collect();
    if !numbers.is_empty() {
        // Somebody may have one of them here.
        note(auth.book.set_profile(card.account, Profile { numbers, ..named }).await, report)?;
    }
    if let Some(prefs) = element.find("prefs", ns::MAM) {
        match Preferences::parse(prefs) {
            Ok(said) => {
                let owner = card.jid.as_str();
                match archive::write_down(&*store.records, owner, &said, Expected::Absent).await {
                    Ok(()) | Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(_) => report.remark("what its archive keeps cannot be read"),
        }
    }
    Ok(())
}

fn note(done: Result<(), BookError>, report: &mut Report) -> Result<(), StoreError> {
    match done {
        Err(BookError::Store(error)) if !matches!(error, StoreError::Taken(_)) => Err(error),
        Err(error) => {
            report.remark(error.to_string());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
