//! What one server alone may do, and what an operator may break off.

use std::io::Read;
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
    let mut look = service.beside(service.folder());
    let mut look =
        look.args(["doctor", "--no-dns"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let late = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(
            Instant::now() < late && look.try_wait().unwrap().is_none(),
            "it tries something with an account"
        );
    }
    let told = Command::new("kill").args(["-INT", &look.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = look.wait().unwrap();
    let mut why = String::new();
    look.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    assert_eq!((ended.code(), why.trim()), (Some(1), "cusax: ended before all was looked at"));
    assert!(!is_there());
}
