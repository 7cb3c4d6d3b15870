//! What commands do beside a running server stands in the timelines once: the command writes it, and the server, which hears of some of
//! it, does not.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::chat::Chat;
use crate::service::{DOMAIN, Service};

/// The events of a timeline, as a command prints them.
fn told(service: &Service, about: &str) -> Vec<String> {
    let lines = service.says(&["--json", "trace", about]);
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone();
    lines.lines().map(|line| event(line).as_str().unwrap().to_owned()).collect()
}

fn run(command: &mut Command, words: &[&str]) {
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What is done to alice, and what it is called; the server ends her chat by the last of it, behind all that was announced before.
fn story(service: &Service, command: impl Fn() -> Command) {
    let (alice, eve) = (format!("alice@{DOMAIN}"), format!("eve@{DOMAIN}"));
    service.add_account("alice");
    let mut chat = Chat::new("alice", "desk", service.port("xmpp.c2s"));
    chat.log_in();
    for words in [
        &["user", "add", eve.as_str()][..],
        &["app-password", "add", alice.as_str(), "PHONE"],
        &["app-password", "remove", alice.as_str(), "PHONE"],
        &["api-token", alice.as_str(), "--scopes", "account:read"],
        &["user", "password", eve.as_str()],
        &["ban", "add", "spam.example", "--reason", "floods"],
        &["ban", "remove", "spam.example"],
        &["user", "disable", alice.as_str()],
    ] {
        run(&mut command(), words);
    }
    let begun = Instant::now();
    let of_alice = loop {
        let told = told(service, &alice);
        if told.iter().any(|event| event == "session_ended") {
            break told;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "the server does not end her chat: {told:?}");
    };
    let of_eve = told(service, &eve);
    for (told, event) in [
        (&of_alice, "account_created"),
        (&of_alice, "device_password_made"),
        (&of_alice, "device_ended"),
        (&of_alice, "token_made"),
        (&of_alice, "account_disabled"),
        (&of_eve, "account_created"),
        (&of_eve, "password_changed"),
        (&of_eve, "password_ended"),
    ] {
        assert_eq!(told.iter().filter(|it| *it == event).count(), 1, "{event}: {told:?}");
    }
    assert_eq!(told(service, "spam.example"), ["banned", "ban_lifted"]);
}

#[test]
fn beside_a_server() {
    let service = Service::start();
    story(&service, || service.beside(service.folder()));
}

/// As where the store is a database, and servers of it run on other machines.
#[test]
fn beside_servers_that_run_elsewhere() {
    let service = Service::start();
    let elsewhere = std::env::temp_dir().join(format!("cusax-elsewhere-{}", std::process::id()));
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::copy(service.folder().join("auth.key"), elsewhere.join("auth.key")).unwrap();
    let store = format!("sqlite://{}", service.folder().join("cusax.db").display());
    story(&service, || {
        let mut command = service.beside(&elsewhere);
        command.env("CUSAX_STORE__URL", &store);
        command
    });
    std::fs::remove_dir_all(elsewhere).unwrap();
}
