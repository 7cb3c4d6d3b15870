//! A wire within the process: what one endpoint sends, the other receives. The focus is behind one.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::flow::{Flow, Transport};
use crate::inlet::Inlet;

/// One end of the wire.
pub struct Port {
    pub(crate) outgoing: mpsc::Sender<Bytes>,
    pub(crate) incoming: mpsc::Receiver<Bytes>,
}

/// A wire; each end goes to one endpoint.
pub fn pair() -> (Port, Port) {
    let (to_right, from_left) = mpsc::channel(DEPTH);
    let (to_left, from_right) = mpsc::channel(DEPTH);
    (Port { outgoing: to_right, incoming: from_right }, Port { outgoing: to_left, incoming: from_left })
}

/// What a Via says of a wire that has no address: a name that is nobody's (RFC 6761 §6.4, as RFC 7118 has it for browsers).
pub(crate) const HOST: &str = "in-process.invalid";

/// The flow of the port with this index.
pub(crate) fn flow(id: u64) -> Flow {
    // No socket has these; a Via says [`HOST`].
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    Flow { transport: Transport::InProcess, id, local: nowhere, remote: nowhere }
}

/// Reads until the other end is gone.
pub(crate) async fn read(id: u64, mut incoming: mpsc::Receiver<Bytes>, inlet: Inlet) {
    while let Some(bytes) = incoming.recv().await {
        inlet.take_framed(bytes, flow(id)).await;
    }
}

/// Messages under way in one direction.
const DEPTH: usize = 4_096;
