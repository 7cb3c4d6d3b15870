//! Streams up to the bound resource, and what ends them — RFC 6120 §4 to §7.

mod common;

use base64::Engine;
use common::{Client, DOMAIN, PASSWORD, serve, serve_with};
use shared_store::Store;
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
async fn direct_tls_logs_in() {
    let served = serve().await;
    let mut client = Client::connect_tls(&served).await;
    client.authenticate("alice", PASSWORD).await;
    client.bind("desk").await;
    assert_eq!(served.server.sessions(), 1);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_one_answer_and_three_tries() {
    let served = serve().await;
    let mut answers = Vec::new();
    for user in ["alice", "nobody"] {
        let mut client = Client::connect(&served).await;
        client.open().await;
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0wrong"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>");
        for _ in 0..2 {
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

#[tokio::test]
async fn a_taken_port_names_the_listener_and_the_address() {
    let served = serve().await;
    let taken = served.server.c2s()[0];
    let parts = xmpp_server::Parts {
        config: Config { c2s: vec![taken], c2s_tls: Vec::new(), ..Config::default() },
        domain: DOMAIN.to_owned(),
        rooms_domain: common::ROOMS.to_owned(),
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
