//! What the SIP server counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};
use sip_endpoint::Transport;

/// Children of the server's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    requests: [[IntCounter; TRANSPORTS.len()]; METHODS.len()],
    responses: [[IntCounter; CLASSES.len()]; METHODS.len()],
    /// From an INVITE to the first sound or ringing.
    pub(crate) rings: Histogram,
    /// From an INVITE to its 2xx.
    pub(crate) answers: Histogram,
    pub(crate) registrations: IntCounter,
    pub(crate) calls: IntCounter,
    pub(crate) overloaded: IntCounter,
    pushes: [IntCounter; PUSHES.len()],
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let vector = |name: &str, help: &str, labels: &[&str]| {
            let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vector.clone())).map(|()| vector)
        };
        let responses = vector(
            "sip_server_responses_total",
            "Final answers to requests, by method and class of status.",
            &["method", "class"],
        )?;
        let requests = vector(
            "sip_server_requests_total",
            "Requests that came, by method and transport.",
            &["method", "transport"],
        )?;
        let histogram = |name: &str, help: &str| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?;
            registry.register(Box::new(histogram.clone())).map(|()| histogram)
        };
        let pushes = vector(
            "sip_server_pushes_total",
            "Pushes to sleeping devices, by what became of them.",
            &["outcome"],
        )?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        Ok(Self {
            requests: METHODS
                .map(|method| TRANSPORTS.map(|transport| requests.with_label_values(&[method, transport]))),
            responses: METHODS
                .map(|method| CLASSES.map(|class| responses.with_label_values(&[method, class]))),
            rings: histogram("sip_server_ring_seconds", "From an INVITE to the first 180 or 183.")?,
            answers: histogram("sip_server_answer_seconds", "From an INVITE to its 2xx.")?,
            pushes: PUSHES.map(|outcome| pushes.with_label_values(&[outcome])),
            registrations: counter("sip_server_registrations_total", "REGISTERs that were carried out.")?,
            calls: counter("sip_server_calls_total", "INVITEs that were accepted for routing.")?,
            overloaded: counter(
                "sip_server_overloaded_total",
                "Requests that were refused because too many were under way.",
            )?,
        })
    }

    pub(crate) fn request(&self, method: &str, transport: Transport) {
        self.requests[index_of(method)][transport as usize].inc();
    }

    /// A push was tried; `outcome` is one of [`PUSHES`].
    pub(crate) fn push(&self, outcome: &str) {
        if let Some(index) = PUSHES.iter().position(|known| *known == outcome) {
            self.pushes[index].inc();
        }
    }

    pub(crate) fn response(&self, method: &str, status: u16) {
        let classes = &self.responses[index_of(method)];
        if let Some(counter) = usize::from(status / 100).checked_sub(1).and_then(|class| classes.get(class)) {
            counter.inc();
        }
    }
}

/// What becomes of pushes.
const PUSHES: [&str; 4] = ["sent", "gone", "busy", "failed"];
fn index_of(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

/// Classes of status.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
/// Transports in the order of their declaration.
const TRANSPORTS: [&str; 6] = ["udp", "tcp", "tls", "ws", "wss", "in_process"];
/// Bounds of how long callers wait.
const SECONDS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0];

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
