//! Properties of the XML layer: no bytes panic, cutting changes nothing, printing is undone by parsing.

use proptest::prelude::*;
use xmpp_core::stream::component::Component;
use xmpp_core::stream::server::{Greeting, Initiating, Pair, Purpose, Receiving, Wish};
use xmpp_core::xml::{Element, Frame, Framer, Limits, Node};
use xmpp_core::{Jid, Kind, Stanza, ns};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";

fn frames(bytes: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let mut framer = Framer::new(Limits { bytes: 4096, depth: 16, attributes: 8, prefixes: 8 });
    let mut out = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(_) => return (out, false),
            }
        }
    }
    (out, true)
}

fn text() -> impl Strategy<Value = String> {
    "[ -~\t\n\r\u{A0}-\u{2FF}\u{1F600}-\u{1F610}]{0,12}"
}

fn element() -> impl Strategy<Value = Element> {
    let leaf = ("[a-z]{1,5}", "[a-z:]{1,8}", prop::collection::btree_map("[a-z]{1,4}", text(), 0..3));
    let leaf = leaf.prop_map(|(name, ns, attributes)| Element {
        attributes: attributes.into_iter().filter(|(name, _)| name != "xmlns").collect(),
        ..Element::new(&name, &ns)
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let node = prop_oneof![
            inner.clone().prop_map(Node::Element),
            text().prop_filter("text is not empty", |text| !text.is_empty()).prop_map(Node::Text)
        ];
        (inner, prop::collection::vec(node, 0..4)).prop_map(|(mut parent, nodes)| {
            parent.nodes.clear();
            for node in nodes {
                match (parent.nodes.last(), &node) {
                    (Some(Node::Text(_)), Node::Text(_)) => {} // two texts in a row are one
                    _ => parent.nodes.push(node),
                }
            }
            parent
        })
    })
}

/// Bytes that look like XML often enough to get past the first tag.
fn xmlish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "/",
        "</",
        "/>",
        "a",
        "b:c",
        " ",
        "'",
        "\"",
        "=",
        "&",
        "&amp;",
        "&#0;",
        "xmlns",
        ":",
        "<!--",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<message",
        "</message>",
        " xmlns:b='u'",
        "<body>",
        "</body>",
        "é",
        "\u{1}",
    ]);
    prop::collection::vec(
        prop_oneof![9 => piece.prop_map(|p| p.as_bytes().to_vec()), 1 => any::<Vec<u8>>()],
        0..40,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_and_cutting_changes_nothing(bytes in xmlish(), step in 1_usize..9) {
        let all = [HEADER, &bytes].concat();
        let (whole, ok) = frames(&all, all.len());
        let (cut, cut_ok) = frames(&all, step);
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(ok, cut_ok);
        for frame in whole {
            if let Frame::Element(head, content) = frame
                && let Ok(stanza) = Stanza::from_frame(&head, content)
            {
                stanza.children();
            }
        }
    }

    /// Another server, or a component, may say anything at any moment; what is taken from it is sound in its new namespace.
    #[test]
    fn no_bytes_panic_between_servers(bytes in xmlish(), greets in any::<bool>()) {
        let header = String::from_utf8_lossy(HEADER).replace("jabber:client'", "jabber:server' xmlns:b='u'");
        let (mut receiving, mut component, mut out) = (Receiving::default(), Component::default(), String::new());
        let pair = Pair::new("ours.example", "theirs.example");
        let wish = Wish {
            pair: pair.clone(),
            purpose: Purpose::Speak,
            is_secure: true,
            require_tls: false,
            dialback: true,
            authzid: String::new(),
            limits: Default::default(),
        };
        let mut initiating = Initiating::new(wish, &mut out);
        for frame in frames(&[header.as_bytes(), &bytes].concat(), 64).0 {
            let _ = initiating.handle(frame.clone(), &mut out);
            let _ = receiving.handle(frame.clone(), &mut out);
            let _ = component.handle(frame.clone());
            if greets && matches!(frame, Frame::Open(_)) {
                let greeting = Greeting { starttls: true, dialback: true, ..Greeting::default() };
                receiving.greet(greeting, "ours.example", Some("theirs.example"), "id", &mut out);
                receiving.talk.prove(pair.clone());
                component.greet("ours.example", "id", &mut out);
                component.accepted(&mut out);
            }
            if let Frame::Element(head, content) = frame
                && let Ok(stanza) = Stanza::from_foreign_frame(ns::SERVER, head, content)
            {
                let printed = String::from_utf8(stanza.to_bytes().to_vec()).unwrap();
                prop_assert!(Element::parse(&printed, ns::CLIENT).is_ok(), "{}", printed);
                let printed = String::from_utf8(stanza.to_foreign_bytes().to_vec()).unwrap();
                prop_assert!(Element::parse(&printed, ns::SERVER).is_ok(), "{}", printed);
            }
        }
    }

    #[test]
    fn what_is_framed_is_read_as_a_tree_and_printed_again(bytes in xmlish()) {
        for frame in frames(&[HEADER, &bytes].concat(), 64).0 {
            let Frame::Element(head, content) = frame else { continue };
            let text = std::str::from_utf8(&content).unwrap();
            let children = Element::parse_content(text, &head.ns, &head.prefixes);
            prop_assert!(children.is_ok(), "the framer let through what the tree does not read: {text}");
        }
    }

    #[test]
    fn parsing_undoes_printing(element in element()) {
        prop_assert_eq!(Element::parse(&element.to_string(), "").unwrap(), element.clone());
        let stanza = Stanza::new(Kind::Message, Some("chat")).with_id(Some("1")).with(&element);
        let text = String::from_utf8(stanza.to_bytes().to_vec()).unwrap();
        prop_assert_eq!(Stanza::parse(&text).unwrap().children(), vec![element.clone()]);
        let framed = frames(&[HEADER, text.as_bytes()].concat(), 7);
        prop_assert_eq!(framed.0.len(), 2, "what we print is what we let through: {}", text);
    }

    #[test]
    fn a_jid_is_its_own_preparation(text in "\\PC{0,40}") {
        if let Ok(jid) = text.parse::<Jid>() {
            prop_assert_eq!(jid.as_str().parse::<Jid>().unwrap(), jid);
        }
    }
}
