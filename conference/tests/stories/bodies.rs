//! What a focus makes of bodies that are no plain session description (RFC 3261 §8.2.3, RFC 5621), and of REFER that names nobody,
//! or several (RFC 3515 §2.4.2).

use sip_core::Name;

use crate::house::House;

const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_focus_cannot_read_is_refused_with_what_it_can() {
    let house = House::start().await;
    for (kind, body) in [("text/plain", OFFER), ("application/foo", "x")] {
        let refused = house.silent_phone("alice").await.send_body("INVITE", kind, body).await;
        assert_eq!(refused.status(), 415, "{kind}");
        assert!(refused.value(Name::Accept).unwrap().contains("application/sdp"), "{refused:?}");
    }
    let mut phone = house.silent_phone("alice").await;
    let refused =
        phone.send_body_with("INVITE", "application/sdp", OFFER, ("Content-Encoding", "gzip")).await;
    assert_eq!(refused.status(), 415);
    assert_eq!(refused.other_values("Accept-Encoding").next(), Some("identity"));
    let disposition = ("Content-Disposition", "foo;handling=required");
    let refused = phone.send_body_with("INVITE", "application/sdp", OFFER, disposition).await;
    assert_eq!(refused.status(), 415);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_among_other_parts_is_answered_as_one_alone() {
    let house = House::start().await;
    let mut phone = house.silent_phone("alice").await;
    let body = format!(
        "--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--b1--\r\n"
    );
    let answer = phone.send_body("INVITE", "multipart/mixed;boundary=b1", &body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.value(Name::ContentType), Some("application/sdp"));
    assert!(String::from_utf8_lossy(answer.body()).contains("m=audio"));
    let broken =
        house.silent_phone("bob").await.send_body("INVITE", "multipart/mixed;boundary=b2", &body).await;
    assert_eq!(broken.status(), 400);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_without_one_target_is_refused_as_malformed() {
    let house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    assert_eq!(alice.send("REFER", &[]).await.status(), 400);
    let two = [("Refer-To", "<sip:bob@example.org>"), ("Refer-To", "<sip:carol@example.org>")];
    assert_eq!(alice.send("REFER", &two).await.status(), 400);
    assert_eq!(alice.send("REFER", &[("Refer-To", "<mailto:bob@example.org>")]).await.status(), 501);
    house.stop().await;
}
