//! Copies for a capture server: a listener that takes HEP v3 apart chunk by chunk.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{DOMAIN, Phone, serve_with};
use shared_model::Correlation;
use sip_server::{Config, HepConfig};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The chunks of a packet by their type; every byte belongs to one.
fn chunks(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    assert_eq!((&packet[..4], usize::from(number(4))), (&b"HEP3"[..], packet.len()));
    let (mut at, mut chunks) = (6, BTreeMap::new());
    while at < packet.len() {
        assert_eq!(number(at), 0, "the vendor of generic chunks");
        let (kind, length) = (number(at + 2), usize::from(number(at + 4)));
        assert!(chunks.insert(kind, packet[at + 6..at + length].to_vec()).is_none());
        at += length;
    }
    assert_eq!(at, packet.len());
    chunks
}

#[tokio::test]
async fn what_comes_and_goes_is_copied_with_its_addresses_and_correlation() {
    let homer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let secret = std::env::temp_dir().join(format!("cusax-hep-{:016x}", shared_runtime::random()));
    std::fs::write(&secret, "capture me\n").unwrap();
    let hep = HepConfig {
        to: Some(format!("udp {}", homer.local_addr().unwrap())),
        id: 2_001,
        password_file: Some(secret.clone()),
    };
    let served = serve_with(Config { hep, ..Config::default() }).await;
    std::fs::remove_file(secret).unwrap();
    let alice = Phone::new("alice", &served).await;
    let request = alice.request("OPTIONS", &format!("sip:{DOMAIN}"), &format!("sip:{DOMAIN}"));
    alice.send(&request).await;
    alice.expect("200").await;
    let mut copies = Vec::new();
    let mut buffer = vec![0; 65_535];
    for _ in 0..2 {
        let length = timeout(Duration::from_secs(10), homer.recv(&mut buffer)).await.unwrap().unwrap();
        copies.push(chunks(&buffer[..length]));
    }
    let ours = served.server.bound().udp[0].port().to_be_bytes();
    let hers = alice.address().port().to_be_bytes();
    for (copy, from, to, start) in
        [(&copies[0], hers, ours, &b"OPTIONS sip:"[..]), (&copies[1], ours, hers, &b"SIP/2.0 200"[..])]
    {
        assert_eq!((&copy[&7][..], &copy[&8][..]), (&from[..], &to[..]));
        assert!(copy[&15].starts_with(start));
        assert_eq!((&copy[&1][..], &copy[&2][..], &copy[&11][..]), (&[2][..], &[17][..], &[1][..]));
        assert_eq!((&copy[&3][..], &copy[&4][..]), (&[127, 0, 0, 1][..], &[127, 0, 0, 1][..]));
        assert_eq!((&copy[&12][..], &copy[&14][..]), (&2_001_u32.to_be_bytes()[..], &b"capture me"[..]));
        assert_eq!(copy[&17], Correlation::of_call(request.call_id()).to_string().as_bytes());
        let seconds = u32::from_be_bytes(copy[&9][..].try_into().unwrap());
        assert!(
            u64::from(seconds).abs_diff(u64::try_from(shared_runtime::unix_millis()).unwrap() / 1_000) < 60
        );
        assert!(u32::from_be_bytes(copy[&10][..].try_into().unwrap()) < 1_000_000);
    }
}
