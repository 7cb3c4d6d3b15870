//! Files of users, read from front to back — XEP-0227 1.1, sections 4 (format), 5 (XInclude).
//!
//! In    a file, or a folder of them; a main file before those that it includes, each file once.
//! Out   [`Found`] in the order of the files. Archives and waiting messages come one by one, all else by the element.
//! Errors an element of more than [`MOST_BYTES`], a document that is none, a file that is not there: [`Found::Broken`], and the
//!        rest of that file is left. Files include files of their own folder and below alone, [`DEEPEST`] levels deep.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use xmpp_core::xml::{Document, Piece};
use xmpp_core::{Element, ns};

use super::{PIE, PIE_MAM, TransferError, XINCLUDE};

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    User {
        host: String,
        name: String,
        password: Option<String>,
    },
    /// Something of the user's that is neither of the two below.
    Child(Element),
    /// A message that waits.
    Offline(Element),
    /// A `<result/>` of the archive.
    Archived(Element),
    End,
    /// What is wrong; the file, and the user with it, ends here.
    Broken(String),
}

/// Where in the format we are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Data,
    Host(String),
    User,
    Offline,
    Archive,
}

struct Open {
    path: PathBuf,
    document: Document<BufReader<File>>,
    /// Levels that were open around it.
    base: usize,
}

pub(super) struct Files {
    waiting: VecDeque<PathBuf>,
    done: HashSet<PathBuf>,
    open: Vec<Open>,
    levels: Vec<Level>,
    found: VecDeque<Found>,
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Self, TransferError> {
        let failed = |error| TransferError::File { path: path.to_owned(), error };
        let mut waiting = Vec::new();
        if path.metadata().map_err(failed)?.is_dir() {
            for entry in std::fs::read_dir(path).map_err(failed)? {
                let file = entry.map_err(failed)?.path();
                if file.extension().is_some_and(|ending| ending == "xml") && file.is_file() {
                    waiting.push(file);
                }
            }
            // Main files first, so that what they include is read in its place and not again.
            waiting.sort_by_cached_key(|file| (!is_main(file), file.clone()));
        } else {
            waiting.push(path.to_owned());
        }
        let (open, levels, found) = (Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { waiting: waiting.into(), done: HashSet::new(), open, levels, found })
    }

    /// The file that was read last, where it is still open.
    pub(super) fn file(&self) -> Option<&Path> {
        self.open.last().map(|file| file.path.as_path())
    }

    /// The next thing in the files.
    pub(super) fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            if self.open.is_empty() {
                let path = self.waiting.pop_front()?;
                self.enter(&path);
                continue;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let Some(file) = self.open.last_mut() else { return };
        match file.document.next() {
            Ok(Some(Piece::Open(head))) => self.opened(head),
            Ok(Some(Piece::Close)) => {
                if self.levels.pop() == Some(Level::User) {
                    self.found.push_back(Found::End);
                }
            }
            Ok(None) => {
                self.open.pop();
            }
            Err(error) => self.broken(&error.to_string()),
        }
    }

    fn opened(&mut self, head: Element) {
        if head.is("include", XINCLUDE) && self.levels.last().is_none_or(Level::may_include) {
            return self.include(&head);
        }
        let next = match (self.levels.last(), head.name.as_str(), head.ns.as_str()) {
            (None, "server-data", PIE) => Some(Level::Data),
            (None | Some(Level::Data), "host", PIE) => {
                head.attribute("jid").map(|jid| Level::Host(jid.to_owned()))
            }
            (Some(Level::Host(host)), "user", PIE) => {
                let (host, name) = (host.clone(), head.attribute("name").unwrap_or_default().to_owned());
                let password = head.attribute("password").map(str::to_owned);
                self.found.push_back(Found::User { host, name, password });
                Some(Level::User)
            }
            (Some(Level::User), "offline-messages", _) => Some(Level::Offline),
            (Some(Level::User), "archive", PIE_MAM) => Some(Level::Archive),
            _ => None,
        };
        if let Some(next) = next {
            return self.levels.push(next);
        }
        let is_of_user = self.levels.last().is_some_and(Level::is_of_user);
        let Some(file) = self.open.last_mut() else { return };
        if !is_of_user {
            // Unknown, and perhaps all there is: §4 asks to pass it over.
            match file.document.skip() {
                Ok(()) => {}
                Err(error) => self.broken(&error.to_string()),
            }
            return;
        }
        match (file.document.rest(head), self.levels.last()) {
            (Ok(message), Some(Level::Offline)) if message.name == "message" => {
                self.found.push_back(Found::Offline(message));
            }
            (Ok(result), Some(Level::Archive)) if result.is("result", ns::MAM) => {
                self.found.push_back(Found::Archived(result));
            }
            (Ok(_), Some(Level::Offline | Level::Archive)) => {}
            (Ok(child), _) => self.found.push_back(Found::Child(child)),
            (Err(error), _) => self.broken(&error.to_string()),
        }
    }

    /// §5: relative, the whole of a document, and nothing but.
    fn include(&mut self, include: &Element) {
        let Some(file) = self.open.last_mut() else { return };
        if let Err(error) = file.document.skip() {
            return self.broken(&error.to_string());
        }
        let is_plain = include.attribute("xpointer").is_none()
            && include.attribute("parse").is_none_or(|parse| parse == "xml");
        let href = include.attribute("href").unwrap_or_default();
        let name = percent_encoding::percent_decode_str(href).decode_utf8_lossy().into_owned();
        let is_below = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let folder = file.path.parent().map(Path::to_owned).unwrap_or_default();
        if !is_plain || name.is_empty() || !is_below {
            return self
                .found
                .push_back(Found::Broken(format!("`{href}` is not included: it is not below this file")));
        }
        if self.open.len() >= DEEPEST {
            return self.found.push_back(Found::Broken(format!("`{href}` is not included: too deep")));
        }
        // Names may stand in the file as they are, or as a URI writes them.
        let (plain, decoded) = (folder.join(href), folder.join(name));
        self.enter(if plain.exists() { &plain } else { &decoded });
    }

    fn enter(&mut self, path: &Path) {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !self.done.insert(canonical) {
            return;
        }
        match File::open(path) {
            Ok(file) => {
                let document = Document::new(BufReader::with_capacity(65_536, file), MOST_BYTES);
                self.open.push(Open { path: path.to_owned(), document, base: self.levels.len() });
            }
            Err(error) => self.found.push_back(Found::Broken(format!("{}: {error}", path.display()))),
        }
    }

    /// Leaves a file that is none, and the user that it was about.
    fn broken(&mut self, why: &str) {
        let Some(file) = self.open.pop() else { return };
        self.found.push_back(Found::Broken(format!("{}: {why}", file.path.display())));
        let had_user = self.levels.get(file.base..).is_some_and(|levels| levels.contains(&Level::User));
        self.levels.truncate(file.base);
        if had_user {
            self.found.push_back(Found::End);
        }
    }
}

impl Level {
    /// Whether what stands here is the user's own, or around it.
    fn is_of_user(&self) -> bool {
        matches!(self, Self::User | Self::Offline | Self::Archive)
    }

    /// Whether files may be included here (§5: not below a child of the user).
    fn may_include(&self) -> bool {
        !matches!(self, Self::Offline | Self::Archive)
    }
}

/// Whether a file is one that includes others.
fn is_main(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let first = Document::new(BufReader::new(file), 65_536).next();
    matches!(first, Ok(Some(Piece::Open(root))) if root.is("server-data", PIE))
}

/// Bytes of one element: a card with a large picture, all items of a node.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Files inside files.
const DEEPEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("cusax-files-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder); // of an earlier run
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn read(path: &Path) -> Vec<Found> {
        let mut files = Files::open(path).unwrap();
        let found = std::iter::from_fn(|| files.next()).take(100).collect();
        let _ = std::fs::remove_dir_all(path); // what is left is of the test alone
        found
    }

    fn user(name: &str) -> Found {
        Found::User { host: "x".into(), name: name.into(), password: None }
    }

    #[test]
    fn files_are_read_where_they_are_included_and_once() {
        let main = "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='a-host.xml'/></server-data>";
        let host = "<host xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude' jid='x'>\
                    <xi:include href='x/a.xml'/><user name='b'><offline-messages><message xmlns='jabber:client'/></offline-messages>\
                    <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='1'/></archive></user></host>";
        let a = "<user xmlns='urn:xmpp:pie:0' name='a'><vCard xmlns='vcard-temp'/></user>";
        let found = read(&folder("once", &[("main.xml", main), ("a-host.xml", host), ("x/a.xml", a)]));
        let result = Element::new("result", ns::MAM).with("id", "1");
        assert_eq!(
            found,
            [
                user("a"),
                Found::Child(Element::new("vCard", ns::VCARD_TEMP)),
                Found::End,
                user("b"),
                Found::Offline(Element::new("message", ns::CLIENT)),
                Found::Archived(result),
                Found::End
            ]
        );
    }

    #[test]
    fn a_broken_file_costs_its_user_and_no_other() {
        let file = |name: &str, inner: &str| {
            format!(
                "<server-data xmlns='urn:xmpp:pie:0'><host jid='x'><user name='{name}'>{inner}</user></host></server-data>"
            )
        };
        let (a, b) = (file("a", "<vCard xmlns='vcard-temp'><FN>"), file("b", ""));
        let found = read(&folder("broken", &[("a.xml", &a), ("b.xml", &b)]));
        assert_eq!(found[0], user("a"));
        assert!(matches!(&found[1], Found::Broken(why) if why.contains("a.xml")), "{found:?}");
        assert_eq!(found[2..], [Found::End, user("b"), Found::End]);
    }

    #[test]
    fn nothing_is_included_from_elsewhere_and_nothing_for_ever() {
        let include = |href: &str| {
            format!(
                "<server-data xmlns='urn:xmpp:pie:0'><i:include xmlns:i='http://www.w3.org/2001/XInclude' href='{href}'/></server-data>"
            )
        };
        for href in ["/etc/passwd", "../other.xml", "%2e%2e/other.xml", "", "missing.xml"] {
            let found = read(&folder("elsewhere", &[("a.xml", &include(href))]));
            assert!(matches!(found[..], [Found::Broken(_)]), "{href}: {found:?}");
        }
        let found = read(&folder("itself", &[("a.xml", &include("b.xml")), ("b.xml", &include("a.xml"))]));
        assert_eq!(found, [], "each file is read once");
    }
}
