//! What one server alone may do, and what an operator may break off.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::service::Service;

#[test]
fn a_second_server_on_the_same_store_does_not_start() {
    let service = Service::start();
    let store = format!("sqlite://{}", service.folder().join("cusax.db").display());
    let other = service.folder().join("other");
    let mut second = service.beside(&other);
    let said = second.env("CUSAX_STORE__URL", &store).args(["serve"]).output().unwrap();
    let why = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{why}");
    let holder = format!("the store is served by cusax serve (process {}) already", service.process_id());
    assert!(why.contains(&holder), "{why}");
    // Commands are none.
    service.add_account("alice");
}

#[test]
fn a_doctor_that_is_interrupted_leaves_nobody_behind() {
    let service = Service::start();
    let is_there = || service.says(&["user", "list"]).contains("doctor-");
    let silent = listens_in_place_of(&service, "xmpp.c2s_tls");
    let mut look = service.beside(service.folder());
    let look = look.args(["doctor", "chat"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let late = Instant::now() + Duration::from_secs(30);
    let _line = loop {
        match silent.accept() {
            Ok((line, _)) => break line,
            Err(_) => assert!(Instant::now() < late, "it tries something with an account"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    // Nobody greets it here: it waits, and its account with it.
    assert!(is_there());
    let told = Command::new("kill").args(["-INT", &look.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = look.wait_with_output().unwrap();
    let why = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), why.trim()), (Some(1), "cusax: ended before all was looked at"));
    assert!(!is_there());
}

/// Whoever reads where the service listens finds this instead.
fn listens_in_place_of(service: &Service, name: &str) -> TcpListener {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let told = service.folder().join("cusax.running");
    let mut running: serde_json::Value = serde_json::from_slice(&std::fs::read(&told).unwrap()).unwrap();
    let listeners = running["listeners"].as_array_mut().unwrap();
    let bound = listeners.iter_mut().find(|bound| bound["listener"] == name).unwrap();
    bound["address"] = silent.local_addr().unwrap().to_string().into();
    std::fs::write(told, running.to_string()).unwrap();
    silent
}
