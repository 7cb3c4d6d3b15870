//! What the SIP server counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Children of the server's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    requests: [IntCounter; METHODS.len()],
    responses: [IntCounter; 6],
    pub(crate) registrations: IntCounter,
    pub(crate) calls: IntCounter,
    pub(crate) overloaded: IntCounter,
    pushes: [IntCounter; PUSHES.len()],
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let vector = |name: &str, help: &str, label: &str| {
            let vector = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(vector.clone())).map(|()| vector)
        };
        let responses =
            vector("sip_server_responses_total", "Final answers to requests, by class of status.", "class")?;
        let requests = vector("sip_server_requests_total", "Requests that came, by method.", "method")?;
        let pushes = vector(
            "sip_server_pushes_total",
            "Pushes to sleeping devices, by what became of them.",
            "outcome",
        )?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        Ok(Self {
            requests: METHODS.map(|method| requests.with_label_values(&[method])),
            responses: ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"]
                .map(|class| responses.with_label_values(&[class])),
            pushes: PUSHES.map(|outcome| pushes.with_label_values(&[outcome])),
            registrations: counter("sip_server_registrations_total", "REGISTERs that were carried out.")?,
            calls: counter("sip_server_calls_total", "INVITEs that were accepted for routing.")?,
            overloaded: counter(
                "sip_server_overloaded_total",
                "Requests that were refused because too many were under way.",
            )?,
        })
    }

    pub(crate) fn request(&self, method: &str) {
        let index = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        self.requests[index].inc();
    }

    /// A push was tried; `outcome` is one of [`PUSHES`].
    pub(crate) fn push(&self, outcome: &str) {
        if let Some(index) = PUSHES.iter().position(|known| *known == outcome) {
            self.pushes[index].inc();
        }
    }

    pub(crate) fn response(&self, status: u16) {
        if let Some(counter) =
            usize::from(status / 100).checked_sub(1).and_then(|class| self.responses.get(class))
        {
            counter.inc();
        }
    }
}

/// What becomes of pushes.
const PUSHES: [&str; 4] = ["sent", "gone", "busy", "failed"];

/// Labels of methods; a stranger makes none, for what is not here counts as the last.
const METHODS: [&str; 12] = [
    "INVITE",
    "REGISTER",
    "OPTIONS",
    "BYE",
    "SUBSCRIBE",
    "NOTIFY",
    "MESSAGE",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
    "other",
];
