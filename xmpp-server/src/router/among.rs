//! A message of which several clients of an account have a copy each — XEP-0198 §5 (what a client did not get goes elsewhere, and is not
//! doubled), RFC 6121 §8.5.2.1.1, XEP-0280.
//!
//! In    a message on its way to an account with several sessions.
//! Out   what is with each of them until its client has it. When one ends without, the message goes elsewhere if no other had it, and none is
//!       still to get it: the last one says so.
//! State with the outboxes, what waits for acks, and what waits in the store for one of them ([`crate::offline`]); nothing of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use xmpp_core::Stanza;

use super::{Kept, Router, is_kept};
use crate::offline::Came;

/// One such message.
#[derive(Debug)]
pub(crate) struct Among {
    kept: Kept,
    is_had: AtomicBool,
}

impl Among {
    /// A message for the sessions of an account, if there are several.
    pub(crate) fn of(router: &Router, bare: &str, message: &Stanza) -> Option<Arc<Self>> {
        (is_kept(message) && router.has_several(bare)).then(|| {
            let kept = Kept { stanza: message.clone(), came: Came::now() };
            Arc::new(Self { kept, is_had: AtomicBool::new(false) })
        })
    }

    /// The message.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// A client has it, or it waits in the store for whichever comes.
    pub(crate) fn had(&self) {
        self.is_had.store(true, Ordering::Release);
    }

    pub(crate) fn is_had(&self) -> bool {
        self.is_had.load(Ordering::Acquire)
    }

    /// Lets go of it without its client having it: the message, if it was the last one, and nobody had it.
    pub(crate) fn left(self: Arc<Self>) -> Option<Kept> {
        Arc::into_inner(self).filter(|among| !among.is_had()).map(|among| among.kept)
    }
}
