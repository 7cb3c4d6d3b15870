//! Two agents, one false clock, and a net that loses what it will.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::ice::Ask;
use super::*;

fn random() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1);
    // Odd steps go round all numbers.
    LAST.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
}

fn names(of: &str) -> Credentials {
    Credentials { name: of.to_owned(), password: format!("password-of-{of}") }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct End {
    agent: Agent,
    at: SocketAddr,
    is_lite: bool,
    sent: Vec<(Instant, SocketAddr)>,
}

fn end(of: &str, other: &str, role: Role, at: &str, candidates: &[&str], now: Instant) -> End {
    let candidates =
        candidates.iter().zip((1..1_000).rev()).map(|(one, rank)| (address(one), rank)).collect();
    let theirs = Theirs { ice: names(other), candidates, is_lite: false };
    let agent = Agent::new(role, names(of), &theirs, 100, random, now);
    End { agent, at: address(at), is_lite: false, sent: Vec::new() }
}

/// So many milliseconds pass; the net says whether what one end sent there arrives.
fn pass(ends: &mut [End; 2], now: &mut Instant, millis: u64, net: impl Fn(SocketAddr, SocketAddr) -> bool) {
    pass_slowly(ends, now, millis, Duration::ZERO, net);
}

/// An answer comes so long after the check.
fn pass_slowly(
    ends: &mut [End; 2],
    now: &mut Instant,
    millis: u64,
    round: Duration,
    net: impl Fn(SocketAddr, SocketAddr) -> bool,
) {
    let mut under_way = VecDeque::new();
    for _ in 0..millis / 10 {
        *now += Duration::from_millis(10);
        for n in 0..2 {
            let [one, other] = ends.get_disjoint_mut([n, 1 - n]).unwrap();
            let due = if one.is_lite { None } else { one.agent.poll(*now) };
            let Some((to, check)) = due else { continue };
            one.sent.push((*now, to));
            if to != other.at || !net(one.at, to) {
                continue;
            }
            let mut check = Check::read(&check).unwrap();
            let password = other.agent.ours.password.clone();
            assert!(check.proves(&password), "{}", check.name);
            let verdict = if other.is_lite { Verdict::Right } else { other.agent.hear(&check, one.at, *now) };
            let answer = check.answer(&password, one.at, verdict).unwrap();
            if net(other.at, one.at) {
                under_way.push_back((*now + round, n, to, Reply::read(&answer).unwrap()));
            }
            deliver(ends, &mut under_way, *now);
        }
        deliver(ends, &mut under_way, *now);
    }
}

type UnderWay = VecDeque<(Instant, usize, SocketAddr, Reply)>;

fn deliver(ends: &mut [End; 2], under_way: &mut UnderWay, now: Instant) {
    while let Some((_, to, from, answer)) = under_way.pop_front_if(|(due, ..)| *due <= now) {
        ends[to].agent.answered(&answer, from, now);
    }
}

/// Alice hears a check of bob's from there.
fn check_from(there: &str, alice: &mut Agent, is_nominated: bool, now: Instant) {
    let ask = Ask {
        transaction: [1; 12],
        user: "alice:bob".to_owned(),
        password: "password-of-alice",
        role: (Role::Controlling, 1),
        is_nominated,
    };
    let check = Check::read(&ask.print().unwrap()).unwrap();
    assert_eq!(alice.hear(&check, address(there), now), Verdict::Right);
}

fn targets(ends: &[End; 2]) -> [Option<SocketAddr>; 2] {
    [ends[0].agent.target(), ends[1].agent.target()]
}

const ALICE: &str = "192.0.2.1:1000";
const BOB: &str = "192.0.2.2:2000";
const NOWHERE: &str = "192.0.2.9:9";

#[test]
fn two_agents_find_each_other_and_one_chooses() {
    let mut now = Instant::now();
    let mut ends = [
        end("alice", "bob", Role::Controlling, ALICE, &[NOWHERE, BOB], now),
        // Bob does not know where alice is.
        end("bob", "alice", Role::Controlled, BOB, &[], now),
    ];
    pass(&mut ends, &mut now, 400, |_, _| true);
    assert_eq!(targets(&ends), [Some(address(BOB)), Some(address(ALICE))], "what works is used at once");
    assert_eq!((ends[0].agent.chosen, ends[1].agent.chosen), (None, None), "the better one may still work");
    pass(&mut ends, &mut now, 1_000, |_, _| true);
    assert_eq!((ends[0].agent.chosen, ends[1].agent.chosen), (Some(address(BOB)), Some(address(ALICE))));
    assert_eq!((ends[0].agent.pairs.len(), ends[1].agent.pairs.len()), (1, 1), "the others are let go");
    for one in &ends {
        assert!(one.sent.windows(2).all(|two| two[1].0 - two[0].0 >= PACE));
    }
    // Each goes on to ask whether the other consents, every four to six seconds.
    let before = ends.each_ref().map(|one| one.sent.len());
    pass(&mut ends, &mut now, 60_000, |_, _| true);
    for (one, before) in ends.iter().zip(before) {
        assert!((10..=16).contains(&(one.sent.len() - before)), "{}", one.sent.len() - before);
    }
}

#[test]
fn of_two_who_would_choose_one_does() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut now = Instant::now();
        let mut ends =
            [end("alice", "bob", role, ALICE, &[BOB], now), end("bob", "alice", role, BOB, &[ALICE], now)];
        pass(&mut ends, &mut now, 3_000, |_, _| true);
        assert_ne!(ends[0].agent.role, ends[1].agent.role);
        assert_eq!((ends[0].agent.chosen, ends[1].agent.chosen), (Some(address(BOB)), Some(address(ALICE))));
    }
}

#[test]
fn who_checks_nothing_is_checked_and_chosen() {
    let mut now = Instant::now();
    let theirs = Theirs { ice: names("bob"), candidates: vec![(address(BOB), 1)], is_lite: true };
    let agent = Agent::new(Role::Controlled, names("alice"), &theirs, 100, random, now);
    let mut ends = [
        End { agent, at: address(ALICE), is_lite: false, sent: Vec::new() },
        End { is_lite: true, ..end("bob", "alice", Role::Controlled, BOB, &[], now) },
    ];
    pass(&mut ends, &mut now, 1_000, |_, _| true);
    assert_eq!((ends[0].agent.chosen, ends[0].agent.role), (Some(address(BOB)), Role::Controlling));
}

#[test]
fn who_consents_no_more_gets_nothing_until_all_begins_anew() {
    let mut now = Instant::now();
    let mut ends = [
        end("alice", "bob", Role::Controlling, ALICE, &[BOB], now),
        end("bob", "alice", Role::Controlled, BOB, &[ALICE], now),
    ];
    pass(&mut ends, &mut now, 2_000, |_, _| true);
    // What bob says is lost; alice hears nothing, and he hears that she asks.
    pass(&mut ends, &mut now, 28_000, |from, _| from != address(BOB));
    assert_eq!(ends[0].agent.target(), Some(address(BOB)), "not yet");
    pass(&mut ends, &mut now, 10_000, |from, _| from != address(BOB));
    assert_eq!(ends[0].agent.target(), None);
    pass(&mut ends, &mut now, 10_000, |_, _| true);
    assert_eq!(ends[0].agent.target(), None, "by the same names never again");
    for (n, of, other, there) in [(0, "alice2", "bob2", BOB), (1, "bob2", "alice2", ALICE)] {
        let theirs = Theirs { ice: names(other), candidates: vec![(address(there), 1)], is_lite: false };
        ends[n].agent.begin_anew(names(of), &theirs, now);
    }
    pass(&mut ends, &mut now, 2_000, |_, _| true);
    assert_eq!(targets(&ends), [Some(address(BOB)), Some(address(ALICE))]);
}

#[test]
fn who_begins_anew_elsewhere_is_sent_to_there_once_that_is_chosen() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut now = Instant::now();
        let other = match role {
            Role::Controlling => Role::Controlled,
            Role::Controlled => Role::Controlling,
        };
        let mut ends =
            [end("alice", "bob", role, ALICE, &[BOB], now), end("bob", "alice", other, BOB, &[ALICE], now)];
        pass(&mut ends, &mut now, 2_000, |_, _| true);
        let theirs = |of: &str, there: &str| Theirs {
            ice: names(of),
            candidates: vec![(address(there), 1)],
            is_lite: false,
        };
        ends[0].agent.begin_anew(names("alice2"), &theirs("bob2", BOB), now);
        assert_eq!(ends[0].agent.target(), Some(address(BOB)), "until then to where it was");
        assert!(ends[0].agent.is_valid(address(BOB)) && ends[0].agent.chosen.is_none());
        // Bob is in another net, and answers nothing at his old place.
        ends[1].agent.begin_anew(names("bob2"), &theirs("alice2", ALICE), now);
        ends[1].at = address(NOWHERE);
        pass(&mut ends, &mut now, 3_000, |_, _| true);
        assert_eq!(targets(&ends), [Some(address(NOWHERE)), Some(address(ALICE))], "{role:?}");
        assert_eq!(ends.each_ref().map(|end| end.agent.role), [role, other], "roles stay");
        assert!(!ends[0].agent.is_valid(address(BOB)));
    }
}

#[test]
fn what_does_not_answer_is_let_go_and_costs_little() {
    let now = &mut Instant::now();
    let many: Vec<String> = (0..300).map(|n| format!("192.0.2.{}:{}", n % 250 + 3, n + 1)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut ends = [
        end("alice", "bob", Role::Controlled, ALICE, &many, *now),
        end("bob", "alice", Role::Controlling, BOB, &[], *now),
    ];
    assert_eq!(ends[0].agent.pairs.len(), 100);
    pass(&mut ends, now, 90_000, |_, _| true);
    assert!(ends[0].agent.pairs.is_empty() && ends[0].sent.len() <= 600, "{}", ends[0].sent.len());
    // A peer that is found late is found.
    check_from(BOB, &mut ends[0].agent, true, *now);
    pass(&mut ends, now, 1_000, |_, _| true);
    assert_eq!(ends[0].agent.chosen, Some(address(BOB)));
}

#[test]
fn only_whom_we_asked_may_answer() {
    let now = Instant::now();
    let mut one = end("alice", "bob", Role::Controlling, ALICE, &[BOB], now).agent;
    let (_, check) = one.poll(now).unwrap();
    let check = Check::read(&check).unwrap();
    let reply = |password: &str| {
        Reply::read(&check.answer(password, address(ALICE), Verdict::Right).unwrap()).unwrap()
    };
    assert!(!one.answered(&reply("guessed"), address(BOB), now) && one.target().is_none());
    // §7.2.5.2.1: an answer from elsewhere fails the pair.
    assert!(!one.answered(&reply("password-of-bob"), address(NOWHERE), now));
    assert!(one.target().is_none() && one.pairs.is_empty());
}

#[test]
fn who_moves_late_and_answers_slowly_is_followed() {
    let mut now = Instant::now();
    let mut ends = [
        end("alice", "bob", Role::Controlled, ALICE, &[BOB], now),
        end("bob", "alice", Role::Controlling, BOB, &[ALICE], now),
    ];
    let round = Duration::from_millis(100);
    pass_slowly(&mut ends, &mut now, 40_000, round, |_, _| true);
    assert_eq!(ends[0].agent.chosen, Some(address(BOB)));
    ends[1].at = address(NOWHERE);
    check_from(NOWHERE, &mut ends[0].agent, true, now);
    pass_slowly(&mut ends, &mut now, 300, round, |_, _| true);
    assert_eq!(ends[0].agent.chosen, Some(address(NOWHERE)));
}

#[test]
fn what_was_not_chosen_may_be_at_any_time() {
    for gap in [2_000, 29_950, 40_000] {
        let mut now = Instant::now();
        let mut ends = [
            end("alice", "bob", Role::Controlled, ALICE, &[BOB], now),
            end("bob", "alice", Role::Controlling, BOB, &[ALICE], now),
        ];
        let round = Duration::from_millis(100);
        pass_slowly(&mut ends, &mut now, 2_000, round, |_, _| true);
        // Bob has a second net, and would know whether it works.
        ends[1].at = address(NOWHERE);
        check_from(NOWHERE, &mut ends[0].agent, false, now);
        pass_slowly(&mut ends, &mut now, 300, round, |_, _| true);
        assert!(ends[0].agent.is_valid(address(NOWHERE)));
        ends[1].at = address(BOB);
        pass_slowly(&mut ends, &mut now, gap, round, |_, _| true);
        assert_eq!(ends[0].agent.chosen, Some(address(BOB)));
        ends[1].at = address(NOWHERE);
        check_from(NOWHERE, &mut ends[0].agent, true, now);
        pass_slowly(&mut ends, &mut now, 20_000, round, |_, _| true);
        assert_eq!(ends[0].agent.chosen, Some(address(NOWHERE)), "after {gap} ms");
    }
}
