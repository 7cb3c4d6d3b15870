//! The phone book of a desk phone: XML as its make reads it, of those who are listed.
//!
//! No make shows a field of text in the list and at a call but the name: so a JID that is not the address that is dialled stands with it, as
//! the last name where there is one (Polycom's `ln`, 40 bytes of its own, and Grandstream's `LastName`), else in brackets behind it.

use shared_auth::AccountCard;
use shared_store::StoreError;

use crate::Face;
use crate::answer::escape_xml;
use crate::profile::shown_name;
use crate::render::phones::Make;

/// The book of an account.
pub(crate) async fn book(face: &Face, asker: &AccountCard, make: Make) -> Result<String, StoreError> {
    let people = face.listed.people(face, asker).await?;
    let people = people.iter().map(|card| {
        let dialled = std::iter::once(card.aor.as_str()).chain(card.numbers.iter().map(String::as_str));
        let jid = (card.jid.as_str() != card.aor.as_str()).then(|| card.jid.as_str());
        (shown_name(card), jid, dialled.collect())
    });
    Ok(print(make, people))
}

/// Names first, JIDs that are others than the address, and what the phone can dial: the address, and numbers in E.164.
fn print<'a>(make: Make, people: impl Iterator<Item = (&'a str, Option<&'a str>, Vec<&'a str>)>) -> String {
    let entries = people.map(|(name, jid, dialled)| {
        let (name, jid) = (escape_xml(name), jid.map(|jid| format!("({})", escape_xml(jid))));
        let dialled: Vec<String> = dialled.into_iter().map(escape_xml).collect();
        match make {
            Make::Grandstream => {
                let phones = dialled.iter().map(|number| {
                    format!("<Phone type=\"Work\"><phonenumber>{number}</phonenumber><accountindex>0</accountindex></Phone>")
                });
                let last = jid.map(|jid| format!("<LastName>{jid}</LastName>")).unwrap_or_default();
                format!("  <Contact>{last}<FirstName>{name}</FirstName>{}</Contact>\n", phones.collect::<String>())
            }
            Make::Polycom => {
                let last = jid.map(|jid| format!("<ln>{jid}</ln>")).unwrap_or_default();
                let items =
                    dialled.iter().map(|number| format!("<item>{last}<fn>{name}</fn><ct>{number}</ct></item>"));
                format!("  {}\n", items.collect::<String>())
            }
            Make::Yealink | Make::Snom => {
                let phones = dialled.iter().map(|number| format!("<Telephone>{number}</Telephone>"));
                let name = jid.map(|jid| format!("{name} {jid}")).unwrap_or(name);
                format!("  <DirectoryEntry><Name>{name}</Name>{}</DirectoryEntry>\n", phones.collect::<String>())
            }
        }
    });
    let entries: String = entries.collect();
    let (begin, end) = match make {
        Make::Grandstream => ("<AddressBook>", "</AddressBook>"),
        Make::Polycom => ("<directory><item_list>", "</item_list></directory>"),
        Make::Yealink => ("<YealinkIPPhoneDirectory>", "</YealinkIPPhoneDirectory>"),
        Make::Snom => ("<SnomIPPhoneDirectory>", "</SnomIPPhoneDirectory>"),
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{begin}\n{entries}{end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_of_each_make_is_its_grammar_whatever_people_are_called() {
        let people = [
            ("</Name>&\"<x>", Some("e&v<e@example.org"), vec!["eve@example.org", "+33155501980"]),
            ("Bob", None, vec!["bob@example.org"]),
        ];
        let (eve, jid) = ("&lt;/Name&gt;&amp;&quot;&lt;x&gt;", "(e&amp;v&lt;e@example.org)");
        for (make, root, wanted, bob) in [
            (
                Make::Yealink,
                "YealinkIPPhoneDirectory",
                "<DirectoryEntry><Name>EVE JID</Name><Telephone>eve@example.org</Telephone><Telephone>+33155501980</Telephone></DirectoryEntry>",
                "<DirectoryEntry><Name>Bob</Name><Telephone>bob@example.org</Telephone></DirectoryEntry>",
            ),
            (
                Make::Snom,
                "SnomIPPhoneDirectory",
                "<DirectoryEntry><Name>EVE JID</Name><Telephone>eve@example.org</Telephone><Telephone>+33155501980</Telephone></DirectoryEntry>",
                "<DirectoryEntry><Name>Bob</Name><Telephone>bob@example.org</Telephone></DirectoryEntry>",
            ),
            (
                Make::Grandstream,
                "AddressBook",
                "<Contact><LastName>JID</LastName><FirstName>EVE</FirstName>\
                 <Phone type=\"Work\"><phonenumber>eve@example.org</phonenumber><accountindex>0</accountindex></Phone>\
                 <Phone type=\"Work\"><phonenumber>+33155501980</phonenumber><accountindex>0</accountindex></Phone></Contact>",
                "<Contact><FirstName>Bob</FirstName><Phone type=\"Work\">",
            ),
            (
                Make::Polycom,
                "item_list",
                "<item><ln>JID</ln><fn>EVE</fn><ct>eve@example.org</ct></item><item><ln>JID</ln><fn>EVE</fn><ct>+33155501980</ct></item>",
                "<item><fn>Bob</fn><ct>bob@example.org</ct></item>",
            ),
        ] {
            let book = print(make, people.iter().map(|(name, jid, dialled)| (*name, *jid, dialled.clone())));
            assert!(book.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<"), "{book}");
            assert_eq!(book.matches(&format!("<{root}>")).count(), 1, "{book}");
            assert_eq!(book.matches(&format!("</{root}>")).count(), 1, "{book}");
            assert!(book.contains(&wanted.replace("EVE", eve).replace("JID", jid)), "{book}");
            assert!(!book.contains("<x>") && book.contains(bob), "{book}");
        }
    }
}
