//! Legs that send and see, without a socket.

use super::super::Codec;
use super::super::seat::{Content, Extensions, Shown, View};
use super::super::source::PAUSE;
use super::*;

const US: feedback::Us = feedback::Us { ssrc: 9, cname: 9 };
const KEY: &[u8] = &[0x10, 0x00, 7];
const DELTA: &[u8] = &[0x10, 0x01, 7];

fn seat(ssrc: u32) -> Seat {
    let camera = Shown { content: Content::Face, mid: None, rids: Vec::new(), ssrcs: Vec::new() };
    Seat {
        codec: Codec::Vp8,
        payload_type: 96,
        ssrc,
        cname: ssrc,
        limit: 1_500_000,
        takes: 0,
        is_shown: true,
        sees: true,
        shows: vec![camera],
        views: vec![View { ssrc, content: None, takes: 0 }],
        extensions: Extensions::default(),
        by_fir: false,
    }
}

/// A packet with an extension, which nobody gets.
fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, 0x80 | 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 3_000).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 1, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}

struct Story {
    switch: Switch,
    now: Instant,
}

impl Story {
    fn new(legs: u64) -> Self {
        let mut story = Self { switch: Switch::new(Instant::now(), 0), now: Instant::now() };
        for id in 1..=legs {
            story.switch.add(LegId(id), seat(1_000 + id as u32), story.now, &mut Vec::new());
        }
        story
    }

    /// A leg sends; whom what reached, with its sequence number, and who was asked for a whole picture.
    fn send(&mut self, from: u64, sequence: u16, payload: &[u8]) -> (Vec<(u64, u16)>, Vec<u64>) {
        let mut out = Vec::new();
        let packet = packet(sequence, from as u32, payload);
        self.now += Duration::from_millis(33);
        self.switch.picture(LegId(from), &packet, self.now, &mut out);
        told(out)
    }

    fn speak(&mut self, id: u64) -> Vec<u64> {
        let mut out = Vec::new();
        self.now += PAUSE;
        self.switch.speak(LegId(id), self.now, &mut out);
        told(out).1
    }
}

fn told(out: Vec<Out>) -> (Vec<(u64, u16)>, Vec<u64>) {
    let (mut pictures, mut requests) = (Vec::new(), Vec::new());
    for one in out {
        match one {
            Out::Picture(LegId(to), packet) => {
                let rtp = Rtp::read(&packet).unwrap();
                assert_eq!((rtp.ssrc, packet[0]), (1_000 + to as u32, 0x80), "its own source, bare");
                pictures.push((to, rtp.sequence));
            }
            Out::Request(LegId(to), asked)
                if matches!(feedback::read(&asked)[..], [Wish::WholePicture(_)]) =>
            {
                requests.push(to);
            }
            Out::Request(..) => {}
        }
    }
    pictures.sort_unstable();
    (pictures, requests)
}

#[test]
fn everybody_sees_who_speaks_from_a_whole_picture_on() {
    let mut story = Story::new(3);
    assert_eq!(story.send(1, 10, DELTA), (vec![], vec![1]), "nobody can begin with that");
    assert_eq!(story.send(1, 11, KEY), (vec![(2, 11), (3, 11)], vec![]));
    assert_eq!(story.send(1, 12, DELTA).0, [(2, 12), (3, 12)]);
    // The one who is seen sees the next of the order.
    assert_eq!(story.send(2, 500, KEY), (vec![(1, 500)], vec![]));

    assert_eq!(story.speak(2), [2], "a whole picture is asked for");
    assert_eq!(story.send(1, 13, DELTA).0, [(2, 13), (3, 13)], "until then the old one is seen");
    assert_eq!(story.send(2, 501, DELTA).0, [(1, 501)]);
    assert_eq!(story.send(2, 502, KEY).0, [(1, 502), (3, 14)], "the stream's numbers go on");
    assert_eq!(story.send(1, 14, DELTA).0, [(2, 14)], "who speaks sees who spoke before");
}

#[test]
fn who_knows_fir_alone_is_asked_by_it_and_each_new_command_has_the_next_number() {
    let mut story = Story::new(1);
    story.switch.add(LegId(2), Seat { by_fir: true, ..seat(1_002) }, story.now, &mut Vec::new());
    let asked = |out: Vec<Out>| {
        let [Out::Request(LegId(2), request)] = &out[..] else { panic!("{out:?}") };
        // RFC 5104 §4.3.1.1: of no source in the head, but in the entry, which ends with a number and three zeros.
        let Some(([0, 0, 0, 0, 0, 0, 0, 2], [number, 0, 0, 0])) =
            request[request.len() - 12..].split_at_checked(8)
        else {
            panic!("{request:x?}")
        };
        assert_eq!(request[request.len() - 20..request.len() - 16], [0x84, 206, 0, 4]);
        *number
    };
    let send = |story: &mut Story, sequence, payload: &[u8]| {
        let mut out = Vec::new();
        story.now += PAUSE;
        story.switch.picture(LegId(2), &packet(sequence, 2, payload), story.now, &mut out);
        out.retain(|out| matches!(out, Out::Request(_, request) if request[request.len() - 19] == 206 && request[request.len() - 20] == 0x84));
        out
    };
    let first = asked(send(&mut story, 10, DELTA));
    assert_eq!(asked(send(&mut story, 11, DELTA)), first, "the same command, said again");
    assert!(send(&mut story, 12, KEY).is_empty());
    let wish = |story: &mut Story| {
        let mut out = Vec::new();
        story.now += PAUSE;
        story.switch.wish(LegId(1), &feedback::pli(US, 1_001), story.now, &mut out);
        out
    };
    assert_eq!(asked(wish(&mut story)), first.wrapping_add(1), "another one");
    assert_eq!(asked(wish(&mut story)), first.wrapping_add(1));
    // Its sender begins anew, and may remember.
    let begun = send(&mut story, 5_000, DELTA);
    let begun = if begun.is_empty() { send(&mut story, 5_001, DELTA) } else { begun };
    assert_eq!(asked(begun), first.wrapping_add(2));
}

#[test]
fn who_lost_packets_gets_them_again_and_others_are_asked_for() {
    let mut story = Story::new(2);
    story.send(1, 10, KEY);
    story.send(1, 12, DELTA);
    let mut out = Vec::new();
    let report = feedback::nack(US, 1_002, &[10, 11]);
    story.switch.wish(LegId(2), &report, story.now, &mut out);
    assert!(matches!(&out[..], [Out::Picture(LegId(2), again), Out::Request(LegId(1), asked)]
        if feedback::read(asked) == [Wish::Again(1, vec![11])] && Rtp::read(again).unwrap().sequence == 10));
    // Who asks again and again is not answered again and again.
    let mut out = Vec::new();
    for _ in 0..9 {
        story.switch.wish(LegId(2), &[&report[..], &report].concat(), story.now, &mut out);
    }
    assert_eq!(out, []);
    story.now += Duration::from_millis(100);
    story.switch.wish(LegId(2), &[&report[..], &report].concat(), story.now, &mut out);
    assert_eq!(out.len(), 2);
    // What comes so late is forwarded in its place.
    assert_eq!(story.send(1, 11, DELTA).0, [(2, 11)]);
    let mut out = Vec::new();
    story.now += PAUSE;
    story.switch.wish(LegId(2), &feedback::pli(US, 1_002), story.now, &mut out);
    story.switch.wish(LegId(2), &feedback::pli(US, 1_002), story.now, &mut out);
    assert_eq!(told(out).1, [1], "not twice in half a second");
}

#[test]
fn who_begins_anew_is_seen_from_a_whole_picture_on_and_no_number_has_two_packets() {
    let mut story = Story::new(2);
    assert_eq!(story.send(1, 10, KEY).0, [(2, 10)]);
    assert_eq!(story.send(1, 11, DELTA).0, [(2, 11)]);
    assert_eq!(story.send(1, 11, KEY).0, [], "another packet of a known number");
    let again = |story: &mut Story, number| {
        let mut out = Vec::new();
        story.switch.wish(LegId(2), &feedback::nack(US, 1_002, &[number]), story.now, &mut out);
        out.retain(|out| matches!(out, Out::Picture(..)));
        out
    };
    assert!(matches!(&again(&mut story, 11)[..], [Out::Picture(_, again)] if again.ends_with(DELTA)));

    // Another source of the same leg, with the same numbers.
    let of_another = |story: &mut Story, sequence, payload: &[u8]| {
        let mut out = Vec::new();
        story.switch.picture(LegId(1), &packet(sequence, 77, payload), story.now, &mut out);
        told(out)
    };
    assert_eq!(of_another(&mut story, 11, DELTA), (vec![], vec![1]), "a whole picture is asked for");
    assert_eq!(again(&mut story, 11), [], "nor is it sent again under the old number");
    assert_eq!(of_another(&mut story, 12, KEY).0, [(2, 12)], "the stream goes on");
    assert_eq!(of_another(&mut story, 11, KEY).0, []);
    assert_eq!(of_another(&mut story, 13, DELTA).0, [(2, 13)]);

    // The same source, which counts from far back.
    assert_eq!(of_another(&mut story, 60_000, DELTA), (vec![], vec![1]));
    assert_eq!(of_another(&mut story, 60_001, KEY).0, [(2, 14)]);
}

#[test]
fn a_sender_is_told_how_much_its_viewers_can_take() {
    let mut story = Story::new(3);
    story.send(1, 10, KEY);
    let told = |story: &mut Story, sequence| {
        let mut out = Vec::new();
        story.now += REPORTS;
        story.switch.picture(LegId(1), &packet(sequence, 1, DELTA), story.now, &mut out);
        let reports = out.into_iter().filter_map(|out| match out {
            Out::Request(LegId(1), report) => Some(report),
            _ => None,
        });
        reports.map(|report| (rtcp::read(&report, 1).unwrap().block, feedback::read(&report))).next()
    };
    let (block, wishes) = told(&mut story, 12).unwrap();
    assert_eq!((block.unwrap().lost, block.unwrap().highest), (1, 12));
    assert!(matches!(wishes[..], [Wish::AtMost(1_499_000..=1_500_000)]));
    let tell = |story: &mut Story, viewer: u64, bits| {
        let wish = feedback::at_most(9, &[9], bits);
        story.switch.wish(LegId(viewer), &wish, story.now, &mut Vec::new());
    };
    tell(&mut story, 2, 400_000);
    tell(&mut story, 3, 20_000);
    let (_, wishes) = told(&mut story, 13).unwrap();
    assert!(matches!(wishes[..], [Wish::AtMost(399_000..=400_000)]), "no less for one: {wishes:?}");
    tell(&mut story, 2, 30_000);
    let (_, wishes) = told(&mut story, 14).unwrap();
    assert!(matches!(wishes[..], [Wish::AtMost(149_000..=150_000)]), "no less for all: {wishes:?}");
}

#[test]
fn who_takes_next_to_nothing_is_sent_nothing_and_costs_nobody_else() {
    let mut story = Story::new(2);
    story.switch.add(LegId(3), Seat { takes: 1_000, ..seat(1_003) }, story.now, &mut Vec::new());
    let (mut seen, mut least) = ([0; 4], u64::MAX);
    for sequence in 0..100 {
        story.now += Duration::from_millis(33);
        let mut out = Vec::new();
        let payload = [KEY, &[0; 1_000]].concat();
        story.switch.picture(LegId(1), &packet(sequence, 1, &payload), story.now, &mut out);
        for one in &out {
            match one {
                Out::Picture(LegId(to), _) => seen[*to as usize] += usize::from(sequence >= 40),
                Out::Request(LegId(1), report) => feedback::read(report).iter().for_each(|wish| {
                    let Wish::AtMost(bits) = wish else { return };
                    least = least.min(*bits);
                }),
                Out::Request(..) => {}
            }
        }
    }
    assert_eq!((seen[2], seen[3]), (60, 0));
    assert!(least > 1_400_000, "{least}");
}

#[test]
fn requests_of_ours_are_whole_packets_of_rtcp() {
    let mut story = Story::new(2);
    let mut out = Vec::new();
    story.switch.picture(LegId(1), &packet(7, 1, DELTA), story.now, &mut out);
    story.switch.picture(LegId(1), &packet(8, 1, KEY), story.now, &mut out);
    story.switch.wish(LegId(2), &feedback::nack(US, 1_002, &[6, 7]), story.now, &mut out);
    story.now += REPORTS;
    story.switch.picture(LegId(1), &packet(9, 1, DELTA), story.now, &mut out);
    let requests = out.iter().filter_map(|one| match one {
        Out::Request(LegId(1), packet) => Some(packet),
        _ => None,
    });
    let requests: Vec<_> = requests.collect();
    assert!(requests.len() >= 3, "{requests:x?}");
    for request in requests {
        // RFC 3550 §6.1: a report, and the name of whose it is.
        let report = usize::from(u16::from_be_bytes([request[2], request[3]])) * 4 + 4;
        assert!(rtcp::is_whole(request) && request[1] == 201, "{request:x?}");
        assert_eq!((request[report + 1], &request[report + 8..report + 18]), (202, &b"\x01\x08000003e9"[..]));
    }
}

#[test]
fn who_begins_far_ahead_is_seen_on() {
    let mut story = Story::new(2);
    for sequence in 10..12 {
        story.send(1, sequence, KEY);
    }
    assert_eq!(story.send(1, 11 + 20_000, DELTA), (vec![], vec![1]), "it begins anew");
    assert_eq!(story.send(1, 12 + 20_000, KEY).0, [(2, 12)], "and its numbers go on");
    assert_eq!(story.send(1, 13 + 20_000, DELTA).0, [(2, 13)]);
}

#[test]
fn codecs_do_not_mix_and_who_may_not_be_shown_is_not() {
    let mut story = Story::new(2);
    let other = Seat { codec: Codec::H264, payload_type: 97, ..seat(1_003) };
    story.switch.add(LegId(3), other, story.now, &mut Vec::new());
    assert_eq!(story.send(1, 10, KEY).0, [(2, 10)]);
    let hidden = Seat { is_shown: false, ..seat(1_001) };
    story.switch.change(LegId(1), hidden, story.now, &mut Vec::new());
    assert_eq!(story.send(1, 11, KEY).0, []);
    let blind = Seat { sees: false, ..seat(1_001) };
    story.switch.change(LegId(1), blind, story.now, &mut Vec::new());
    assert_eq!((story.send(1, 12, KEY).0, story.send(2, 5, KEY).0), (vec![(2, 11)], vec![]));
    story.switch.remove(LegId(1), story.now, &mut Vec::new());
    assert_eq!(story.send(1, 13, KEY).0, []);
}

#[test]
fn no_packet_harms_a_switch() {
    let mut story = Story::new(2);
    story.send(1, 10, KEY);
    let whole = packet(11, 1, KEY);
    let mut out = Vec::new();
    for length in 0..whole.len() {
        story.switch.picture(LegId(1), &whole[..length], story.now, &mut out);
        story.switch.wish(LegId(2), &whole[..length], story.now, &mut out);
    }
    let mut long = whole.clone();
    (long[14], long[15]) = (0xff, 0xff);
    story.switch.picture(LegId(1), &long, story.now, &mut out);
    long[0] = 0x9f;
    story.switch.picture(LegId(1), &long, story.now, &mut out);
}

/// A leg with so many streams, and layers of these names.
fn web(ssrc: u32, views: u32, rids: &[&str]) -> Seat {
    let rids = rids.iter().map(|rid| (*rid).to_owned()).collect();
    let camera = Shown { content: Content::Face, mid: Some("0".to_owned()), rids, ssrcs: Vec::new() };
    Seat {
        shows: vec![camera],
        views: (0..views).map(|n| View { ssrc: ssrc + n * 100, content: None, takes: 0 }).collect(),
        extensions: Extensions { mid: Some(1), rid: Some(2), transport: Some(3) },
        ..seat(ssrc)
    }
}

/// A packet with its medium, layer, and number of the transport beside its head.
fn named(sequence: u16, ssrc: u32, names: (&str, &str), number: u16, payload: &[u8]) -> Vec<u8> {
    let mut beside = Vec::new();
    for (id, name) in [(1, names.0), (2, names.1)].into_iter().filter(|(_, name)| !name.is_empty()) {
        beside.push(id << 4 | (name.len() as u8 - 1));
        beside.extend(name.as_bytes());
    }
    beside.push(0x31);
    beside.extend(number.to_be_bytes());
    beside.resize(beside.len().next_multiple_of(4), 0);
    let mut packet = packet(sequence, ssrc, &[]);
    packet.truncate(12);
    packet.extend([0xbe, 0xde, 0, (beside.len() / 4) as u8]);
    packet.extend(beside);
    packet.extend(payload);
    packet
}

/// Who got what by which source, of what came out.
fn pictures(out: &[Out]) -> Vec<(u64, u32, u16)> {
    let mut all = Vec::new();
    for one in out {
        if let Out::Picture(LegId(to), packet) = one {
            let rtp = Rtp::read(packet).unwrap();
            all.push((*to, rtp.ssrc, rtp.sequence));
        }
    }
    all.sort_unstable();
    all
}

#[test]
fn a_browser_sees_several_at_once_each_in_a_place_that_is_used_again() {
    let mut story = Story::new(4);
    story.switch.add(LegId(9), web(9_000, 2, &[]), story.now, &mut Vec::new());
    let seen = |out: Vec<(u64, u32, u16)>| {
        out.into_iter().filter(|(to, ..)| *to == 9).map(|(_, ssrc, _)| ssrc).next()
    };
    let send = |story: &mut Story, from: u64, sequence| {
        let mut out = Vec::new();
        story.now += Duration::from_millis(33);
        let packet = packet(sequence, from as u32, KEY);
        story.switch.picture(LegId(from), &packet, story.now, &mut out);
        seen(pictures(&out))
    };
    assert_eq!(
        (1..=4).map(|from| send(&mut story, from, 1)).collect::<Vec<_>>(),
        [Some(9_000), Some(9_100), None, None]
    );
    // Who speaks takes the place of who did not for the longest time, and the other stays where they are.
    story.speak(4);
    assert_eq!(
        (1..=4).map(|from| send(&mut story, from, 2)).collect::<Vec<_>>(),
        [Some(9_000), Some(9_100), None, Some(9_100)]
    );
    story.switch.remove(LegId(1), story.now, &mut Vec::new());
    assert_eq!(
        (2..=4).map(|from| send(&mut story, from, 3)).collect::<Vec<_>>(),
        [Some(9_000), None, Some(9_100)]
    );
}

#[test]
fn what_somebody_shows_is_seen_before_faces_and_beside_their_own() {
    let mut story = Story::new(2);
    let mut both = web(9_000, 1, &[]);
    let slides = Shown { content: Content::Slides, mid: Some("1".to_owned()), rids: vec![], ssrcs: vec![70] };
    both.shows.push(slides);
    story.switch.add(LegId(9), both, story.now, &mut Vec::new());
    let mut out = Vec::new();
    for (ssrc, mid) in [(61, "1"), (60, "0"), (70, ""), (71, "x"), (72, "")] {
        story.switch.picture(LegId(9), &named(7, ssrc, (mid, ""), ssrc as u16, KEY), story.now, &mut out);
    }
    let slides = pictures(&out).into_iter().map(|(to, ssrc, _)| (to, ssrc)).collect::<Vec<_>>();
    assert_eq!(
        slides,
        [(1, 1_001), (1, 1_001), (2, 1_002), (2, 1_002)],
        "of no medium, or a face, nothing is seen"
    );
}

#[test]
fn each_viewer_has_the_layer_that_it_can_take() {
    let mut story = Story::new(2);
    story.switch.add(LegId(9), web(9_000, 1, &["h", "l"]), story.now, &mut Vec::new());
    let poor = feedback::at_most(9, &[9], 200_000);
    story.switch.wish(LegId(2), &poor, story.now, &mut Vec::new());
    let (mut high, mut low, mut number) = (100, 200, 0);
    // A second and a half of both layers; a whole picture comes when one is wanted.
    let mut is_wanted = [false; 2];
    let mut last = Vec::new();
    for _ in 0..50 {
        story.now += Duration::from_millis(30);
        last.clear();
        for (n, (rid, ssrc, octets)) in [("h", 60, 3_000), ("l", 61, 300)].into_iter().enumerate() {
            let sequence = if n == 0 { &mut high } else { &mut low };
            (*sequence, number) = (*sequence + 1, number + 1);
            let payload =
                [if is_wanted[n] || *sequence % 100 == 1 { KEY } else { DELTA }, &vec![0; octets]].concat();
            let packet = named(*sequence, ssrc, ("0", rid), number, &payload);
            let mut out = Vec::new();
            story.switch.picture(LegId(9), &packet, story.now, &mut out);
            is_wanted[n] = false;
            for one in &out {
                if let Out::Request(_, asked) = one {
                    let wishes = feedback::read(asked);
                    is_wanted[0] |= wishes.contains(&Wish::WholePicture(60));
                    is_wanted[1] |= wishes.contains(&Wish::WholePicture(61));
                }
            }
            let sizes = out.iter().filter_map(|one| match one {
                Out::Picture(LegId(to), packet) => Some((*to, packet.len() > 2_000)),
                Out::Request(..) => None,
            });
            last.extend(sizes);
        }
    }
    last.sort_unstable();
    assert_eq!(last, [(1, true), (2, false)], "the great one for who can, the small one for who cannot");
}

#[test]
fn packets_are_counted_both_ways_and_streams_have_reports() {
    let mut story = Story::new(0);
    for (id, ssrc) in [(1, 1_000), (2, 2_000)] {
        story.switch.add(LegId(id), web(ssrc, 1, &[]), story.now, &mut Vec::new());
    }
    let mut out = Vec::new();
    for number in 0..5 {
        story.now += Duration::from_millis(50);
        let packet = named(number, 60, ("0", ""), number, KEY);
        story.switch.picture(LegId(1), &packet, story.now, &mut out);
    }
    let arrived = out.iter().filter_map(|one| match one {
        Out::Request(LegId(1), report) => feedback::read(report).into_iter().find_map(|wish| match wish {
            Wish::Arrived(arrived) => Some(arrived.len()),
            _ => None,
        }),
        _ => None,
    });
    assert_eq!(arrived.collect::<Vec<_>>(), [3, 2], "ten times a second");
    let numbers = out.iter().filter_map(|one| match one {
        Out::Picture(LegId(2), packet) => Rtp::read(packet)?.extension(Some(3)).map(|number| number[1]),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let report = out.iter().find_map(|one| match one {
        Out::Request(LegId(2), report) => rtcp::senders(report).next(),
        _ => None,
    });
    let (ssrc, ntp) = report.unwrap();
    assert_eq!(ssrc, 2_000);
    let millis = |ntp: u64| (u128::from(ntp) * 1_000) >> 32;
    assert!((49..=50).contains(&millis(ntp)), "the clock is that of the sound: {}", millis(ntp));

    // Sound that waits has its pictures wait; what comes late was not shown late.
    story.switch.sound_waits(LegId(1), Duration::from_millis(60));
    out.clear();
    story.now += REPORTS + Duration::from_millis(40);
    let mut late = named(37, 60, ("0", ""), 5, KEY);
    late[4..8].copy_from_slice(&(4 * 3_000 + 90_000_u32).to_be_bytes());
    story.switch.picture(LegId(1), &late, story.now, &mut out);
    let report = out.iter().find_map(|one| match one {
        Out::Request(LegId(2), report) => rtcp::senders(report).next(),
        _ => None,
    });
    // The best of five came at 50 ms, and this one is of 4 × 33.3 + 1,000 ms after the first.
    let after = millis(report.unwrap().1) - 1_000;
    assert!((240..=250).contains(&after), "{after}");
}

#[test]
fn who_begins_again_and_again_is_not_heard() {
    let mut story = Story::new(2);
    let mut out = Vec::new();
    for ssrc in 0..1_000 {
        story.switch.picture(LegId(1), &packet(7, ssrc, KEY), story.now, &mut out);
    }
    assert_eq!(pictures(&out).len(), 10, "in one second");
    story.now += REPORTS;
    out.clear();
    story.switch.picture(LegId(1), &packet(7, 2_000, KEY), story.now, &mut out);
    assert_eq!(pictures(&out).len(), 1);
}
