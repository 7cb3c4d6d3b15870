//! Users who go — XEP-0227 1.1, sections 4 (format), 5.1 (a file a user), 6 (nobody else reads it).
//!
//! In    accounts, and a folder that is to hold them.
//! Out   files as section 5.1 lays them out, or as Prosody reads them: `user@host.xml`, each a document of its own.
//! State none: archives are written page by page, so that memory does not grow with them.
//! Errors a file that cannot be written, or is there, ends the export; an account that cannot be read is reported.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_auth::{AccountCard, Auth, ScramHash, ScramVerifier};
use shared_model::Domains;
use shared_store::{Position, Query, Store, StoreError};
use xmpp_core::payload::delay::date_time;
use xmpp_core::{Element, Jid, Stanza, ns};

use super::{PIE, PIE_MAM, PIE_SCRAM, PRIVACY, Report, TransferError, XINCLUDE, own};
use crate::features::private;
use crate::pubsub::kept::{self, Node};
use crate::roster::{self, Contact};
use crate::{archive, blocking, offline};

/// How the files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A main file, one for the host, and a folder with one for each user (§5.1).
    Included,
    /// One document for each user, as Prosody's `mod_storage_xep0227` reads them.
    Each,
}

/// Writes every account of these domains into `folder`, which is made. Those of other domains are reported, and do not go.
pub async fn export(
    folder: &Path,
    layout: Layout,
    domains: &Domains,
    auth: &Auth,
    store: &Store,
    mut tell: impl FnMut(&Report) -> std::io::Result<()>,
) -> Result<(), TransferError> {
    if layout == Layout::Included {
        shared_store::make_private_folder(folder).map_err(failed(folder))?;
        write_main(folder, domains)?;
    }
    for domain in domains.iter() {
        export_host(folder, layout, domain, auth, store, &mut tell).await?;
    }
    let mut after = None;
    loop {
        let (page, more) = auth.directory.list(after.as_ref(), PAGE).await?;
        for card in page.iter().filter(|card| domains.find(card.jid.domain()).is_none()) {
            let mut report = Report { user: card.jid.as_str().to_owned(), ..Report::default() };
            report.remark(format!("this service has no users of {}", card.jid.domain()));
            tell(&report)?;
        }
        after = page.last().map(|card| card.aor.clone());
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

async fn export_host(
    folder: &Path,
    layout: Layout,
    domain: &str,
    auth: &Auth,
    store: &Store,
    tell: &mut impl FnMut(&Report) -> std::io::Result<()>,
) -> Result<(), TransferError> {
    let users = folder.join(if layout == Layout::Included { domain } else { "" });
    shared_store::make_private_folder(&users).map_err(failed(&users))?;
    let mut host = match layout {
        Layout::Each => None,
        Layout::Included => Some(begin_host(folder, domain)?),
    };
    let mut after = None;
    loop {
        let (page, more) = auth.directory.list(after.as_ref(), PAGE).await?;
        for card in page.iter().filter(|card| card.jid.domain() == domain) {
            let file = match layout {
                Layout::Included => file_of(card.jid.local()),
                Layout::Each => file_of(&format!("{}@{domain}", card.jid.local())),
            };
            let path = users.join(&file);
            let mut departure = Departure::begin(&path, layout, card, domain)?;
            let report = departure.write(auth, store, card).await?;
            departure.end()?;
            if let Some(host) = &mut host {
                let href = format!("{}/{}", percent(domain), percent(&file));
                host.line(&include(&href))?;
            }
            tell(&report)?;
        }
        after = page.last().map(|card| card.aor.clone());
        if !more || after.is_none() {
            break;
        }
    }
    match host {
        Some(mut host) => {
            host.line("</host>")?;
            host.end()
        }
        None => Ok(()),
    }
}

/// The main file, which names each host's.
fn write_main(folder: &Path, domains: &Domains) -> Result<(), TransferError> {
    let mut main = Output::create(&folder.join("server-data.xml"))?;
    main.line(&format!("<server-data xmlns='{PIE}' xmlns:xi='{XINCLUDE}'>"))?;
    for domain in domains.iter() {
        main.line(&include(&percent(&format!("{domain}.xml"))))?;
    }
    main.line("</server-data>")?;
    main.end()
}

fn begin_host(folder: &Path, domain: &str) -> Result<Output, TransferError> {
    let mut host = Output::create(&folder.join(format!("{domain}.xml")))?;
    let head = opening(&Element::new("host", PIE).with("jid", domain).with("xmlns:xi", XINCLUDE));
    host.line(&head)?;
    Ok(host)
}

/// With the prefix of the XEP's own examples: ejabberd knows no other.
fn include(href: &str) -> String {
    format!("<xi:include href='{href}'/>")
}

/// Names are kept where a file system bears them; any other has its digest for one.
fn file_of(name: &str) -> String {
    let file = format!("{name}.xml");
    if file.len() <= LONGEST_NAME && !file.starts_with('.') {
        return file;
    }
    format!("{}.xml", shared_runtime::hex(digest::digest(&digest::SHA256, name.as_bytes()).as_ref()))
}

fn percent(name: &str) -> String {
    const UNSAFE: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(name, UNSAFE).to_string()
}

struct Output {
    path: PathBuf,
    file: BufWriter<std::fs::File>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, TransferError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = BufWriter::new(file.map_err(failed(path))?);
        let mut output = Self { path: path.to_owned(), file };
        output.line("<?xml version='1.0' encoding='UTF-8'?>")?;
        Ok(output)
    }

    fn line(&mut self, text: &str) -> Result<(), TransferError> {
        let Self { path, file } = self;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed(path))
    }

    fn end(mut self) -> Result<(), TransferError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed(&self.path))
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> TransferError + use<> {
    let path = path.to_owned();
    move |error| TransferError::File { path, error }
}

/// The start tag of an element that is written piece by piece.
fn opening(element: &Element) -> String {
    let text = element.to_string();
    format!("{}>", text.trim_end_matches("/>"))
}

struct Departure {
    output: Output,
    last: &'static str,
    user: Jid,
}

impl Departure {
    fn begin(path: &Path, layout: Layout, card: &AccountCard, domain: &str) -> Result<Self, TransferError> {
        let mut output = Output::create(path)?;
        let user = Element::new("user", PIE).with("name", card.jid.local());
        let last = match layout {
            Layout::Included => "</user>",
            Layout::Each => {
                let host = opening(&Element::new("host", PIE).with("jid", domain));
                output.line(&format!("<server-data xmlns='{PIE}'>{host}"))?;
                "</user></host></server-data>"
            }
        };
        output.line(&opening(&user))?;
        let user = Jid::kept(card.jid.as_str()).map_err(|_| StoreError::NoSuchAccount)?;
        Ok(Self { output, last, user })
    }

    fn end(mut self) -> Result<(), TransferError> {
        let last = self.last;
        self.output.line(last)?;
        self.output.end()
    }

    async fn write(
        &mut self,
        auth: &Auth,
        store: &Store,
        card: &AccountCard,
    ) -> Result<Report, TransferError> {
        let mut report = Report { user: card.jid.as_str().to_owned(), done: true, ..Report::default() };
        report.credentials = "none";
        match auth.book.verifiers(card.account).await {
            Ok(verifiers) => {
                for verifier in &verifiers {
                    self.element(&credentials(verifier))?;
                    report.credentials = "scram";
                }
            }
            Err(error) => {
                report.done = false;
                report.remark(error.to_string());
            }
        }
        self.element(&own::element(store, card).await?)?;
        if !card.enabled {
            report.remark("is disabled here, which another server does not know");
        }
        self.roster(store, &mut report).await?;
        self.records(store, &mut report).await?;
        self.nodes(store, &mut report).await?;
        self.output.line("<offline-messages>")?;
        for entry in offline::in_order(&*store.archive, self.user.bare_str()).await? {
            report.offline += usize::from(self.entry(&entry, |_, message| message)?);
        }
        self.output.line("</offline-messages>")?;
        self.output.line(&opening(&Element::new("archive", PIE_MAM)))?;
        let owner = self.user.bare_str().to_owned();
        report.archive = self
            .entries(store, &owner, archive::KIND, |entry, message| {
                let delay = Element::new("delay", ns::DELAY).with("stamp", date_time(entry.time));
                let forwarded = Element::new("forwarded", ns::FORWARD).child(delay).child(message);
                Element::new("result", ns::MAM).with("id", &entry.id).child(forwarded)
            })
            .await?;
        self.output.line("</archive>")?;
        Ok(report)
    }

    fn element(&mut self, element: &Element) -> Result<(), TransferError> {
        let mut text = String::new();
        element.print(PIE, &mut text);
        self.output.line(&text)
    }

    async fn roster(&mut self, store: &Store, report: &mut Report) -> Result<(), TransferError> {
        let mut query = Element::new("query", ns::ROSTER);
        let mut requests = Vec::new();
        for record in all(store, self.user.bare_str(), roster::COLLECTION).await? {
            let contact = serde_json::from_slice::<Contact>(&record.value).ok();
            let (Some(contact), Ok(jid)) = (contact, record.key.parse::<Jid>()) else { continue };
            if contact.is_listed {
                query = query.child(contact.to_item(&jid).to_element());
            }
            requests
                .extend(contact.request.as_deref().and_then(|text| Element::parse(text, ns::CLIENT).ok()));
            report.contacts += 1;
        }
        self.element(&query)?;
        requests.iter().try_for_each(|request| self.element(request))
    }

    /// Card, private storage, block list.
    async fn records(&mut self, store: &Store, report: &mut Report) -> Result<(), TransferError> {
        let owner = self.user.bare_str().to_owned();
        if let Some(card) = store.records.get(&owner, "vcard", "vcard").await?.and_then(|r| element(&r.value))
        {
            self.element(&card)?;
            report.card = true;
        }
        let private = all(store, &owner, private::COLLECTION).await?;
        let private: Vec<Element> = private.iter().filter_map(|record| element(&record.value)).collect();
        if !private.is_empty() {
            report.private = private.len();
            self.element(&Element::new("query", ns::PRIVATE).children_from(private))?;
        }
        let blocked = store.records.get(&owner, blocking::COLLECTION, blocking::KEY).await?;
        let blocked = blocked.and_then(|record| serde_json::from_slice::<Vec<String>>(&record.value).ok());
        let blocked = blocked.filter(|blocked| !blocked.is_empty());
        if let Some(blocked) = blocked {
            let items = blocked.iter().enumerate().map(|(at, jid)| {
                let item = Element::new("item", PRIVACY).with("type", "jid").with("value", jid);
                item.with("action", "deny").with("order", at + 1)
            });
            let list = Element::new("list", PRIVACY).with("name", "blocklist").children_from(items);
            let default = Element::new("default", PRIVACY).with("name", "blocklist");
            self.element(&Element::new("query", PRIVACY).child(default).child(list))?;
        }
        Ok(())
    }

    async fn nodes(&mut self, store: &Store, report: &mut Report) -> Result<(), TransferError> {
        let owner = self.user.bare_str().to_owned();
        let records = all(store, &owner, kept::NODES).await?;
        let read = |record: &shared_store::Record| {
            Some((record.key.clone(), serde_json::from_slice::<Node>(&record.value).ok()?))
        };
        let nodes: Vec<(String, Node)> = records.iter().filter_map(read).collect();
        report.nodes = nodes.len();
        if nodes.is_empty() {
            return Ok(());
        }
        let rules = nodes.iter().flat_map(|(name, node)| rules(name, node, &owner));
        self.element(&Element::new("pubsub", ns::PUBSUB_OWNER).children_from(rules))?;
        self.output.line(&opening(&Element::new("pubsub", ns::PUBSUB)))?;
        for (name, node) in &nodes {
            let mut items = Element::new("items", ns::PUBSUB).with("node", name);
            for item in &node.items {
                let record = store.records.get(&owner, &kept::items_of(name), &item.id).await?;
                items = items.children_from(record.and_then(|record| element(&record.value)));
            }
            let mut text = String::new();
            items.print(ns::PUBSUB, &mut text);
            self.output.line(&text)?;
        }
        self.output.line("</pubsub>")
    }

    /// Entries of an archive, the oldest first; how many.
    async fn entries(
        &mut self,
        store: &Store,
        owner: &str,
        kind: &str,
        shape: impl Fn(&shared_store::Entry, Element) -> Element,
    ) -> Result<usize, TransferError> {
        let (mut position, mut written) = (Position::First, 0);
        loop {
            let kind = Some(kind.to_owned());
            let query = Query { kind, position, max: PAGE, most_counted: 0, ..Query::default() };
            let page = store.archive.page(owner, &query).await?;
            for entry in &page.entries {
                written += usize::from(self.entry(entry, &shape)?);
            }
            match page.entries.last() {
                Some(last) if !page.complete => position = Position::After(last.id.clone()),
                _ => return Ok(written),
            }
        }
    }

    /// One entry, if it is a message.
    fn entry(
        &mut self,
        entry: &shared_store::Entry,
        shape: impl Fn(&shared_store::Entry, Element) -> Element,
    ) -> Result<bool, TransferError> {
        let message = std::str::from_utf8(&entry.body).ok().and_then(|text| {
            Stanza::parse(text)?;
            Element::parse(text, ns::CLIENT).ok()
        });
        let Some(message) = message else { return Ok(false) };
        self.element(&shape(entry, message))?;
        Ok(true)
    }
}

/// §4.10.1.
fn rules(name: &str, node: &Node, owner: &str) -> Vec<Element> {
    let part = |what: &str| Element::new(what, ns::PUBSUB_OWNER).with("node", name);
    let affiliations = node.affiliations.iter().filter(|(jid, _)| *jid != owner).map(|(jid, affiliation)| {
        Element::new("affiliation", ns::PUBSUB_OWNER)
            .with("jid", jid)
            .with("affiliation", affiliation.as_str())
    });
    let subscriptions = node.subscriptions.iter().map(|jid| {
        Element::new("subscription", ns::PUBSUB_OWNER).with("jid", jid).with("subscription", "subscribed")
    });
    let mut all = vec![part("configure").child(node.config.to_form("form"))];
    let lists = [
        part("affiliations").children_from(affiliations),
        part("subscriptions").children_from(subscriptions),
    ];
    all.extend(lists.into_iter().filter(|list| list.children().next().is_some()));
    all
}

/// §4.3.
fn credentials(verifier: &ScramVerifier) -> Element {
    let mechanism = match verifier.hash {
        ScramHash::Sha1 => "SCRAM-SHA-1",
        ScramHash::Sha256 => "SCRAM-SHA-256",
        ScramHash::Sha512 => "SCRAM-SHA-512",
    };
    Element::new("scram-credentials", PIE_SCRAM)
        .with("mechanism", mechanism)
        .text_child("iter-count", verifier.iterations.to_string())
        .text_child("salt", STANDARD.encode(&verifier.salt))
        .text_child("server-key", STANDARD.encode(&verifier.server_key))
        .text_child("stored-key", STANDARD.encode(&verifier.stored_key))
}

async fn all(store: &Store, owner: &str, collection: &str) -> Result<Vec<shared_store::Record>, StoreError> {
    let (mut all, mut after): (Vec<shared_store::Record>, _) = (Vec::new(), None);
    loop {
        let page = store.records.list(owner, collection, after.as_deref(), PAGE).await?;
        after = page.last().map(|record| record.key.clone());
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn element(bytes: &[u8]) -> Option<Element> {
    Element::parse(std::str::from_utf8(bytes).ok()?, "").ok()
}

/// Accounts, records and entries read at once.
const PAGE: usize = 500;
/// Bytes of a file's name.
const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_file_of_its_own_that_a_file_system_bears() {
        let long = "é".repeat(126);
        let names = ["a", "a.xml", "a.xml.xml", ".a", &long, &long[..250], &format!("{long}@example.org")];
        let files: std::collections::BTreeSet<String> = names.into_iter().map(file_of).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        assert!(files.iter().all(|file| file.len() <= 255 && !file.starts_with('.')), "{files:?}");
        assert!(files.contains("a.xml") && files.contains("a.xml.xml"), "{files:?}");
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let path = std::env::temp_dir().join(format!("cusax-departure-{}.xml", std::process::id()));
        Output::create(&path).unwrap().end().unwrap();
        let again = Output::create(&path).map(drop);
        assert!(matches!(again, Err(TransferError::File { .. })), "{again:?}");
        std::fs::remove_file(path).unwrap();
    }
}
