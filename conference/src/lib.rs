//! The call of a chat room: `sip:room@conference.<domain>` beside `room@conference.<domain>` (RFC 7081 §4).
//!
//! In    SIP from behind the proxy, RTP from the participants, facts about rooms.
//! Out   SIP, mixed RTP, conference documents, facts about participants.
//! Not here: the chat room (`xmpp-server`); the two halves know each other by facts and traits of `shared-model` alone.

pub mod bridge;
pub mod config;
pub mod focus;
mod labels;
pub mod media;
pub mod metrics;
pub mod mixer;

pub use config::{Config, KEYS, Secrecy};
pub use focus::{Focus, Parts};

use shared_model::Spec;

/// What this crate implements.
pub const SPECS: &[Spec] = &[
    Spec::rfc(3262).note("whoever insists: calls of rooms are answered at once, announcements wait for their PRACK"),
    Spec::rfc(3264)
        .note("answers, hold, our own offers, new media within a call; one audio medium, one of pictures, of browsers several"),
    Spec::rfc(3323).note("anonymous callers have no name in the conference document"),
    Spec::rfc(3325).note("the focus identifies callers by P-Asserted-Identity"),
    Spec::rfc(3326).note("Reason in the focus's BYE"),
    Spec::rfc(3389).note("comfort noise, with its level and without its spectrum: received, and sent where it was agreed on and nobody speaks"),
    Spec::rfc(3311).note("taken with offers and without; sent without, to refresh"),
    Spec::rfc(3515).note("REFER to invite and to remove; what became of it is told"),
    Spec::rfc(3550).note("plain RTP; sender and receiver reports of sound and pictures by one clock"),
    Spec::rfc(3551).note("PCMU, PCMA, G722, and L16 at 8, 16, 44.1 and 48 kHz, of one channel"),
    Spec::rfc(3605).complete(),
    Spec::rfc(3611)
        .note("sound: VoIP metrics, receiver reference time and DLRR, where they are offered"),
    Spec::rfc(3711).note("replays are dropped; no MKI"),
    Spec::rfc(3840).note("isfocus"),
    Spec::rfc(3842).note("voice messages of one's own account"),
    Spec::rfc(3891).note("a leg takes the place of another that it names: of its own account, of one that it may remove, or of one that sends it by Referred-By"),
    Spec::rfc(3911).note("a call that names a leg comes to its conference"),
    Spec::rfc(4028).note("calls of rooms: the peer refreshes, or the focus by UPDATE; who wants longer sessions (422) gets them"),
    Spec::rfc(4353).note("a focus and a mixer in one server"),
    Spec::rfc(4488).complete(),
    Spec::rfc(4568).note("keys in descriptions, in calls and in our own offers"),
    Spec::rfc(4575).note("full and partial notifications, several for what one document does not hold; in and outside the dialog of a call; endpoints that the focus dials, and that left, how and why; call-info to who may remove somebody; no keywords, no web-page and uris of the host, no sidebars and cascaded-focus, of the transient states dialing-out alone"),
    Spec::rfc(4579).note("dial in, dial out, removal and dialling in by REFER, also into the place of another call, a factory URI, subscribing"),
    Spec::rfc(4585).note(
        "PLI and generic NACK of pictures, in both directions; REMB and transport-wide feedback beside them",
    ),
    Spec::rfc(4733).note("keys are received, not sent"),
    Spec::rfc(4796).note("slides, main and speaker"),
    Spec::rfc(4961).note("bounded in time and to the addresses that were signalled"),
    Spec::rfc(5104).note("FIR of pictures is read, and said to who knows it and not PLI"),
    Spec::rfc(5621).note("the description among several parts; a part must be read only where it says so itself"),
    Spec::rfc(5763).note("browsers, whose hello the focus waits for; telephones without ICE, either way"),
    Spec::rfc(5764).note("AES-CM of 128 bits; sound of telephones with an association for each port"),
    Spec::rfc(5761).note("where it is offered"),
    Spec::rfc(6184).note("forwarded, packetization mode 1"),
    Spec::rfc(6188).note("AES-256 with a tag of 80 bits"),
    Spec::rfc(6464).note("read where it is offered: the loudest are decoded"),
    Spec::rfc(6665).note("notifier of the event package conference"),
    Spec::rfc(7081).note("section 4: rooms and their calls announce each other, moderation is mirrored"),
    Spec::rfc(7106).complete().note("grouptextchat in service-uris"),
    Spec::rfc(7741).note("forwarded"),
    Spec::rfc(7845).note("what is recorded, mono at 48 kHz"),
    Spec::rfc(7587).note("mono, 20 ms, in-band FEC in both directions, DTX towards who wishes it"),
    Spec::rfc(7714).note("both key lengths"),
    Spec::rfc(7675).note("browsers: who answers no check for 30 s gets nothing by the same names"),
    Spec::rfc(7983).note("STUN, DTLS and RTP on the port of browsers"),
    Spec::rfc(8122).note("SHA-256; of telephones SHA-1, SHA-384 and SHA-512, too"),
    Spec::rfc(8285).note("one-byte heads are written, two-byte heads read, of pictures"),
    Spec::rfc(8445).note("a full agent, or a lite one, with one candidate, on one port for all browsers"),
    Spec::rfc(8643).note("with keys in descriptions"),
    Spec::rfc(8839).note("without trickling; names of candidates are passed over"),
    Spec::rfc(8851).note("names of layers, without restrictions"),
    Spec::rfc(8853).note("layers are received, never sent; of alternatives the first"),
    Spec::rfc(8866).note("what audio needs"),
    Spec::rfc(9143).note("one audio medium in the bundle, and several of pictures; media of the focus's own offers, too"),
];
