//! Search among the accounts of this service — XEP-0055 1.3, sections 2.1 (searching), 3 (forms), XEP-0059 1.0 (pages).
//!
//! In    a get for the fields, a set with some of them, at `directory.<domain>`, of an account of this service.
//! Out   names and addresses of accounts that may log in, have a name, and are found by who asks; at most [`MOST_FOUND`] on a page. Where there
//!       may be more, a form says so, and `<set/>` after which to go on.
//! State when each account searched last: bounded.
//! Errors `forbidden` to others; `not-acceptable` for less than three letters in every field: nobody reads the book through;
//!        who fills in nothing finds nothing (§2.1);
//!        `feature-not-implemented` for pages from the end; `item-not-found` for one after nobody;
//!        `resource-constraint` to who searches more often than [`OFTEN`] times a minute.
//! The address by which one calls (RFC 7081 §3.5) is in the form alone: the other answer has no place for it.
//! Not here: cards. What an account shows to all is its name; the rest is asked of the account.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_auth::AccountCard;
use shared_model::{Aor, BareJid, Spec, Unavailable, Visibility, finds as finds_by};
use xmpp_core::payload::disco::Info;
use xmpp_core::payload::form::{Field, Form, table};
use xmpp_core::payload::rsm::{self, Place, Wish};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::{Answered, Feature, Request, Target, not_now, store_failed};
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[
        Spec::xep(55, "1.3").note("names and addresses of the service's own accounts that are to be found")
    ],
    takes: &[("query", ns::SEARCH)],
    server: &[],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

/// What the directory says of itself.
pub(super) fn info() -> Info {
    Info {
        identities: vec![("directory", "user", "Users of this service".to_owned())],
        features: vec![ns::DISCO_INFO, ns::DISCO_ITEMS, ns::SEARCH, ns::RSM, ns::PING],
        forms: Vec::new(),
    }
}

/// When each account searched, here and among rooms, and where its searches may go on.
#[derive(Default)]
pub(crate) struct Searches {
    times: DashMap<String, VecDeque<Instant>>,
    /// By an id that says nothing: who asked, and behind whose AOR.
    places: DashMap<String, (String, Aor)>,
}

impl Searches {
    /// Whether an account may search now, and counts it.
    pub(crate) fn may(&self, who: &str, now: Instant) -> bool {
        let is_old = |at: &Instant| now.duration_since(*at) >= MINUTE;
        if self.times.len() >= MOST_SEARCHERS {
            self.times.retain(|_, times| times.back().is_some_and(|at| !is_old(at)));
        }
        let mut times = self.times.entry(who.to_owned()).or_default();
        while times.front().is_some_and(is_old) {
            times.pop_front();
        }
        let may = times.len() < OFTEN;
        if may {
            times.push_back(now);
        }
        may
    }

    /// Notes where somebody's search may go on; the id by which they ask for it.
    fn put(&self, server: &Server, who: &str, behind: Aor) -> String {
        if self.places.len() >= MOST_PLACES {
            self.places.clear();
        }
        let id = server.new_id();
        self.places.insert(id.clone(), (who.to_owned(), behind));
        id
    }

    fn place(&self, who: &str, id: &str) -> Option<Aor> {
        self.places.get(id).filter(|place| place.0 == who).map(|place| place.1.clone())
    }
}

async fn answer(server: &Server, request: &Request) -> Answered {
    if request.target != Target::Directory {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    if !server.is_home(request.from.domain()) {
        return Err(ErrorKind::Forbidden.into());
    }
    if !request.is_set {
        return Ok(fields().into());
    }
    let form = request.payload.find("x", ns::FORM).and_then(Form::parse);
    let wanted = |name: &str| {
        let text = match &form {
            Some(form) => form.value(name).map(str::to_owned),
            None => request.payload.text_of(name),
        };
        text.map(|text| text.trim_matches(|c: char| c == '*' || c.is_whitespace()).to_lowercase())
            .filter(|text| !text.is_empty())
    };
    let wanted = Wanted { first: wanted("first"), last: wanted("last"), nick: wanted("nick") };
    if wanted.is_nothing() {
        return Ok(show(&Found::default(), form.is_some()).into());
    }
    wanted.check()?;
    if !server.searches.may(request.from.bare_str(), Instant::now()) {
        let why = "searches are limited: wait a minute";
        return Err(StanzaError::because(ErrorKind::ResourceConstraint, why));
    }
    let (after, most) = place(server, &request.from, &Wish::parse(&request.payload)?)?;
    let found = find(server, &wanted, &request.from, after, most).await?;
    Ok(show(&found, form.is_some()).into())
}

/// §2.1, §3: the fields, for clients that know forms and those that do not.
fn fields() -> Element {
    let form = Form::new("form", ns::SEARCH).titled("Search for users");
    let form = COLUMNS[..3]
        .iter()
        .fold(form, |form, (var, type_, label)| form.with(Field::empty(var, type_, label)));
    ["first", "last", "nick"]
        .iter()
        .fold(Element::new("query", ns::SEARCH).text_child("instructions", HOW), |query, name| {
            query.child(Element::new(name, ns::SEARCH))
        })
        .child(form.to_element())
}

/// What is looked for, in lower case; what is not said fits all.
struct Wanted {
    first: Option<String>,
    last: Option<String>,
    nick: Option<String>,
}

impl Wanted {
    fn is_nothing(&self) -> bool {
        [&self.first, &self.last, &self.nick].into_iter().all(Option::is_none)
    }

    fn check(&self) -> Result<(), StanzaError> {
        let said: Vec<&String> = [&self.first, &self.last, &self.nick].into_iter().flatten().collect();
        let is_long = |text: &&String| text.chars().count() >= LEAST_LETTERS;
        if !said.iter().any(is_long) || said.iter().any(|text| text.len() > LONGEST) {
            return Err(StanzaError::because(ErrorKind::NotAcceptable, HOW));
        }
        Ok(())
    }

    fn fits(&self, account: &AccountCard) -> bool {
        let name = account.name.to_lowercase();
        let (first, last) = split(&name);
        let begins = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| text.split(' ').any(|word| word.starts_with(wanted.as_str())))
        };
        let nick = self.nick.as_ref().is_none_or(|nick| {
            account.jid.local().to_lowercase().starts_with(nick.as_str()) || name.contains(nick.as_str())
        });
        account.enabled && !name.is_empty() && nick && begins(&self.first, first) && begins(&self.last, last)
    }
}

/// A page of those who are found, in the order of their AORs.
#[derive(Default)]
struct Found {
    accounts: Vec<AccountCard>,
    /// By what to go on, where there may be more. It is no address: whoever was looked at last may not be found.
    more: Option<String>,
}

/// Behind whose AOR a page begins, and how many are on it.
fn place(server: &Server, asker: &Jid, wish: &Wish) -> Result<(Option<Aor>, usize), StanzaError> {
    let after = match &wish.place {
        Place::First => None,
        Place::After(id) => Some(server.searches.place(asker.bare_str(), id).ok_or(ErrorKind::ItemNotFound)?),
        Place::Before(_) | Place::Last => return Err(ErrorKind::FeatureNotImplemented.into()),
    };
    Ok((after, wish.max.unwrap_or(MOST_FOUND).clamp(1, MOST_FOUND)))
}

/// Those who are found by who asks.
async fn find(
    server: &Server,
    wanted: &Wanted,
    asker: &Jid,
    mut after: Option<Aor>,
    most: usize,
) -> Result<Found, StanzaError> {
    let (mut found, mut judged) = (Found::default(), 0);
    let go_on = |behind: Option<Aor>| behind.map(|aor| server.searches.put(server, asker.bare_str(), aor));
    for _ in 0..MOST_PAGES {
        let page = server.auth.directory.list(after.as_ref(), PAGE).await;
        let (page, more) = page.map_err(|error| store_failed(&error))?;
        for account in page {
            if found.accounts.len() >= most || judged >= MOST_JUDGED {
                found.more = go_on(after);
                return Ok(found);
            }
            after = Some(account.aor.clone());
            if wanted.fits(&account) {
                judged += 1;
                if finds(server, asker, &account).await? {
                    found.accounts.push(account);
                }
            }
        }
        if !more {
            return Ok(found);
        }
    }
    found.more = go_on(after);
    Ok(found)
}

/// Whether an account finds another whose address it does not know ([`shared_model::finds`]).
pub(crate) async fn finds(server: &Server, asker: &Jid, found: &AccountCard) -> Result<bool, StanzaError> {
    let Ok(bare) = asker.bare_str().parse::<BareJid>() else { return Ok(false) };
    let is_contact = async {
        let contact = server.rosters.get(found.jid.as_str(), &asker.to_bare()).await;
        contact.map(|contact| contact.is_agreed()).map_err(|error| {
            tracing::error!(%error, "it is not known whether somebody is a contact");
            Unavailable
        })
    };
    let visibility = server.visibility.get().map_or(&() as &dyn Visibility, |it| &**it);
    let found = (found.account, &found.aor, &found.jid);
    let finds = finds_by(&bare, found, visibility, Box::pin(is_contact)).await;
    finds.map_err(|Unavailable| not_now())
}

fn show(found: &Found, as_form: bool) -> Element {
    let query = Element::new("query", ns::SEARCH);
    let values = |account: &AccountCard| {
        let (first, last) = split(&account.name);
        [first, last, account.jid.local(), account.jid.as_str(), &account.aor.to_sip_uri()].map(str::to_owned)
    };
    let query = if as_form {
        let form = table(ns::SEARCH, COLUMNS, found.accounts.iter().map(|account| values(account).to_vec()));
        query.child(match found.more {
            Some(_) => form.text_child("instructions", MORE),
            None => form,
        })
    } else {
        query.children_from(found.accounts.iter().map(|account| {
            let [first, last, nick, jid, _] = values(account);
            Element::new("item", ns::SEARCH)
                .with("jid", jid)
                .text_child("first", first)
                .text_child("last", last)
                .text_child("nick", nick)
        }))
    };
    // How many there are, nobody counted.
    match (found.accounts.first(), &found.more) {
        (Some(first), Some(more)) => {
            query.child(rsm::answer(Some((first.jid.as_str(), more.as_str())), None, None))
        }
        // XEP-0059 §2.1: a page of nobody has no last one.
        (None, Some(_)) if !as_form => query.text_child("instructions", MORE),
        _ => query,
    }
}

/// §4: the given name comes first here, whatever people say first. One word is a given name.
fn split(name: &str) -> (&str, &str) {
    name.split_once(' ').unwrap_or((name, ""))
}

const COLUMNS: &[(&str, &str, &str)] = &[
    ("first", "text-single", "Given name"),
    ("last", "text-single", "Family name"),
    ("nick", "text-single", "Nick"),
    ("jid", "jid-single", "Address"),
    ("aor", "text-single", "Calls"),
];
const HOW: &str = "Fill in one or more fields, and at least three letters of one of them.";
const MORE: &str = "There may be more than are shown: say more letters, or ask for those that come next.";
const LEAST_LETTERS: usize = 3;
const LONGEST: usize = 256;
/// Accounts on a page.
const MOST_FOUND: usize = 50;
/// Accounts of fitting names whose wish is asked for, for one page.
const MOST_JUDGED: usize = 500;
/// Accounts read at once, and how often for one page.
const PAGE: usize = 500;
const MOST_PAGES: usize = 40;
/// Searches of one account in a minute.
const OFTEN: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
const MOST_SEARCHERS: usize = 10_000;
const MOST_PLACES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_searches_too_often_waits() {
        let searches = Searches::default();
        let start = Instant::now();
        assert!((0..OFTEN).all(|_| searches.may("a@x", start)));
        assert!(!searches.may("a@x", start) && searches.may("b@x", start));
        assert!(searches.may("a@x", start + MINUTE));
    }
}
