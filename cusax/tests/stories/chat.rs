//! A chat client: raw XML over the stream of one resource.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine;
use xmpp_core::xml::{Element, Frame, Framer, Limits, Node};

use crate::service::{DOMAIN, PASSWORD};

/// One resource of one account.
pub(crate) struct Chat {
    name: String,
    /// As the client writes it, and as the server does.
    domain: (String, String),
    resource: String,
    socket: TcpStream,
    framer: Framer,
}

impl Chat {
    pub(crate) fn new(name: &str, resource: &str, port: u16) -> Self {
        Self::at(name, (DOMAIN, DOMAIN), resource, port)
    }

    pub(crate) fn at(name: &str, (written, heard): (&str, &str), resource: &str, port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (name, resource) = (name.to_owned(), resource.to_owned());
        let domain = (written.to_owned(), heard.to_owned());
        Self { name, domain, resource, socket, framer: Framer::new(Limits::default()) }
    }

    /// Logs in, binds the resource, and is available.
    pub(crate) fn log_in(&mut self) {
        self.open();
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{}\0{PASSWORD}", self.name));
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"
        ));
        self.receive("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.framer = Framer::new(Limits::default());
        self.open();
        let resource = &self.resource;
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ));
        self.receive("<iq type='result' id='bind'/>");
        self.send("<presence/>");
        let own = format!("<presence from='{}@{}/{}'/>", self.name, self.domain.1, self.resource);
        self.receive(&own);
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for a stanza that holds all that `pattern` says; others are passed over.
    pub(crate) fn receive(&mut self, pattern: &str) -> Element {
        let wanted = Element::parse(pattern, "jabber:client").unwrap();
        let mut seen = Vec::new();
        let end = Instant::now() + PATIENCE;
        while let Some(stanza) = self.next(end) {
            if holds(&stanza, &wanted) {
                return stanza;
            }
            let mut text = String::new();
            stanza.print("", &mut text);
            seen.push(text);
        }
        panic!("{}/{} did not get\n{pattern}\nbut\n{}", self.name, self.resource, seen.join("\n"));
    }

    fn open(&mut self) {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{}' version='1.0'>",
            self.domain.0
        ));
        self.receive("<features xmlns='http://etherx.jabber.org/streams'/>");
    }

    fn next(&mut self, end: Instant) -> Option<Element> {
        loop {
            match self.framer.next().expect("the server writes XML") {
                Some(Frame::Element(head, content)) => {
                    let content = std::str::from_utf8(&content).unwrap();
                    let children = Element::parse_content(content, &head.ns, &head.prefixes).unwrap();
                    let nodes = children.into_iter().map(Node::Element).collect();
                    return Some(Element {
                        name: head.name,
                        ns: head.ns,
                        attributes: head.attributes,
                        nodes,
                    });
                }
                Some(_) => continue,
                None => {}
            }
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 4_096];
            match self.socket.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.framer.push(&buffer[..length]),
            }
        }
    }
}

/// Whether `element` has the name, attributes, text and children that `wanted` has, whatever else it has.
fn holds(element: &Element, wanted: &Element) -> bool {
    let text = wanted.text();
    element.is(&wanted.name, &wanted.ns)
        && wanted
            .attributes
            .iter()
            .filter(|(name, _)| name != "xmlns")
            .all(|(name, value)| element.attribute(name) == Some(value))
        && (text.trim().is_empty() || element.text() == text)
        && wanted.children().all(|child| element.children().any(|candidate| holds(candidate, child)))
}

/// How long a scene may take.
const PATIENCE: Duration = Duration::from_secs(10);
