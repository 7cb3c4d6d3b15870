//! Keeps a trunk: looks its names up, registers there, asks whether it is up — RFC 3263, RFC 3261 §10.2, §11 (OPTIONS).
//!
//! A registration over a connection lasts as long as that (RFC 5626 §4.4.1): carriers call by it, and where a NAT is between they have no
//! other way to us. When it is lost we register anew.
//!
//! In    the time. Out REGISTER and OPTIONS, and what they say into the trunk's health and metrics.
//! State one task a trunk, which does one thing at a time. Nobody waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Endpoint, Flow, Target};
use tokio::time::{sleep_until, timeout};

use super::registration::{Outcome, Registration};
use super::trunk::Trunk;
use crate::server::Server;

/// Keeps a trunk until shutdown.
pub(crate) async fn keep(server: Arc<Server>, trunk: Arc<Trunk>) {
    let mut keeper = Keeper::new(server.endpoint().clone(), trunk);
    loop {
        let due = keeper.due();
        tokio::select! {
            () = server.begun_shutdown() => return,
            () = sleep_until(due.into()) => {}
        }
        tokio::select! {
            () = server.begun_shutdown() => return,
            () = keeper.work() => {}
        }
    }
}

struct Keeper {
    endpoint: Endpoint,
    trunk: Arc<Trunk>,
    look_up: Instant,
    probe: Option<Instant>,
    registration: Option<Registration>,
    /// The connection that it was made by.
    made_by: Option<Flow>,
    /// RFC 3261 §10.2.4: one Call-ID for all registrations with a registrar, its CSeq growing.
    call_id: String,
    cseq: u32,
}

impl Keeper {
    fn new(endpoint: Endpoint, trunk: Arc<Trunk>) -> Self {
        let (now, config) = (Instant::now(), trunk.config());
        let registration = config.register.then(|| Registration::new(config.expires, now));
        let probe = (!config.probe.is_zero()).then_some(now);
        let call_id = format!("{:016x}{:016x}", endpoint.random(), endpoint.random());
        Self { look_up: now, probe, registration, made_by: None, call_id, cseq: 0, endpoint, trunk }
    }

    fn due(&self) -> Instant {
        let register = self.registration.as_ref().map(Registration::due);
        let look = self.made_by.map(|_| Instant::now() + LOOK);
        [register, self.probe, look].into_iter().flatten().fold(self.look_up, Instant::min)
    }

    async fn work(&mut self) {
        if self.look_up <= Instant::now() {
            self.look_up().await;
            self.look_up = Instant::now() + LOOK_UP;
        }
        if self.made_by.is_some_and(|flow| !self.endpoint.is_open(&flow)) {
            self.made_by = None;
            tracing::info!(trunk = self.trunk.name(), "the connection of the registration is lost");
            let random = self.endpoint.random();
            if let Some(registration) = &mut self.registration {
                registration.lost(Instant::now(), random);
            }
        }
        if self.registration.as_ref().is_some_and(|registration| registration.due() <= Instant::now()) {
            self.register().await;
        }
        if self.probe.is_some_and(|probe| probe <= Instant::now()) {
            self.probe().await;
            self.probe = Some(Instant::now() + self.trunk.config().probe);
        }
    }

    async fn look_up(&self) {
        // What was found last stands while name servers are silent.
        if let Ok(targets) = look_up(&self.endpoint, &self.trunk).await {
            self.trunk.set_targets(targets);
        }
    }

    async fn register(&mut self) {
        let outcome = self.ask_registrar().await;
        let random = self.endpoint.random();
        let Some(registration) = &mut self.registration else { return };
        let was_held = registration.is_held(Instant::now());
        registration.ended(outcome, Instant::now(), random);
        let is_held = registration.is_held(Instant::now());
        self.trunk.metrics.registered.set(i64::from(is_held));
        let name = self.trunk.name();
        match outcome {
            Outcome::Granted(_) if !was_held => tracing::info!(trunk = name, "registered with the trunk"),
            Outcome::Granted(_) => {}
            _ => tracing::warn!(trunk = name, ?outcome, is_held, "the trunk's registrar did not take us"),
        }
    }

    async fn ask_registrar(&mut self) -> Outcome {
        self.made_by = None;
        let Some(flow) = self.first_flow() else { return Outcome::Failed };
        for tried in 0..MOST_TRIES {
            let mut request = self.register_request(&flow);
            if let Some(credentials) = &self.trunk.credentials {
                credentials.put(&mut request, self.endpoint.random());
            }
            let Some(response) = self.ask(request, flow).await else {
                self.trunk.note_failed("REGISTER got no answer");
                return Outcome::Failed;
            };
            let status = response.status();
            if !matches!(status, 401 | 407) {
                self.made_by =
                    Some(flow).filter(|flow| flow.transport.is_stream() && (200..300).contains(&status));
                return self.outcome(&response, &flow);
            }
            let credentials = self.trunk.credentials.as_ref();
            if !credentials.is_some_and(|own| own.challenged(&response, tried > 0)) {
                self.trunk.note_trouble("the registrar does not take our credentials");
                return Outcome::Refused;
            }
        }
        Outcome::Refused
    }

    fn outcome(&self, response: &Message, flow: &Flow) -> Outcome {
        match response.status() {
            200..300 => {
                self.trunk.note_answered();
                // A carrier on a connection is known by it.
                self.endpoint.mark_trusted(flow);
                Outcome::Granted(self.granted(response, flow))
            }
            423 => {
                let least = response.value(Name::MinExpires).and_then(|value| value.trim().parse().ok());
                Outcome::TooBrief(Duration::from_secs(least.unwrap_or(0)))
            }
            status @ (408 | 500..600) => {
                self.trunk.note_failed(format!("REGISTER got {status}"));
                wait_of(response).map_or(Outcome::Failed, Outcome::Later)
            }
            status => {
                self.trunk.note_trouble(format!("REGISTER got {status}"));
                Outcome::Refused
            }
        }
    }

    /// §10.2.4: what the contact says, or else the response.
    fn granted(&self, response: &Message, flow: &Flow) -> Duration {
        let ours = self.contact(flow);
        let ours = Uri::parse(&ours);
        let of_contact = response.elements(Name::Contact).filter_map(NameAddr::parse).find_map(|contact| {
            let uri = Uri::parse(contact.uri)?;
            let is_ours = ours
                .is_some_and(|ours| uri.user == ours.user && uri.host == ours.host && uri.port == ours.port);
            contact.params.value("expires").filter(|_| is_ours)?.parse().ok()
        });
        let of_response = || response.value(Name::Expires).and_then(|value| value.trim().parse().ok());
        let wish = || self.registration.as_ref().map_or(3_600, |registration| registration.wish().as_secs());
        Duration::from_secs(of_contact.or_else(of_response).unwrap_or_else(wish).max(1))
    }

    fn contact(&self, flow: &Flow) -> String {
        let transport = match flow.transport {
            sip_endpoint::Transport::Udp => String::new(),
            other => format!(";transport={}", other.as_param()),
        };
        format!("sip:{}@{}{transport}", self.trunk.config().user, self.endpoint.address_on(flow))
    }

    fn register_request(&mut self, flow: &Flow) -> Message {
        self.cseq += 1;
        let (registrar, user) = (self.trunk.registrar(), &self.trunk.config().user);
        let expires = self.registration.as_ref().map_or(0, |registration| registration.wish().as_secs());
        let mut request = Message::request("REGISTER", &format!("sip:{registrar}"));
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("<sip:{user}@{registrar}>;tag={:016x}", self.endpoint.random()));
        request.push(Name::To, &format!("<sip:{user}@{registrar}>"));
        request.push(Name::CallId, &self.call_id);
        request.push(Name::CSeq, &format!("{} REGISTER", self.cseq));
        request.push(Name::Contact, &format!("<{}>", self.contact(flow)));
        request.push(Name::Expires, &expires.to_string());
        request.push(Name::UserAgent, USER_AGENT);
        request
    }

    async fn probe(&mut self) {
        let Some(flow) = self.first_flow() else {
            return self.trunk.note_failed("no address of it can be reached");
        };
        let request = self.options(&flow);
        match self.ask(request, flow).await.map(|response| response.status()) {
            None => self.trunk.note_failed("OPTIONS got no answer"),
            Some(status @ (408 | 503)) => self.trunk.note_failed(format!("OPTIONS got {status}")),
            Some(_) => self.trunk.note_answered(),
        }
    }

    fn options(&self, flow: &Flow) -> Message {
        let server = &self.trunk.config().server;
        let ours = self.endpoint.address_on(flow);
        let mut request = Message::request("OPTIONS", server);
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("<sip:{ours}>;tag={:016x}", self.endpoint.random()));
        request.push(Name::To, &format!("<{server}>"));
        request
            .push(Name::CallId, &format!("{:016x}{:016x}", self.endpoint.random(), self.endpoint.random()));
        request.push(Name::CSeq, "1 OPTIONS");
        request.push(Name::Contact, &format!("<sip:{ours}>"));
        request.push(Name::UserAgent, USER_AGENT);
        request
    }

    /// The way to the first of its servers that there is a way to.
    fn first_flow(&self) -> Option<Flow> {
        self.trunk.targets().iter().find_map(|target| self.endpoint.flow_to(target))
    }

    /// The final response, if it comes in time.
    async fn ask(&self, request: Message, flow: Flow) -> Option<Message> {
        let sent = self.endpoint.request(request, flow, "trunk").await;
        timeout(PATIENCE, sent.last()).await.ok()?.ok()
    }
}

/// When whoever refused may be asked again (RFC 3261 §20.33): seconds, before a comment and parameters.
pub(crate) fn wait_of(response: &Message) -> Option<Duration> {
    let value = response.value(Name::RetryAfter)?.trim_start();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok().map(Duration::from_secs)
}

/// Where a trunk is.
pub(crate) async fn look_up(
    endpoint: &Endpoint,
    trunk: &Trunk,
) -> Result<Vec<Target>, sip_endpoint::ResolveError> {
    let uri = Uri::parse(&trunk.config().server).ok_or(sip_endpoint::ResolveError::NotSip)?;
    endpoint.resolver().targets(&uri).await
}

/// How often names are looked up; they may be cached for longer.
const LOOK_UP: Duration = Duration::from_secs(60);
/// How often the connection of a registration is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long an OPTIONS or REGISTER is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// REGISTERs of one registration: with old credentials or none, with right ones, with those that did not grow stale.
const MOST_TRIES: usize = 3;
const USER_AGENT: &str = concat!("cusax/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §20.33, its examples.
    #[test]
    fn reads_when_to_come_again() {
        let wait = |value: &str| {
            let mut response = Message::response(&Message::request("REGISTER", "sip:x"), 503, "");
            response.push(Name::RetryAfter, value);
            wait_of(&response).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("18000;duration=3600"), Some(18_000));
        assert_eq!(wait("120 (I'm in a meeting)"), Some(120));
        assert_eq!((wait(" 7"), wait("soon"), wait("")), (Some(7), None, None));
    }
}
