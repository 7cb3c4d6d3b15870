//! Streams up to the bound resource, and what ends them — RFC 6120 §4 to §7.

use std::sync::Arc;
use std::time::Duration;

use crate::common::failing::failing_records;
use crate::common::{Client, DOMAIN, PASSWORD, befriend, serve, serve_over, serve_with};
use base64::Engine;
use shared_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use xmpp_server::Config;

#[tokio::test]
async fn starttls_leads_to_bound_mechanisms_and_a_resource() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    let features = client.open().await;
    assert!(features.contains("urn:ietf:params:xml:ns:xmpp-tls") && !features.contains("-PLUS"));
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    client.expect(&["<proceed"]).await;
    let mut client = client.upgrade(&served).await;
    let features = client.open().await;
    for part in
        ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-1<", "PLAIN", "type='tls-exporter'", "type='tls-server-end-point'"]
    {
        assert!(features.contains(part), "{part}: {features}");
    }
    assert!(!features.contains("<starttls"));
}

#[tokio::test]
async fn scram_is_bound_to_its_connection() {
    let served = serve().await;
    for (mechanism, flag, data) in [
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", Some("exporter")),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", Some("end point")),
        ("SCRAM-SHA-256", "n,,", None),
    ] {
        let mut client = Client::connect_tls(&served).await;
        client.open().await;
        let data = match data {
            Some("exporter") => client.exporter.clone(),
            Some(_) => served.tls.server_end_point(None),
            None => Vec::new(),
        };
        let outcome = scram(&mut client, mechanism, flag, &data).await;
        assert!(outcome.contains("<success"), "{mechanism} {flag}: {outcome}");
    }
    let mut client = Client::connect_tls(&served).await;
    client.open().await;
    let outcome = scram(&mut client, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", b"another connection").await;
    assert!(outcome.contains("<not-authorized"), "{outcome}");
    let mut client = Client::connect_tls(&served).await;
    client.open().await;
    client.send(&sasl("auth", " mechanism='SCRAM-SHA-256'", "y,,n=alice,r=abc")).await;
    client.expect(&["<failure"]).await; // the offer of -PLUS was cut out on the way
}

/// RFC 6120 §6.4.5: a client that falls back from one mechanism to the next with the same mistake is not slowed sooner than others.
#[tokio::test]
async fn who_tries_every_mechanism_of_a_stream_has_made_one_mistake() {
    let served = serve().await;
    for _ in 0..6 {
        let mut client = Client::connect(&served).await;
        client.open().await;
        for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"] {
            let outcome = scram(&mut client, mechanism, "n,,", b"mistake").await;
            assert!(outcome.contains("<not-authorized"), "{outcome}");
        }
        client.send(&sasl("auth", " mechanism='PLAIN'", "\0alice\0mistake")).await;
        client.expect(&["<failure", "<not-authorized"]).await;
    }
    Client::login(&served, "alice", "a").await;
}

#[tokio::test]
async fn what_comes_behind_starttls_is_refused_but_for_white_space() {
    let served = serve().await;
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let mut client = Client::connect(&served).await;
    client.open().await;
    client.send(&format!("{starttls}\r\n")).await;
    client.expect(&["<proceed"]).await;
    let mut client = client.upgrade(&served).await;
    assert!(client.open().await.contains("-PLUS"));
    let mut client = Client::connect(&served).await;
    client.open().await;
    client.send(&format!("{starttls}\n<iq type='get' id='1'/>")).await;
    client.expect(&["<proceed"]).await;
    assert_eq!(client.next().await, None, "somebody else may have put it there");
}

/// XEP-0474 §6.1.
#[tokio::test]
async fn an_offer_that_was_shortened_on_its_way_is_found_out() {
    let served = serve().await;
    let mut client = Client::connect_tls(&served).await;
    let features = client.open().await;
    let all = |before: &str, after: &str| {
        let mut names: Vec<_> =
            features.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect();
        names.sort_unstable();
        names.dedup(); // once for each profile of SASL
        names.join("\u{1e}")
    };
    let offer = format!("{}\u{1f}{}", all("<mechanism>", "<"), all("<channel-binding type='", "'"));
    let mechanisms =
        offer.split('\u{1f}').next().unwrap().split('\u{1e}').filter(|name| !name.starts_with("HT-"));
    let mechanisms = mechanisms.collect::<Vec<_>>().join("\u{1e}");
    let offer = format!("{mechanisms}\u{1f}{}", offer.split('\u{1f}').nth(1).unwrap());
    client.send(&sasl("auth", " mechanism='SCRAM-SHA-256'", "n,,n=alice,r=abc")).await;
    let challenge = client.expect(&["<challenge"]).await;
    let base64 = &base64::engine::general_purpose::STANDARD;
    let first = base64.decode(challenge.split('>').nth(1).unwrap().split('<').next().unwrap()).unwrap();
    let hash = base64.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, offer.as_bytes()));
    let first = String::from_utf8(first).unwrap();
    assert!(first.ends_with(&format!(",h={hash}")), "{first} of {offer:?}");
}

fn sasl(name: &str, attributes: &str, text: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'{attributes}>{text}</{name}>")
}

/// The client's side of RFC 5802 §3 with SHA-256; the last thing that the server said.
async fn scram(client: &mut Client, mechanism: &str, gs2: &str, data: &[u8]) -> String {
    use aws_lc_rs::{digest, hmac, pbkdf2};
    let base64 = &base64::engine::general_purpose::STANDARD;
    let hmac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let bare = "n=alice,r=clientnonce";
    client.send(&sasl("auth", &format!(" mechanism='{mechanism}'"), &format!("{gs2}{bare}"))).await;
    let challenge = client.expect(&["<challenge"]).await;
    let encoded = challenge.split('>').nth(1).unwrap().split('<').next().unwrap();
    let first = String::from_utf8(base64.decode(encoded).unwrap()).unwrap();
    let field = |name: &str| first.split(',').find_map(|field| field.strip_prefix(name)).unwrap().to_owned();
    let (nonce, salt, rounds) =
        (field("r="), base64.decode(field("s=")).unwrap(), field("i=").parse().unwrap());
    let mut salted = [0_u8; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, PASSWORD.as_bytes(), &mut salted);
    let client_key = hmac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client_key.as_ref());
    let without_proof = format!("c={},r={nonce}", base64.encode([gs2.as_bytes(), data].concat()));
    let signed = format!("{bare},{first},{without_proof}");
    let signature = hmac(stored.as_ref(), signed.as_bytes());
    let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(k, s)| k ^ s).collect();
    client.send(&sasl("response", "", &format!("{without_proof},p={}", base64.encode(proof)))).await;
    let outcome = client.next().await.unwrap();
    if outcome.contains("<success") {
        let server_key = hmac(&salted, b"Server Key");
        let expected =
            base64.encode(format!("v={}", base64.encode(hmac(server_key.as_ref(), signed.as_bytes()))));
        assert!(outcome.contains(&expected), "the server proves itself too");
    }
    outcome
}

#[tokio::test]
async fn direct_tls_logs_in() {
    let served = serve().await;
    let mut client = Client::connect_tls(&served).await;
    client.authenticate("alice", PASSWORD).await;
    client.bind("desk").await;
    assert_eq!(served.server.sessions(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_one_answer_and_five_tries() {
    let served = serve().await;
    let mut answers = Vec::new();
    for user in ["alice", "nobody"] {
        let mut client = Client::connect(&served).await;
        client.open().await;
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0wrong"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>");
        for _ in 0..4 {
            client.send(&auth).await;
            answers.push(client.expect(&["<failure"]).await);
        }
        client.send(&auth).await;
        client.expect(&["<failure"]).await;
        client.expect_stream_error("policy-violation").await;
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0] && answer.contains("<not-authorized")),
        "{answers:?}"
    );
}

/// RFC 6120 §6.5.10: no harvest of names.
#[tokio::test]
async fn scram_goes_the_same_way_for_an_unknown_user() {
    use base64::engine::general_purpose::STANDARD;
    let served = serve().await;
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut seen = Vec::new();
        for user in ["alice", "nobody"] {
            let mut client = Client::connect(&served).await;
            client.open().await;
            let first = STANDARD.encode(format!("n,,n={user},r=clientnonce"));
            client.send(&format!("<auth xmlns='{sasl}' mechanism='{mechanism}'>{first}</auth>")).await;
            let challenge = client.expect(&["<challenge"]).await;
            let text = challenge.split('>').nth(1).unwrap().split('<').next().unwrap();
            let text = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
            let fields: Vec<_> = text.split(',').map(|field| field.len()).collect();
            let last = format!("c=biws,{},p={}", text.split(',').next().unwrap(), STANDARD.encode([7; 64]));
            client.send(&format!("<response xmlns='{sasl}'>{}</response>", STANDARD.encode(last))).await;
            seen.push((fields, client.expect(&["<failure", "<not-authorized"]).await));
        }
        assert_eq!(seen[0], seen[1], "{mechanism}");
    }
}

/// Clients that know `tls-unique` alone try each -PLUS mechanism with it: none of these holds a proof.
#[tokio::test]
async fn a_client_may_try_what_the_server_does_not_take_and_come_to_what_it_does() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    client.open().await;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let auth = |mechanism: &str, first: &str| {
        format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{}</auth>",
            encode(first)
        )
    };
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"].iter().cycle().take(6) {
        client.send(&auth(mechanism, "p=tls-unique,,n=alice,r=0123456789")).await;
        client.expect(&["<failure", "<malformed-request"]).await;
    }
    client.send(&auth("PLAIN", &format!("\0alice\0{PASSWORD}"))).await;
    client.expect(&["<success"]).await;
}

#[tokio::test]
async fn sasl_failures_have_their_names() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    client.open().await;
    client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-NONE'/>").await;
    client.expect(&["<failure", "<invalid-mechanism"]).await;
    client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!!!</auth>").await;
    client.expect(&["<failure", "<incorrect-encoding"]).await;
}

#[tokio::test]
async fn bad_input_gets_the_stream_error_that_rfc_6120_names() {
    let served = serve().await;
    let deep = "<a>".repeat(100);
    let big = format!("<message><body>{}</body></message>", "x".repeat(20_000));
    let cases: [(&[u8], &str); 11] = [
        (b"<message><body></message>", "not-well-formed"),
        (b"<message><!-- x --></message>", "restricted-xml"),
        (b"<?php ?>", "restricted-xml"),
        (b"<message>&lol;</message>", "restricted-xml"),
        (b"<message>\xff\xfe</message>", "unsupported-encoding"),
        (b"<x:message/>", "not-well-formed"),
        (b"text<message/>", "not-well-formed"),
        (b"<message to='bob@example.org'><body>hi</body></message>", "not-authorized"),
        (b"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"),
        (deep.as_bytes(), "policy-violation"),
        (big.as_bytes(), "policy-violation"),
    ];
    for (bytes, condition) in cases {
        let mut client = Client::connect(&served).await;
        client.open().await;
        client.send_bytes(bytes).await;
        client.expect_stream_error(condition).await;
    }
    let mut client = Client::connect(&served).await;
    client.open().await; // and the next one is served
}

#[tokio::test]
async fn the_error_is_heard_by_who_still_talks() {
    let served = serve().await;
    let big = format!("<message><body>{}</body></message>", "x".repeat(400_000));
    for _ in 0..20 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap(); // so that there is something left to write when the server closes
        let mut socket = socket.connect(served.server.c2s()[0]).await.unwrap();
        let header = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' \
             version='1.0'>"
        );
        socket.write_all((header + &big).as_bytes()).await.unwrap();
        let mut heard = String::new();
        socket.read_to_string(&mut heard).await.unwrap(); // a reset would be an error
        assert!(heard.contains("policy-violation") && heard.ends_with("</stream:stream>"), "{heard}");
        let mut client = Client::login(&served, "alice", "a").await;
        client.send(&big).await;
        client.expect_stream_error("policy-violation").await;
    }
}

#[tokio::test]
async fn a_wrong_header_is_answered_behind_a_header() {
    let served = serve().await;
    let open = |to: &str, ns: &str, version: &str| {
        format!("<stream:stream xmlns='jabber:client' xmlns:stream='{ns}' to='{to}'{version}>")
    };
    let stream = "http://etherx.jabber.org/streams";
    for (header, condition) in [
        (open("other.example", stream, " version='1.0'"), "host-unknown"),
        (open(DOMAIN, "urn:wrong", " version='1.0'"), "invalid-namespace"),
        (open(DOMAIN, stream, ""), "unsupported-version"),
        (open(DOMAIN, stream, " version='2'"), "unsupported-version"),
        (open(DOMAIN, stream, " version='11.0'"), "unsupported-version"),
        (open(DOMAIN, stream, " version='1.x'"), "unsupported-version"),
        (open(DOMAIN, stream, " version='1.0'").replace("jabber:client", "jabber:foo"), "invalid-namespace"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
    ] {
        let mut client = Client::connect(&served).await;
        client.send(&header).await;
        client.expect_stream_error(condition).await;
    }
}

#[tokio::test]
async fn a_slow_login_ends_with_connection_timeout() {
    let config = Config { login_timeout: std::time::Duration::from_millis(50), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut client = Client::connect(&served).await;
    client.open().await;
    client.expect_stream_error("connection-timeout").await;
}

#[tokio::test]
async fn a_resource_that_is_bound_twice_belongs_to_the_newer() {
    let served = serve().await;
    let mut old = Client::online(&served, "alice", "desk").await;
    let mut new = Client::login(&served, "alice", "desk").await;
    old.expect_stream_error("conflict").await;
    assert!(new.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await.contains("type='result'"));
}

#[tokio::test]
async fn a_false_from_and_a_foreign_element_end_the_stream() {
    let served = serve().await;
    let mut client = Client::login(&served, "alice", "a").await;
    client.send("<message from='bob@example.org' to='carol@example.org'/>").await;
    client.expect_stream_error("invalid-from").await;
    let mut client = Client::login(&served, "alice", "a").await;
    client.send("<unknown/>").await;
    client.expect_stream_error("unsupported-stanza-type").await;
    let mut client = Client::login(&served, "alice", "a").await;
    client.send("<message xmlns='urn:wrong'/>").await;
    client.expect_stream_error("invalid-namespace").await;
    let mut client = Client::login(&served, "alice", "a").await;
    client.send("<extension xmlns='urn:not-known'/>").await;
    client.expect_stream_error("unsupported-stanza-type").await;
}

#[tokio::test]
async fn what_a_client_says_of_a_fault_ends_its_stream_without_a_word() {
    let served = serve().await;
    let error =
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut unproved = Client::connect(&served).await;
    unproved.open().await;
    for mut client in [unproved, Client::login(&served, "alice", "a").await] {
        client.send(error).await;
        let end = client.next().await;
        assert!(end.as_deref().is_none_or(|end| end.starts_with("</stream:stream")), "{end:?}");
    }
}

#[tokio::test]
async fn limits_grow_with_the_login_and_still_hold() {
    let served =
        serve_with(Config { stanza_bytes: 50_000, resources: 2, ..Config::default() }, Store::in_memory())
            .await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let message = |length: usize| {
        format!("<message to='alice@example.org/a'><body>{}</body></message>", "x".repeat(length))
    };
    alice.send(&message(40_000)).await;
    alice.expect(&["<body>xxx"]).await;
    let mut second = Client::login(&served, "alice", "b").await;
    let mut third = Client::connect(&served).await;
    third.authenticate("alice", PASSWORD).await;
    third.send("<iq type='set' id='r'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    assert!(third.expect(&["id='r'"]).await.contains("resource-constraint"));
    second.send(&message(60_000)).await;
    second.expect_stream_error("policy-violation").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_stream_and_later_messages_wait() {
    let served = serve_with(Config { outbox: 8, ..Config::default() }, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let slow = Client::online(&served, "bob", "slow").await;
    let body = "x".repeat(100_000);
    let mut sent = 0;
    while served.server.sessions() == 2 {
        alice.send(&format!("<message to='bob@example.org'><body>n{sent};{body}</body></message>")).await;
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
        sent += 1;
        assert!(sent < 1000, "the outbox has a bound");
    }
    drop(slow);
    for n in sent..sent + 3 {
        alice.send(&format!("<message to='bob@example.org'><body>n{n};</body></message>")).await;
    }
    alice.expect_nothing().await;
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.send("<presence/>").await;
    for n in sent..sent + 3 {
        bob.expect(&[&format!("n{n};"), "urn:xmpp:delay"]).await;
    }
}

#[tokio::test]
async fn shutdown_and_a_disabled_account_end_streams_with_their_reasons() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let account = served.auth.directory.by_jid(&"alice@example.org".parse().unwrap()).await.unwrap().unwrap();
    served.auth.book.set_enabled(account.account, false).await.unwrap();
    alice.expect_stream_error("not-authorized").await;
    served.shutdown.begin();
    bob.expect_stream_error("system-shutdown").await;
}

/// On one thread, so that nobody reads before so many facts are there that some are dropped.
#[tokio::test]
async fn a_disabled_account_goes_even_if_nobody_hears_of_it() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let account = served.auth.directory.by_jid(&"alice@example.org".parse().unwrap()).await.unwrap().unwrap();
    served.auth.book.set_enabled(account.account, false).await.unwrap();
    for _ in 0..5_000 {
        let event = shared_model::AccountEvent::Changed { account: account.account };
        served.bus.publish(shared_model::Fact::new(shared_model::Correlation(0), event));
    }
    alice.expect_stream_error("not-authorized").await;
    assert!(bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await.contains("result"));
}

#[tokio::test]
async fn a_taken_port_names_the_listener_and_the_address() {
    let served = serve().await;
    let taken = served.server.c2s()[0];
    let parts = xmpp_server::Parts {
        config: Config { c2s: vec![taken], c2s_tls: Vec::new(), s2s: Vec::new(), ..Config::default() },
        domains: shared_model::Domains::new(DOMAIN, []),
        rooms_domain: crate::common::ROOMS.to_owned(),
        data_dir: std::env::temp_dir(),
        name_servers: Vec::new(),
        auth: served.auth.clone(),
        store: served.store.clone(),
        tls: served.tls.clone(),
        bus: served.bus.clone(),
        registry: &prometheus::Registry::new(),
        shutdown: served.shutdown.clone(),
    };
    let Err(error) = xmpp_server::XmppServer::start(parts).await else { panic!("the port is taken") };
    assert!(
        error.to_string().contains("xmpp.c2s") && error.to_string().contains(&taken.to_string()),
        "{error}"
    );
}

/// Over TLS 1.3, what a client needs to come back is in its ticket: however many others came meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_after_a_thousand_others_resumes_its_tls() {
    let served = serve().await;
    let address = served.server.c2s_tls()[0];
    let come = async |config: Arc<rustls::ClientConfig>| {
        let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        // Tickets come with the first words.
        stream
            .write_all(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>")
            .await
            .unwrap();
        let mut heard = vec![0; 1024];
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        kind
    };
    let config = served.tls.client(&[b"xmpp-client"]);
    assert_eq!(come(Arc::clone(&config)).await, rustls::HandshakeKind::Full);
    let mut stranger = rustls::ClientConfig::clone(&config);
    stranger.resumption = rustls::client::Resumption::disabled();
    let stranger = Arc::new(stranger);
    let many = async || {
        for _ in 0..250 {
            assert_eq!(come(Arc::clone(&stranger)).await, rustls::HandshakeKind::Full);
        }
    };
    tokio::join!(many(), many(), many(), many());
    assert_eq!(come(config).await, rustls::HandshakeKind::Resumed);
}

#[tokio::test]
async fn who_comes_while_the_store_is_silent_is_refused_or_is_whole_a_little_later() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    fault.blind(true);
    // Whom she blocks is not known: nobody is let through to her by that.
    let mut alice = Client::connect(&served).await;
    alice.authenticate("alice", PASSWORD).await;
    alice.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    alice.expect(&["type='error'", "id='b'", "<resource-constraint"]).await;
    alice.expect_stream_error("resource-constraint").await;
    fault.met().await;
    fault.blind(false);
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    befriend(&mut alice, &mut bob).await;
    bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    // She says once alone that she is there, and is seen as soon as the store says by whom.
    let mut phone = Client::login(&served, "alice", "phone").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // what was read a moment ago is known
    fault.blind(true);
    for _ in 0..5 {
        phone.send("<presence/>").await;
        phone.expect(&["<presence", "from='alice@example.org/phone'"]).await;
        fault.met().await;
        phone.send("<presence type='unavailable'/>").await;
    }
    phone.send("<presence><show>chat</show></presence>").await;
    phone.expect(&["<show>chat</show>"]).await;
    fault.blind(false);
    // However often she goes and comes, it is asked again once.
    bob.expect(&["<show>chat</show>", "from='alice@example.org/phone'"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bob.expect_nothing().await;
}
