//! Every file of the table against its fixture, and against names that would break out of it.

use std::path::Path;

use shared_model::{AccountId, Domains};

use super::phones::{GRANDSTREAM, POLYCOM, POLYCOM_FIRST, SNOM, YEALINK};
use super::*;
use crate::Ports;
use crate::profile::Settings;

const PHONES: [&Renderer; 5] = [&YEALINK, &SNOM, &GRANDSTREAM, &POLYCOM_FIRST, &POLYCOM];

fn parts() -> Parts {
    let folder = std::env::temp_dir().join(format!("cusax-render-{:016x}", shared_runtime::random()));
    let store = shared_store::Store::in_memory();
    let (bus, registry) = (shared_runtime::bus::Bus::new(), prometheus::Registry::new());
    let auth =
        shared_auth::Auth::open(&shared_auth::Config::default(), &store, &folder, &bus, &registry).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Parts {
        domains: Domains::new("example.org", []),
        rooms_domain: "conference.example.org".to_owned(),
        host: "example.org".to_owned(),
        ports: Ports {
            sip_tls: Some(5061),
            xmpp: Some(5222),
            xmpp_tls: Some(5223),
            https: Some(8443),
            ..Ports::default()
        },
        public_url: None,
        auth,
        conference_factory: "sip:adhoc@conference.example.org".to_owned(),
        uploads: "https://example.org/upload/".to_owned(),
        turn: vec!["turn:turn.example.org:3478?transport=udp".to_owned()],
        ca: None,
        config: crate::Config::default(),
        metrics: crate::Metrics::new(&registry).unwrap(),
        bus,
        shutdown: shared_runtime::Shutdown::new(),
        bindings: store.bindings,
        rooms: None,
        conferences: None,
        own_chat: None,
        notices: None,
        registrations: None,
        room_keeping: None,
        room_moderation: None,
        call_moderation: None,
        telephony: None,
        timelines: None,
        search: None,
        doctor: None,
        records: store.records,
        archive: store.archive,
    }
}

fn render(renderer: &Renderer, name: &str, settings: &Settings) -> String {
    let (parts, video) = (parts(), true);
    let card = AccountCard {
        account: AccountId(7),
        aor: "alice@example.org".parse().unwrap(),
        jid: "wonder@example.org".parse().unwrap(),
        name: name.to_owned(),
        numbers: vec!["+33123456789".to_owned()],
        video,
        admin: false,
        enabled: true,
    };
    let chosen = Chosen::of(settings, video);
    let plan = Plan {
        parts: &parts,
        card: &card,
        chosen,
        password: "abcde-fghij",
        mac: "001565aabbcc",
        folder: "https://example.org:8443/provision/phone/TOKEN",
    };
    (renderer.render)(&plan)
}

#[test]
fn every_file_is_as_its_fixture_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/fixtures");
    for renderer in TABLE.iter().chain(PHONES) {
        let (file, text) = (folder.join(renderer.file), render(renderer, "Alice", &Settings::default()));
        if std::env::var_os("CUSAX_REWRITE_DOCS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, wanted, "{}: write it anew with CUSAX_REWRITE_DOCS=1 and look at it", renderer.file);
    }
}

#[test]
fn no_name_adds_a_line_an_element_or_a_key() {
    let hostile = [
        "x\nset password = y",
        "x\r\n[evil]\r\n",
        "\"><evil a=\"",
        "</entry></section>",
        "${password}",
        "x\u{2028}y=z",
        "\\\"",
        "']]>&amp;",
        "\u{0}\u{85}z",
    ];
    // What gives a file its shape: its line ends, and in XML its angle brackets and quotes.
    let shape = |text: &str| {
        let counted = |c: char| match text.as_bytes().first() {
            Some(b'<') => "\n\r<>\"".contains(c),
            Some(b'{') => "\n\r".contains(c),
            _ => "\n\r\u{85}\u{2028}".contains(c),
        };
        text.chars().filter(|c| counted(*c)).collect::<String>()
    };
    for renderer in TABLE.iter().chain(PHONES) {
        let wanted = shape(&render(renderer, "Alice", &Settings::default()));
        for name in hostile {
            let text = render(renderer, name, &Settings::default());
            assert_eq!(shape(&text), wanted, "{}: {name:?}: {text}", renderer.file);
            assert!(renderer.client != "Jitsi" || !text.contains("${"), "Jitsi would ask for it: {text}");
        }
    }
    let accounts = render(&TABLE[3], "Eve\" <sip:eve@evil>;auth_pass=x", &Settings::default());
    assert!(accounts.starts_with("\"Eve sip:eve@evilauth_pass=x\" <sip:alice@example.org"), "{accounts}");
}

#[test]
fn files_hold_no_password_but_where_the_client_cannot_ask() {
    for renderer in TABLE.iter().filter(|renderer| renderer.needs == Needs::Nothing) {
        assert!(!render(renderer, "Alice", &Settings::default()).contains("abcde"), "{}", renderer.file);
    }
    assert!(!render(&TABLE[1], "Alice", &Settings::default()).contains("abcde"), "Linphone gets a hash");
}

#[test]
fn each_make_dials_the_number_of_the_mailbox_where_there_is_one() {
    let none = Settings::default();
    let mailbox = Settings { voicemail: Some("*97".to_owned()), ..Settings::default() };
    for (renderer, part) in [
        (&YEALINK, "\nvoice_mail.number.1 = *97\n"),
        (&SNOM, "<user_mailbox idx=\"1\" perm=\"R\">*97</user_mailbox>"),
        (&GRANDSTREAM, "<P33>*97</P33>"),
        (&POLYCOM, "msg.mwi.1.callBack=\"*97\""),
    ] {
        assert!(render(renderer, "Alice", &mailbox).contains(part), "{part}");
        assert!(!render(renderer, "Alice", &none).contains(part.trim()), "{part}");
    }
    assert!(render(&POLYCOM, "Alice", &mailbox).contains("callBackMode=\"contact\""));
}

#[test]
fn each_make_is_told_the_time_zone_in_its_own_way() {
    let clock = |zone: &str| Settings { time_zone: Some(zone.to_owned()), ..Settings::default() };
    let paris = clock("CET-1CEST,M3.5.0,M10.5.0/3");
    for (make, parts) in [
        (
            &YEALINK,
            &[
                "local_time.time_zone = +1\n",
                "start_time = 3/5/7/2\n",
                "end_time = 10/5/7/3\n",
                "offset_time = 60\n",
            ][..],
        ),
        (
            &SNOM,
            &["<utc_offset perm=\"R\">+3600<", "<dst perm=\"R\">3600 03.05.07 02:00:00 10.05.07 03:00:00<"][..],
        ),
        (&GRANDSTREAM, &["<P64>customize<", "<P246>CET-1CEST,M3.5.0,M10.5.0/3<"][..]),
        (
            &POLYCOM,
            &[
                "sntp.gmtOffset=\"3600\"",
                "daylightSavings.enable=\"1\"",
                "start.month=\"3\"",
                "start.dayOfWeek=\"1\"",
                "start.dayOfWeek.lastInMonth=\"1\"",
                "stop.month=\"10\"",
                "stop.time=\"3\"",
            ][..],
        ),
    ] {
        let text = render(make, "Alice", &paris);
        assert!(parts.iter().all(|part| text.contains(part)), "{}: {text}", make.client);
    }
    let kolkata = clock("<+0530>-5:30");
    assert!(render(&YEALINK, "Alice", &kolkata).contains("time_zone = +5:30\nlocal_time.summer_time = 0\n"));
    assert!(render(&SNOM, "Alice", &kolkata).contains("+19800</utc_offset>\n    <dst perm=\"R\"></dst>"));
    assert!(render(&GRANDSTREAM, "Alice", &kolkata).contains("<P246>&lt;+0530&gt;-5:30</P246>"));
    let polycom = render(&POLYCOM, "Alice", &clock("EST5EDT,M3.2.0,M11.1.0"));
    assert!(polycom.contains("start.date=\"8\"") && polycom.contains("stop.date=\"1\""), "{polycom}");
    assert!(clock("Europe/Paris").fault().is_some() && paris.fault().is_none());
}

#[test]
fn profiles_reach_the_files() {
    let alone =
        Settings { linked: Some(false), srtp: Some(crate::profile::Calls::Required), ..Settings::default() };
    let jitsi = render(&TABLE[2], "Alice", &alone);
    assert!(!jitsi.contains("cusax.XMPP_ACCOUNT_ID") && jitsi.contains("CALLING_DISABLED=false"), "{jitsi}");
    assert!(
        jitsi.contains("MESSAGING_DISABLED=false") && jitsi.contains("IS_PRESENCE_ENABLED=true"),
        "{jitsi}"
    );
    assert!(render(&TABLE[3], "Alice", &alone).contains("mediaenc=srtp-mand"));
    assert!(render(&YEALINK, "Alice", &alone).contains("srtp_encryption = 2"));
    assert!(render(&TABLE[0], "Alice", &alone).contains("\"relationship\":{\"linked\":false}"));
}
