//! ICE as a full agent has it — RFC 8445 §6.1.1 (who controls), §6.1.2 (pairs), §6.1.4 and §14 (pace), §7.2 (our checks), §7.3.1 (theirs),
//! §8.1 (choosing), §9 (anew); RFC 7675 §5.1 (consent). Pure.
//!
//! In    candidates of the peer, its checks and answers, instants. Out checks of ours, one each [`PACE`] at most; where to send.
//! State a pair for each address of the peer, [`Agent::most`] at most: we have one candidate, our own address.
//! Errors what is not answered is forgotten ([`TRIES`]), by [`LONGEST`] after it was found or checked by the peer; an address that was
//!       sent to and took its consent back gets nothing until the peer begins anew.
//!
//! Of several that the peer chooses the last counts: browsers move from net to net without beginning anew. What works and is not
//! chosen is let go when it would be asked again; the peer's next check finds it anew.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ice::{Ask, Check, Credentials, Reply, Verdict};

/// What a peer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// Its name and password of checks.
    pub ice: Credentials,
    /// Where it may be, with priorities.
    pub candidates: Vec<(SocketAddr, u32)>,
    /// It checks nothing itself.
    pub is_lite: bool,
}

/// Who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We do.
    Controlling,
    /// The peer does.
    Controlled,
}

/// One leg's.
pub(super) struct Agent {
    role: Role,
    tiebreaker: u64,
    ours: Credentials,
    theirs: Credentials,
    pairs: Vec<Pair>,
    /// Pairs that are checked before others, since the peer checked them.
    triggered: VecDeque<SocketAddr>,
    chosen: Option<SocketAddr>,
    /// Where was sent before all began anew, and when that consented last.
    before: Option<(SocketAddr, Instant)>,
    /// Addresses that were sent to and consent no more.
    revoked: Vec<SocketAddr>,
    /// When the first pair worked.
    worked: Option<Instant>,
    sent: Option<Instant>,
    most: usize,
    random: fn() -> u64,
}

struct Pair {
    address: SocketAddr,
    priority: u32,
    state: State,
    /// When it was found, or was last given reason to be checked.
    since: Instant,
    /// The peer chose it, or we do.
    is_wanted: bool,
    /// Checks under way, the newest last.
    asked: Vec<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// So often sent; the next is due then.
    Checking(u32, Instant),
    /// It works; by its last answer, and when it is asked again.
    Works(Instant, Instant),
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    transaction: [u8; 12],
    /// Whether it said that this pair is chosen.
    chooses: bool,
}

impl Agent {
    /// Begins to check.
    pub(super) fn new(
        role: Role,
        ours: Credentials,
        theirs: &Theirs,
        most: usize,
        random: fn() -> u64,
        now: Instant,
    ) -> Self {
        // §6.1.1: a lite agent never controls.
        let role = if theirs.is_lite { Role::Controlling } else { role };
        let mut agent = Self {
            role,
            tiebreaker: random(),
            ours,
            theirs: theirs.ice.clone(),
            pairs: Vec::new(),
            triggered: VecDeque::new(),
            chosen: None,
            before: None,
            revoked: Vec::new(),
            worked: None,
            sent: None,
            most,
            random,
        };
        agent.learn(theirs, now);
        agent
    }

    /// §9: both have other names; what works goes on until another is chosen, and the role stays.
    pub(super) fn begin_anew(&mut self, ours: Credentials, theirs: &Theirs, now: Instant) {
        (self.ours, self.theirs) = (ours, theirs.ice.clone());
        self.revoked.clear();
        self.triggered.clear();
        self.worked = None;
        // RFC 7675 §5.1: its consent goes on to count, and is asked for by its new names.
        let target = self.target().filter(|target| self.before.is_none_or(|(before, _)| before != *target));
        let works = |pair: &&Pair| Some(pair.address) == target;
        if let Some(Pair { state: State::Works(heard, _), priority, .. }) = self.pairs.iter().find(works) {
            self.before = target.map(|target| (target, *heard));
            let priority = *priority;
            self.pairs.clear();
            target.into_iter().for_each(|target| self.add(target, priority, now));
        } else {
            self.pairs.clear();
        }
        self.chosen = None;
        self.learn(theirs, now);
    }

    fn learn(&mut self, theirs: &Theirs, now: Instant) {
        for (address, priority) in &theirs.candidates {
            self.add(*address, *priority, now);
        }
        // §6.1.2.3: with one candidate of ours the order is that of theirs.
        self.pairs.sort_by_key(|pair| std::cmp::Reverse(pair.priority));
        self.pairs.truncate(self.most);
    }

    fn add(&mut self, address: SocketAddr, priority: u32, now: Instant) {
        if !self.pairs.iter().any(|pair| pair.address == address) {
            self.pairs.push(Pair {
                address,
                priority,
                state: State::Waiting,
                since: now,
                is_wanted: false,
                asked: Vec::new(),
            });
        }
    }

    /// Where to send: what was chosen, or else the best that works.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let works = |pair: &&Pair| matches!(pair.state, State::Works(..));
        let best = || self.pairs.iter().find(works).map(|pair| pair.address);
        self.chosen.or(self.before.map(|(before, _)| before)).or_else(best)
    }

    /// Whether an address consented.
    pub(super) fn is_valid(&self, address: SocketAddr) -> bool {
        let works = |pair: &Pair| pair.address == address && matches!(pair.state, State::Works(..));
        self.before.is_some_and(|(before, _)| before == address) || self.pairs.iter().any(works)
    }

    /// A check of theirs came, whose password is right.
    pub(super) fn hear(&mut self, check: &Check, source: SocketAddr, now: Instant) -> Verdict {
        // §7.3.1.1.
        let is_greater = |theirs: u64| self.tiebreaker >= theirs;
        match (self.role, check.role) {
            (Role::Controlling, Some((Role::Controlling, theirs))) if is_greater(theirs) => {
                return Verdict::Conflict;
            }
            (Role::Controlled, Some((Role::Controlled, theirs))) if !is_greater(theirs) => {
                return Verdict::Conflict;
            }
            (Role::Controlling, Some((Role::Controlling, _))) => self.role = Role::Controlled,
            (Role::Controlled, Some((Role::Controlled, _))) => self.role = Role::Controlling,
            _ => {}
        }
        if self.revoked.contains(&source) {
            return Verdict::Right;
        }
        // §7.3.1.3, §7.3.1.4.
        if self.pairs.len() < self.most {
            self.add(source, check.priority, now);
        }
        let chooses = check.is_nominated && self.role == Role::Controlled;
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.address == source) else {
            return Verdict::Right;
        };
        pair.is_wanted |= chooses;
        match pair.state {
            State::Works(..) if chooses => self.choose(source),
            State::Works(..) => {}
            State::Waiting | State::Checking(..) => {
                (pair.state, pair.since) = (State::Waiting, now);
                if !self.triggered.contains(&source) {
                    self.triggered.push_back(source);
                }
            }
        }
        Verdict::Right
    }

    /// An answer came; true if it is to a check of ours, and right.
    pub(super) fn answered(&mut self, reply: &Reply, source: SocketAddr, now: Instant) -> bool {
        let asked = |pair: &Pair| pair.asked.iter().position(|asked| asked.transaction == reply.transaction);
        let Some((at, n)) = self.pairs.iter().enumerate().find_map(|(at, pair)| Some((at, asked(pair)?)))
        else {
            return false;
        };
        if !reply.proves(&self.theirs.password) {
            return false;
        }
        let Asked { chooses, .. } = self.pairs[at].asked.remove(n);
        // §7.2.5.2.1: from where it was asked.
        if self.pairs[at].address != source {
            self.fail(at);
            return false;
        }
        match reply.error {
            None => {}
            Some(CONFLICT) => {
                // §7.2.5.1.
                self.role = match self.role {
                    Role::Controlling => Role::Controlled,
                    Role::Controlled => Role::Controlling,
                };
                self.tiebreaker = (self.random)();
                let pair = &mut self.pairs[at];
                (pair.state, pair.since, pair.is_wanted) = (State::Waiting, now, false);
                self.triggered.push_back(source);
                return false;
            }
            Some(_) => {
                self.fail(at);
                return false;
            }
        }
        self.worked.get_or_insert(now);
        let again = self.consents_again(now);
        let pair = &mut self.pairs[at];
        pair.state = State::Works(now, again);
        if chooses || (pair.is_wanted && self.role == Role::Controlled) {
            self.choose(source);
        }
        true
    }

    /// What is due now: one check at most.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        self.expire(now);
        if self.sent.is_some_and(|sent| now.duration_since(sent) < PACE) {
            return None;
        }
        let at = self.due(now)?;
        let is_choice = self.is_choice(at, now);
        let chooses = is_choice && self.role == Role::Controlling;
        let again = self.consents_again(now);
        let pair = &mut self.pairs[at];
        let repeats = matches!(pair.state, State::Checking(..)).then(|| pair.asked.last().copied()).flatten();
        pair.state = match pair.state {
            State::Waiting => State::Checking(1, now + FIRST),
            // §14.3, RFC 8489 §6.2.1: each time twice as long.
            State::Checking(tries, _) => State::Checking(tries + 1, now + FIRST * (1 << tries.min(TRIES))),
            State::Works(heard, _) => State::Works(heard, if chooses { now + FIRST } else { again }),
        };
        let asked = repeats.unwrap_or_else(|| Asked { transaction: transaction(self.random), chooses });
        if repeats.is_none() {
            if pair.asked.len() >= MOST_ASKED {
                pair.asked.remove(0);
            }
            pair.asked.push(asked);
        }
        pair.is_wanted |= chooses;
        self.sent = Some(now);
        let ask = Ask {
            transaction: asked.transaction,
            user: format!("{}:{}", self.theirs.name, self.ours.name),
            password: &self.theirs.password,
            role: (self.role, self.tiebreaker),
            is_nominated: asked.chooses,
        };
        Some((self.pairs[at].address, ask.print()?))
    }

    /// Which pair is to be checked: those that the peer checked, new ones, what was not answered, what is chosen, what must consent
    /// again.
    fn due(&mut self, now: Instant) -> Option<usize> {
        while let Some(address) = self.triggered.pop_front() {
            let is_it = |pair: &Pair| pair.address == address && pair.state == State::Waiting;
            if let Some(at) = self.pairs.iter().position(is_it) {
                return Some(at);
            }
        }
        let is_new = |pair: &Pair| pair.state == State::Waiting;
        let is_silent = |pair: &Pair| matches!(pair.state, State::Checking(_, due) if due <= now);
        let consents = |pair: &Pair| matches!(pair.state, State::Works(_, due) if due <= now);
        let find = |is_it: &dyn Fn(&Pair) -> bool| self.pairs.iter().position(is_it);
        let choice = (0..self.pairs.len()).find(|at| {
            self.role == Role::Controlling && !self.pairs[*at].is_wanted && self.is_choice(*at, now)
        });
        let target = self.target();
        let to_be_kept =
            |pair: &Pair| consents(pair) && (Some(pair.address) == target || self.chosen.is_none());
        choice.or_else(|| find(&is_new)).or_else(|| find(&is_silent)).or_else(|| find(&to_be_kept))
    }

    /// Whether we would choose it: the best that works, once nothing better may still, or after a while.
    fn is_choice(&self, at: usize, now: Instant) -> bool {
        let works = |pair: &Pair| matches!(pair.state, State::Works(..));
        if self.chosen.is_some() || !works(&self.pairs[at]) || self.pairs[..at].iter().any(works) {
            return false;
        }
        at == 0 || self.worked.is_some_and(|worked| now.duration_since(worked) >= CHOICE)
    }

    /// §8.1.2: the others are not checked any more.
    fn choose(&mut self, address: SocketAddr) {
        (self.chosen, self.before) = (Some(address), None);
        self.triggered.clear();
        self.pairs.retain(|pair| pair.address == address || matches!(pair.state, State::Works(..)));
    }

    fn fail(&mut self, at: usize) {
        let pair = self.pairs.remove(at);
        self.triggered.retain(|address| *address != pair.address);
        self.chosen = self.chosen.filter(|chosen| *chosen != pair.address);
    }

    fn expire(&mut self, now: Instant) {
        self.before = self.before.filter(|(_, heard)| now.duration_since(*heard) <= CONSENT);
        let (target, chosen) = (self.target(), self.chosen);
        for at in (0..self.pairs.len()).rev() {
            let Pair { address, state, since, .. } = self.pairs[at];
            match state {
                State::Checking(tries, due) if due <= now && tries >= TRIES => self.fail(at),
                State::Waiting | State::Checking(..) if now.duration_since(since) >= LONGEST => self.fail(at),
                // It is not asked again, so that it says nothing is no answer.
                State::Works(_, due) if due <= now && chosen.is_some_and(|chosen| chosen != address) => {
                    self.fail(at);
                }
                State::Works(heard, _) if now.duration_since(heard) > CONSENT => {
                    // RFC 7675 §5.1: nothing more goes there by these names.
                    if Some(address) == target && self.revoked.len() < self.most {
                        self.revoked.push(address);
                    }
                    self.fail(at);
                }
                _ => {}
            }
        }
    }

    /// RFC 7675 §5.1: between four and six seconds.
    fn consents_again(&self, now: Instant) -> Instant {
        now + Duration::from_millis(4_000 + (self.random)() % 2_000)
    }
}

fn transaction(random: fn() -> u64) -> [u8; 12] {
    let mut octets = [0; 12];
    octets[..8].copy_from_slice(&random().to_be_bytes());
    octets[8..].copy_from_slice(&random().to_be_bytes()[..4]);
    octets
}

/// §14.2: between two checks.
const PACE: Duration = Duration::from_millis(50);
/// §14.3: how long is waited for the first answer.
const FIRST: Duration = Duration::from_millis(500);
/// How often a check is sent that is not answered: for 15.5 s.
const TRIES: u32 = 5;
/// How long pairs are checked that do not work.
const LONGEST: Duration = Duration::from_secs(30);
/// How long better pairs are waited for.
const CHOICE: Duration = Duration::from_millis(500);
/// Checks of one pair whose answers are known.
const MOST_ASKED: usize = 8;
const CONSENT: Duration = Duration::from_secs(30);
/// §7.3.1.1.
pub(super) const CONFLICT: u16 = 487;

#[cfg(test)]
mod tests;
