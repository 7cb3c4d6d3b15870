use super::*;
use crate::xml::{Framer, Limits};

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                      to='x' version='1.0'>";

fn offer() -> Offer {
    Offer { domain: "x".into(), mechanisms: vec!["PLAIN"], starttls: true, ..Offer::default() }
}

fn run(machine: &mut Negotiation, text: &str) -> Result<(Option<Request>, String), StreamError> {
    let mut framer = Framer::new(Limits::default());
    if !text.starts_with("<stream") {
        framer.push(HEADER.as_bytes());
        framer.next().unwrap();
    }
    framer.push(text.as_bytes());
    let mut out = String::new();
    let frame = framer.next().unwrap().unwrap();
    machine.handle(frame, "id", &mut out).map(|request| (request, out))
}

#[test]
fn scram_is_offered_where_passwords_are_ours() {
    let offer = Offer {
        others: ["y".into()].into(),
        kept_elsewhere: ["x".into()].into(),
        mechanisms: vec!["SCRAM-SHA-256", "PLAIN"],
        ..offer()
    };
    let scram = "<mechanism>SCRAM-SHA-256</mechanism>";
    let mut it = Negotiation::new(offer.clone());
    let text = run(&mut it, HEADER).unwrap().1;
    assert!(!text.contains(scram) && text.contains("<mechanism>PLAIN</mechanism>"), "{text}");
    let asked = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>AA==</auth>";
    assert!(run(&mut it, asked).unwrap().1.contains("invalid-mechanism"));
    let mut it = Negotiation::new(offer);
    assert!(run(&mut it, &HEADER.replace("to='x'", "to='y'")).unwrap().1.contains(scram));
}

#[test]
fn goes_from_header_to_bound() {
    let mut it = Negotiation::new(offer());
    assert!(run(&mut it, HEADER).unwrap().1.contains("<mechanism>PLAIN</mechanism>"));
    let (request, _) =
        run(&mut it, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>").unwrap();
    assert_eq!(request, Some(Request::Auth { mechanism: "PLAIN", initial: Some("AA==".into()) }));
    let mut out = String::new();
    it.proven(None, &mut out);
    assert!(run(&mut it, HEADER).unwrap().1.contains("xmpp-bind"));
    let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>";
    let (request, _) = run(&mut it, bind).unwrap();
    let Some(Request::Bind { request, resource }) = request else { panic!() };
    assert_eq!(resource.as_deref(), Some("r"));
    it.bound(&request, &"a@x/r".parse().unwrap(), &mut out);
    assert!(matches!(run(&mut it, "<message/>").unwrap().0, Some(Request::Stanza(..))));
}

#[test]
fn what_names_no_language_is_in_that_of_its_stream() {
    let said = |lang: &str, stanza: &str| {
        let header = HEADER.replace(" version", &format!(" xml:lang='{lang}' version"));
        let mut it = Negotiation::new(Offer { starttls: false, ..offer() });
        let mut out = String::new();
        run(&mut it, &header).unwrap();
        run(&mut it, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>").unwrap();
        it.proven(None, &mut out);
        run(&mut it, &header).unwrap();
        let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let Some(Request::Bind { request, .. }) = run(&mut it, bind).unwrap().0 else { panic!() };
        it.bound(&request, &"a@x/r".parse().unwrap(), &mut out);
        let Some(Request::Stanza(stanza, _)) = run(&mut it, stanza).unwrap().0 else { panic!() };
        String::from_utf8_lossy(&stanza.to_bytes()).into_owned()
    };
    assert_eq!(said("de-CH", "<message id='1'/>"), "<message id='1' xml:lang='de-CH'/>");
    assert_eq!(said("de", "<message xml:lang='fr'/>"), "<message xml:lang='fr'/>");
    for ours in ["en", "", "&lt;x"] {
        assert_eq!(said(ours, "<message/>"), "<message/>", "{ours}");
    }
}

#[test]
fn serves_nothing_before_the_proof() {
    let mut it = Negotiation::new(offer());
    run(&mut it, HEADER).unwrap();
    assert_eq!(run(&mut it, "<message/>").unwrap_err().condition, StreamCondition::NotAuthorized);
}

#[test]
fn names_a_host_that_is_not_served_and_an_old_version() {
    let wrong = HEADER.replace("to='x'", "to='y'");
    assert_eq!(
        run(&mut Negotiation::new(offer()), &wrong).unwrap_err().condition,
        StreamCondition::HostUnknown
    );
    let old = HEADER.replace(" version='1.0'", "");
    assert_eq!(
        run(&mut Negotiation::new(offer()), &old).unwrap_err().condition,
        StreamCondition::UnsupportedVersion
    );
}

#[test]
fn ends_the_stream_after_the_last_try() {
    let mut it = Negotiation::new(offer());
    let mut out = String::new();
    for _ in 1..TRIES {
        it.refuse(SaslFailure::NotAuthorized, &mut out).unwrap();
    }
    assert!(it.refuse(SaslFailure::NotAuthorized, &mut out).is_err());
    let mut it = Negotiation::new(offer());
    for _ in 1..ATTEMPTS {
        it.refuse(SaslFailure::MalformedRequest, &mut out).unwrap();
    }
    assert!(it.refuse(SaslFailure::MalformedRequest, &mut out).is_err());
}

/// §6.4.5: libpurple tries one mistyped password by every mechanism that there is.
#[test]
fn one_mistake_by_every_mechanism_is_one() {
    const ALL: [&str; 5] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "OAUTHBEARER"];
    let mut it = Negotiation::new(Offer { mechanisms: ALL.to_vec(), ..offer() });
    run(&mut it, HEADER).unwrap();
    let mut fail = |mechanism: &str| {
        let auth =
            format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>AA==</auth>");
        assert!(matches!(run(&mut it, &auth).unwrap().0, Some(Request::Auth { .. })));
        it.refuse(SaslFailure::NotAuthorized, &mut String::new())
    };
    ALL.into_iter().for_each(|mechanism| fail(mechanism).unwrap());
    // By the same one again it is another.
    for _ in 2..TRIES {
        fail("PLAIN").unwrap();
    }
    assert!(fail("PLAIN").is_err());
}
