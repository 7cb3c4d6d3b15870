use super::*;

fn folder() -> PathBuf {
    let unique = format!("cusax-tls-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(unique);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn a_client_that_trusts_the_local_ca_trusts_every_listener() {
    install_provider();
    let folder = folder();
    let policy = TlsPolicy::open(&Config::default(), &folder, &["example.org".to_owned()]).unwrap();
    let name = "example.org".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(policy.client(&[b"xmpp-client"]), name).unwrap();
    let mut server = rustls::ServerConnection::new(policy.server(&[b"xmpp-client"])).unwrap();
    for _ in 0..4 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    assert_eq!(client.alpn_protocol(), Some(&b"xmpp-client"[..]));
    assert_eq!(protection(&server), Some(("TLS 1.3", "TLS_AES_256_GCM_SHA384")));
    assert_eq!(policy.server_end_point(None), end_point(&client.peer_certificates().unwrap()[0]));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_local_ca_stays_and_a_reload_takes_the_new_certificate() {
    install_provider();
    let folder = folder();
    let first = TlsPolicy::open(&Config::default(), &folder, &["a.example".to_owned()]).unwrap();
    let ca = std::fs::read(first.local_ca().unwrap()).unwrap();
    let before = first.server_end_point(None);
    let second = TlsPolicy::open(&Config::default(), &folder, &["b.example".to_owned()]).unwrap();
    assert_eq!(std::fs::read(second.local_ca().unwrap()).unwrap(), ca);
    first.reload().unwrap();
    assert_ne!(first.server_end_point(None), before);
    std::fs::write(folder.join("tls/server.pem"), "nothing").unwrap();
    assert!(first.reload().is_err(), "a bad file is refused and the old certificate stays");
    assert_eq!(first.server_end_point(None), second.server_end_point(None));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_key_with_a_passphrase_is_said_to_be_one() {
    install_provider();
    let folder = folder();
    TlsPolicy::open(&Config::default(), &folder, &["a.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls/server.pem"), folder.join("tls/server.key"));
    let config = Config { certificate: Some(certificate), key: Some(key.clone()), ..Config::default() };
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n",
    ] {
        std::fs::write(&key, text).unwrap();
        let error = TlsPolicy::open(&config, &folder, &[]).err().unwrap().to_string();
        assert!(error.contains("the key has a passphrase"), "{error}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn whoever_names_a_domain_gets_its_certificate_and_others_the_first() {
    install_provider();
    let (folder, made) =
        (folder(), |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let put = |name: &str, host: &str| {
        let made = made(host);
        Files {
            domain: Some(host.to_owned()),
            certificate: file(&format!("{name}.pem"), made.cert.pem()),
            key: file(&format!("{name}.key"), made.signing_key.serialize_pem()),
        }
    };
    let main = put("main", "example.org");
    let config = Config {
        certificate: Some(main.certificate),
        key: Some(main.key),
        others: vec![put("net", "example.net"), put("wild", "*.example.com")],
        ..Config::default()
    };
    let policy = TlsPolicy::open(&config, &folder, &[]).unwrap();
    let shown_to = |named: &'static str| {
        let mut client =
            rustls::ClientConnection::new(policy.client(&[]), named.try_into().unwrap()).unwrap();
        let mut server = rustls::server::Acceptor::default();
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        let hello = server.accept().unwrap().unwrap();
        let shown = policy.current.resolve(hello.client_hello()).unwrap();
        PeerCertificate::read(&shown.cert[0]).unwrap().hosts.remove(0)
    };
    assert_eq!(shown_to("example.net"), "example.net");
    assert_eq!(shown_to("EXAMPLE.net"), "example.net");
    assert_eq!(shown_to("chat.example.com"), "*.example.com");
    for other in ["example.org", "a.chat.example.com", "example.com", "elsewhere.example"] {
        assert_eq!(shown_to(other), "example.org", "{other}");
    }
    assert_ne!(policy.server_end_point(Some("example.net")), policy.server_end_point(None));
    put("net", "example.edu");
    policy.reload().unwrap();
    assert_eq!(shown_to("example.edu"), "example.edu", "a new one, for another name");
    assert_eq!(shown_to("example.net"), "example.org");
    // What cannot be read stays as it was, and the others are taken all the same.
    put("wild", "*.example.biz");
    file("net.key", "no key".to_owned());
    let Unread(faults) = policy.reload().unwrap_err();
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].starts_with("the certificate of example.net: "), "{told:?}");
    assert!(told[0].contains("net.key") && policy.unread() == told && policy.stale.get() == 1, "{told:?}");
    assert_eq!(shown_to("example.edu"), "example.edu");
    assert_eq!(shown_to("chat.example.biz"), "*.example.biz");
    file("main.pem", "no certificate".to_owned());
    put("wild", "*.example.info");
    let told: Vec<_> = policy.reload().unwrap_err().0.iter().map(ToString::to_string).collect();
    assert!(told.len() == 2 && told[0].contains("main.pem"), "{told:?}");
    assert_eq!(
        (shown_to("chat.example.info"), shown_to("example.org")),
        ("*.example.info".to_owned(), "example.org".to_owned())
    );
    // At a start nothing stands in for it.
    put("main", "example.org");
    let refused = TlsPolicy::open(&config, &folder, &[]).err().unwrap().to_string();
    assert!(refused.starts_with("the certificate of example.net: "), "{refused}");
    let beside = TlsPolicy::look(&config, &folder).unwrap().unwrap();
    assert_eq!(beside.unread(), [refused]);
    put("net", "example.net");
    policy.reload().unwrap();
    assert!(
        policy.unread().is_empty() && policy.stale.get() == 0 && shown_to("example.net") == "example.net"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn when_certificates_end_is_shown_and_told_two_weeks_before() {
    install_provider();
    let (folder, names) = (folder(), ["a.example".to_owned()]);
    let (files, _) = local_ca::certify_for(&folder, &names, 20).unwrap();
    let Files { certificate, key, .. } = files.clone();
    let own = Files { domain: Some("example.net".to_owned()), ..files };
    let config = Config {
        certificate: Some(certificate.clone()),
        key: Some(key),
        others: vec![own],
        ..Config::default()
    };
    let (policy, registry) = (TlsPolicy::open(&config, &folder, &[]).unwrap(), Registry::new());
    policy.register(&registry).unwrap();
    let shown = || {
        let families = registry.gather();
        let mut ends = families.iter().filter(|it| it.name() == "shared_runtime_certificate_ends_seconds");
        let metrics = ends.next().unwrap().get_metric();
        metrics.iter().map(|metric| metric.get_gauge().get_value() as i64).collect::<Vec<_>>()
    };
    let until = PeerCertificate::read(&policy.current.keys.load().first.cert[0]).unwrap().not_after;
    assert_eq!(shown(), [until, until]);
    let told = |before: i64| {
        let soon = policy.ends.note(&policy.files, &policy.current.keys.load(), until - before);
        soon.iter().map(|ending| (ending.domain.clone(), ending.days)).collect::<Vec<_>>()
    };
    assert_eq!(told(14 * 86_400), []);
    assert_eq!(told(14 * 86_400 - 1), [(String::new(), 13), ("example.net".to_owned(), 13)]);
    assert_eq!(told(-1)[0].1, -1);
    local_ca::certify_for(&folder, &names, 90).unwrap();
    policy.reload().unwrap();
    assert!(shown()[0] > until, "a new one");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn half_a_certificate_is_refused() {
    let config = Config { certificate: Some("/nowhere.pem".into()), ..Config::default() };
    assert!(matches!(TlsPolicy::open(&config, Path::new("/"), &[]), Err(TlsError::HalfGiven)));
}

#[test]
fn a_certificate_of_the_local_ca_is_made_anew_a_month_before_its_end() {
    install_provider();
    let folder = folder();
    let (tls, names) = (folder.join("tls"), ["example.org".to_owned()]);
    let open = |days| {
        let (files, ca) = local_ca::certify_for(&tls, &names, days).unwrap();
        let policy = TlsPolicy::load(&Config::default(), files, Some(ca), Missing::Refuses).unwrap();
        TlsPolicy { certified: Some((tls.clone(), Arc::new(names.clone()))), ..policy }
    };
    let fresh = open(31);
    let before = (fresh.server_end_point(None), std::fs::read(tls.join("ca.pem")).unwrap());
    fresh.reload().unwrap();
    assert!(!fresh.is_due() && fresh.server_end_point(None) == before.0);
    let policy = open(29);
    let before = (policy.server_end_point(None), before.1);
    assert!(policy.is_due());
    policy.reload().unwrap();
    assert!(!policy.is_due() && policy.server_end_point(None) != before.0);
    assert_eq!(std::fs::read(tls.join("ca.pem")).unwrap(), before.1, "clients trust the one that they know");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Shakes hands, and reads what comes behind; how it went, and how many bytes the server sent.
fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> (rustls::HandshakeKind, usize) {
    let name = "example.org".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    let mut sent = 0;
    for _ in 0..4 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        sent += server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    (server.handshake_kind().unwrap(), sent)
}

#[test]
fn who_comes_back_after_a_thousand_others_is_known_and_at_the_same_listener_alone() {
    install_provider();
    let folder = folder();
    let policy = TlsPolicy::open(&Config::default(), &folder, &["example.org".to_owned()]).unwrap();
    let roots = Arc::new(policy.roots());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let come = || {
            let builder = ClientConfig::builder_with_protocol_versions(&[version]);
            Arc::new(builder.with_root_certificates(Arc::clone(&roots)).with_no_client_auth())
        };
        let (one, other) = (policy.server(&[b"xmpp-client"]), policy.server(&[b"xmpp-client"]));
        let client = come();
        assert_eq!(meet(&client, &one).0, rustls::HandshakeKind::Full);
        for _ in 0..1_000 {
            meet(&come(), &one);
        }
        let (kind, sent) = meet(&client, &one);
        assert_eq!(kind, rustls::HandshakeKind::Resumed, "{version:?}");
        assert!(sent < 1_500, "{version:?}: no certificate, and small tickets: {sent} bytes");
        assert_eq!(meet(&client, &other).0, rustls::HandshakeKind::Full, "another listener's ticket");
        let judging = policy.judging_server(&[], |_| Ok(()));
        let _ = meet(&client, &one);
        assert_eq!(meet(&client, &judging).0, rustls::HandshakeKind::Full, "where certificates are judged");
        assert_eq!(meet(&client, &judging).0, rustls::HandshakeKind::Full);
        let _ = meet(&client, &one);
        policy.reload().unwrap();
        assert_eq!(meet(&client, &one).0, rustls::HandshakeKind::Full, "a ticket of the certificate before");
        assert_eq!(meet(&client, &one).0, rustls::HandshakeKind::Resumed);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A list of the local CA that takes back the certificate with this serial number.
fn take_back(tls: &Path, serial: &[u8]) -> String {
    let read = |name: &str| std::fs::read_to_string(tls.join(name)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), key).unwrap();
    let entry = rcgen::RevokedCertParams {
        serial_number: serial.to_vec().into(),
        revocation_time: rcgen::date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(2124, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![entry],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

#[test]
fn a_server_that_we_call_is_not_believed_when_its_certificate_was_revoked() {
    install_provider();
    let folder = folder();
    let called = TlsPolicy::open(&Config::default(), &folder, &["example.org".to_owned()]).unwrap();
    let (tls, list) = (folder.join("tls"), folder.join("revoked.pem"));
    std::fs::write(&list, take_back(&tls, &[1])).unwrap();
    let config = Config {
        trust: Some(tls.join("ca.pem")),
        revoked: vec![list.clone()],
        certificate: Some(tls.join("server.pem")),
        key: Some(tls.join("server.key")),
        ..Config::default()
    };
    let caller = TlsPolicy::open(&config, &folder, &[]).unwrap();
    let client = caller.client(&[]);
    assert_eq!(meet(&client, &called.server(&[])).0, rustls::HandshakeKind::Full);

    let leaf = called.current.keys.load().first.cert[0].clone();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    std::fs::write(&list, take_back(&tls, leaf.raw_serial())).unwrap();
    caller.reload().unwrap();
    let name = rustls::pki_types::ServerName::try_from("example.org").unwrap();
    let mut calling = rustls::ClientConnection::new(client, name).unwrap();
    let mut server = rustls::ServerConnection::new(called.server(&[])).unwrap();
    let mut wire = Vec::new();
    calling.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets().unwrap();
    let mut wire = Vec::new();
    server.write_tls(&mut wire).unwrap();
    calling.read_tls(&mut wire.as_slice()).unwrap();
    let refused = calling.process_new_packets();
    let revoked = rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked);
    assert_eq!(refused.map(|_| ()), Err(revoked), "not by a session that is resumed either");
    std::fs::remove_dir_all(folder).unwrap();
}
