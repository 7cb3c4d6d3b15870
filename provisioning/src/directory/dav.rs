//! The XML of WebDAV, as far as an address book that is only read needs it — RFC 4918 §9.1 (PROPFIND), §14; RFC 6352 §8.6, §8.7.
//!
//! In    the body of a request, of bounded length. Out which properties are asked for, of what; and the answer.
//! Errors `None` for what is not XML or not a request that is known.

use std::collections::BTreeSet;

use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use crate::answer::escape_xml;

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name of the root.
    pub(super) root: String,
    /// Properties, each a namespace and a name; none: all.
    pub(super) properties: BTreeSet<(String, String)>,
    /// Whether only their names are wanted (RFC 4918 §9.1).
    pub(super) names_alone: bool,
    /// The resources of a multiget.
    pub(super) hrefs: BTreeSet<String>,
    /// Whether a query says whom it wants.
    pub(super) filters: bool,
    /// Whether cards shall be 4.0.
    pub(super) wants_four: bool,
}

/// One resource of an answer: where it is, and its properties as XML, each with its name.
pub(super) struct Resource {
    pub(super) href: String,
    pub(super) properties: Vec<(&'static str, String)>,
}

/// Reads a request; an empty body asks for all properties (RFC 4918 §9.1).
pub(super) fn read(body: &[u8]) -> Option<Asked> {
    let mut asked = Asked { root: "propfind".to_owned(), ..Asked::default() };
    if body.is_empty() {
        return Some(asked);
    }
    let mut reader = NsReader::from_str(std::str::from_utf8(body).ok()?);
    let (mut path, mut is_rooted): (Vec<String>, _) = (Vec::new(), false);
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let namespace = match namespace {
            ResolveResult::Bound(Namespace(name)) => name.to_owned(),
            _ => String::new(),
        };
        let is_known = is_known(&namespace);
        match event {
            Event::Start(ref element) | Event::Empty(ref element) => {
                let name = element.local_name().as_ref().to_owned();
                if !is_rooted {
                    (asked.root, is_rooted) = (name.clone(), is_known);
                }
                match path.last().map(String::as_str) {
                    Some("prop") if asked.properties.len() < MOST_PROPERTIES => {
                        asked.properties.insert((namespace, name.clone()));
                    }
                    Some("propfind") => asked.names_alone |= name == "propname",
                    Some("filter") => asked.filters |= name == "prop-filter",
                    _ => {}
                }
                if name == "address-data" {
                    let version = element.attributes().flatten().find(|it| it.key.as_ref() == "version");
                    asked.wants_four = version.is_some_and(|it| &*it.value == "4.0");
                }
                if matches!(event, Event::Start(_)) {
                    path.push(name);
                }
                if path.len() > DEEPEST {
                    return None;
                }
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) if path.last().is_some_and(|name| name == "href") => {
                asked.hrefs.insert(path_of(text.trim()).to_owned());
            }
            // What entities say is not looked at: nobody needs them here, and some of them grow.
            Event::DocType(_) => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    (is_rooted && path.is_empty()).then_some(asked)
}

/// RFC 4918 §8.3: a client names a resource by its path or by its whole URL, and knows the one that it is sent by either.
fn path_of(href: &str) -> &str {
    let rest = href.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or(href, |at| &rest[at..])
}

/// RFC 4918 §13: each resource with the properties that it has, and those that it has not.
pub(super) fn multistatus(asked: &Asked, resources: &[Resource], missing: &[&str]) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<d:multistatus xmlns:d=\"DAV:\" \
         xmlns:c=\"urn:ietf:params:xml:ns:carddav\" xmlns:s=\"http://calendarserver.org/ns/\">\n",
    );
    let mut room = MOST_LACKING;
    for resource in resources {
        out.push_str(&format!("<d:response><d:href>{}</d:href>", escape_xml(&resource.href)));
        let wanted = |name: &str| match asked.properties.is_empty() {
            // §14.2: what is long is not sent unasked.
            true => name != "address-data" || asked.names_alone,
            false => asked.properties.iter().any(|(namespace, asked)| is_known(namespace) && asked == name),
        };
        let found = resource.properties.iter().filter(|(name, _)| wanted(name)).map(|(_, xml)| xml.as_str());
        let found: String = match asked.names_alone {
            true => found.filter_map(|xml| Some(format!("{}/>", xml.split(['>', '/']).next()?))).collect(),
            false => found.collect(),
        };
        out.push_str(&format!(
            "<d:propstat><d:prop>{found}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
        ));
        let has = |(namespace, name): &(String, String)| {
            is_known(namespace) && resource.properties.iter().any(|(known, _)| known == name)
        };
        // Only names that are names of elements here can be said back.
        let lacking = asked.properties.iter().filter(|property| !has(property) && is_name(&property.1));
        let lacking: String = lacking
            .map(|(namespace, name)| format!("<{name} xmlns=\"{}\"/>", escape_xml(namespace)))
            .collect();
        // What one request names is not said back of everybody without end.
        if !lacking.is_empty() && lacking.len() <= room {
            room -= lacking.len();
            out.push_str(&format!(
                "<d:propstat><d:prop>{lacking}</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
            ));
        }
        out.push_str("</d:response>\n");
    }
    for href in missing {
        out.push_str(&format!(
            "<d:response><d:href>{}</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>\n",
            escape_xml(href)
        ));
    }
    out.push_str("</d:multistatus>\n");
    out
}

/// Whether properties of ours are of this namespace: no two of them have one name.
fn is_known(namespace: &str) -> bool {
    matches!(namespace, "DAV:" | CARDDAV | CALENDAR_SERVER)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const CARDDAV: &str = "urn:ietf:params:xml:ns:carddav";
const CALENDAR_SERVER: &str = "http://calendarserver.org/ns/";
/// Properties that one request may name: those that are not there are said of each resource.
const MOST_PROPERTIES: usize = 100;
/// Bytes of an answer that say what is not there.
const MOST_LACKING: usize = 4 * 1024 * 1024;
/// Elements inside one another.
const DEEPEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_what_they_want_of_what() {
        let body = b"<a:propfind xmlns:a='DAV:' xmlns:x='other'><a:prop><a:getetag/><x:getetag/></a:prop></a:propfind>";
        let asked = read(body).unwrap();
        assert_eq!((asked.root.as_str(), asked.properties.len()), ("propfind", 2));
        assert!(asked.properties.iter().map(|(namespace, _)| namespace).eq(["DAV:", "other"]));
        assert!(read(b"<propfind xmlns='DAV:'><propname/></propfind>").unwrap().names_alone);
        let body = b"<c:addressbook-multiget xmlns:c='urn:ietf:params:xml:ns:carddav' xmlns='DAV:'><prop>\
            <c:address-data version='4.0' content-type='text/vcard'/></prop><href>/a.vcf</href></c:addressbook-multiget>";
        let asked = read(body).unwrap();
        assert!(
            asked.wants_four
                && asked.hrefs.contains("/a.vcf")
                && asked.hrefs.len() == 1
                && asked.root == "addressbook-multiget"
        );
        let whole = String::from_utf8_lossy(body).replace("/a.vcf", "https://h:8443/b/a.vcf");
        assert!(read(whole.as_bytes()).unwrap().hrefs.contains("/b/a.vcf"), "by its whole URL");
        assert_eq!(read(b""), Some(Asked { root: "propfind".to_owned(), ..Asked::default() }));
    }

    #[test]
    fn what_is_not_well_formed_or_grows_is_refused() {
        let bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><propfind xmlns='DAV:'>&a;</propfind>";
        let deep = format!("<d xmlns='DAV:'>{}", "<d>".repeat(100));
        for bad in
            [&b"<propfind xmlns='DAV:'>"[..], b"{}", b"<propfind/>", bomb, deep.as_bytes(), b"\xff\xfe"]
        {
            assert_eq!(read(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn a_long_name_does_not_fill_an_answer_about_many() {
        let long = "n".repeat(MOST_LACKING / 4);
        let asked = Asked { properties: BTreeSet::from([(long, "foo".to_owned())]), ..Asked::default() };
        let all: Vec<Resource> =
            (0..100).map(|n| Resource { href: format!("/{n}"), properties: Vec::new() }).collect();
        let text = multistatus(&asked, &all, &[]);
        assert_eq!((text.matches("<foo ").count(), text.matches("<d:response>").count()), (3, 100));
    }

    #[test]
    fn names_alone_are_no_values() {
        let resource = Resource {
            href: "/a".to_owned(),
            properties: vec![
                ("displayname", "<d:displayname>x</d:displayname>".to_owned()),
                ("address-data", "<c:address-data>x</c:address-data>".to_owned()),
                ("resourcetype", "<d:resourcetype/>".to_owned()),
            ],
        };
        let asked = read(b"<propfind xmlns='DAV:'><propname/></propfind>").unwrap();
        let text = multistatus(&asked, &[resource], &[]);
        assert!(
            text.contains("<d:prop><d:displayname/><c:address-data/><d:resourcetype/></d:prop>"),
            "{text}"
        );
    }

    #[test]
    fn names_and_places_stay_inside_their_elements() {
        let property = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let asked = Asked {
            properties: BTreeSet::from([
                property("DAV:", "getetag"),
                property("urn:'\"<&", "foo"),
                property("", "x><y"),
            ]),
            ..Asked::default()
        };
        let resource = Resource {
            href: "/<a>&".to_owned(),
            properties: vec![("displayname", "<d:displayname/>".to_owned())],
        };
        let text = multistatus(&asked, &[resource], &["\"><b"]);
        assert!(
            text.contains("/&lt;a&gt;&amp;")
                && text.contains("<getetag xmlns=\"DAV:\"/><foo xmlns=\"urn:")
                && text.contains("&lt;&amp;\"/></d:prop><d:status>HTTP/1.1 404")
                && !text.contains("x><y")
                && !text.contains("<b")
        );
    }
}
