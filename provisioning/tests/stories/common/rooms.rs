//! A room with a call, and trunks, that do what they are told, for the pages.

use std::collections::BTreeMap;
use std::sync::Mutex;

use provisioning::{Answer, Found, Search};
use shared_model::{
    AccountId, Affiliated, Affiliation, Aor, Audio, BareJid, CallOutError, ConferenceDirectory,
    ConferenceSnapshot, Correlation, Deed, Diagnosis, Doctor, Happened, KeptRoom, Meaning, Moderation,
    ModerationError, NewRoom, NotLooked, NumberRoute, Occupant, Participant, Pending, Plan, Price, Role,
    RoomAccess, RoomAddress, RoomDirectory, RoomError, RoomKeeping, RoomSnapshot, RoomsOf, Telephony,
    Timelines, TrunkState, Unavailable,
};

pub(crate) const ROOM: &str = "dev@conference.example.org";

/// The room `dev`, in which bob is, what was done to whom, and who is what in it; others are made and ended.
#[derive(Default)]
pub(crate) struct Rooms(pub(crate) Mutex<Vec<(String, Deed)>>, pub(crate) Mutex<Kept>);

/// Rooms by their addresses, and who is what there.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) made: Vec<NewRoom>,
    pub(crate) ended: Vec<RoomAddress>,
    pub(crate) known: BTreeMap<(RoomAddress, String), (Affiliation, Option<String>)>,
}

impl RoomKeeping for Rooms {
    fn make(&self, new: NewRoom) -> Pending<'_, Result<(), RoomError>> {
        let mut kept = self.1.lock().unwrap();
        let is_there = new.room.as_str() == ROOM || kept.made.iter().any(|made| made.room == new.room);
        let done = match (is_there, new.room.domain()) {
            (true, _) => Err(RoomError::Exists),
            (_, "conference.example.org") => {
                kept.made.push(new);
                Ok(())
            }
            _ => Err(RoomError::Refused("rooms are on the service's domain for rooms")),
        };
        Box::pin(async { done })
    }

    fn destroy<'a>(&'a self, room: &'a RoomAddress, _: &'a str) -> Pending<'a, Result<(), RoomError>> {
        self.1.lock().unwrap().ended.push(room.clone());
        Box::pin(async { Ok(()) })
    }

    fn kept<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<KeptRoom, RoomError>> {
        let kept = self.1.lock().unwrap();
        let of_room = kept.known.iter().filter(|((of, _), _)| of == room);
        let one =
            |((_, jid), (affiliation, reason)): (&(RoomAddress, String), &(Affiliation, Option<String>))| {
                Affiliated { jid: jid.clone(), affiliation: *affiliation, reason: reason.clone() }
            };
        let found = KeptRoom {
            description: "What <b>we</b> make".to_owned(),
            is_persistent: true,
            affiliations: of_room.map(one).collect(),
        };
        let is_there = room.as_str() == ROOM || kept.made.iter().any(|made| made.room == *room);
        Box::pin(async move { if is_there { Ok(found) } else { Err(RoomError::Nothing) } })
    }

    fn affiliate<'a>(
        &'a self,
        room: &'a RoomAddress,
        whom: Affiliated,
    ) -> Pending<'a, Result<Affiliation, RoomError>> {
        let place = (room.clone(), whom.jid.clone());
        let mut kept = self.1.lock().unwrap();
        let done = match (whom.jid.contains('@'), whom.affiliation) {
            (false, affiliation) if affiliation.is_member() => {
                Err(RoomError::Refused("a domain can be banned, and no more"))
            }
            (_, Affiliation::None) => Ok(kept.known.remove(&place)),
            (_, affiliation) => Ok(kept.known.insert(place, (affiliation, whom.reason))),
        };
        Box::pin(async move { done.map(|before| before.map_or(Affiliation::None, |(before, _)| before)) })
    }

    fn rooms_of<'a>(&'a self, jid: &'a str, _: Option<&'a str>) -> Pending<'a, Result<RoomsOf, RoomError>> {
        let kept = self.1.lock().unwrap();
        let own = kept.known.iter().filter(|((_, of), _)| of == jid);
        let found = own.map(|((room, _), (affiliation, _))| (room.clone(), *affiliation)).collect();
        Box::pin(async move { Ok((found, None)) })
    }
}

/// Its call: bob's leg, and a stranger's; what was done to whom, and what was asked of it: whom to call for whom, and to record.
#[derive(Default)]
pub(crate) struct Calls(pub(crate) Mutex<Vec<(String, Deed)>>, pub(crate) Mutex<Vec<String>>);

/// Two trunks.
pub(crate) struct Carriers;

fn bob() -> BareJid {
    "bob@example.org".parse().unwrap()
}

impl RoomDirectory for Rooms {
    fn room<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>> {
        let (role, affiliation) = (Role::Participant, Affiliation::None);
        let occupant = Occupant { nick: "Bob <b>".to_owned(), jid: bob(), role, affiliation };
        let snapshot = RoomSnapshot {
            room: room.clone(),
            name: "Development".to_owned(),
            subject: String::new(),
            description: String::new(),
            access: RoomAccess { hidden: true, ..RoomAccess::default() },
            affiliations: Vec::new(),
            occupants: vec![occupant],
        };
        Box::pin(async move { Ok((room.as_str() == ROOM).then_some(snapshot)) })
    }

    fn rooms<'a>(
        &'a self,
        text: &'a str,
        after: Option<&'a RoomAddress>,
        _: usize,
    ) -> Pending<'a, Result<Vec<RoomAddress>, Unavailable>> {
        let all =
            if after.is_none() && ROOM.contains(text) { vec![ROOM.parse().unwrap()] } else { Vec::new() };
        Box::pin(async { Ok(all) })
    }
}

impl ConferenceDirectory for Calls {
    fn conference<'a>(
        &'a self,
        room: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>> {
        let leg = |jid: Option<BareJid>, uri: &str, audio| Participant {
            account: None,
            jid,
            uri: uri.to_owned(),
            display_name: String::new(),
            audio,
            has_video: false,
            is_hand_up: false,
            gain: if audio == Audio::Muted { 6 } else { 0 },
            is_encrypted: true,
        };
        let participants = vec![
            ("leg-1".to_owned(), leg(Some(bob()), "sip:bob@example.org", Audio::SendReceive)),
            ("leg-2".to_owned(), leg(None, "sip:stranger@other.example", Audio::Muted)),
        ];
        let is_recorded = self.1.lock().unwrap().iter().any(|asked| asked.starts_with("record"));
        let snapshot = ConferenceSnapshot { room: room.clone(), participants, is_recorded };
        Box::pin(async move { Ok((room.as_str() == ROOM).then_some(snapshot)) })
    }

    fn call_out<'a>(
        &'a self,
        _: &'a RoomAddress,
        asker: &'a BareJid,
        callee: &'a str,
    ) -> Pending<'a, Result<(), CallOutError>> {
        self.1.lock().unwrap().push(format!("{callee} for {asker}"));
        match callee {
            "sip:busy@example.org" => {
                Box::pin(async { Err(CallOutError::Refused("486 Busy Here".to_owned())) })
            }
            "sip:slow@example.org" => Box::pin(std::future::pending()),
            _ => Box::pin(async { Ok(()) }),
        }
    }

    fn record<'a>(
        &'a self,
        _: &'a RoomAddress,
        asker: Option<&'a BareJid>,
        is_wanted: bool,
    ) -> Pending<'a, Result<(), ModerationError>> {
        if asker.is_some() {
            return Box::pin(async { Err(ModerationError::Refused("only who moderates")) });
        }
        self.1.lock().unwrap().push(format!("{} {is_wanted}", if is_wanted { "record" } else { "end" }));
        Box::pin(async { Ok(()) })
    }
}

fn done<'a>(
    told: &Mutex<Vec<(String, Deed)>>,
    whom: &str,
    deed: Deed,
) -> Pending<'a, Result<(), ModerationError>> {
    let done = match whom {
        "owner" => Err(ModerationError::Refused("admins and owners of a room keep their voice")),
        "nobody" => Err(ModerationError::Nobody),
        whom => {
            told.lock().unwrap().push((whom.to_owned(), deed));
            Ok(())
        }
    };
    Box::pin(async { done })
}

impl Moderation for Rooms {
    fn moderate<'a>(
        &'a self,
        _: &'a RoomAddress,
        nick: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        done(&self.0, nick, deed)
    }
}

impl Moderation for Calls {
    fn moderate<'a>(
        &'a self,
        _: &'a RoomAddress,
        call: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        done(&self.0, call, deed)
    }
}

impl Telephony for Carriers {
    fn trunks(&self) -> Vec<TrunkState> {
        let trunk = |name: &str, is_up| TrunkState {
            name: name.to_owned(),
            server: format!("sip:{name}.example"),
            addresses: vec!["192.0.2.9:5060".to_owned()],
            prefixes: vec!["+33".to_owned()],
            takes_emergency: true,
            priority: 1,
            weight: 1,
            is_up,
            is_registered: Some(is_up),
            is_probed: true,
            answered: is_up.then(shared_runtime::unix_millis),
            failed: (!is_up).then(|| (shared_runtime::unix_millis(), "OPTIONS got 503".to_owned())),
            calls: (3, 4),
        };
        vec![trunk("near", true), trunk("far", false)]
    }

    fn plan(&self) -> Plan {
        vec![("country", vec!["33".to_owned()]), ("area", Vec::new())]
    }

    fn look_up<'a>(
        &'a self,
        dialled: &'a str,
        caller: Option<&'a Aor>,
    ) -> Pending<'a, Result<NumberRoute, Unavailable>> {
        let word = str::to_owned;
        let price = Price {
            class: word("pstn"),
            setup: word("0.10"),
            minute: word("0.02"),
            step: 60,
            currency: word("EUR"),
        };
        let route = NumberRoute {
            meaning: Meaning::Number(format!("+33{}", dialled.trim_start_matches('0'))),
            account: None,
            elsewhere: dialled.ends_with("00").then(|| "sip:<b>@elsewhere.example".to_owned()),
            trunks: vec![word("near"), word("far")],
            price: Some(price),
            is_allowed: caller.is_none(),
        };
        Box::pin(async { Ok(route) })
    }
}

/// Somebody to whom 150 things happened, and a doctor who finds something.
pub(crate) struct Past(pub(crate) AccountId);

impl Search for Past {
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Answer, Unavailable>> {
        let happened = |text: &str| Happened {
            time: since.map_or(1, |_| 2),
            correlation: Correlation::of_call("c7@x"),
            protocol: "sip".to_owned(),
            event: "call_ringing".to_owned(),
            text: text.to_owned(),
            call_id: Some("c7@x".to_owned()),
            stream: None,
            room: None,
        };
        let found = match sought {
            "c7@x" | "office@x" => ["it rings", "it is answered"]
                .into_iter()
                .filter(|it| it.contains(text))
                .map(happened)
                .collect(),
            "down@x" => return Box::pin(async { Err(Unavailable) }),
            _ => Vec::new(),
        };
        let mut accounts = [Some(self.0), None].into_iter();
        let of = move |happened| Found { account: accounts.next().flatten(), happened };
        let answer = Answer { found: found.into_iter().map(of).collect(), is_whole: sought != "office@x" };
        Box::pin(async move { Ok(answer) })
    }
}

impl Timelines for Past {
    fn search<'a>(
        &'a self,
        account: AccountId,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Vec<Happened>, Unavailable>> {
        let happened = move |n: i64| Happened {
            time: n,
            correlation: Correlation::of_account(account),
            protocol: "sip".to_owned(),
            event: "call_begun".to_owned(),
            text: format!("calls number {n}"),
            call_id: Some(n.to_string()),
            stream: None,
            room: None,
        };
        let all = (0..150).rev().map(happened).filter(move |it| it.text.contains(text));
        let all = if since.is_some() { all.take(1).collect() } else { all.collect() };
        Box::pin(async move { Ok(all) })
    }

    fn page<'a>(
        &'a self,
        account: AccountId,
        before: Option<&'a str>,
        most: usize,
    ) -> Pending<'a, Result<Option<shared_model::Past>, Unavailable>> {
        Box::pin(async move {
            let all = self.search(account, None, "").await?;
            let first = match before.map(str::parse::<usize>) {
                None => 0,
                Some(Ok(id)) if id < all.len() => all.len() - id,
                Some(_) => return Ok(None),
            };
            let entries: Vec<_> = all.into_iter().skip(first).take(most).collect();
            let before = entries.last().map(|last| last.time.to_string()).filter(|id| id != "0");
            Ok(Some(shared_model::Past { entries, before }))
        })
    }
}

impl Doctor for Past {
    fn look(&self) -> Pending<'_, Result<(Vec<Diagnosis>, bool), NotLooked>> {
        let found = Diagnosis {
            check: "clock".to_owned(),
            severity: "error".to_owned(),
            text: "it stands".to_owned(),
            remedy: "wind it up".to_owned(),
        };
        Box::pin(async { Ok((vec![found], false)) })
    }
}
