//! One user who comes — XEP-0227 1.1, sections 4.2 to 4.11.
//!
//! In    the parts of the user, in whatever order the file has them.
//! Out   an account, and what belongs to it, as this server keeps it; at the end what the account logs in with.
//! Errors what cannot be kept as it is becomes a remark, and the rest comes all the same.

use std::collections::{BTreeSet, HashSet};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_auth::{AccountCard, Auth, BookError, NewAccount, Profile, ScramHash, ScramVerifier};
use shared_model::{AccountId, Aor, BareJid, Domains};
use shared_runtime::unix_millis;
use shared_store::{Entry, Expected, RecordChange, Store, StoreError};
use xmpp_core::payload::delay::parse_date_time;
use xmpp_core::payload::vcard::from_vcard4;
use xmpp_core::xml::Node;
use xmpp_core::{Element, Jid, Stanza, ns};

use super::{PIE, PIE_SCRAM, PRIVACY, Report, nodes, own};
use crate::features::private;
use crate::roster::{self, Contact};
use crate::tel::{self, Addresses};
use crate::{archive, avatar, blocking, bookmarks, offline};

pub(super) struct Arrival<'a> {
    auth: &'a Auth,
    store: &'a Store,
    /// Its own, and that of its rooms: nobody writes an address there but its own into a card.
    domains: (&'a Domains, &'a str),
    /// None: nothing of this user can come.
    account: Option<(AccountCard, Jid)>,
    password: Option<String>,
    verifiers: Vec<ScramVerifier>,
    entries: Vec<Entry>,
    /// Ids of waiting messages, so that two that are alike stay two.
    waiting: HashSet<String>,
    nodes: nodes::Arriving,
    is_broken: bool,
    is_disabled: bool,
    report: Report,
}

impl<'a> Arrival<'a> {
    /// Makes the account, if there is none.
    pub(super) async fn begin(
        auth: &'a Auth,
        store: &'a Store,
        (domains, domain): ((&'a Domains, &'a str), &str),
        name: &str,
        password: Option<String>,
    ) -> Result<Self, StoreError> {
        let mut report = Report { user: format!("{name}@{domain}"), ..Report::default() };
        let account = match account(auth, &report.user).await {
            Ok((card, jid, created)) => {
                report.created = created;
                Some((card, jid))
            }
            Err(Refused::Store(error)) => return Err(error),
            Err(Refused::Because(why)) => {
                report.remark(why);
                None
            }
        };
        let (entries, verifiers, waiting) = (Vec::new(), Vec::new(), HashSet::new());
        let nodes = nodes::Arriving::default();
        Ok(Self {
            auth,
            store,
            domains,
            account,
            password,
            verifiers,
            entries,
            waiting,
            nodes,
            is_broken: false,
            is_disabled: false,
            report,
        })
    }

    /// The file is broken.
    pub(super) fn fail(&mut self, why: String) {
        self.is_broken = true;
        self.report.remark(why);
    }

    /// Something that belongs to the user.
    pub(super) async fn child(&mut self, child: Element) -> Result<(), StoreError> {
        let Some((card, user)) = self.account.clone() else { return Ok(()) };
        match (child.name.as_str(), child.ns.as_str()) {
            ("scram-credentials", PIE_SCRAM) => match verifier(&child) {
                Some(verifier) => self.verifiers.push(verifier),
                None => self.report.remark("SCRAM credentials that are none"),
            },
            ("query", ns::ROSTER) => self.roster(&user, &child).await?,
            ("presence", ns::CLIENT | PIE) => self.request(&user, &of_client(child)).await?,
            ("vCard", ns::VCARD_TEMP) => self.card(&user, &child).await?,
            ("query", ns::PRIVATE) => self.private(&user, &child).await?,
            ("query", PRIVACY) => self.privacy(&user, &child).await?,
            ("account", own::NS) => {
                if self.report.created {
                    own::read(self.auth, self.store, &card, &child, &mut self.report).await?;
                }
                self.is_disabled = own::is_disabled(&child);
            }
            ("pubsub", ns::PUBSUB_OWNER) => {
                self.nodes.owner(self.store, &user, &child, &mut self.report).await?;
            }
            ("pubsub", ns::PUBSUB) => self.nodes.items(self.store, &user, &child, &mut self.report).await?,
            (name, ns) => self.report.remark(format!("<{name} xmlns='{ns}'/> is not known here")),
        }
        Ok(())
    }

    /// §4.5.
    pub(super) async fn offline(&mut self, message: &Element) -> Result<(), StoreError> {
        let Some((_, user)) = self.account.clone() else { return Ok(()) };
        let message = &of_client(message.clone());
        let Some(stanza) = Stanza::parse(&message.to_string()) else {
            self.report.remark("a message that waits has an address that is none");
            return Ok(());
        };
        let with = stanza.from.as_ref().map(|from| from.bare_str().to_owned()).unwrap_or_default();
        let time = stamp(message).unwrap_or_else(unix_millis);
        let body = stanza.to_bytes().to_vec();
        let hash = digest::digest(&digest::SHA256, &body);
        let mut id = format!("{time:016x}{}", shared_runtime::hex(&hash.as_ref()[..4]));
        while !self.waiting.insert(id.clone()) {
            id.push('+');
        }
        let owner = offline::queue(user.bare_str());
        self.report.offline += 1;
        self.entry(Entry { owner, id, with, time, kind: offline::KIND.to_owned(), body }).await
    }

    /// §4.11.
    pub(super) async fn archived(&mut self, result: &Element) -> Result<(), StoreError> {
        let Some((_, user)) = self.account.clone() else { return Ok(()) };
        let forwarded = result.find("forwarded", ns::FORWARD);
        let message = forwarded.and_then(|forwarded| forwarded.find("message", ns::CLIENT));
        let Some(stanza) = message.and_then(|message| Stanza::parse(&message.to_string())) else {
            self.report.remark("an archived message is none");
            return Ok(());
        };
        let is_own = |jid: &&Jid| jid.bare_str() == user.bare_str();
        let other = if stanza.from.as_ref().filter(is_own).is_some() { &stanza.to } else { &stanza.from };
        let with = other.as_ref().map_or(user.bare_str(), Jid::bare_str).to_owned();
        let time = forwarded.and_then(stamp).unwrap_or_else(unix_millis);
        let id = result.attribute("id").filter(|id| (1..=LONGEST_ID).contains(&id.len()));
        let id = id.map_or_else(|| archive::new_id(time), str::to_owned);
        let (owner, kind) = (user.bare_str().to_owned(), archive::KIND.to_owned());
        self.report.archive += 1;
        self.entry(Entry { owner, id, with, time, kind, body: stanza.to_bytes().to_vec() }).await
    }

    /// The user is whole; what became of them.
    pub(super) async fn end(mut self) -> Result<Report, StoreError> {
        self.flush().await?;
        let Some((card, user)) = self.account.clone() else { return Ok(self.report) };
        self.card_of_nodes(&user).await?;
        self.avatar(&user).await?;
        if self.is_disabled {
            self.disable(&card).await?;
        }
        self.report.credentials = self.credentials(&card).await?;
        self.report.done = !self.is_broken;
        Ok(self.report)
    }

    /// Before it gets what it logs in with: who is cut off here and comes again is not enabled by it. Whoever was there with a password stays.
    async fn disable(&mut self, card: &AccountCard) -> Result<(), StoreError> {
        let is_theirs = match self.auth.book.verifiers(card.account).await {
            Ok(verifiers) => !verifiers.is_empty(),
            Err(BookError::Store(error)) => return Err(error),
            Err(_) => true,
        };
        if is_theirs {
            return Ok(());
        }
        match self.auth.book.set_enabled(card.account, false).await {
            Ok(()) => self.report.remark("is disabled, as it was"),
            Err(BookError::Store(error)) => return Err(error),
            Err(error) => self.report.remark(error.to_string()),
        }
        Ok(())
    }

    async fn credentials(&mut self, card: &AccountCard) -> Result<&'static str, StoreError> {
        let book = &self.auth.book;
        let has = |error: BookError| match error {
            BookError::Store(error) => Err(error),
            other => Ok(other),
        };
        match book.verifiers(card.account).await {
            Ok(verifiers) if !verifiers.is_empty() => return Ok("kept"),
            Ok(_) => {}
            Err(error) => self.report.remark(has(error)?.to_string()),
        }
        if let Some(password) = self.password.take().filter(|password| !password.is_empty()) {
            match book.set_password(card.account, &password).await {
                Ok(()) => return Ok("password"),
                Err(error) => self.report.remark(has(error)?.to_string()),
            }
        }
        match book.adopt(card.account, std::mem::take(&mut self.verifiers)).await {
            Ok(0) => Ok("none"),
            Ok(_) => {
                self.report.remark(
                    "SIP cannot use SCRAM's keys: calls work once the password was typed on a page or sent by PLAIN, or is set anew",
                );
                Ok("scram")
            }
            Err(error) => {
                self.report.remark(has(error)?.to_string());
                Ok("none")
            }
        }
    }

    /// §4.4.
    async fn roster(&mut self, user: &Jid, query: &Element) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for item in query.children().filter(|item| item.is("item", ns::ROSTER)) {
            match Contact::from_item(item).filter(|(jid, _)| jid.bare_str() != user.bare_str()) {
                Some((jid, contact)) => changes.push(contact.to_change(&jid)),
                None => self.report.remark("a contact that is none"),
            }
        }
        self.report.contacts += self.add(user, changes).await?;
        Ok(())
    }

    /// §4.9.
    async fn request(&mut self, user: &Jid, presence: &Element) -> Result<(), StoreError> {
        let from = presence.attribute("from").and_then(|from| from.parse::<Jid>().ok());
        let Some(from) = from.filter(|_| presence.attribute("type") == Some("subscribe")) else {
            self.report.remark("a presence that asks for nothing");
            return Ok(());
        };
        let stanza = Stanza::parse(&presence.to_string()).map(|stanza| {
            let (from, to) = (from.to_bare(), user.to_bare());
            stanza.addressed(Some(&from), Some(&to))
        });
        let Some(stanza) = stanza else { return Ok(()) };
        let records = &self.store.records;
        let known = records.get(user.bare_str(), roster::COLLECTION, from.bare_str()).await?;
        let known = known.map(|record| serde_json::from_slice::<Contact>(&record.value).unwrap_or_default());
        let contact =
            known.unwrap_or_default().asked(String::from_utf8_lossy(&stanza.to_bytes()).into_owned());
        records.commit(user.bare_str(), &[contact.to_change(&from.to_bare())]).await?;
        self.report.contacts += 1;
        Ok(())
    }

    /// A server that keeps cards as nodes has no other: the newest of them is the card, with the avatar for its photo.
    async fn card_of_nodes(&mut self, user: &Jid) -> Result<(), StoreError> {
        let Some(four) = nodes::newest(self.store, user, "urn:xmpp:vcard4").await? else { return Ok(()) };
        let mut card = from_vcard4(&four);
        let avatar = nodes::newest(self.store, user, avatar::METADATA).await?;
        let info = avatar.as_ref().and_then(|metadata| metadata.get("info"));
        if let (Some(info), None) = (info, card.get("PHOTO"))
            && let Some(data) = nodes::newest(self.store, user, avatar::DATA).await?
        {
            let photo = Element::new("PHOTO", ns::VCARD_TEMP)
                .text_child("TYPE", info.attribute("type").unwrap_or("image/png"))
                .text_child("BINVAL", data.text());
            card = card.child(photo);
        }
        self.card(user, &card).await
    }

    /// §4.7. What it says of telephones and addresses comes where a client could write it, too.
    async fn card(&mut self, user: &Jid, card: &Element) -> Result<(), StoreError> {
        let Some((account, _)) = &self.account else { return Ok(()) };
        let addresses = Addresses::of(account.clone(), false);
        let host = account.aor.host().to_string();
        let (ours, rooms) = self.domains;
        let domains: Vec<&str> = ours.iter().chain([rooms, host.as_str()]).collect();
        let mut kept = Element::new("vCard", ns::VCARD_TEMP);
        for child in card.children() {
            let alone = Element::new("vCard", ns::VCARD_TEMP).child(child.clone());
            match tel::validate(&alone, &addresses, &domains) {
                Ok((alone, numbers)) => match self.of_another(&numbers, addresses.account).await? {
                    Some(number) => self.report.remark(format!("the tel '{number}' is somebody else's here")),
                    None => kept = kept.children_from(alone.children().cloned()),
                },
                Err(why) => self.report.remark(why),
            }
        }
        let change = RecordChange::put(CARD, CARD, kept.to_string().as_bytes());
        self.report.card |= self.add(user, vec![change]).await? > 0;
        Ok(())
    }

    /// The first number that begins one of another account.
    async fn of_another<'n>(
        &self,
        numbers: &'n [String],
        own: AccountId,
    ) -> Result<Option<&'n String>, StoreError> {
        for number in numbers {
            if self.auth.directory.do_others_begin_with(number, own).await? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// §4.6; bookmarks are items of a node here (XEP-0402).
    async fn private(&mut self, user: &Jid, query: &Element) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for element in query.children().filter(|element| !element.ns.is_empty()) {
            if element.is("storage", bookmarks::OLD) {
                let items = bookmarks::from_old(element);
                self.nodes.bookmarks(self.store, user, items, &mut self.report).await?;
                let rest = bookmarks::beside_rooms(element).map(|rest| rest.to_string());
                changes.extend(
                    rest.map(|rest| RecordChange::put(private::COLLECTION, bookmarks::REST, rest.as_bytes())),
                );
            } else {
                let key = format!("{} {}", element.ns, element.name);
                changes.push(RecordChange::put(private::COLLECTION, &key, element.to_string().as_bytes()));
            }
        }
        self.report.private += self.add(user, changes).await?;
        Ok(())
    }

    /// §4.8: whom the default list denies all is blocked.
    async fn privacy(&mut self, user: &Jid, query: &Element) -> Result<(), StoreError> {
        let default = query.get("default").and_then(|default| default.attribute("name"));
        let is_default = |list: &Element| default.is_some() && list.attribute("name") == default;
        let lists = query.children().filter(|list| list.name == "list");
        let (default, others): (Vec<&Element>, Vec<&Element>) = lists.partition(|list| is_default(list));
        let items = default.into_iter().flat_map(Element::children).filter(|item| item.name == "item");
        let denied = items.filter(|item| item.attribute("action") == Some("deny"));
        // XEP-0016 §2.1: what stands in an item says of which stanzas it is.
        let is_block =
            |item: &&Element| item.attribute("type") == Some("jid") && item.children().next().is_none();
        let (blocks, rules): (Vec<&Element>, Vec<&Element>) = denied.partition(is_block);
        if !others.is_empty() || !rules.is_empty() {
            self.report.remark("of privacy lists, what blocks an address comes, and nothing else");
        }
        let blocked = blocks.into_iter().filter_map(|item| item.attribute("value")?.parse::<Jid>().ok());
        let blocked: BTreeSet<String> =
            blocked.map(|jid| jid.as_str().to_owned()).take(blocking::MOST).collect();
        if !blocked.is_empty() {
            let value = serde_json::to_vec(&blocked).unwrap_or_default();
            self.add(user, vec![RecordChange::put(blocking::COLLECTION, blocking::KEY, &value)]).await?;
        }
        Ok(())
    }

    /// The hash of the avatar, which presences are to show.
    async fn avatar(&self, user: &Jid) -> Result<(), StoreError> {
        let records = &self.store.records;
        let card = records.get(user.bare_str(), CARD, CARD).await?;
        let card = card.and_then(|card| Element::parse(std::str::from_utf8(&card.value).ok()?, "").ok());
        let photo = card.as_ref().and_then(|card| card.get("PHOTO")?.text_of("BINVAL"));
        let photo: Option<String> = photo.map(|photo| photo.split_whitespace().collect());
        if let Some(hash) = photo.as_deref().and_then(avatar::sha1) {
            let change = RecordChange::put(CARD, avatar::KEY, hash.as_bytes());
            self.add(user, vec![change]).await?;
        }
        Ok(())
    }

    /// Writes records that are not there yet; how many.
    async fn add(&self, user: &Jid, changes: Vec<RecordChange>) -> Result<usize, StoreError> {
        let mut added = 0;
        for change in changes {
            match self.store.records.commit(user.bare_str(), &[change.expecting(Expected::Absent)]).await {
                Ok(_) => added += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(added)
    }

    async fn entry(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.entries.push(entry);
        if self.entries.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if !self.entries.is_empty() {
            self.store.archive.append(&self.entries).await?;
            self.entries.clear();
        }
        Ok(())
    }
}

enum Refused {
    Store(StoreError),
    Because(String),
}

/// The account of a JID, new if there is none; whether it is new.
async fn account(auth: &Auth, name: &str) -> Result<(AccountCard, Jid, bool), Refused> {
    let because = |why: &str| Refused::Because(why.to_owned());
    let jid: Jid = name.parse().map_err(|_| because("this is no address"))?;
    let bare: BareJid = jid.bare_str().parse().map_err(|_| because("this is no address of an account"))?;
    if let Some(card) = auth.directory.by_jid(&bare).await.map_err(Refused::Store)? {
        return Ok((card, jid, false));
    }
    let aor: Aor = jid.bare_str().parse().map_err(|_| because("this is no address for calls"))?;
    match auth.book.create_locked(NewAccount { aor, jid: bare, profile: Profile::default() }).await {
        Ok(card) => Ok((card, jid, true)),
        Err(BookError::Store(error)) if !matches!(error, StoreError::Taken(_)) => Err(Refused::Store(error)),
        Err(error) => Err(Refused::Because(error.to_string())),
    }
}

/// §4.3.
fn verifier(credentials: &Element) -> Option<ScramVerifier> {
    let hash = match credentials.attribute("mechanism")? {
        "SCRAM-SHA-1" => ScramHash::Sha1,
        "SCRAM-SHA-256" => ScramHash::Sha256,
        "SCRAM-SHA-512" => ScramHash::Sha512,
        _ => return None,
    };
    let bytes = |name: &str| STANDARD.decode(credentials.text_of(name)?.trim()).ok();
    Some(ScramVerifier {
        hash,
        salt: bytes("salt")?,
        iterations: credentials.text_of("iter-count")?.trim().parse().ok()?,
        stored_key: bytes("stored-key")?,
        server_key: bytes("server-key")?,
    })
}

/// Prosody 0.12 names no namespace of a request: it is that of the file, then.
fn of_client(element: Element) -> Element {
    let ns = if element.ns == PIE { ns::CLIENT.to_owned() } else { element.ns };
    let of_client = |node| match node {
        Node::Element(child) => Node::Element(of_client(child)),
        text => text,
    };
    Element { ns, nodes: element.nodes.into_iter().map(of_client).collect(), ..element }
}

fn stamp(around: &Element) -> Option<i64> {
    parse_date_time(around.find("delay", ns::DELAY)?.attribute("stamp")?)
}

/// The collection of cards, and the key of the one in it.
const CARD: &str = "vcard";
/// Entries that are written at once.
const BATCH: usize = 200;
const LONGEST_ID: usize = 255;
