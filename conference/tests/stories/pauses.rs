//! What a silent room sends to whom (RFC 7587 §6.1, RFC 3551 §4.1).

use std::time::{Duration, Instant};

use crate::house::{House, Phone, talk};
use conference::media::codec::Format;
use conference::media::rtcp;

/// What tells packets of sound apart: the marker, sequence number and timestamp; and when each was read.
type Packet = (bool, u16, u32, Instant);

/// Packets of sound that came until now.
fn came(phone: &Phone) -> Vec<Packet> {
    let (mut datagram, mut packets) = ([0; 2_048], Vec::new());
    while phone.media.recv_from(&mut datagram).is_ok() {
        if !rtcp::is_rtcp(&datagram) {
            let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().unwrap());
            packets.push((datagram[1] & 0x80 != 0, word(0) as u16, word(4), Instant::now()));
        }
    }
    packets
}

async fn listen(phone: &Phone, time: Duration) -> Vec<Packet> {
    let (begin, mut packets) = (Instant::now(), Vec::new());
    while begin.elapsed() < time {
        packets.extend(came(phone));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    packets
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_sent_now_and_then_to_who_wishes_it_and_speech_whole() {
    let house = House::start().await;
    let alice = house.call_in_with("alice", 440.0, Format::Opus, "a=fmtp:96 usedtx=1\r\n").await;
    let bob = house.call("bob", 700.0).await;
    let carol = house.call_in("carol", 1_100.0, Format::Opus).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    came(&alice);
    came(&carol);
    let silent = listen(&alice, Duration::from_secs(2)).await;
    assert!((3..=8).contains(&silent.len()), "{} packets", silent.len());
    assert!(came(&carol).len() > 80, "who does not wish it");
    let (first, last) = (silent[0], silent[silent.len() - 1]);
    assert_eq!(usize::from(last.1.wrapping_sub(first.1)), silent.len() - 1, "nothing is missing");
    let (said, passed) = (last.2.wrapping_sub(first.2) / 48, last.3.duration_since(first.3).as_millis());
    assert!(u128::from(said).abs_diff(passed) < 100, "the clock goes on: {said} {passed}");

    talk::<1>(&mut [bob], 50);
    let spoken = came(&alice);
    assert!(spoken.len() > 40, "{}", spoken.len());
    // The speech itself, without what was sent of the silence before it.
    let contiguous = spoken.windows(2).rev().take_while(|two| two[1].2.wrapping_sub(two[0].2) == 960);
    let (rest, begin) = (contiguous.count(), spoken.len());
    let talkspurt = &spoken[begin - 1 - rest..];
    assert!(talkspurt.len() > 40 && talkspurt[0].0, "it begins with the marker");
    assert!(talkspurt[1..].iter().all(|packet| !packet.0));
    house.stop().await;
}
