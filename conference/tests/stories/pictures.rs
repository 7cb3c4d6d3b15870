//! Pictures of phones over real sockets: whom they are sent to, and what is said of them.

use std::net::UdpSocket;
use std::time::Duration;

use conference::media::{rtcp, video::feedback};

use crate::house::{House, Seen, Viewer, jid};

const VP8: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n";

fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_moves_nobodys_pictures() {
    let house = House::start().await;
    let mut alice = Viewer::call(&house, "alice", 440.0, VP8).await;
    let bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    // From his address, but no packets of his: too short, of another version, of another payload type, a cut report.
    let (other, _) = socket();
    let reports = rtcp::compose(7, "x", None, &[]);
    for rubbish in [&b"\x80"[..], b"hello, world", &[&[0x80, 97][..], &[0; 20]].concat(), &reports[..9]] {
        other.send_to(rubbish, bob.focus).unwrap();
    }
    let forged = async {
        while house.metric("conference_video_forged_total") < 4.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forged).await.unwrap();
    alice.show(true, 1);
    bob.sees(1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_about_pictures_go_where_the_phone_says_now() {
    let house = House::start().await;
    let mut alice = Viewer::call(&house, "alice", 440.0, VP8).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    alice.show(false, 1);
    alice.until(|seen| *seen == Seen::Wanted);
    // RFC 5761 §5.1.1: one port for both no more, and once more.
    let (reports, port) = socket();
    let apart = format!("a=rtcp:{port}\r\n");
    let answer = alice.describe_anew(VP8, |offer| offer.replace("a=rtcp-mux\r\n", &apart)).await;
    assert!(!answer.contains("a=rtcp-mux"), "{answer}");
    bob.show(true, 2);
    alice.sees(2);
    std::thread::sleep(Duration::from_millis(500));
    alice.show(false, 3);
    let mut packet = [0; 2_048];
    let is_asked = |packet: &[u8]| matches!(feedback::read(packet)[..], [feedback::Wish::WholePicture(_)]);
    while !is_asked(&packet) {
        packet.fill(0);
        reports.recv(&mut packet).unwrap();
    }
    let answer = alice.describe_anew(VP8, |offer| offer).await;
    assert!(answer.contains("a=rtcp-mux"), "{answer}");
    std::thread::sleep(Duration::from_millis(500));
    alice.show(false, 4);
    alice.until(|seen| *seen == Seen::Wanted);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_seen_in_the_clear_is_not_called_encrypted() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let offer = |port: u16, key_of_pictures: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n{key}\
             m=video {port} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n{key_of_pictures}"
        )
    };
    for (port, key_of_pictures, is_encrypted) in
        [(9, "", false), (9, key, true), (9, "", false), (0, "", true)]
    {
        let response = alice.send_body("INVITE", "application/sdp", &offer(port, key_of_pictures)).await;
        assert_eq!(response.status(), 200);
        alice.acknowledge_with(String::new());
        house.until(|one| one.jid == Some(jid("alice")) && one.is_encrypted == is_encrypted).await;
    }
    house.stop().await;
}
