//! Caller preferences — RFC 3841 §7.2 (which contacts a caller wants), §8 and RFC 3840 §5, §9 (feature parameters), §9.1 (Request-Disposition).
//!
//! In    a request, and the parameters of each Contact that it may go to.
//! Out   [`Wishes`]: what its caller wants of proxies; of a contact, [`Fit`]: whether it is dropped, and how well it suits.
//! State none.
//! Errors more rules, terms or values than bounds allow are [`TooMany`] (§11); a value that cannot be read is passed over.
//!
//! A contact without feature parameters is immune: it suits everybody, for nobody knows what it can. Preferences that the request
//! merely implies (§7.2.2) drop contacts, and are void if none were left.

mod features;

use smallvec::SmallVec;

use crate::Message;
use crate::header::{Name, Params};
use features::{Filter, MOST_VALUES, Set, Value, term};

/// What a caller wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    rules: Rules,
    /// What servers are asked to do.
    pub disposition: Disposition,
}

#[derive(Debug, Clone, PartialEq)]
enum Rules {
    /// Of Accept-Contact and Reject-Contact.
    Explicit { accept: Vec<Rule>, reject: Vec<Set> },
    /// Of the method and the event package.
    Implicit { method: String, event: Option<String> },
}

/// What Request-Disposition asks for; of each kind the first word counts. There is no queue here, so that who asks for one is told
/// at once what others are told, as `no-queue` wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disposition {
    /// `redirect`: the caller wants to be told where to go.
    pub redirects: bool,
    /// `no-cancel`: other branches go on after a 2xx.
    pub keeps_branches: bool,
    /// `no-fork`: the best contact, and no other.
    pub one_only: bool,
    /// `no-recurse`: redirects are the caller's to follow.
    pub passes_redirects: bool,
    /// `parallel` or `sequential`.
    pub search: Option<Search>,
}

/// How contacts are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// All at once.
    Parallel,
    /// One after another.
    Sequential,
}

/// More rules than are read (§11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// How a contact suits a caller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fit {
    /// The caller does not want it.
    Dropped,
    /// Qa of §7.2.4, between 0 and 1.
    Suits(f32),
}

/// A value of Accept-Contact.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    set: Set,
    requires: bool,
    is_explicit: bool,
}

impl Wishes {
    /// Reads what the caller of a request wants.
    pub fn of(request: &Message) -> Result<Self, TooMany> {
        let disposition = Disposition::of(request);
        let is_explicit =
            request.value(Name::AcceptContact).is_some() || request.value(Name::RejectContact).is_some();
        if !is_explicit {
            let event = request.value(Name::Event).filter(|_| request.method() == "SUBSCRIBE");
            let package =
                |event: &str| event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let method = request.method().to_ascii_lowercase();
            return Ok(Self { rules: Rules::Implicit { method, event: event.map(package) }, disposition });
        }
        let (mut accept, mut reject) = (Vec::new(), Vec::new());
        for (name, is_accept) in [(Name::AcceptContact, true), (Name::RejectContact, false)] {
            for value in request.elements(name) {
                let Some(params) = value.strip_prefix('*').map(|params| Params(params.trim_start())) else {
                    continue;
                };
                if accept.len() + reject.len() == MOST_RULES {
                    return Err(TooMany);
                }
                let set = Set::read(params).ok_or(TooMany)?;
                match is_accept {
                    true => accept.push(Rule {
                        set,
                        requires: params.has("require"),
                        is_explicit: params.has("explicit"),
                    }),
                    false => reject.push(set),
                }
            }
        }
        Ok(Self { rules: Rules::Explicit { accept, reject }, disposition })
    }

    /// Whether the caller said what contacts to prefer.
    pub fn is_explicit(&self) -> bool {
        matches!(self.rules, Rules::Explicit { .. })
    }

    /// How a contact with these parameters suits.
    pub fn fit(&self, params: Params<'_>) -> Fit {
        match &self.rules {
            Rules::Implicit { method, event } => {
                let lacks = |name: &str, wanted: &str| {
                    let known = params.value(name).map(|known| term(known, MOST_VALUES)).unwrap_or_default();
                    let wanted = Filter { is_negated: false, value: Value::Token(wanted.to_owned()) };
                    !known.is_empty() && !known.iter().any(|known| known.may_be(&wanted))
                };
                let is_unfit =
                    lacks("methods", method) || event.as_ref().is_some_and(|event| lacks("events", event));
                if is_unfit { Fit::Dropped } else { Fit::Suits(1.0) }
            }
            Rules::Explicit { accept, reject } => match Set::read_leniently(params) {
                contact if contact.tags().next().is_none() => Fit::Suits(1.0),
                contact => fit(&contact, accept, reject),
            },
        }
    }
}

/// §7.2.4 for one contact.
fn fit(contact: &Set, accept: &[Rule], reject: &[Set]) -> Fit {
    let is_unwanted = |set: &Set| set.tags().all(|tag| contact.term(tag).is_some()) && set.may_be(contact);
    if reject.iter().any(is_unwanted) {
        return Fit::Dropped;
    }
    let (mut sum, mut count) = (0.0, 0_u8);
    for rule in accept {
        if !rule.set.may_be(contact) {
            if rule.requires {
                return Fit::Dropped;
            }
            continue;
        }
        let terms = rule.set.tags().count();
        let said = rule.set.tags().filter(|tag| contact.term(tag).is_some()).count();
        let is_whole = said == terms;
        if !is_whole && rule.is_explicit && rule.requires {
            return Fit::Dropped;
        }
        count += 1;
        sum += match (is_whole, rule.is_explicit) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => said as f32 / terms as f32,
        };
    }
    // One that matches nothing of what was asked for is the last; with Reject-Contact alone nothing was.
    match (count, accept.is_empty()) {
        (0, is_all_the_same) => Fit::Suits(f32::from(u8::from(is_all_the_same))),
        (count, _) => Fit::Suits(sum / f32::from(count)),
    }
}

impl Disposition {
    fn of(request: &Message) -> Self {
        let mut words = request.elements(Name::RequestDisposition).map(str::trim).take(MOST_WORDS).peekable();
        if words.peek().is_none() {
            return Self::default();
        }
        let words: SmallVec<[&str; 8]> = words.collect();
        // Whether the first of a pair that is there is this one.
        let first = |one: &str, other: &str| {
            let is = |word: &&&str| word.eq_ignore_ascii_case(one) || word.eq_ignore_ascii_case(other);
            words.iter().find(is).is_some_and(|word| word.eq_ignore_ascii_case(one))
        };
        let search = match (first("parallel", "sequential"), first("sequential", "parallel")) {
            (true, _) => Some(Search::Parallel),
            (_, true) => Some(Search::Sequential),
            _ => None,
        };
        Self {
            redirects: first("redirect", "proxy"),
            keeps_branches: first("no-cancel", "cancel"),
            one_only: first("no-fork", "fork"),
            passes_redirects: first("no-recurse", "recurse"),
            search,
        }
    }
}

/// §11: "a reasonable number is around 20".
const MOST_RULES: usize = 20;
/// Words of a Request-Disposition: two for each kind.
const MOST_WORDS: usize = 12;

#[cfg(test)]
mod tests {
    use super::features::MOST_TERMS;
    use super::*;

    fn wishes(method: &str, headers: &[(Name, &str)]) -> Wishes {
        let mut request = Message::request(method, "sip:user@example.com");
        for (name, value) in headers {
            request.push(*name, value);
        }
        Wishes::of(&request).unwrap()
    }

    /// What becomes of a contact with these parameters.
    fn fits(wishes: &Wishes, params: &str) -> Option<f32> {
        match wishes.fit(Params(params)) {
            Fit::Dropped => None,
            Fit::Suits(score) => Some((score * 100.0).round() / 100.0),
        }
    }

    #[test]
    fn the_example_of_section_7_2_5() {
        let wishes = wishes(
            "INVITE",
            &[
                (Name::RejectContact, "*;actor=\"msg-taker\";video"),
                (Name::AcceptContact, "*;audio;require"),
                (Name::AcceptContact, "*;video;explicit"),
                (Name::AcceptContact, "*;methods=\"BYE\";class=\"business\";q=1.0"),
            ],
        );
        let contacts = [
            (";audio;video;methods=\"INVITE,BYE\";q=0.2", Some(0.83)),
            (";audio=\"FALSE\";methods=\"INVITE\";actor=\"msg-taker\";q=0.2", None),
            (";audio;actor=\"msg-taker\";methods=\"INVITE\";video;q=0.3", None),
            (";audio;methods=\"INVITE,OPTIONS\";q=0.2", Some(0.5)),
            (";q=0.5", Some(1.0)),
        ];
        for (params, fit) in contacts {
            assert_eq!(fits(&wishes, params), fit, "{params}");
        }
    }

    /// As phones register: the parameters of their Contacts.
    const SNOM: &str = ";+sip.instance=\"<urn:uuid:0>\";audio;mobility=\"fixed\";duplex=\"full\";description=\"snom870\";\
        actor=\"principal\";events=\"dialog\";methods=\"INVITE,ACK,CANCEL,BYE,REFER,OPTIONS,NOTIFY,SUBSCRIBE,PRACK,MESSAGE,INFO\"";
    const POLYCOM: &str =
        ";methods=\"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER\"";
    const LINPHONE: &str =
        ";+org.linphone.specs=\"ephemeral/1.1,groupchat/1.2,lime\";+sip.instance=\"<urn:uuid:1>\"";
    const BARESIP: &str = ";+sip.instance=\"<urn:uuid:2>\";reg-id=1";
    const JITSI: &str = ";expires=600";
    const PJSIP: &str = ";+sip.ice;reg-id=1;+sip.instance=\"<urn:uuid:3>\"";

    #[test]
    fn what_a_request_implies_drops_who_says_that_they_cannot() {
        let all = [SNOM, POLYCOM, LINPHONE, BARESIP, JITSI, PJSIP];
        let ring = |wishes: &Wishes| all.map(|params| fits(wishes, params).is_some());
        assert_eq!(ring(&wishes("INVITE", &[])), [true; 6]);
        assert_eq!(ring(&wishes("MESSAGE", &[])), [true, false, true, true, true, true]);
        let event = (Name::Event, "Presence;id=1");
        assert_eq!(ring(&wishes("SUBSCRIBE", &[event])), [false, true, true, true, true, true]);
        assert_eq!(ring(&wishes("NOTIFY", &[event])), [true; 6], "it subscribes to nothing");
    }

    #[test]
    fn what_a_caller_asks_for_is_found_as_far_as_contacts_say_it() {
        let of = |rule: &str| {
            let wishes = wishes("INVITE", &[(Name::AcceptContact, rule)]);
            [SNOM, POLYCOM, LINPHONE, JITSI].map(|params| fits(&wishes, params))
        };
        let (best, last, half) = (Some(1.0), Some(0.0), Some(0.5));
        assert_eq!(of("*;audio"), [best, last, last, best], "who says nothing is immune");
        assert_eq!(of("*;audio;require;explicit"), [best, None, None, best]);
        assert_eq!(of("*;mobility=\"mobile\""), [last, last, last, best]);
        assert_eq!(of("*;mobility=\"mobile\";require"), [None, last, last, best]);
        assert_eq!(of("*;audio;video"), [half, last, last, best]);
        assert_eq!(of("*;audio;video;explicit"), [last, last, last, best]);
        assert_eq!(of("*;methods=\"UPDATE\";require"), [None, best, last, best]);
        assert_eq!(of("* ; AUDIO ; description=\"SNOM870\""), [best, last, last, best]);
        assert_eq!(of("*;description=\"<snom870>\";require"), [None, last, last, best], "a text is no token");
        assert_eq!(of("*;+sip.instance=\"<urn:uuid:1>\";require;explicit"), [None, None, best, best]);
        assert_eq!(of("nonsense"), [best; 4]);
    }

    #[test]
    fn of_each_kind_of_wish_the_first_word_counts() {
        let of = |words: &str| wishes("INVITE", &[(Name::RequestDisposition, words)]).disposition;
        assert_eq!(of("proxy, recurse, cancel, fork, queue"), Disposition::default());
        let all = of("No-Cancel, no-fork, no-recurse, SEQUENTIAL, redirect");
        let search = Some(Search::Sequential);
        assert_eq!(
            all,
            Disposition {
                redirects: true,
                keeps_branches: true,
                one_only: true,
                passes_redirects: true,
                search
            }
        );
        assert_eq!(of("parallel, sequential").search, Some(Search::Parallel));
        assert_eq!(of("fork, no-fork, proxy, redirect"), Disposition::default());
    }

    #[test]
    fn too_much_is_refused_and_a_contact_read_as_far_as_it_goes() {
        let of = |name, value: &str| {
            let mut request = Message::request("INVITE", "sip:user@example.com");
            request.push(name, value);
            Wishes::of(&request).map(drop)
        };
        assert_eq!(of(Name::RejectContact, &["*;audio"; MOST_RULES].join(",")), Ok(()));
        assert_eq!(of(Name::RejectContact, &["*;audio"; MOST_RULES + 1].join(",")), Err(TooMany));
        let tags = |count: usize| (0..count).map(|at| format!(";+x{at}")).collect::<String>();
        assert_eq!(of(Name::AcceptContact, &format!("*{}", tags(MOST_TERMS))), Ok(()));
        assert_eq!(of(Name::AcceptContact, &format!("*{}", tags(MOST_TERMS + 1))), Err(TooMany));
        let values = |count: usize| vec!["a"; count].join(",");
        assert_eq!(
            of(Name::AcceptContact, &format!("*;class=\"{}\"", values(MOST_VALUES + 1))),
            Err(TooMany)
        );
        let wishes = wishes("INVITE", &[(Name::AcceptContact, "*;+x0;require;explicit")]);
        assert_eq!(fits(&wishes, &tags(1_000)), Some(1.0));
    }
}
