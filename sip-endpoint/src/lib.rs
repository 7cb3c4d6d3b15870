//! The tokio shell of `sip-core`: sockets on one side, an [`Application`] on the other.
//!
//! In    datagrams, connections, messages of another endpoint in the same process; requests of the application.
//! Out   new requests to the application, responses to whoever sent the request.
//! State shards, each one task that owns its transactions; connections, each one task that owns its stream.
//! Errors a malformed request is answered with its fault as the reason phrase; a full queue drops a datagram, as a net
//! would, and slows a stream.
//!
//! A user agent is an [`Application`] that answers:
//!
//! ```no_run
//! use sip_core::Message;
//! use sip_endpoint::{Application, Flow, Incoming};
//!
//! struct Friendly;
//!
//! impl Application for Friendly {
//!     fn request(&self, incoming: Incoming) {
//!         let answer = Message::response(&incoming.request, 200, "");
//!         incoming.server.respond(answer);
//!     }
//!     fn ack(&self, _ack: Message, _flow: Flow) {}
//! }
//! ```

mod application;
mod callers;
mod endpoint;
mod flow;
mod identity;
mod inlet;
mod lateness;
mod limits;
mod metrics;
mod own;
mod resolve;
mod sent;
mod shard;
mod tap;
mod threads;
mod transport;
mod via;
mod wire_log;
mod written;

pub use application::{Application, Incoming, ServerHandle};
pub use endpoint::{Bound, Endpoint, Listeners, Random};
pub use flow::{Flow, Transport};
pub use limits::Limits;
pub use metrics::Metrics;
pub use resolve::{Naming, ResolveError, Resolver, Target};
pub use sent::{Answer, Cancel, ReplyTo, SentRequest};
pub use tap::{Tap, Way};
pub use transport::in_process::{Port, pair};
