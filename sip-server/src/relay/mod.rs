//! Relays for calls between two people that cannot send each other sound — the ng protocol of rtpengine (`offer`, `answer`,
//! `delete`), RFC 3264 (who offers).
//!
//! In    descriptions of calls on their way. Out the same with the addresses of a relay.
//! State which node has which call, until it is over; at most [`MOST`], beyond which calls are not relayed.
//! Errors while no relay takes them, calls begin without, and the log and a metric say so.
//! Not here: calls of rooms, whose sound the mixer takes wherever it comes from; browsers, which have ICE.

mod bencode;
mod config;
mod nodes;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use prometheus::{IntCounterVec, Opts, Registry};
use shared_runtime::Shutdown;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::sdp::Sdp;

use bencode::{Dictionary, Value};
pub(crate) use config::KEYS;
pub use config::{RelayConfig, Relayed};
use nodes::Nodes;

/// The relays, if there are some.
pub(crate) struct Relay {
    nodes: Nodes,
    which: Relayed,
    calls: DashMap<Box<str>, Call>,
    commands: IntCounterVec,
}

struct Call {
    node: usize,
    since: Instant,
    /// The tag of whose offer has no answer yet.
    offered: Option<Box<str>>,
}

/// Whose descriptions these are: of who offers, and of who answers if they are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tags<'a> {
    pub(crate) offerer: &'a str,
    pub(crate) answerer: Option<&'a str>,
}

impl Relay {
    /// `None` if there are no relays.
    pub(crate) fn open(
        config: &RelayConfig,
        registry: &Registry,
        shutdown: &Shutdown,
    ) -> Result<Option<Arc<Self>>, String> {
        if config.nodes.is_empty() {
            return Ok(None);
        }
        let nodes = Nodes::open(&config.nodes, config.timeout, shutdown)
            .map_err(|error| format!("sip.rtpengine.nodes: {error}"))?;
        let help = "Commands to relays, by what they were and what became of them.";
        let commands =
            IntCounterVec::new(Opts::new("sip_server_relay_commands_total", help), &["command", "outcome"]);
        let commands = commands.map_err(|error| error.to_string())?;
        registry.register(Box::new(commands.clone())).map_err(|error| error.to_string())?;
        Ok(Some(Arc::new(Self { nodes, which: config.calls, calls: DashMap::new(), commands })))
    }

    /// Whether a call that begins is relayed: the addresses that its ends say, and those that they come from. Who offers may be
    /// the callee, in an answer.
    pub(crate) fn wants(&self, offer: &Message, offerer: IpAddr, other: (Option<IpAddr>, IpAddr)) -> bool {
        let Some(sdp) = sdp_of(offer) else { return false };
        let Some(parsed) = Sdp::parse(sdp) else { return false };
        if parsed.media.iter().any(|media| media.protocol.starts_with("UDP/TLS/")) {
            return false;
        }
        let said = parsed.media.iter().find_map(|media| media.connection).or(parsed.connection);
        // A server may have its media elsewhere, at an address that anybody reaches.
        let is_other = |said: Option<IpAddr>, seen: IpAddr| {
            said.is_some_and(|said| said.to_canonical() != seen.to_canonical() && is_private(said))
        };
        self.which == Relayed::All || is_other(said, offerer) || is_other(other.0, other.1)
    }

    /// Whether a call is relayed already.
    pub(crate) fn has(&self, call_id: &str) -> bool {
        self.calls.contains_key(call_id)
    }

    /// Whether an offer of whom this tag names waits for its answer.
    pub(crate) fn has_offered(&self, call_id: &str, tag: Option<&str>) -> bool {
        self.calls.get(call_id).is_some_and(|call| call.offered.is_some() && call.offered.as_deref() == tag)
    }

    /// What stands in the place of an offer; `None` leaves it as it is.
    pub(crate) async fn offer(&self, call_id: &str, tags: Tags<'_>, sdp: &str) -> Option<String> {
        let known = self.calls.get(call_id).map(|call| call.node);
        if known.is_none() && self.calls.len() >= MOST {
            self.commands.with_label_values(&["offer", "full"]).inc();
            tracing::warn!(most = MOST, "no more calls can be relayed; a call goes on without");
            return None;
        }
        let others = self.nodes.order(call_id).into_iter().filter(|node| Some(*node) != known);
        for node in known.into_iter().chain(others) {
            let mut command = command("offer", call_id, tags, Some(sdp));
            command.insert(b"ICE".to_vec(), Value::from("remove"));
            if let Some(text) = self.ask(node, "offer", &command, TRIES).await {
                let offered = Some(tags.offerer.into());
                self.calls.insert(call_id.into(), Call { node, since: Instant::now(), offered });
                return Some(text);
            }
        }
        tracing::warn!("no relay takes an offer");
        None
    }

    /// What stands in the place of an answer; `None` leaves it as it is.
    pub(crate) async fn answer(&self, call_id: &str, tags: Tags<'_>, sdp: &str) -> Option<String> {
        let node = self.calls.get(call_id).map(|call| call.node)?;
        let mut command = command("answer", call_id, tags, Some(sdp));
        command.insert(b"ICE".to_vec(), Value::from("remove"));
        // Nobody else can: the node has the offer, and the caller its address.
        let text = self.ask(node, "answer", &command, TRIES_OF_ANSWER).await?;
        if let Some(mut call) = self.calls.get_mut(call_id) {
            call.offered = None;
        }
        Some(text)
    }

    /// A call is over, or was none. Nobody waits for what becomes of it.
    pub(crate) async fn delete(&self, call_id: &str) {
        let Some((_, call)) = self.calls.remove(call_id) else { return };
        let mut delete = Dictionary::new();
        delete.insert(b"command".to_vec(), Value::from("delete"));
        delete.insert(b"call-id".to_vec(), Value::from(call_id));
        delete.insert(b"delete-delay".to_vec(), Value::Number(0));
        self.ask(call.node, "delete", &delete, TRIES).await;
    }

    /// Forgets calls whose end nobody told: the relay ends them for their silence.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.calls.retain(|_, call| now.duration_since(call.since) < LONGEST_CALL);
    }

    /// The description that comes back; `None` if the node is silent, or refuses.
    async fn ask(&self, node: usize, what: &str, command: &Dictionary, tries: usize) -> Option<String> {
        let answer = self.nodes.ask(node, command, tries).await;
        let text = |name: &[u8]| Some(answer.as_ref()?.get(name)?.as_text()?.to_owned());
        let is_ok = text(b"result").is_some_and(|result| result == "ok");
        let outcome = match (&answer, is_ok) {
            (None, _) => "silent",
            (_, true) => "ok",
            _ => "refused",
        };
        self.commands.with_label_values(&[what, outcome]).inc();
        if outcome == "refused" {
            let reason = text(b"error-reason").unwrap_or_default();
            tracing::warn!(command = what, reason, "a relay refused a call");
        }
        text(b"sdp").filter(|_| is_ok)
    }
}

/// Whether an address means something in its own net alone (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 §2.5.6).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// The description of a message, if it has one and nothing else.
pub(crate) fn sdp_of(message: &Message) -> Option<&str> {
    let kind = message.value(Name::ContentType)?.split(';').next()?.trim();
    let is_sdp = kind.eq_ignore_ascii_case("application/sdp");
    std::str::from_utf8(message.body()).ok().filter(|text| is_sdp && !text.is_empty())
}

fn command(what: &str, call_id: &str, tags: Tags<'_>, sdp: Option<&str>) -> Dictionary {
    let mut command = Dictionary::new();
    let mut say = |name: &str, value: Value| drop(command.insert(name.as_bytes().to_vec(), value));
    say("command", Value::from(what));
    say("call-id", Value::from(call_id));
    say("from-tag", Value::from(tags.offerer));
    tags.answerer.into_iter().for_each(|tag| say("to-tag", Value::from(tag)));
    sdp.into_iter().for_each(|sdp| say("sdp", Value::from(sdp)));
    // What names the sender's own address beside the media tells nobody anything then.
    say("replace", Value::List(vec![Value::from("origin"), Value::from("session-connection")]));
    command
}

/// Some two hundred octets each.
const MOST: usize = 100_000;
/// How often a node is asked that does not answer.
const TRIES: usize = 2;
const TRIES_OF_ANSWER: usize = 5;
const LONGEST_CALL: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_net_of_their_own_are_known() {
        for (ip, is_so) in [
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("169.254.9.9", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("100.128.0.1", false),
            ("203.0.113.7", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), is_so, "{ip}");
        }
    }
}
