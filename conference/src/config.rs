//! `[conference]`: where calls of rooms live.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[conference]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The host part of rooms and their calls. Default: `conference.` before the service's domain.
    pub domain: Option<String>,
    /// Where media of browsers are taken, of all on this one UDP port; its address is the one that RTP ports are bound on.
    /// Default `0.0.0.0:10000`.
    pub media: SocketAddr,
    /// How browsers' addresses are proved (RFC 8445): `full` asks each address whether it wants what is sent there, which keeps a call
    /// from sending pictures to somebody else's; `lite` waits to be asked. Default `full`.
    pub ice: Ice,
    /// Addresses of a browser that are asked at most, as a full agent (RFC 8445 §6.1.2.5). Default 100.
    pub ice_pairs: usize,
    /// The range of RTP and RTCP ports, `first-last`. Default `20000-29999`.
    pub rtp_ports: String,
    /// The address that offers and answers name, when it is not the one that the system would use. Default: none.
    pub advertised: Option<IpAddr>,
    /// Whether callers whom no account proves may join rooms that are open to all. Bans cannot hold for them.
    /// Default: no.
    pub strangers: bool,
    /// Whom a moderator removes from a call by SIP is kicked from its chat, too.
    pub kick_from_chat: bool,
    /// Whether who is muted in a call has no voice in its chat either (S-40, the other way).
    pub mute_in_chat: bool,
    /// Legs of one conference at most, those that ring counted; more get 486. Default 200.
    pub legs: usize,
    /// A call to this name at `domain` makes a conference without a room, for whoever is told its URI; empty: none.
    /// Default `adhoc`.
    pub factory: String,
    /// Calls that accounts do not take, and want messages of, go to mailboxes whose names begin so at `domain`; empty:
    /// none. Default `voicemail`.
    pub voicemail: String,
    /// How long a message may be. Default `3m`.
    #[serde(with = "shared_runtime::config::duration")]
    pub voicemail_longest: Duration,
    /// The folder in which moderators have conferences recorded (`*7`, or by the API), which must be there; empty: nobody is. Default
    /// empty.
    pub recordings: PathBuf,
    /// How long a recording may be. Default `4h`.
    #[serde(with = "shared_runtime::config::duration")]
    pub recording_longest: Duration,
    /// Whether pictures (VP8, H.264) are taken and forwarded. Default: yes.
    pub video: bool,
    /// What a leg is told to send of pictures at most, in kbit/s; 0: nothing is said. Default 1500.
    pub video_kbits: u32,
    /// Media with pictures that a browser may have in one call, each for one of those that it sees; a phone has one. Default 4.
    pub video_streams: usize,
    /// What a leg is sent of pictures at most, in kbit/s, whatever it could take; 0: what it can take. Default 0.
    pub video_leg_kbits: u32,
    /// Whether conference documents say the conference's own URI as well. Default: no.
    pub conf_uris: bool,
    /// Whether the room's URI in conference documents asks to join it (`?join`, RFC 5122), which programs that take what follows
    /// `xmpp:` for an address cannot read. Default: yes.
    pub join_links: bool,
    /// Whether sound is encrypted (SRTP with keys in the description): `required` refuses calls that cannot, `preferred`
    /// takes it where it is offered, `off` never does. Default `preferred`.
    pub srtp: Secrecy,
    /// Threads that mix, each for whole conferences; 0: one for each processor. Default 0.
    pub threads: usize,
    /// Whether callers are told things by a voice: that they joined, are alone, muted, or that it is over; and that a
    /// PIN is wanted, which is asked for in silence otherwise. Default: yes.
    pub prompts: bool,
    /// A leg that sends no RTP for so long, and is not on hold, is hung up. Default `30s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub silence_timeout: Duration,
    /// How long who is in a call may take to answer an offer of more pictures, which is taken back then. Default `40s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub offer_timeout: Duration,
}

/// Whether sound is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrecy {
    /// Calls without are refused.
    Required,
    /// Where it is offered.
    #[default]
    Preferred,
    /// Never.
    Off,
}

/// Who asks whether addresses work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ice {
    /// Both ends.
    #[default]
    Full,
    /// The other end.
    Lite,
}

/// Every key of `[conference]`.
pub const KEYS: &[Key] = &[
    Key::new("conference.domain", "", "host of rooms and their calls; none: conference.<domain>"),
    Key::new(
        "conference.media",
        "\"0.0.0.0:10000\"",
        "UDP port of all browsers' media; RTP ports are bound on its IP: [::]:10000 is both families",
    ),
    Key::new(
        "conference.ice",
        "\"full\"",
        "whether addresses of browsers are checked: full, or lite, which waits for theirs",
    ),
    Key::new("conference.ice_pairs", "100", "addresses of a browser that are checked at most"),
    Key::new("conference.rtp_ports", "\"20000-29999\"", "range of RTP and RTCP ports, first-last"),
    Key::new("conference.advertised", "", "address named in SDP when it is not the one the system would use"),
    Key::new(
        "conference.strangers",
        "false",
        "whether callers without an account may join open rooms; no ban holds for them; who calls a number that the plan leads to a room may anyway",
    ),
    Key::new(
        "conference.kick_from_chat",
        "true",
        "whether whom a moderator removes from a call by SIP is kicked from its chat, too",
    ),
    Key::new(
        "conference.mute_in_chat",
        "false",
        "whether who is muted in a call by the API or its page has no voice in the chat either, until they are unmuted",
    ),
    Key::new("conference.legs", "200", "legs of one conference at most"),
    Key::new(
        "conference.factory",
        "\"adhoc\"",
        "a call to this name makes a conference without a room; empty: none",
    ),
    Key::new(
        "conference.voicemail",
        "\"voicemail\"",
        "mailboxes for who wants messages of callers; empty: none",
    ),
    Key::new("conference.voicemail_longest", "\"3m\"", "how long a message in a mailbox may be"),
    Key::new(
        "conference.recordings",
        "\"\"",
        "folder of recordings that moderators begin by *7 or the API; empty: none",
    ),
    Key::new("conference.recording_longest", "\"4h\"", "how long a recording may be"),
    Key::new("conference.video", "true", "whether pictures (VP8, H.264) are taken and forwarded"),
    Key::new(
        "conference.video_kbits",
        "1500",
        "kbit/s of pictures that a leg is told to send at most; 0: untold",
    ),
    Key::new("conference.video_streams", "4", "pictures that a browser may see at once, each in a medium"),
    Key::new(
        "conference.video_leg_kbits",
        "0",
        "kbit/s of pictures that a leg is sent at most; 0: as it can take",
    ),
    Key::new("conference.conf_uris", "false", "whether conference documents say the conference's own URI"),
    Key::new(
        "conference.join_links",
        "true",
        "whether the room's URI in conference documents ends in ?join; without it some older programs read it better",
    ),
    Key::new("conference.srtp", "\"preferred\"", "encrypted sound: required, preferred or off"),
    Key::new("conference.threads", "0", "threads that mix; 0: one for each processor"),
    Key::new("conference.prompts", "true", "whether callers are told things by a voice"),
    Key::new(
        "conference.silence_timeout",
        "\"30s\"",
        "a leg that sends no RTP for so long is hung up, and neither reports (RTCP) if it sent some before",
    ),
    Key::new(
        "conference.offer_timeout",
        "\"40s\"",
        "how long an offer of more pictures may wait for its answer",
    ),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: None,
            media: SocketAddr::from(([0, 0, 0, 0], 10_000)),
            ice: Ice::Full,
            ice_pairs: 100,
            rtp_ports: "20000-29999".to_owned(),
            advertised: None,
            strangers: false,
            kick_from_chat: true,
            mute_in_chat: false,
            legs: 200,
            factory: "adhoc".to_owned(),
            voicemail: "voicemail".to_owned(),
            voicemail_longest: Duration::from_secs(180),
            recordings: PathBuf::new(),
            recording_longest: Duration::from_secs(4 * 3_600),
            video: true,
            video_kbits: 1_500,
            video_streams: 4,
            video_leg_kbits: 0,
            conf_uris: false,
            join_links: true,
            srtp: Secrecy::Preferred,
            threads: 0,
            prompts: true,
            silence_timeout: Duration::from_secs(30),
            offer_timeout: Duration::from_secs(40),
        }
    }
}
