//! The phone book of a desk phone: XML as its make reads it, of those who are listed.

use shared_auth::AccountCard;
use shared_store::StoreError;

use crate::Face;
use crate::answer::escape_xml;
use crate::profile::shown_name;
use crate::render::phones::Make;

/// The book of an account; names first, and numbers that the phone can dial: the user part, and E.164.
pub(crate) async fn book(face: &Face, asker: &AccountCard, make: Make) -> Result<String, StoreError> {
    let people = face.listed.people(face, asker).await?;
    let entries = people.iter().map(|card| {
        let name = escape_xml(shown_name(card));
        let dialled = std::iter::once(card.aor.as_str()).chain(card.numbers.iter().map(String::as_str));
        let dialled: Vec<String> = dialled.map(escape_xml).collect();
        match make {
            Make::Grandstream => {
                let phones = dialled.iter().map(|number| {
                    format!("<Phone type=\"Work\"><phonenumber>{number}</phonenumber><accountindex>0</accountindex></Phone>")
                });
                format!("  <Contact><FirstName>{name}</FirstName>{}</Contact>\n", phones.collect::<String>())
            }
            Make::Polycom => {
                let items = dialled.iter().map(|number| format!("<item><fn>{name}</fn><ct>{number}</ct></item>"));
                format!("  {}\n", items.collect::<String>())
            }
            Make::Yealink | Make::Snom => {
                let phones = dialled.iter().map(|number| format!("<Telephone>{number}</Telephone>"));
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
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{begin}\n{entries}{end}\n"))
}
