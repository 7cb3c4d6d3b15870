//! Stories across both protocols: each transcript in `tests/scenarios/` is played against the binary.
//!
//! The language is in `tests/scenarios/README.md`; a scene is who, what they do, and what comes or goes.

use std::collections::HashMap;
use std::path::Path;

use crate::chat::Chat;
use crate::phone::Phone;
use crate::service::Service;
use crate::transcript::{Scene, Transcript};

/// Somebody in a story.
enum Party {
    Phone(Box<Phone>),
    Chat(Box<Chat>),
}

#[test]
fn every_transcript_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty(), "there are transcripts");
    for file in files {
        println!("{}", file.file_name().unwrap().display());
        play(&Transcript::read(&file));
    }
}

fn play(transcript: &Transcript) {
    let mut service = Service::start();
    for account in &transcript.accounts {
        service.add_account(account);
    }
    for room in &transcript.rooms {
        service.add_room(room);
    }
    let mut parties: HashMap<String, Party> = HashMap::new();
    for scene in &transcript.scenes {
        println!("  {}: {} {}", scene.line, scene.who, scene.what);
        if scene.who == "server" && scene.what == "is told to stop" {
            service.tell_to_stop();
            continue;
        }
        if scene.who == "server" && scene.what == "has stopped" {
            service.has_stopped();
            continue;
        }
        if scene.who == "server" {
            assert_eq!(scene.what, "is killed and starts again", "line {}", scene.line);
            service.kill_and_start();
            parties.clear();
            continue;
        }
        let party = parties.entry(scene.who.clone()).or_insert_with(|| appear(&scene.who, &service));
        act(party, scene);
    }
}

/// `alice/phone` speaks SIP, `alice/chat` XMPP.
fn appear(who: &str, service: &Service) -> Party {
    let (name, device) =
        who.split_once('/').unwrap_or_else(|| panic!("{who} is written name/phone or name/chat"));
    match device {
        "phone" => Party::Phone(Box::new(Phone::new(name, service.port("sip.udp")))),
        _ => Party::Chat(Box::new(Chat::new(name, device, service.port("xmpp.c2s")))),
    }
}

fn act(party: &mut Party, scene: &Scene) {
    match (party, scene.what.as_str()) {
        (Party::Phone(phone), "connects") => phone.register(),
        (Party::Phone(phone), "sends") => phone.send(&scene.body),
        (Party::Phone(phone), "answers") => phone.answer(&scene.body),
        (Party::Phone(phone), "receives") => phone.receive(&scene.body),
        (Party::Chat(chat), "connects") => chat.log_in(),
        (Party::Chat(chat), "sends") => chat.send(&scene.body.join("")),
        (Party::Chat(chat), "receives") => drop(chat.receive(&scene.body.join(""))),
        (_, what) => panic!("line {}: nobody knows how to play «{what}»", scene.line),
    }
}
