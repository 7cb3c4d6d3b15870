//! The phone book of a desk phone: XML as its make reads it, of those who are listed.

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
        (shown_name(card), dialled.collect())
    });
    Ok(print(make, people))
}

/// Names first, and what the phone can dial: the address, and numbers in E.164.
fn print<'a>(make: Make, people: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> String {
    let entries = people.map(|(name, dialled)| {
        let name = escape_xml(name);
        let dialled: Vec<String> = dialled.into_iter().map(escape_xml).collect();
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
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{begin}\n{entries}{end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_of_each_make_is_its_grammar_whatever_people_are_called() {
        let people =
            [("</Name>&\"<x>", vec!["eve@example.org", "+33155501980"]), ("Bob", vec!["bob@example.org"])];
        let eve = "&lt;/Name&gt;&amp;&quot;&lt;x&gt;";
        for (make, root, wanted) in [
            (
                Make::Yealink,
                "YealinkIPPhoneDirectory",
                "<DirectoryEntry><Name>EVE</Name><Telephone>eve@example.org</Telephone><Telephone>+33155501980</Telephone></DirectoryEntry>",
            ),
            (
                Make::Snom,
                "SnomIPPhoneDirectory",
                "<DirectoryEntry><Name>EVE</Name><Telephone>eve@example.org</Telephone><Telephone>+33155501980</Telephone></DirectoryEntry>",
            ),
            (
                Make::Grandstream,
                "AddressBook",
                "<Contact><FirstName>EVE</FirstName>\
                 <Phone type=\"Work\"><phonenumber>eve@example.org</phonenumber><accountindex>0</accountindex></Phone>\
                 <Phone type=\"Work\"><phonenumber>+33155501980</phonenumber><accountindex>0</accountindex></Phone></Contact>",
            ),
            (
                Make::Polycom,
                "item_list",
                "<item><fn>EVE</fn><ct>eve@example.org</ct></item><item><fn>EVE</fn><ct>+33155501980</ct></item>",
            ),
        ] {
            let book = print(make, people.iter().map(|(name, dialled)| (*name, dialled.clone())));
            assert!(book.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<"), "{book}");
            assert_eq!(book.matches(&format!("<{root}>")).count(), 1, "{book}");
            assert_eq!(book.matches(&format!("</{root}>")).count(), 1, "{book}");
            assert!(book.contains(&wanted.replace("EVE", eve)), "{book}");
            assert!(!book.contains("<x>") && book.contains(">Bob</"), "{book}");
        }
    }
}
