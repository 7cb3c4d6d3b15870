//! Answers to calls of the focus that come again, late, or from somebody else (RFC 3261 §13.2.2.4).

use std::time::Duration;

use sip_core::{Message, Name};
use sip_endpoint::Incoming;

use crate::house::House;

/// Somebody is called by the focus, for alice.
async fn called(house: &mut House, alice: &mut crate::house::Phone) -> Incoming {
    assert_eq!(alice.send("REFER", &[("Refer-To", "<sip:bob@example.org>")]).await.status(), 202);
    incoming(house, "INVITE").await
}

async fn incoming(house: &mut House, method: &str) -> Incoming {
    let next = async {
        loop {
            let incoming = house.called.recv().await.unwrap();
            if incoming.request.method() == method {
                return incoming;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), next).await.unwrap()
}

async fn ack(house: &mut House) -> Message {
    tokio::time::timeout(Duration::from_secs(10), house.acks.recv()).await.unwrap().unwrap()
}

fn taken(invite: &Message, tag: &str) -> Message {
    let mut response = Message::response(invite, 200, "");
    let to = format!("{};tag={tag}", invite.value(Name::To).unwrap());
    response.set(Name::To, &to);
    response.push(Name::Contact, &format!("<sip:{tag}@127.0.0.1:9>"));
    let answer =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    response.set_body("application/sdp", answer.into());
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_again_is_acknowledged_again_and_another_is_ended() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let invite = called(&mut house, &mut alice).await;
    let via = invite.request.value(Name::Via).unwrap();
    assert!(via.starts_with("SIP/2.0/TCP in-process.invalid;"), "no socket of ours is named: {via}");
    let answer = taken(&invite.request, "desk");
    invite.server.respond(answer.clone());
    let first = ack(&mut house).await;
    assert_eq!((first.to_tag(), first.uri()), (Some("desk"), "sip:desk@127.0.0.1:9"));
    house.until(|participant| participant.uri == "sip:bob@example.org").await;
    // The ACK was lost.
    invite.server.respond(answer);
    let again = ack(&mut house).await;
    assert_eq!((again.to_tag(), again.cseq()), (Some("desk"), first.cseq()));
    // Another device answered in the same moment.
    let other = taken(&invite.request, "mobile");
    invite.server.respond(other.clone());
    assert_eq!(ack(&mut house).await.to_tag(), Some("mobile"));
    let bye = incoming(&mut house, "BYE").await;
    assert_eq!((bye.request.to_tag(), bye.request.uri()), (Some("mobile"), "sip:mobile@127.0.0.1:9"));
    bye.server.respond(Message::response(&bye.request, 200, ""));
    invite.server.respond(other);
    assert_eq!(ack(&mut house).await.to_tag(), Some("mobile"), "and ended but once");
    house.until(|participant| participant.uri == "sip:bob@example.org").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_no_contact_is_ended() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let invite = called(&mut house, &mut alice).await;
    let mut answer = taken(&invite.request, "desk");
    answer.remove(Name::Contact);
    invite.server.respond(answer);
    assert_eq!(ack(&mut house).await.to_tag(), Some("desk"));
    assert_eq!(incoming(&mut house, "BYE").await.request.to_tag(), Some("desk"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_crosses_the_end_of_the_room_is_ended() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let invite = called(&mut house, &mut alice).await;
    invite.server.respond(Message::response(&invite.request, 180, ""));
    house.happens(shared_model::RoomEvent::Destroyed { room: crate::house::ROOM.parse().unwrap() });
    alice.request("BYE").await;
    tokio::time::timeout(Duration::from_secs(10), invite.server.cancelled()).await.unwrap();
    invite.server.respond(taken(&invite.request, "desk"));
    assert_eq!(ack(&mut house).await.to_tag(), Some("desk"));
    assert_eq!(incoming(&mut house, "BYE").await.request.to_tag(), Some("desk"));
    house.stop().await;
}
