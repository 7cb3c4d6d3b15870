//! Whether calls work — RFC 3261: somebody registers, calls themself, and hears themself.
//!
//! In    a temporary account and the listener `sip.udp`, from this machine.
//! Out   REGISTER with Digest (RFC 7616), INVITE through the proxy, RTP both ways as the descriptions say, BYE; then all is taken back.
//! Errors each step that does not happen in time is the finding.
//! Not here: the network between telephones and this machine, which only a telephone sees.

mod phone;

use std::net::SocketAddr;
use std::time::Duration;

use super::patient::{Patient, Trial};
use super::{Findings, Ward};
use phone::Phone;

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    CALL.carry_out(ward, found).await;
}

const CALL: Trial = Trial {
    listener: "sip.udp",
    without: "this call goes over UDP",
    done: "registered, called itself and heard itself, and hung up",
    patience: PATIENCE,
    run: |ward, patient| {
        Box::pin(async {
            let server = ward.reach("sip.udp").ok_or_else(|| "sip.udp listens nowhere".to_owned())?;
            Ok(call(patient, server).await?)
        })
    },
};

async fn call(patient: &Patient, server: SocketAddr) -> Result<(), String> {
    let mut phone = Phone::new(patient, server).await?;
    phone.register(60).await?;
    let called = phone.call_oneself().await;
    // Whatever became of the call, the binding goes.
    let gone = phone.register(0).await;
    called.and(gone)
}

/// Each step has less.
const PATIENCE: Duration = Duration::from_secs(60);
