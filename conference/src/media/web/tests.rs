//! Browsers on one port.

use super::addresses::MOST_ADDRESSES;
use super::*;
use crate::media::srtp::Srtp;

struct Browser {
    socket: UdpSocket,
    port: SocketAddr,
    identity: Identity,
    handshake: Handshake,
}

impl Browser {
    fn new(port: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let identity = Identity::new().unwrap();
        let handshake = Handshake::client(&identity);
        Self { socket, port, identity, handshake }
    }

    /// What its description says.
    fn peer(&self) -> Peer {
        let ice = Credentials { name: "theirs".to_owned(), password: "their-password".to_owned() };
        let candidates = vec![(self.socket.local_addr().unwrap(), 1)];
        let ice = Theirs { ice, candidates, is_lite: false };
        Peer { fingerprint: self.identity.fingerprint.clone(), ice, role: Role::Controlled }
    }

    /// Answers a check of ours, as a lite agent does; whether it chose.
    fn answer_check(&self) -> Option<bool> {
        let mut check = Check::read(&self.receive()?)?;
        assert!(check.proves("their-password") && check.name == "theirs");
        self.send(&check.answer("their-password", self.port, Verdict::Right)?);
        Some(check.is_nominated)
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.port).unwrap();
    }

    /// What comes within a moment.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut datagram = [0; LARGEST];
        let length = self.socket.recv(&mut datagram).ok()?;
        Some(datagram[..length].to_vec())
    }

    /// Checks until the leg knows where this browser is, one check at a time: more than the port reads would take the
    /// place of what comes after them.
    fn prove(&self, wire: &mut WebWire, is_nominated: bool) {
        let ours = wire.ours().clone();
        while wire.target().is_none() {
            self.send(&ice::tests::check(&ours.name, &ours.password, is_nominated));
            self.receive();
            wire.next();
        }
    }

    /// As a browser does: what is not answered is sent again.
    fn shake(&mut self) -> Crypto {
        let (socket, port) = (&self.socket, self.port);
        self.handshake.begin(|record| drop(socket.send_to(record, port)));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let datagram = self.receive();
            let (socket, port) = (&self.socket, self.port);
            let send = |record: &[u8]| drop(socket.send_to(record, port));
            let keys = match datagram {
                Some(datagram) => self.handshake.hear(&datagram, Instant::now(), send),
                None => {
                    self.handshake.timeout(Instant::now(), send);
                    None
                }
            };
            if let Some(keys) = keys.and_then(crate::media::dtls::Shaken::keys) {
                return keys;
            }
        }
        panic!("no keys");
    }
}

fn until<T>(wire: &mut WebWire, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        match wire.next() {
            Some(event) => {
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
            None => std::thread::yield_now(),
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn browsers_on_one_port_prove_themselves_and_get_keys_of_their_own() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let mut legs: Vec<(WebWire, Browser, Crypto, Crypto)> = (0..3)
        .map(|_| {
            let (mut wire, mut browser) = (port.open(shared_runtime::random), Browser::new(port.local));
            wire.begin(browser.peer());
            // The port hears of the leg a little later than the browser may.
            browser.prove(&mut wire, true);
            let there = browser.shake();
            let here = until(&mut wire, |event| match event {
                Event::Keys(keys) => Some(keys),
                _ => None,
            });
            (wire, browser, here, there)
        })
        .collect();
    for (wire, browser, here, there) in &mut legs {
        assert_eq!((here.ours, here.theirs), (there.theirs, there.ours));
        assert_eq!(wire.target(), browser.socket.local_addr().ok());
        let (mut ours, mut theirs) = (Srtp::new(*here).unwrap(), Srtp::new(*there).unwrap());
        let packet = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3];
        browser.send(&theirs.seal(&packet).unwrap());
        let came = until(wire, |event| match event {
            Event::Packet(packet) => Some(packet),
            _ => None,
        });
        assert_eq!(ours.open(&came).unwrap(), packet.as_slice());
        assert!(wire.send(&ours.seal(&packet).unwrap()));
    }
}

#[test]
fn who_does_not_know_the_password_gets_nothing_and_brings_nothing() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let (mut wire, browser, stranger) =
        (port.open(shared_runtime::random), Browser::new(port.local), Browser::new(port.local));
    wire.begin(browser.peer());
    let ours = wire.ours().clone();
    stranger.send(&ice::tests::check(&ours.name, "guessed", true));
    stranger.send(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9]);
    stranger.send(b"\x16\xfe\xff");
    browser.prove(&mut wire, false);
    assert_eq!(wire.target(), browser.socket.local_addr().ok());
    stranger.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stranger.socket.recv(&mut [0; 100]).is_err(), "no answer");
    assert!(!matches!(wire.next(), Some(Event::Packet(_))));
}

#[test]
fn a_leg_is_checked_anew_and_keeps_its_way_until_another_is_chosen() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let (old, new) = (Browser::new(port.local), Browser::new(port.local));
    let mut wire = port.open(shared_runtime::random);
    wire.begin(old.peer());
    let first = wire.ours().clone();
    let check = |from: &Browser, ours: &Credentials, is_nominated| {
        from.send(&ice::tests::check(&ours.name, &ours.password, is_nominated));
        from.receive()
    };
    while check(&old, &first, true).is_none() {}
    let mut renewed = first.clone();
    // Credentials of the last restart but one are worth nothing.
    let forgotten = Credentials::new(shared_runtime::random);
    port.renew(&first, &forgotten, &old.peer().ice);
    for _ in 0..2 {
        renewed = Credentials::new(shared_runtime::random);
        port.renew(&first, &renewed, &old.peer().ice);
    }
    while check(&new, &renewed, false).is_none() {}
    assert!(renewed != first);
    assert!(check(&new, &forgotten, true).is_none() && check(&new, &first, true).is_none());
    wire.next();
    assert_eq!(wire.target(), old.socket.local_addr().ok(), "nothing was chosen yet");
    assert!(check(&new, &renewed, true).is_some());
    // The answer may be quicker than what the leg is told.
    let chosen = until(&mut wire, |event| match event {
        Event::Target(target) => Some(target),
        _ => None,
    });
    assert_eq!(chosen, new.socket.local_addr().ok());
    drop(wire);
    while check(&new, &renewed, false).is_some() {}
}

#[test]
fn a_forged_source_takes_no_address_of_another_leg() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let browsers = [Browser::new(port.local), Browser::new(port.local)];
    let mut wires = browsers.each_ref().map(|browser| {
        let mut wire = port.open(shared_runtime::random);
        wire.begin(browser.peer());
        browser.prove(&mut wire, true);
        wire
    });
    let [victim, _] = &browsers;
    while victim.receive().is_some() {}
    // The other knows its own password, and says that it sends from the victim's address.
    let other = wires[1].ours().clone();
    victim.send(&ice::tests::check(&other.name, &other.password, true));
    assert_eq!(victim.receive(), None, "no answer");
    let packet = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3];
    victim.send(&packet);
    let came = until(&mut wires[0], |event| match event {
        Event::Packet(packet) => Some(packet),
        _ => None,
    });
    assert_eq!(came, packet);
    wires[1].next();
    assert_eq!(wires[1].target(), browsers[1].socket.local_addr().ok());
}

#[test]
fn as_a_full_agent_we_ask_where_to_send_and_nothing_goes_where_nobody_answers() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), Some(10)).unwrap();
    let (mut browser, victim) = (Browser::new(port.local), Browser::new(port.local));
    let mut wire = port.open(shared_runtime::random);
    // It checks nothing itself, and names an address that is not its own, besides.
    let mut peer = browser.peer();
    peer.ice.is_lite = true;
    peer.ice.candidates.insert(0, (victim.socket.local_addr().unwrap(), 9));
    wire.begin(peer);
    // Who is quicker than our check has what it says wait for the answer.
    let ours = wire.ours().clone();
    while !matches!(browser.receive(), Some(answer) if Reply::read(&answer).is_some()) {
        browser.send(&ice::tests::check(&ours.name, &ours.password, false));
    }
    let begun = Instant::now();
    while browser.answer_check() != Some(true) {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    let there = browser.shake();
    let here = until(&mut wire, |event| match event {
        Event::Keys(keys) => Some(keys),
        _ => None,
    });
    assert_eq!((here.ours, wire.target()), (there.theirs, browser.socket.local_addr().ok()));
    assert!(victim.receive().is_some_and(|check| Check::read(&check).is_some()));
    while let Some(came) = victim.receive() {
        assert!(Check::read(&came).is_some(), "nothing but checks");
    }
}

#[test]
fn as_a_full_agent_we_say_who_is_wrong_about_who_chooses() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), Some(10)).unwrap();
    let browser = Browser::new(port.local);
    let mut wire = port.open(shared_runtime::random);
    wire.begin(browser.peer());
    let ours = wire.ours().clone();
    // Neither would choose, and its number is the greater: it is to.
    let ask = ice::Ask {
        transaction: [1; 12],
        user: format!("{}:theirs", ours.name),
        password: &ours.password,
        role: (Role::Controlled, u64::MAX),
        is_nominated: false,
    };
    let ask = ask.print().unwrap();
    let begun = Instant::now();
    let reply = loop {
        browser.send(&ask);
        if let Some(reply) = browser.receive().and_then(|answer| Reply::read(&answer)) {
            break reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    };
    assert!(reply.proves(&ours.password) && reply.error == Some(487));
}

#[test]
fn an_answer_from_where_nothing_was_asked_is_not_looked_at() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), Some(10)).unwrap();
    let (browser, stranger) = (Browser::new(port.local), Browser::new(port.local));
    let mut wire = port.open(shared_runtime::random);
    let mut peer = browser.peer();
    peer.ice.is_lite = true;
    wire.begin(peer);
    let begun = Instant::now();
    let check = loop {
        if let Some(check) = browser.receive().and_then(|check| Check::read(&check)) {
            break check;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    };
    // Even one that is right otherwise.
    let answer = check.answer("their-password", port.local, Verdict::Right).unwrap();
    stranger.send(&answer);
    browser.send(&answer);
    let target = until(&mut wire, |event| match event {
        Event::Target(target) => target,
        _ => None,
    });
    assert_eq!(Some(target), browser.socket.local_addr().ok());
}

#[test]
fn an_address_that_is_proved_no_more_makes_room_for_the_next() {
    let address = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    let (mut proved, mut addresses, begun) = (Vec::new(), HashMap::new(), Instant::now());
    let most = MOST_ADDRESSES as u16;
    let mut put = |port: u16, now| {
        let is_in = has_room(&mut proved, &mut addresses, ("leg", Some(address(0))), address(port), now);
        if is_in {
            addresses.insert(address(port), Claim { name: "leg".to_owned(), checked: now });
        }
        (is_in, proved.len(), addresses.len())
    };
    for port in 0..most {
        assert!(put(port, begun).0);
    }
    assert_eq!(put(most, begun), (false, MOST_ADDRESSES, MOST_ADDRESSES), "all of them are in use");
    let later = begun + CONSENT + Duration::from_secs(1);
    assert_eq!(put(most, later), (true, MOST_ADDRESSES, MOST_ADDRESSES));
    assert!(proved.contains(&address(0)) && !proved.contains(&address(1)), "not the one where it is");
}

#[test]
fn another_certificate_than_was_signalled_is_told_when_there_is_room() {
    let port = WebPort::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let (mut wire, mut browser) = (port.open(shared_runtime::random), Browser::new(port.local));
    let fingerprint = Identity::new().unwrap().fingerprint.clone();
    wire.begin(Peer { fingerprint, ..browser.peer() });
    browser.prove(&mut wire, true);
    // Nobody reads what comes before keys.
    (0..2 * INBOX).for_each(|_| browser.send(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3]));
    let to = port.local;
    browser.handshake.begin(|record| drop(browser.socket.send_to(record, to)));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let datagram = browser.receive();
        let send = |record: &[u8]| drop(browser.socket.send_to(record, to));
        match datagram {
            Some(datagram) => drop(browser.handshake.hear(&datagram, Instant::now(), send)),
            None => browser.handshake.timeout(Instant::now(), send),
        }
    }
    let (mut before, mut is_told) = (0, false);
    let begun = Instant::now();
    while !is_told && begun.elapsed() < Duration::from_secs(5) {
        match wire.next() {
            Some(Event::Impostor) => is_told = true,
            Some(_) => before += 1,
            None => std::thread::yield_now(),
        }
    }
    assert!(is_told && before >= INBOX, "{before} events before");
}
