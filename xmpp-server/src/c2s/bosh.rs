//! Streams over pairs of HTTP requests and answers — XEP-0124 1.11.2 (BOSH), XEP-0206 1.4 (XMPP over it).
//!
//! ```text
//! POST /http-bind ─▶ the session's task ─ Window: which request is next, which is answered ─▶ the bytes of a stream ─▶ c2s
//! ```
//!
//! In    `<body/>` with elements of a stream in it.
//! Out   `<body/>` with what the stream says, as soon as there is something and a request to answer.
//! State one task a session: requests that wait, the last answers, what the stream said meanwhile. Bounded; a session whose
//!       client does not come back within a minute, or within the pause that it asked for, is lost like a connection.
//! Errors a terminal condition in a `<body/>`: `item-not-found` for a session or a request that is not there, `bad-request` for
//!        what is no body, `host-unknown` and `improper-addressing` for a session with another host or none, `policy-violation` for
//!        more than a session holds, or a longer pause than it may have; 400 where nobody knows whose it is, 503 where there are
//!        too many sessions.
//! Not here: several streams in a session, key sequences, acknowledgements of answers (the window is what they would tell).

mod body;
mod window;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use dashmap::DashMap;
use shared_model::Spec;
use shared_runtime::http::{Deadline, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use xmpp_core::ns;
use xmpp_core::stream::CLOSE;
use xmpp_core::xml::{Frame, Framer};

use super::websocket;
use crate::c2s;
use crate::half_open::Place;
use crate::server::Server;
use body::{Body, Condition, Greeting};
use window::{Taken, Window};

pub(crate) const SPECS: &[Spec] = &[
    Spec::xep(124, "1.11.2").note("without key sequences, acks, and several streams in a session"),
    Spec::xep(206, "1.4").complete(),
];

/// Sessions by their ids.
type Sessions = Arc<DashMap<String, mpsc::Sender<Request>>>;

/// A request, and who waits for its answer.
struct Request {
    body: Body,
    answer: oneshot::Sender<String>,
}

#[derive(Clone)]
struct Face {
    server: Arc<Server>,
    sessions: Sessions,
}

/// The route by which browsers come that know no WebSockets.
pub(crate) fn route(path: &str, server: Arc<Server>) -> Router {
    let most = server.config.stanza_bytes + 4096;
    let face = Face { server, sessions: Sessions::default() };
    Router::new()
        .route(path, post(take).options(preflight).get(hello))
        .layer(DefaultBodyLimit::max(most))
        .with_state(face)
}

async fn hello() -> &'static str {
    "XMPP clients speak BOSH (XEP-0124) here, with POST.\n"
}

async fn preflight() -> Response {
    shared(StatusCode::NO_CONTENT.into_response())
}

async fn take(
    State(face): State<Face>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(deadline): Extension<Deadline>,
    text: String,
) -> Response {
    deadline.waive(); // the body is here, and an answer may take a minute
    let Some(body) = Body::parse(&text) else {
        return shared(
            (StatusCode::BAD_REQUEST, body::terminate(Some(Condition::BadRequest), &[])).into_response(),
        );
    };
    let session = match &body.sid {
        Some(sid) => face.sessions.get(sid).map(|session| session.clone()),
        None => {
            let is_full = face.sessions.len() >= MOST_SESSIONS;
            let place = if is_full { None } else { face.server.admit(peer.address.ip()) };
            let Some(place) = place else { return shared(StatusCode::SERVICE_UNAVAILABLE.into_response()) };
            Some(face.begin(&body, peer, place))
        }
    };
    let Some(session) = session else { return say(body::terminate(Some(Condition::ItemNotFound), &[])) };
    let (answer, answered) = oneshot::channel();
    if session.send(Request { body, answer }).await.is_err() {
        return say(body::terminate(Some(Condition::ItemNotFound), &[]));
    }
    // A session that ends answers nobody any more.
    say(answered.await.unwrap_or_else(|_| body::terminate(Some(Condition::ItemNotFound), &[])))
}

impl Face {
    /// A session, and the stream behind it.
    fn begin(&self, body: &Body, peer: Peer, place: Place) -> mpsc::Sender<Request> {
        let sid = self.server.new_id();
        let (requests, inbox) = mpsc::channel(QUEUE);
        self.sessions.insert(sid.clone(), requests.clone());
        self.server.metrics.connections.inc();
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let security = c2s::Security::Outside { is_protected: peer.is_protected };
        let stream = c2s::serve(Arc::clone(&self.server), Box::new(theirs), (peer.address, place), security);
        self.server.shutdown.spawn(stream);
        let greeting = Greeting {
            sid: sid.clone(),
            wait: body.wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT),
            hold: body.hold.unwrap_or(1).min(MOST_HELD),
            // A name that is not served gets its answer from the stream.
            from: body
                .to
                .as_deref()
                .and_then(|to| self.server.domains.find(to))
                .unwrap_or(&self.server.domain)
                .to_owned(),
            authid: String::new(),
        };
        let sessions = Arc::clone(&self.sessions);
        let task = Task::new(greeting, body, ours);
        self.server.shutdown.spawn(async move {
            task.run(inbox).await;
            sessions.remove(&sid);
        });
        requests
    }
}

/// One session.
struct Task {
    window: Window,
    /// Said with the first answer.
    greeting: Option<Greeting>,
    reader: ReadHalf<DuplexStream>,
    /// What goes to the stream; a task of its own writes it, so that a stream that waits for us to read is never waited for.
    to_stream: mpsc::Sender<String>,
    framer: Framer,
    /// What the stream said and the client has not.
    said: Vec<String>,
    said_bytes: usize,
    domain: String,
    /// Why the stream ended, if it says so.
    error: Option<Condition>,
    /// Until when the client may stay away.
    patience: Duration,
}

impl Task {
    fn new(greeting: Greeting, first: &Body, stream: DuplexStream) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (to_stream, texts) = mpsc::channel(QUEUE);
        tokio::spawn(write(writer, texts));
        let window = Window::new(first.rid, greeting.hold, greeting.wait);
        let domain = first.to.clone().unwrap_or_default();
        Self {
            window,
            greeting: Some(greeting),
            reader,
            to_stream,
            framer: websocket::outgoing(),
            said: Vec::new(),
            said_bytes: 0,
            domain,
            error: None,
            patience: INACTIVITY,
        }
    }

    /// Until the stream ends, or the client stays away.
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut chunk = vec![0_u8; 4096];
        let mut away_since = Instant::now();
        loop {
            if self.window.is_held() {
                away_since = Instant::now();
            }
            let deadline = self.window.deadline().unwrap_or(away_since + self.patience);
            tokio::select! {
                request = inbox.recv() => {
                    let Some(request) = request else { return };
                    if let Err(condition) = self.take(request, Instant::now()) {
                        return self.end(condition);
                    }
                }
                read = self.reader.read(&mut chunk), if self.said_bytes < MOST_SAID => {
                    let Ok(length @ 1..) = read else { return self.end(None) };
                    self.framer.push(&chunk[..length]);
                    if !self.listen() {
                        return self.end(None);
                    }
                    self.answer();
                }
                () = tokio::time::sleep_until(deadline) => {
                    if !self.window.is_held() {
                        return; // lost, as a connection is: the stream finds its other side gone
                    }
                    self.window.answer(self.greeting.is_none(), &mut |_| body::wrap(None, &[]));
                    if self.greeting.is_some() {
                        return self.end(None); // a stream that does not greet is none
                    }
                }
            }
        }
    }

    /// A request comes. An error ends the session.
    fn take(&mut self, request: Request, now: Instant) -> Result<(), Option<Condition>> {
        let Request { body, answer } = request;
        match self.window.take(body, answer, now) {
            Taken::Again => return Ok(()),
            Taken::OutOfWindow => return Err(Some(Condition::ItemNotFound)),
            Taken::Queued => {}
        }
        while let Some(body) = self.window.next(now) {
            self.patience = body.pause.map_or(INACTIVITY, Duration::from_secs);
            if self.patience > LONGEST_PAUSE {
                return Err(Some(Condition::PolicyViolation)); // §10: `pause` is `maxpause` at most
            }
            let mut texts = Vec::new();
            if body.sid.is_none() || body.restarts {
                self.framer.restart();
                texts.push(body.header(&self.domain));
            }
            texts.extend(body.elements.iter().map(ToString::to_string));
            if body.terminates {
                texts.push(CLOSE.to_owned());
            }
            for text in texts {
                self.to_stream.try_send(text).map_err(|_| Some(Condition::PolicyViolation))?;
            }
            if body.pause.is_some() {
                // The client goes away, and is owed nothing meanwhile.
                while self.window.is_held() {
                    self.window.answer(true, &mut |_| body::wrap(None, &[]));
                }
            }
        }
        self.answer();
        while self.greeting.is_none() && self.window.has_too_many() {
            self.window.answer(true, &mut |_| body::wrap(None, &[]));
        }
        Ok(())
    }

    /// Reads what the stream says; false when it ended.
    fn listen(&mut self) -> bool {
        loop {
            match self.framer.next() {
                Ok(None) => return true,
                Ok(Some(Frame::Open(head))) => {
                    if let Some(greeting) = &mut self.greeting {
                        greeting.authid = head.attribute("id").unwrap_or_default().to_owned();
                    }
                }
                Ok(Some(Frame::Element(head, content))) => {
                    let text = websocket::element(&head, &content);
                    if head.ns == ns::STREAM && head.name == "error" {
                        let is_unknown = self.greeting.is_some() && text.contains("<host-unknown");
                        self.error = Some(match (is_unknown, self.domain.is_empty()) {
                            (true, true) => Condition::ImproperAddressing,
                            (true, false) => Condition::HostUnknown,
                            (false, _) => Condition::RemoteStreamError,
                        });
                    }
                    self.said_bytes += text.len();
                    self.said.push(text);
                }
                Ok(Some(Frame::Close)) => return false,
                Err(error) => {
                    tracing::error!(%error, "what a stream says cannot be framed");
                    return false;
                }
            }
        }
    }

    /// Says what there is to say, if a request waits for it.
    fn answer(&mut self) {
        if self.said.is_empty() || !self.window.is_held() {
            return;
        }
        let said = std::mem::take(&mut self.said);
        self.said_bytes = 0;
        let greeting = self.greeting.take();
        self.window.answer(true, &mut |_| body::wrap(greeting.as_ref(), &said));
    }

    /// The stream is over, or the session ends for a reason of its own: all that wait are told, and the last words go first.
    fn end(mut self, why: Option<Condition>) {
        let why = why.or(self.error);
        let mut said = std::mem::take(&mut self.said);
        if matches!(why, Some(Condition::HostUnknown | Condition::ImproperAddressing)) {
            said.clear(); // §17.2: there is no stream whose error it would be
        }
        let mut first = Some(said);
        while self.window.is_held() {
            let said = first.take().unwrap_or_default();
            self.window.answer(true, &mut |_| body::terminate(why, &said));
        }
        self.window.refuse_waiting(|| body::terminate(why, &[]));
    }
}

async fn write(mut writer: WriteHalf<DuplexStream>, mut texts: mpsc::Receiver<String>) {
    while let Some(text) = texts.recv().await {
        if writer.write_all(text.as_bytes()).await.is_err() {
            return; // the stream is over, and says so to the reader
        }
    }
    let _ = writer.shutdown().await; // nobody is there any more
}

fn say(text: String) -> Response {
    shared(text.into_response())
}

/// Pages of other hosts may come here, too.
fn shared(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_TYPE, "text/xml; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "OPTIONS, GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How long a client may stay away, and how long if it says so.
const INACTIVITY: Duration = Duration::from_secs(body::INACTIVITY_SECONDS);
const LONGEST_PAUSE: Duration = Duration::from_secs(body::LONGEST_PAUSE_SECONDS);
/// Seconds that a request may wait for its answer.
const LONGEST_WAIT: u64 = 60;
/// Requests that wait at once.
const MOST_HELD: usize = 1;
const MOST_SESSIONS: usize = 50_000;
/// Requests, and texts for the stream, between two tasks.
const QUEUE: usize = 256;
/// Bytes between the session and the stream, each way.
const BUFFER: usize = 16_384;
/// Bytes that wait for the client; above, the stream waits as well.
const MOST_SAID: usize = 262_144;
